"""A worker's life, through what is neither an error nor an answer."""

import asyncio
from datetime import timedelta

import pytest

from consumer.events.registry import EVENT_TYPES
from consumer.metrics import Metrics
from consumer.postgres.connections import worker_access
from consumer.worker import loop as loop_module
from consumer.worker.batch import BatchRunner
from consumer.worker.loop import Worker
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
