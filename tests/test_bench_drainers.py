"""The processes that the bench of the drain measures: what each leaves in the tables, and what it says of itself."""

import sys
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from bench import drainers
from bench.checks import require_finished, require_shown
from bench.drainers import Done
from bench.events import everything, fill, updates
from bench.support import database
from consumer import logs
from consumer.outbox import queue
from consumer.postgres import migrations
from consumer.worker.batch import BatchRunner
from tests.support.benches import Ticking
from tests.support.databases import rows
from tests.support.names import own

UPDATES, MIX = updates(20), everything(400)


class Shot:
    """The barrier at which a process waits for the others, and the queue into which it puts what it did."""

    def __init__(self) -> None:
        self.done: list[Any] = []

    def wait(self, timeout: float) -> None:
        self.done.append(timeout)

    def put(self, done: Done) -> None:
        self.done.append(done)


@pytest.fixture
def shot(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Processor time is two seconds in all, and memory grows by three bytes."""
    memory = iter([SimpleNamespace(rss=100), SimpleNamespace(rss=103)])
    process = SimpleNamespace(memory_info=lambda: next(memory))
    monkeypatch.setattr(drainers, "psutil", SimpleNamespace(Process=lambda: process))
    monkeypatch.setattr(drainers, "time", Ticking(cpu=[5.0, 7.0]))
    return Shot()


@pytest.fixture
async def filled(server_url: str, request: pytest.FixtureRequest) -> AsyncIterator[str]:
    with database(server_url, own("bench_drainers")) as url:
        migrations.apply(url, "consumer")
        await fill(url, request.param, 0)
        yield url


@pytest.mark.parametrize("filled", [UPDATES], ids=["updates"], indirect=True)
def test_a_worker_finishes_all_batch_by_batch_and_its_log_is_thrown_away(
    filled: str, shot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stderr, configured, runners = sys.stderr, list[Any](), list[Any]()
    monkeypatch.setattr(sys, "stderr", stderr)
    monkeypatch.setattr(logs, "configure", lambda *given: configured.append((*given, sys.stderr.name)))

    def runner(*given: Any, **named: Any) -> BatchRunner:
        runners.append(named)
        return BatchRunner(*given, **named)

    monkeypatch.setattr(drainers, "BatchRunner", runner)

    drainers.work(filled, 5, shot, shot)
    sys.stderr.close()

    assert shot.done == [60, Done(20, 2.0, 3)]
    require_finished("a worker", filled, 20)
    require_shown("a worker", filled, UPDATES)
    # Each batch is a transaction, and so is a moment.
    assert rows(filled, "SELECT count(DISTINCT at) FROM consumer.outcomes") == [{"count": 4}]
    assert configured == [("json", "info", "/dev/null")]
    assert runners == [{"attempts_max": 12, "batch_size": 5}]


@pytest.mark.parametrize("filled", [UPDATES], ids=["updates"], indirect=True)
def test_the_ceiling_shows_the_same_in_as_many_transactions_and_finishes_nothing(filled: str, shot: Any) -> None:
    drainers.project(filled, 5, shot, shot)

    assert shot.done == [60, Done(20, 2.0, 0)]
    require_shown("the ceiling", filled, UPDATES)
    assert rows(filled, "SELECT count(DISTINCT xmin::text) FROM identity.profile_audit") == [{"count": 4}]
    assert rows(filled, "SELECT count(*) FROM identity.profile_audit") == [{"count": 20}]
    counts = "SELECT (SELECT count(*) FROM consumer.pending) AS p, (SELECT count(*) FROM consumer.outcomes) AS o"
    assert rows(filled, counts) == [{"p": 20, "o": 0}]


@pytest.mark.parametrize("filled", [MIX], ids=["the mix"], indirect=True)
def test_the_ceiling_of_the_mix_has_all_effects_and_finishes_nothing(filled: str, shot: Any) -> None:
    finish = (queue.finish, queue.finish_users)

    drainers.project_mix(filled, 150, shot, shot)

    assert shot.done == [60, Done(400, 2.0, 0)]
    assert (queue.finish, queue.finish_users) == finish
    require_shown("the ceiling", filled, MIX)
    counts = """
        SELECT (SELECT count(*) FROM consumer.pending) AS pending, (SELECT count(*) FROM consumer.outcomes) AS outcomes,
            (SELECT count(*) > 0 FROM consumer.memberships) AS joins,
            (SELECT count(*) > 0 FROM consumer.edits) AS edits,
            (SELECT count(*) FROM consumer.rehome) AS rehoming
    """
    assert rows(filled, counts) == [{"pending": 400, "outcomes": 0, "joins": True, "edits": True, "rehoming": 0}]


@pytest.mark.parametrize("filled", [UPDATES], ids=["updates"], indirect=True)
def test_slices_are_one_transaction_each(filled: str, shot: Any) -> None:
    drainers.project_mix(filled, 5, shot, shot)

    with psycopg.connect(filled) as conn:
        [(transactions, audited)] = conn.execute(
            "SELECT count(DISTINCT xmin::text), count(*) FROM identity.profile_audit"
        ).fetchall()
    assert (transactions, audited) == (4, 20)
