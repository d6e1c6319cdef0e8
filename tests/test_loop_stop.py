"""A loop that is told to stop, or whose turn takes too long."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import psycopg
import pytest
from psycopg.errors import AdminShutdown
from tenacity import wait_fixed

from consumer.postgres.connections import Access, Connection, connect
from consumer.worker import loop as loop_module
from consumer.worker.batch import BatchRunner
from consumer.worker.loop import Worker
from tests.support.cli import arrive
from tests.support.databases import end_sessions, rows, sessions
from tests.support.factories import user_updated
from tests.support.loop import failures, pending, runner
from tests.support.processes import until
from tests.support.still_clock import StillLoop, advance, run_still, settle

NOWHERE = "host=127.0.0.1 port=1 dbname=x user=x"
# A moment that a float holds exactly beside the limits.
MOMENT = 2.0**-10
WORKERS = sessions("worker")


def worker(
    url: str, subject: BatchRunner | None = None, attempted: Callable[[Exception | None], None] = lambda _: None
) -> Worker:
    return Worker(url, subject or runner(), attempted, poll_max=timedelta(seconds=60))


@contextmanager
def held(url: str) -> Iterator["psycopg.Connection[tuple[object, ...]]"]:
    """Lock the profiles until the block ends, or the connection is rolled back."""
    with psycopg.connect(url) as holder:
        holder.execute("LOCK TABLE identity.profiles IN ACCESS EXCLUSIVE MODE")
        yield holder


async def batch_waits(url: str) -> None:
    """Return once a batch waits for a lock."""
    await asyncio.to_thread(until, lambda: rows(url, f"{WORKERS} AND wait_event_type = 'Lock'"))


async def gone(url: str) -> None:
    """Return once no connection of a worker is left."""
    await asyncio.to_thread(until, lambda: not rows(url, WORKERS))


def test_a_stop_ends_an_idle_wait_at_once(emptied: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_module, "POLL_MIN_SECONDS", 60)
    hear, hearing = loop_module._hear, asyncio.Event()

    async def spied(conn: Connection, seconds: float) -> bool:
        hearing.set()
        return await hear(conn, seconds)

    monkeypatch.setattr(loop_module, "_hear", spied)

    async def act(_: StillLoop) -> None:
        subject = worker(emptied)
        working = asyncio.create_task(subject.run())
        await hearing.wait()
        await settle()
        assert not working.done()
        subject.stop()
        await working
        await gone(emptied)

    run_still(act)


def test_a_stop_ends_a_pause_at_once_and_no_attempt_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_module, "_RECONNECT_PAUSE", wait_fixed(60))
    attempts: list[str] = []

    async def spied(conninfo: str, access: Access) -> Connection:
        attempts.append(conninfo)
        return await connect(conninfo, access)

    monkeypatch.setattr(loop_module, "connect", spied)

    async def act(_: StillLoop) -> None:
        subject = worker(NOWHERE)
        working = asyncio.create_task(subject.run())
        await asyncio.to_thread(until, lambda: subject.trouble)
        await settle()
        assert not working.done()
        subject.stop()
        await working
        assert attempts == [NOWHERE]

    run_still(act)


def test_a_pause_is_as_long_as_it_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_module, "_RECONNECT_PAUSE", wait_fixed(60))
    attempts: list[Exception | None] = []

    async def act(_: StillLoop) -> None:
        subject = worker(NOWHERE, attempted=attempts.append)
        working = asyncio.create_task(subject.run())
        await asyncio.to_thread(until, lambda: len(attempts) == 1)
        await settle()
        await advance(60 - MOMENT)
        assert len(attempts) == 1
        await advance(MOMENT)
        await asyncio.to_thread(until, lambda: len(attempts) == 2)
        subject.stop()
        await working
        assert len(attempts) == 2

    run_still(act)


@pytest.mark.parametrize("is_released", [True, False], ids=["finishes in time", "takes longer"])
def test_a_running_batch_has_two_seconds_to_finish_then_it_is_rolled_back(emptied: str, is_released: bool) -> None:
    arrive(emptied, user_updated())

    async def act(_: StillLoop) -> None:
        subject = worker(emptied)
        with held(emptied) as holder:
            working = asyncio.create_task(subject.run())
            await batch_waits(emptied)
            subject.stop()
            await settle()
            await advance(2 - MOMENT)
            assert not working.done()
            if is_released:
                holder.rollback()
                await working
            else:
                await advance(MOMENT)
                await working
        # The server gives up the rest as soon as it comes to itself.
        await gone(emptied)

    run_still(act)

    assert pending(emptied) == (0 if is_released else 1)
    assert len(rows(emptied, "SELECT FROM identity.profiles")) == is_released


def test_a_batch_that_fails_after_the_stop_is_reported_and_not_repeated(emptied: str) -> None:
    arrive(emptied, user_updated())
    subject = runner()
    told: list[Exception | None] = []

    async def act(_: StillLoop) -> None:
        loop = worker(emptied, subject, told.append)
        with held(emptied):
            working = asyncio.create_task(loop.run())
            await batch_waits(emptied)
            loop.stop()
            await settle()
            end_sessions(emptied, "worker")
            await working

    run_still(act)

    assert [type(error) for error in told] == [type(None), AdminShutdown]
    assert failures(subject) == {"transient": 1}
    assert pending(emptied) == 1


def test_no_batch_begins_after_a_stop(emptied: str) -> None:
    arrive(emptied, *(user_updated() for _ in range(2)))

    async def act(_: StillLoop) -> None:
        subject = worker(emptied, runner(batch_size=1))
        with held(emptied) as holder:
            working = asyncio.create_task(subject.run())
            await batch_waits(emptied)
            subject.stop()
            await settle()
            holder.rollback()
            await working

    run_still(act)

    assert pending(emptied) == 1


def test_a_turn_has_a_minute_then_the_next_batch_is_half(emptied: str) -> None:
    arrive(emptied, *(user_updated() for _ in range(8)))
    subject = runner()
    told: list[Exception | None] = []

    async def act(_: StillLoop) -> None:
        loop = worker(emptied, subject, told.append)
        with held(emptied):
            working = asyncio.create_task(loop.run())
            await batch_waits(emptied)
            await advance(60 - MOMENT)
            assert (loop.trouble, told) == (None, [None])
            await advance(MOMENT)
            await asyncio.to_thread(until, lambda: len(told) == 2)
        # Until the server has given the batch up, its deliveries are locked.
        await gone(emptied)
        # The longest of its first pauses.
        await advance(0.1)
        await asyncio.to_thread(until, lambda: not pending(emptied))
        loop.stop()
        await working

    run_still(act)

    assert [type(error) for error in told] == [type(None), TimeoutError, type(None)]
    assert failures(subject) == {"transient": 1}
    assert sizes(emptied) == [4, 4]


def sizes(url: str) -> list[int]:
    """Return the sizes of the batches that were applied: rows of one transaction share their xmin."""
    return [row["count"] for row in rows(url, "SELECT count(*) FROM consumer.outcomes GROUP BY xmin ORDER BY min(seq)")]


def test_an_error_that_is_no_time_limit_leaves_the_batch_as_large_as_it_was(emptied: str) -> None:
    arrive(emptied, *(user_updated() for _ in range(8)))

    async def act(_: StillLoop) -> None:
        loop = worker(emptied)
        with held(emptied):
            working = asyncio.create_task(loop.run())
            await batch_waits(emptied)
            end_sessions(emptied, "worker")
            await asyncio.to_thread(until, lambda: loop.trouble)
        await settle()
        await advance(0.1)
        await asyncio.to_thread(until, lambda: not pending(emptied))
        loop.stop()
        await working

    run_still(act)

    assert sizes(emptied) == [8]
