"""The bench of ingest: what it sends to each kind of server, its figures by request, and a lone event's way."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench import ingest
from bench.checks import FalseFigure
from bench.client import Outcome
from tests.support.benches import RECORDED, Ticking, call_main, during, kept_records, kept_runners, returning, silent

KEY = b"k" * 24
PERCENTILES = {50: 1.5, 99: 2.5, 99.9: 3.5}
KINDS = ("bare", "ceiling", "verify", "one insert", "ours")


def patched(monkeypatch: pytest.MonkeyPatch, **names: object) -> None:
    for name, value in names.items():
        monkeypatch.setattr(ingest, name, value)


class Load:
    """Stand in for the clients: what was sent, each request in a thousandth of a second."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, missing: int = 0) -> None:
        self.sent: list[tuple[Any, ...]] = []
        self._missing = missing
        patched(monkeypatch, at_full_load=self.send, full_load=self.send, at_rate=self.send)
        patched(monkeypatch, uvloop=SimpleNamespace(run=lambda found: found))
        memory = returning(*(SimpleNamespace(rss=megabytes * 2**20) for megabytes in (100, 150)))
        process = SimpleNamespace(memory_info=memory)
        patched(monkeypatch, running=during((4711, process)))
        patched(monkeypatch, cpu_seconds=returning(1.0, 1.9), postgres_cpu_seconds=returning(5.0, 6.8))

    def send(self, port: int, requests: Iterator[bytes], connections: int, *other: object) -> Outcome:
        made = list(requests)
        ids = [int(request.partition(b"svix-id: msg_")[2][:27]) for request in made]
        assert ids == [*range(ids[0], ids[0] + len(ids))]
        self.sent.append((port, len(made), ids[0], connections, *other))
        return Outcome(len(made), len(made) - self._missing, len(made) / 1000, len(made) / 4000, PERCENTILES)


@pytest.mark.parametrize(("kind", "count"), [("ours", 90), ("one insert", 30), ("bare", 90)])
def test_a_kind_is_measured_after_a_warm_up_at_full_load_and_at_half_of_it(
    monkeypatch: pytest.MonkeyPatch, kind: str, count: int
) -> None:
    load, shown = Load(monkeypatch), silent(monkeypatch, ingest)
    patched(monkeypatch, stored_rows=lambda _: 2000 + count + count // 4)

    row = ingest.measure(kind, KEY, 90, "wrk", "url")

    assert load.sent == [
        *((4711, 2000, 0, 64), (4711, count, 2000, 64, "wrk")),
        (4711, count // 4, 2000 + count, 64, pytest.approx(500)),
    ]
    assert row == {
        "kind": kind,
        "requests/s": pytest.approx(1000),
        "server CPU us": pytest.approx(0.9e6 / count),
        "PostgreSQL CPU us": pytest.approx(1.8e6 / count),
        "client CPU us": pytest.approx(250),
        **{f"{load} p{share:g} ms": ms for load in ("full", "half") for share, ms in PERCENTILES.items()},
        "RSS MB before": 100.0,
        "RSS MB after": 150.0,
    }
    assert shown.progress == [kind]


@pytest.mark.parametrize(
    ("kind", "missing", "stored", "told"),
    [
        ("ours", 0, 2111, "2,112 requests were sent, 2,112 answered 204, 2,111 stored."),
        ("one insert", 0, 2036, "2,037 requests were sent, 2,037 answered 204, 2,036 stored."),
        ("ours", 1, 2112, "2,112 requests were sent, 2,109 answered 204, 2,112 stored."),
        ("verify", 1, 0, "2,112 requests were sent, 2,109 answered 204."),
    ],
)
def test_a_kind_that_lost_a_request_is_no_figure(
    monkeypatch: pytest.MonkeyPatch, kind: str, missing: int, stored: int, told: str
) -> None:
    Load(monkeypatch, missing)
    silent(monkeypatch, ingest)
    patched(monkeypatch, stored_rows=lambda _: stored)

    with pytest.raises(FalseFigure) as refused:
        ingest.measure(kind, KEY, 90, "python", "url")

    assert str(refused.value) == f"No figure for {kind}: {told}"


@pytest.mark.parametrize(
    ("program", "has_cluster", "pooled"), [("pgbouncer", True, 9.0), (None, True, None), ("pgbouncer", False, None)]
)
def test_a_pooled_worker_is_measured_where_a_pooler_can_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, program: str | None, has_cluster: bool, pooled: float | None
) -> None:
    (tmp_path / "socket").mkdir()
    if has_cluster:
        (tmp_path / "cluster").mkdir()
    poolers: list[Any] = []

    @contextmanager
    def pgbouncer(url: str, folder: Path) -> Iterator[str]:
        poolers.append((url, folder))
        yield "pooled"

    url = f"host={tmp_path}/socket"
    patched(monkeypatch, PROGRAM=program, pgbouncer=pgbouncer)
    monkeypatch.setattr(ingest, "_lone_event", lambda _, receiver, worker: 5.0 if worker == receiver else 9.0)

    assert ingest.lone_event(KEY, url) == {"direct": 5.0, "pooled": pooled}
    assert poolers == ([(url, tmp_path)] if pooled else [])


@pytest.mark.parametrize(("worker_url", "first"), [("url", 50_000_000), ("pooled", 50_000_020)])
def test_a_lone_event_s_time_is_the_median_of_twenty_with_a_worker_beside(
    monkeypatch: pytest.MonkeyPatch, worker_url: str, first: int
) -> None:
    what: list[Any] = []
    shown, runners = silent(monkeypatch, ingest), kept_runners(monkeypatch, ingest)

    class Loop:
        def __init__(self, url: str, runner: Any, attempted: Any, *, poll_max: timedelta) -> None:
            what.append((url, poll_max))
            self._stopped = asyncio.Event()

        async def run(self) -> None:
            what.append("working")
            await self._stopped.wait()
            what.append("stopped")

        def stop(self) -> None:
            self._stopped.set()

    async def connection(*_: object) -> Any:
        return Conn()

    async def lone(conn: object, port: int, request: bytes) -> float:
        assert isinstance(conn, Conn)
        await asyncio.sleep(0)
        what.append((port, int(request.partition(b"svix-id: msg_")[2][:27])))
        return len(what) / 1000

    class Conn:
        async def __aenter__(self) -> "Conn":
            return self

        async def __aexit__(self, *_: object) -> None: ...

    patched(monkeypatch, Worker=Loop, connect=connection, _lone=lone, running=during((4711, None)))

    # What came before counts two.
    assert ingest._lone_event(KEY, "url", worker_url) == pytest.approx(12.5)
    assert what[0] == (worker_url, timedelta(seconds=1))
    assert what[1] == "working"
    assert runners == [{"attempts_max": 12}]
    assert what[2:-1] == [(4711, first + number) for number in range(20)]
    assert what[-1] == "stopped"
    assert shown.progress == ["a lone event" + (", the worker behind PgBouncer" if worker_url == "pooled" else "")]


class Profiles:
    """A connection to tables that have a profile at the third look."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def execute(self, statement: str) -> SimpleNamespace:
        self.asked.append(statement)
        looks = sum("SELECT" in each for each in self.asked)

        async def fetchall() -> list[object]:
            return ["a row"] if looks == 3 else []

        return SimpleNamespace(fetchall=fetchall)


async def test_a_lone_event_is_timed_from_its_answer_to_its_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    conn: Any = Profiles()
    slept: list[float] = []
    limits: list[float] = []
    timeout = asyncio.timeout

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async def load(port: int, requests: list[bytes], connections: int) -> Outcome:
        assert (port, requests, connections) == (4711, [b"x"], 1)
        assert slept == [1.75]
        return Outcome(1, answers.pop(), 1.0, 1.0, {})

    def limit(seconds: float) -> asyncio.Timeout:
        limits.append(seconds)
        return timeout(seconds)

    def below(most: int) -> int:
        assert most == 1000
        return 250

    answers = [0, 1]
    patched(monkeypatch, asyncio=SimpleNamespace(sleep=sleep, timeout=limit), at_full_load=load)
    patched(monkeypatch, secrets=SimpleNamespace(randbelow=below), time=Ticking(5.0, 5.5, 6.0))

    assert await ingest._lone(conn, 4711, b"x") == 0.5
    assert conn.asked[:2] == [f"DELETE FROM identity.{table}" for table in ("profiles", "stack_user_profiles")]
    assert (len(conn.asked), slept, limits) == (5, [1.75, 0.002, 0.002], [10])
    slept.clear()
    with pytest.raises(FalseFigure, match=r"a lone event: 1 requests were sent, 0 answered 204\.$"):
        await ingest._lone(conn, 4711, b"x")


def speeds(monkeypatch: pytest.MonkeyPatch, *found: float) -> list[tuple[Any, ...]]:
    """Let measures find these speeds; return what is asked."""
    what: list[tuple[Any, ...]] = []
    left = iter(found)

    def measure(kind: str, key: bytes, requests: int, client: str, url: str) -> dict[str, object]:
        what.append((kind, len(key), requests, client, url))
        return {"kind": kind, "requests/s": next(left)}

    def piece(name: str) -> Callable[..., None]:
        return lambda *given: what.append((name, *given))

    async def prepare(url: str) -> None:
        what.append(("prepare", url))

    patched(monkeypatch, measure=measure, migrations=SimpleNamespace(apply=piece("migrate")), _prepare=prepare)
    patched(monkeypatch, lone_event=lambda key, url: {"direct": 7.0, "pooled": len(key)})
    patched(monkeypatch, cheapest_client=lambda: "python")
    return what


def test_each_kind_is_measured_in_a_new_database_and_compared_with_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = silent(monkeypatch, ingest)
    what = speeds(monkeypatch, 10, 8, 6, 2, 4)

    call_main(monkeypatch, ingest, "--json")

    url = "postgresql://the-server/ingest"
    assert what[:3] == [("migrate", url, "consumer"), ("prepare", url), ("bare", 24, 60_000, "python", url)]
    assert [each[0] for each in what if each[0] in KINDS] == [*KINDS]
    assert [(row["kind"], row["requests/s"]) for row in shown.rows[0]] == [*zip(KINDS, (10, 8, 6, 2, 4), strict=True)]
    assert shown.facts == [
        {"event bytes": 1300, "connections": 64, "client at full load": "python"}
        | {"ours / bare": 0.4, "ours / ceiling": 0.5, "ours / verify": pytest.approx(2 / 3), "ours / one insert": 2.0}
        | {"a lone event, 204 to profile, median ms": 7.0}
        | {"the same 1.5 to 2.5 s after the one before, worker behind PgBouncer, median ms": 24}
    ]
    assert (shown.titles, shown.as_json, shown.servers) == (["Ingest"], [True], [None])


def test_of_several_rounds_the_best_of_each_kind_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = silent(monkeypatch, ingest)
    what = speeds(monkeypatch, 10, 8, 12, 5)

    call_main(monkeypatch, ingest, "--kinds=ceiling,verify", "--rounds=2", "--requests=9", "--client=wrk")

    assert [each[0] for each in what if each[0] in KINDS] == ["ceiling", "verify"] * 2
    assert {each[2:4] for each in what if each[0] in KINDS} == {(9, "wrk")}
    assert [(row["kind"], row["requests/s"]) for row in shown.rows[0]] == [("ceiling", 12), ("verify", 8)]
    assert not [name for name in shown.facts[0] if name.startswith("ours /")]


async def test_a_worker_s_settings_are_recorded_before_an_ingest(emptied: str, monkeypatch: pytest.MonkeyPatch) -> None:
    records = kept_records(monkeypatch)

    await ingest._prepare(emptied)

    assert records == [RECORDED]
