"""A worker's life, through what is neither an error nor an answer."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from psycopg.errors import LockNotAvailable

from consumer.events.registry import EVENT_TYPES
from consumer.metrics import Metrics
from consumer.outbox.queue import Claimed
from consumer.postgres.connections import worker_access
from consumer.worker import loop as loop_module
from consumer.worker.batch import Batch, BatchRunner
from consumer.worker.lock_log import LockLog
from consumer.worker.loop import Worker
from consumer.worker.rehome import PageResult
from tests.faults.proxy import wire
from tests.support.databases import rows, schema_change
from tests.support.factories import user_updated
from tests.support.polling import until
from tests.support.worker import stored

ACCESS = worker_access("consumer")


async def test_a_silent_connection_is_given_up(emptied: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_module, "TURN_TIMEOUT", timedelta(seconds=0.3))
    told: list[Exception | None] = []

    with wire(emptied) as cable:
        loop = Worker(
            cable.url, BatchRunner(ACCESS, Metrics(EVENT_TYPES), attempts_max=12), told.append, poll_max=timedelta(0)
        )
        working = asyncio.create_task(loop.run())
        await until(lambda: loop.turned_at > 0)
        cable.hold()
        await until(lambda: any(told))
        trouble = loop.trouble
        cable.release()
        await stored(emptied, [user_updated()])
        await until(lambda: not rows(emptied, "SELECT FROM consumer.pending"))
        await until(lambda: loop.trouble is None)
        loop.stop()
        await working

    assert trouble is not None
    assert [type(error) for error in told if error] == [TimeoutError]


async def test_a_batch_that_is_too_much_for_a_turn_is_done_in_smaller_ones(
    emptied: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop_module, "TURN_TIMEOUT", timedelta(seconds=0.5))
    slow = """
        CREATE FUNCTION public.slow() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_sleep(0.05); RETURN NEW; END $$;
        CREATE TRIGGER slow BEFORE INSERT ON identity.profiles FOR EACH ROW EXECUTE FUNCTION public.slow();
    """

    await stored(emptied, [user_updated() for _ in range(30)])
    with schema_change(emptied, slow, "DROP FUNCTION public.slow CASCADE"):
        loop = Worker(
            emptied, BatchRunner(ACCESS, Metrics(EVENT_TYPES), attempts_max=12), lambda _: None, poll_max=timedelta(0)
        )
        working = asyncio.create_task(loop.run())
        await until(lambda: not rows(emptied, "SELECT FROM consumer.pending"))
        loop.stop()
        await working

    assert rows(emptied, "SELECT count(*) FROM identity.profiles") == [{"count": 30}]


async def test_the_lock_log_gets_the_errors_of_retried_deliveries_and_of_postponed_users(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An idle batch has none."""
    logged: list[tuple[object, list[Exception]]] = []
    first, second, third = LockNotAvailable("1"), LockNotAvailable("2"), LockNotAvailable("3")

    async def write(_: LockLog, conn: object, errors: Sequence[Exception]) -> None:
        logged.append((conn, list(errors)))

    async def hear(_: object, seconds: float) -> bool:
        return True

    monkeypatch.setattr(LockLog, "write", write)
    monkeypatch.setattr(loop_module, "_hear", hear)
    runner = BatchRunner(ACCESS, Metrics(EVENT_TYPES), attempts_max=12)
    loop = Worker("url", runner, lambda _: None, poll_max=timedelta(seconds=1))
    conn: Any = "a connection"
    delivery = Claimed(1, "stack", "msg_1", "user.updated", UUID(int=1), None)
    postponed = PageResult(users=2, postponed=[(UUID(int=1), second), (UUID(int=2), third)], is_overrun=False)

    await loop._wait_if_idle(conn, Batch(retried=[(delivery, first)], rehomed=postponed))
    await loop._wait_if_idle(conn, Batch(outcomes={1: "applied"}))
    await loop._wait_if_idle(conn, Batch(rehomed=postponed))
    await loop._wait_if_idle(conn, Batch())

    assert logged == [(conn, [first, second, third]), (conn, []), (conn, [second, third])]
