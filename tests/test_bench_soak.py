"""The bench of a long time: memory is looked at on the way, and too much growth fails the run."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from bench import soak
from bench.checks import FalseFigure
from bench.client import Outcome
from bench.events import fill, updates
from bench.support import database
from consumer.postgres import migrations
from tests.support.benches import Ticking, call_main, returning, silent
from tests.support.names import own

MEGABYTE = 2**20


def outcome(sent: int, answered: int, p99: float = 0.0, cpu: float = 0.0) -> Outcome:
    return Outcome(sent, answered, 1.0, cpu, {50: 0.0, 99: p99, 99.9: 10 * p99})


def process(*megabytes: float, files: int = 0) -> Any:
    memory = iter([SimpleNamespace(rss=each * MEGABYTE) for each in megabytes])
    return SimpleNamespace(memory_info=lambda: next(memory), num_fds=lambda: files)


class Soak:
    """The bench of a long time: two processes that grow by a megabyte from look to look."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, missing: int = 0) -> None:
        self.what: list[Any] = []
        self.shown = silent(monkeypatch, soak)
        self._missing = missing
        self._memory = {"serve": process(*range(100, 120), files=11), "work": process(*range(50, 70), files=7)}
        spent = {id(self._memory["serve"]): iter([1.0, 2.0]), id(self._memory["work"]): iter([10.0, 14.0])}
        for name, value in {
            "running": self.running,
            "at_full_load": self.load,
            "uvloop": SimpleNamespace(run=lambda found: found),
            "free_port": lambda _: 4711,
            "cpu_seconds": lambda process: next(spent[id(process)]),
            "postgres_cpu_seconds": returning(3.0, 3.5),
            "require_soon": self.soon,
            "backlog": returning(1, 0),
            "time": Ticking(100.0, *(110.0 + n for n in range(20))),
        }.items():
            monkeypatch.setattr(soak, name, value)

    @contextmanager
    def running(self, command: str, url: str, key: bytes, *, port: int) -> Iterator[object]:
        self.what.append((command, url, len(key), port))
        yield self._memory[command]

    def load(self, port: int, requests: Iterator[bytes], connections: int) -> Outcome:
        ids = [int(request.partition(b"svix-id: msg_")[2][:27]) for request in requests]
        self.what.append((port, ids[0], len(ids), connections))
        return outcome(len(ids), len(ids) - self._missing, cpu=0.5)

    def soon(self, what: str, holds: Callable[[], object], seconds: float, *, poll: float) -> None:
        self.what.append((what, seconds, poll))
        assert [holds(), holds()] == [False, True]


def test_memory_is_looked_at_after_each_tenth_and_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soak, "SLICE", 10)
    bench = Soak(monkeypatch)

    looks, cpu = soak.soak("url", 195)

    assert bench.what[:2] == [("serve", "url", 24, 4711), ("work", "url", 24, 4711)]
    assert bench.what[2:-1] == [(4711, first, min(10, 195 - first), 64) for first in range(0, 195, 10)]
    assert bench.what[-1] == ("an empty queue", 600, 1)
    assert [look["events"] for look in looks] == [*range(20, 200, 20), 195, 195]
    assert looks[1] == {
        "events": 40,
        "s": 11.0,
        "receiver MB": 101.0,
        "worker MB": 51.0,
        "receiver files": 11,
        "worker files": 7,
    }
    assert cpu == {
        "receiver CPU us/event": pytest.approx(1e6 / 195),
        "worker CPU us/event": pytest.approx(4e6 / 195),
        "PostgreSQL CPU us/event": pytest.approx(0.5e6 / 195),
        "client CPU us/event": pytest.approx(10e6 / 195),
    }
    assert bench.shown.progress == [f"{look['events']} events" for look in looks[:-1]]


def test_an_event_that_was_not_answered_is_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    Soak(monkeypatch, missing=1)

    with pytest.raises(FalseFigure, match=r"^No figure for memory: 20 requests were sent, 19 answered 204\.$"):
        soak.soak("url", 20)


async def test_the_backlog_is_what_waits_and_what_is_retried(server_url: str) -> None:
    with database(server_url, own("bench_backlog")) as url:
        migrations.apply(url, "consumer")
        assert soak.backlog(url) == 0
        await fill(url, updates(4), 0)
        with psycopg.connect(url) as conn:
            conn.execute(
                "INSERT INTO consumer.failures (seq, state, attempts, error_code, error, next_attempt_at)"
                " SELECT min(seq), 'retrying', 1, 'x', 'x', now() FROM consumer.outbox"
            )

        assert soak.backlog(url) == 5


@pytest.mark.parametrize(("receiver", "worker", "code"), [(10, 10, 0), (10.5, 0, 1), (-5, 10.5, 1), (-20, 3, 0)])
def test_memory_that_grew_too_much_since_the_first_look_fails_the_run(
    monkeypatch: pytest.MonkeyPatch, receiver: float, worker: float, code: int
) -> None:
    shown, what = silent(monkeypatch, soak), list[Any]()

    async def filled(*given: object) -> None:
        what.append(given)

    def look(megabytes: float, receiver: float, worker: float) -> dict[str, object]:
        return {"receiver MB": megabytes + receiver, "worker MB": megabytes + worker}

    looks = [look(50, 0, 0), look(90, 0, 0), look(50, receiver, worker)]
    monkeypatch.setattr(soak, "migrations", SimpleNamespace(apply=lambda *given: what.append(given)))
    monkeypatch.setattr(soak, "fill", filled)
    monkeypatch.setattr(soak, "soak", lambda *given: (looks, {"given": given}))
    monkeypatch.setattr(soak, "require_finished", lambda *given: what.append(given))
    try:
        call_main(monkeypatch, soak, "--json")
        ended: object = 0
    except SystemExit as end:
        ended = end.code

    url = "postgresql://the-server/soak"
    assert ended == code
    assert what == [(url, "consumer"), (url, [], 0), ("memory", url, 1_000_000)]
    assert shown.facts == [
        {"event bytes": 1300, "receiver grew MB": receiver, "worker grew MB": worker, "given": (url, 1_000_000)}
    ]
    assert (shown.titles, shown.rows, shown.as_json) == (["Memory"], [looks], [True])
