"""What the bench of the console counts with: frames, pairs of work, the retry of all dead, and what it prints."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast

import psycopg
import pytest

from bench import console, lookups
from bench.checks import FalseFigure
from bench.client import Outcome
from bench.console import LiveCost
from bench.console_people import Operator
from bench.support import database, user_event
from consumer.postgres import migrations
from tests.support.benches import (
    RECORDED,
    answering,
    autocommitting,
    call_main,
    during,
    kept_records,
    returning,
    silent,
)
from tests.support.names import own

OPERATOR = cast("Operator", SimpleNamespace(process="the console"))
KEY = b"k" * 24


class Viewers:
    """Viewers who do nothing; what a bench does with them."""

    done: list[Any]

    def __init__(self, operator: Operator, count: int) -> None:
        assert operator is OPERATOR
        self.done.append(("come", count))

    def __enter__(self) -> "Viewers":
        return self

    def __exit__(self, *_: object) -> None:
        self.done.append("leave")

    def wait(self, frames: int) -> None:
        self.done.append(frames)

    def require_looking(self) -> None:
        self.done.append("look")


@pytest.fixture
def viewers(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    Viewers.done = []
    monkeypatch.setattr(console, "Viewers", Viewers)
    silent(monkeypatch, console)
    return Viewers.done


def patched(monkeypatch: pytest.MonkeyPatch, **names: object) -> None:
    for name, value in names.items():
        monkeypatch.setattr(console, name, value)


def outcome(sent: int, answered: int, seconds: float = 2.0) -> Outcome:
    return Outcome(sent, answered, seconds, 0.5, {})


def sent(what: list[Any]) -> Callable[..., tuple[Any, ...]]:
    """Stand in for what sends requests: keep how many, from which on, and how fast."""

    def send(port: int, requests: Iterator[bytes], connections: int, *rate: float) -> Any:
        made = list(requests)
        what.append((port, len(made), connections, *rate))
        return outcome(len(made), len(made))

    return send


def test_a_frame_costs_its_share_of_what_ten_took(monkeypatch: pytest.MonkeyPatch, viewers: list[Any]) -> None:
    conn = answering([(100,)], [(125,)])
    patched(monkeypatch, psycopg=SimpleNamespace(connect=autocommitting(conn)))
    patched(monkeypatch, cpu_seconds=returning(1.0, 1.5), postgres_cpu_seconds=returning(7.0, 9.0))

    assert console.live_cost("url", OPERATOR, 3) == LiveCost(2.5, 50_000, 200_000)
    assert viewers == [("come", 3), 1, 10, "look", "leave"]


def test_work_is_measured_by_what_was_stored_and_drained(monkeypatch: pytest.MonkeyPatch) -> None:
    what: list[Any] = []
    measured: list[Any] = []

    def timed(url: str, measure: Any, events: int) -> tuple[float, None]:
        measured.append((url, measure.name, events))
        return 5.0, None

    patched(monkeypatch, running=during((4711, None)), at_full_load=sent(what), timed=timed)
    patched(monkeypatch, uvloop=SimpleNamespace(run=lambda found: found), rows=returning([(7,)], [(27,)]))

    assert console.work_speeds("url", KEY, 20, 100) == {"ingest": 10.0, "drain": 4.0}
    assert (what, measured) == ([(4711, 20, 16)], [("url", "one worker", 20)])

    patched(monkeypatch, rows=returning([(7,)], [(26,)]))
    with pytest.raises(FalseFigure, match=r"ingest: 20 requests were sent, 20 answered 204, 19 stored\.$"):
        console.work_speeds("url", KEY, 20, 100)


def test_work_beside_viewers_is_compared_pair_by_pair_with_newer_events_each_time(
    monkeypatch: pytest.MonkeyPatch, viewers: list[Any]
) -> None:
    speeds = iter([(100, 10), (50, 8), (60, 9), (100, 10), (100, 10), (90, 7)])
    told = silent(monkeypatch, console).progress

    def work_speeds(url: str, key: bytes, requests: int, first: int) -> dict[str, float]:
        assert (url, key, requests) == ("url", KEY, 20)
        viewers.append(first)
        return dict(zip(("ingest", "drain"), next(speeds), strict=True))

    patched(monkeypatch, work_speeds=work_speeds)

    found = console.beside_viewers("url", OPERATOR, KEY, 20, 3)

    assert found == {
        "ingest, 50 viewers / none": 0.6,
        "drain, 50 viewers / none": 0.8,
        "ingest, each pair": "0.50 0.60 0.90",
        "drain, each pair": "0.80 0.90 0.70",
    }
    first, come = 10_000_000, ("come", 50)
    assert viewers == [
        *(first, come, first + 20, "look", "leave"),
        *(come, first + 40, "look", "leave", first + 60),
        *(first + 80, come, first + 100, "look", "leave"),
    ]
    assert told[:3] == [
        "work alone, pair 1 of 3",
        "work beside viewers, pair 1 of 3",
        "work beside viewers, pair 2 of 3",
    ]


@contextmanager
def retried(monkeypatch: pytest.MonkeyPatch, *answers: list[tuple[Any, ...]]) -> Iterator[list[Any]]:
    """Stand in for the processes and for the database, whose answers come in turn."""
    what: list[Any] = []

    @contextmanager
    def running(command: str, url: str, key: bytes, *, port: int = 0) -> Iterator[None]:
        what.append((command, url, key, port))
        yield

    def soon(name: str, holds: Callable[[], object], seconds: float, *, poll: float) -> None:
        what.append((name, seconds, poll))
        while not holds():
            pass

    def live(url: str, port: int, key: bytes, first: int) -> float:
        what.append((url, port, key, first))
        return 40.0 if first == 20_000_000 else 50.0

    def order(operator: Operator, path: str) -> tuple[float, str]:
        assert operator is OPERATOR
        what.append(path)
        return 0.125, "an-id"

    patched(monkeypatch, commands=SimpleNamespace(HOST="127.0.0.1", running=running), free_port=lambda _: 4711)
    patched(monkeypatch, require_soon=soon, _live_p99=live, order=order, rows=returning(*answers))
    yield what


def test_a_retry_of_all_dead_is_timed_and_compared(monkeypatch: pytest.MonkeyPatch, viewers: list[Any]) -> None:
    # The dead; not over; over; how many; all applied.
    with retried(monkeypatch, [(9,)], [], [], [(9,)], [(9,)], [], [()]) as what:
        found = console.retry_all("url", OPERATOR, KEY)

    assert found == {
        "dead": 9,
        "the click on Retry answered in ms": 125.0,
        "live p99 ms, before": 40.0,
        "live p99 ms, meanwhile": 50.0,
        "live p99, meanwhile / before": 1.25,
        "the retry outlasted the live deliveries": True,
    }
    assert what == [
        *(("serve", "url", KEY, 4711), ("work", "url", KEY, 0), ("url", 4711, KEY, 20_000_000), "/dead/retry"),
        *(("url", 4711, KEY, 30_000_000), ("the retry over", 1200, 0.2), ("everything applied", 1200, 0.2)),
    ]


def test_a_retry_that_was_over_too_soon_says_so_and_one_that_left_dead_is_no_figure(
    monkeypatch: pytest.MonkeyPatch, viewers: list[Any]
) -> None:
    with retried(monkeypatch, [(9,)], [(9,)], [(9,)], [(9,)], [()]):
        assert not console.retry_all("url", OPERATOR, KEY)["the retry outlasted the live deliveries"]
    with (
        retried(monkeypatch, [(9,)], [(8,)], [(8,)], [(8,)]),
        pytest.raises(FalseFigure, match=r"^No figure: of 9 dead deliveries 8 were put back\.$"),
    ):
        console.retry_all("url", OPERATOR, KEY)


def test_live_deliveries_are_waited_for_until_all_are_applied(monkeypatch: pytest.MonkeyPatch) -> None:
    what: list[Any] = []
    conn = answering([(499, 1.0)], [(500, 12.5)], [(500, 12.5)])

    def soon(name: str, holds: Callable[[], object], seconds: float, *, poll: float) -> None:
        what.append((name, seconds, poll))
        assert [bool(holds()), bool(holds())] == [False, True]

    patched(monkeypatch, psycopg=SimpleNamespace(connect=during(conn)), require_soon=soon, at_rate=sent(what))
    patched(monkeypatch, uvloop=SimpleNamespace(run=lambda found: found))

    assert console._live_p99("url", 4711, KEY, 7) == 12.5
    assert what == [(4711, 500, 16, 50), ("every live delivery applied", 60, 0.1)]
    assert [values for _, values in conn.asked] == [[f"msg_{7:027}", f"msg_{506:027}"]] * 3

    patched(monkeypatch, at_rate=lambda *_: outcome(500, 499))
    with pytest.raises(FalseFigure, match=r"live deliveries: 500 requests were sent, 499 answered 204\.$"):
        console._live_p99("url", 4711, KEY, 7)


async def test_every_tenth_stored_delivery_is_dead_and_a_retry_could_apply_it(
    server_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = kept_records(monkeypatch)
    with database(server_url, own("bench_console")) as url:
        migrations.apply(url, "consumer")
        await console._fill(url, 40)
        with psycopg.connect(url) as conn:
            dead = conn.execute(
                "SELECT o.seq, f.source, o.source, o.team_id, convert_from(o.body, 'UTF8') LIKE '%' || o.user_id || '%'"
                " FROM consumer.failures AS f JOIN consumer.outbox AS o USING (seq) ORDER BY 1"
            ).fetchall()
            [(stored, other_bodies, known, settings)] = conn.execute(
                "SELECT count(*), count(*) FILTER (WHERE body = %s), (SELECT count(*) FROM consumer.outcomes),"
                " (SELECT count(*) FROM consumer.settings) FROM consumer.outbox",
                [user_event(lookups.USER, 1)],
            ).fetchall()
            [(counted,)] = conn.execute("SELECT reltuples FROM pg_class WHERE oid = 'consumer.outbox'::regclass")

    assert records == [RECORDED]
    assert dead == [(seq, "stack", "stack", None, True) for seq in (10, 20, 30, 40)]
    assert (stored, other_bodies, known, settings, counted) == (40, 36, 36, 1, 40)


def test_the_console_s_figures_are_those_of_its_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    shown, asked = silent(monkeypatch, console), list[Any]()
    filled: list[Any] = []

    async def fill(*arguments: Any) -> None:
        filled.append(arguments)

    def live(url: str, operator: Operator, count: int) -> LiveCost:
        assert operator is OPERATOR
        return {1: LiveCost(2.0, 1.0, 1.0), 50: LiveCost(5.0, 30.0, 40.0)}[count]

    def piece(name: str) -> Callable[..., dict[str, object]]:
        def ask(*arguments: Any) -> dict[str, object]:
            asked.append((name, arguments[0], *arguments[2:]))
            return {name: 1} if name != "page" else {"page": arguments[2], "requests": arguments[3]}

        return ask

    patched(monkeypatch, migrations=SimpleNamespace(apply=lambda *a: filled.append(a)), _fill=fill, live_cost=live)
    patched(monkeypatch, console=during(OPERATOR), addresses=lambda _: {"/": ["/", "/?range=3h"], "/dead": ["/dead"]})
    patched(monkeypatch, page_row=piece("page"), beside_viewers=piece("work"), retry_all=piece("retry"))
    patched(monkeypatch, first_visit=lambda _: 4000)

    call_main(monkeypatch, console, "--json")

    url = "postgresql://the-server/console"
    assert (shown.titles, shown.as_json, shown.servers) == (["The console"], [True], [None])
    assert shown.rows == [[{"page": page, "requests": 50} for page in ("/", "/?range=3h", "/dead")]]
    assert shown.facts == [
        {"stored": 20_000, "event bytes": 1300, "first visit, bytes": 4000, "transactions a frame": 2.0}
        | {"transactions a frame, 50 viewers / one": 2.5, "console CPU us a frame, 50 viewers": 30.0}
        | {"PostgreSQL CPU us a frame, 50 viewers": 40.0, "work": 1, "retry": 1}
    ]
    assert filled == [(url, "consumer"), (url, 20_000)]
    assert asked[-2][:2] + asked[-2][3:] == ("work", url, 20_000, 3)
    assert asked[-1][:2] == ("retry", url)
    assert len(asked[-1][2]) == 24
