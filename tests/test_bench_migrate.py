"""The bench of a migration: who works beside it, and what each of them saw."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from bench import migrate
from bench.checks import FalseFigure
from bench.client import Outcome
from bench.migrate import Seen
from tests.releases.kept import oldest
from tests.support.benches import Ticking, call_main, during, returning, silent
from tests.support.polling import until


def patched(monkeypatch: pytest.MonkeyPatch, **names: object) -> None:
    for name, value in names.items():
        monkeypatch.setattr(migrate, name, value)


def outcome(sent: int, answered: int, p99: float = 1.0) -> Outcome:
    return Outcome(sent, answered, 1.0, 1.0, {50: 0.0, 99: p99, 99.9: 10 * p99})


@pytest.mark.parametrize(
    ("statements", "errors"),
    [
        (("SELECT %s::integer", "SELECT 1"), set()),
        (("SELECT 1", "SELECT 1 / 0"), {"22012"}),
        (("SELECT %s, %x",), {"ProgrammingError"}),
    ],
    ids=["good", "refused", "never sent"],
)
async def test_a_short_transaction_is_repeated_and_timed_and_its_errors_are_kept(
    server_url: str, monkeypatch: pytest.MonkeyPatch, statements: tuple[str, ...], errors: set[str]
) -> None:
    asked: list[tuple[int, int]] = []

    def number(first: int, last: int) -> int:
        asked.append((first, last))
        return first

    patched(monkeypatch, READ_EVERY_SECONDS=0.001, randrange=number, time=Ticking())
    with migrate.beside(server_url, statements, 30) as seen:
        await until(lambda: len(seen.seconds) > 3)

    assert set(seen.errors) == errors
    assert len(seen.errors) == (len(seen.seconds) if errors else 0)
    assert set(seen.seconds) == {1}
    assert set(asked) == {(1, 30)}
    assert len(asked) == len(seen.seconds)


def test_a_short_transaction_comes_every_fiftieth_of_a_second_and_ends_with_the_block(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits: list[float] = []

    class Event:
        def __init__(self) -> None:
            self.real = threading.Event()

        def wait(self, seconds: float) -> bool:
            waits.append(seconds)
            return self.real.wait(5)

        def set(self) -> None:
            self.real.set()

    patched(monkeypatch, threading=SimpleNamespace(Event=Event), psycopg=SimpleNamespace(connect=during(None)))
    with migrate.beside("url", ("SELECT 1",), 30) as seen:
        pass

    assert (waits, seen) == ([0.02], Seen([], []))


def test_a_short_transaction_that_finds_no_server_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(_: str) -> None:
        raise psycopg.OperationalError("no server")

    patched(monkeypatch, psycopg=SimpleNamespace(connect=connect))
    with pytest.raises(psycopg.OperationalError, match=r"^no server$"), migrate.beside("url", ("SELECT 1",), 30):
        pass


def test_a_long_reader_s_transaction_is_open_so_long_and_awaited(
    server_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    timers: list[Any] = []

    class Timer:
        def __init__(self, seconds: float, act: Callable[[], None]) -> None:
            timers.append(seconds)
            self.act = act

        def start(self) -> None:
            timers.append("started")

        def join(self) -> None:
            timers.append("joined")
            self.act()
            timers.append(state(server_url))

    def state(url: str) -> Any:
        with psycopg.connect(url) as conn:
            return conn.execute(
                "SELECT state FROM pg_stat_activity WHERE application_name = 'a long reader'"
            ).fetchall()

    class Conn(psycopg.Connection[Any]):
        def execute(self, query: Any, *given: Any, **named: Any) -> Any:
            assert query == "SELECT count(full_name) FROM identity.profiles"
            return super().execute("SELECT 1")

    patched(monkeypatch, threading=SimpleNamespace(Timer=Timer), psycopg=SimpleNamespace(connect=Conn.connect))
    with migrate.long_reader(server_url, 60):
        assert state(server_url) == [("idle in transaction",)]

    assert timers == [60, "started", "joined", [("idle",)]]


def test_deliveries_come_slice_by_slice_until_it_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []

    def load(port: int, requests: Iterator[bytes], connections: int, per_second: float) -> Outcome:
        ids = [int(request.partition(b"svix-id: msg_")[2][:27]) for request in requests]
        sent.append((port, ids[0], len(ids), connections, per_second))
        return outcome(len(ids), len(ids))

    patched(monkeypatch, at_rate=load, uvloop=SimpleNamespace(run=lambda found: found))

    slices = migrate.deliver(4711, b"k" * 24, 3, returning(False, False, True))

    assert sent == [(4711, 3000, 1000, 16, 100), (4711, 4000, 1000, 16, 100)]
    assert len(slices) == 2


class Beside:
    """A migration beside which everybody is played."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, stored: int = 50) -> None:
        self.what: list[Any] = []
        commands = SimpleNamespace(HOST="127.0.0.1", running=self.running)
        patched(monkeypatch, commands=commands, free_port=lambda _: 4711, beside=self.beside)
        patched(monkeypatch, long_reader=self.long_reader, deliver=self.deliver, _migrate=self.migrate)
        patched(monkeypatch, stored_rows=lambda _: stored, unpacked=lambda archive, folder: (archive, folder.is_dir()))

    @contextmanager
    def running(self, *given: Any, port: int, tree: Any) -> Iterator[None]:
        self.what.append((*given[:2], len(given[2]), port, tree))
        yield

    @contextmanager
    def beside(self, url: str, statements: tuple[str, ...], profiles: int) -> Iterator[Seen]:
        is_reader = len(statements) == 1
        self.what.append(("reader" if is_reader else "batches", url, profiles))
        yield Seen([0.5, 0.25], ["40P01", "55P03"]) if is_reader else Seen([1.5, 2.5, 2.0], [])

    @contextmanager
    def long_reader(self, url: str, seconds: float) -> Iterator[None]:
        self.what.append(("long", url, seconds))
        yield

    def deliver(self, port: int, key: bytes, first: int, is_over: Callable[[], bool]) -> list[Outcome]:
        self.what.append((port, len(key), first))
        if first == 0:
            assert [is_over(), is_over(), is_over()] == [False, False, True]
            return [outcome(10, 10, 5.0), outcome(10, 10, 3.0)]
        while not is_over():
            pass
        return [outcome(10, 10, 8.0), outcome(10, 10, 7.0), outcome(10, 10, 9.0)]

    def migrate(self, url: str) -> tuple[float, str]:
        self.what.append(("migrate", url))
        return 12.5, "migration_held_up\nx\nmigration_held_up\n"


def test_everybody_s_figures_are_in_a_row_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    beside = Beside(monkeypatch)

    assert migrate.measure("url", 30, 60.0) == [
        {"who": "migrate", "times": 2, "longest s": 12.5},
        {"who": "a reader of one profile", "times": 2, "longest s": 0.5, "p99 ms": 500.0, "errors": "40P01, 55P03"},
        {"who": "a worker's locks", "times": 3, "longest s": 2.5, "p99 ms": 2500.0, "errors": ""},
        {"who": "a delivery before", "times": 20, "longest s": 0.05, "p99 ms": 4.0, "worst slice's p99 ms": 5.0},
        {"who": "a delivery meanwhile", "times": 30, "longest s": 0.09, "p99 ms": 8.0, "worst slice's p99 ms": 9.0},
    ]
    assert beside.what[:5] == [
        *(("serve", "url", 24, 4711, (oldest(), True)), ("reader", "url", 30), ("batches", "url", 30)),
        *(("long", "url", 60.0), (4711, 24, 0)),
    ]
    assert sorted(map(str, beside.what[5:])) == sorted(map(str, [("migrate", "url"), (4711, 24, 2)]))


def test_a_delivery_that_was_lost_beside_a_migration_is_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    Beside(monkeypatch, stored=49)

    with pytest.raises(FalseFigure, match=r"the receiver: 50 requests were sent, 50 answered 204, 49 stored\.$"):
        migrate.measure("url", 30, 60.0)


def test_a_migration_is_timed_and_its_log_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[Any] = []
    codes = iter([0, 3])

    def run(command: list[str], **named: Any) -> SimpleNamespace:
        ran.append((command, named))
        return SimpleNamespace(returncode=next(codes), stderr="the log")

    monkeypatch.setattr(subprocess, "run", run)
    patched(monkeypatch, time=Ticking(2.0, 5.0, 6.0))

    assert migrate._migrate("url") == (3.0, "the log")
    with pytest.raises(FalseFigure, match=r"^No figure: `consumer migrate` ended with 3: the log$"):
        migrate._migrate("url")
    environment = {**os.environ, "DATABASE_URL": "url", "LOG_FORMAT": "json"}
    named = {"env": environment, "check": False, "capture_output": True, "text": True}
    assert ran[0] == ([sys.executable, "-m", "consumer", "migrate", "--json"], named)


@pytest.mark.parametrize(("count", "milliseconds"), [(1, 0), (100, 99_000), (101, 99_000), (200, 198_000)])
def test_the_p99_is_what_all_but_a_hundredth_took_less_than(count: int, milliseconds: float) -> None:
    assert migrate._p99_ms(Seen([float(n) for n in reversed(range(count))])) == milliseconds


def test_a_full_database_of_the_oldest_release_is_migrated(monkeypatch: pytest.MonkeyPatch) -> None:
    shown, what = silent(monkeypatch, migrate), list[Any]()
    conn = SimpleNamespace(execute=what.append)
    patched(monkeypatch, migrate=lambda *given: what.append(given), psycopg=SimpleNamespace(connect=during(conn)))
    patched(monkeypatch, measure=lambda *given: [{"measured": given}])

    call_main(monkeypatch, migrate, "--profiles=400", "--json")
    call_main(monkeypatch, migrate, "--reader-seconds=7.5")

    url = "postgresql://the-server/bench_migrate"
    assert what[0] == what[2] == (url, int(Path(oldest()).name[:4]))
    assert b"generate_series(0, 20) AS n" in what[1]
    assert b"generate_series(1, 400) AS n" in what[1]
    assert shown.rows == [[{"measured": (url, 400, 60)}], [{"measured": (url, 1_000_000, 7.5)}]]
    assert shown.facts == [
        {"profiles": 400, "the long reader, s": 60},
        {"profiles": 1_000_000, "the long reader, s": 7.5},
    ]
    assert (shown.titles, shown.as_json) == (["A migration beside others"] * 2, [True, False])
    assert shown.progress[:2] == ["400 profiles", "migrate"]
