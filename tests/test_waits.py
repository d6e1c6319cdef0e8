"""Waits: how many, how long, and how often the database is asked for them."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from consumer import logs
from consumer.outbox.storage import Delivery
from consumer.postgres.connections import Pool, open_pool, receiver_access
from consumer.receiver.waits import AWAY_SECONDS, WAITS_MAX, Progress, Waits, open_waits
from tests.support.cli import arrive, work
from tests.support.databases import schema_change
from tests.support.factories import delivery, user_updated
from tests.support.outbox import set_aside
from tests.support.processes import until
from tests.support.still_clock import StillLoop, advance, run_still, settle

ACCESS = replace(receiver_access("consumer"), lock_timeout=timedelta(minutes=1), statement_timeout=timedelta(minutes=1))
MINUTE = timedelta(minutes=1)
MOMENT = 2.0**-10


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[tuple[Waits, Pool]]:
    async with open_pool(url, ACCESS, size=1, wait_timeout=timedelta(seconds=1)) as pool:
        await pool.wait()
        async with open_waits(pool, ACCESS) as waits:
            yield waits, pool


def polls(pool: Pool) -> int:
    return pool.get_stats().get("requests_num", 0)


async def polled(pool: Pool, count: int) -> None:
    """Return once the database was asked so often, and the last answer is there."""
    await asyncio.to_thread(until, lambda: polls(pool) >= count and pool.get_stats()["pool_available"] == 1)
    await settle()
    assert polls(pool) == count


def test_256_may_wait_and_each_that_leaves_makes_room_for_one(emptied: str) -> None:
    assert WAITS_MAX == 256

    async def act(_: StillLoop) -> None:
        async with opened(emptied) as (waits, _pool):
            crowd = [asyncio.create_task(waits.wait_for("never", uuid4(), MINUTE)) for _ in range(256)]
            await settle()
            assert await waits.wait_for("one too many", uuid4(), MINUTE) is None
            assert not any(task.done() for task in crowd)
            crowd[0].cancel()
            await asyncio.wait(crowd[:1])
            crowd[0] = asyncio.create_task(waits.wait_for("another", uuid4(), MINUTE))
            await settle()
            assert await waits.wait_for("one too many", uuid4(), MINUTE) is None
            # Those whose time is over leave too.
            await advance(60)
            assert await asyncio.gather(*crowd) == [None] * 256
            again = asyncio.create_task(waits.wait_for("again", uuid4(), MINUTE))
            await settle()
            assert not again.done()
            again.cancel()

    run_still(act)


def test_once_the_process_ends_nobody_waits_any_longer_and_nobody_begins(emptied: str) -> None:
    async def act(_: StillLoop) -> None:
        async with opened(emptied) as (waits, _pool):
            wait = asyncio.create_task(waits.wait_for("never", uuid4(), MINUTE))
            await settle()
            waits.end()
            assert await wait is None
            assert await waits.wait_for("another", uuid4(), MINUTE) is None

    run_still(act)


def test_a_wait_ends_when_its_time_is_over_and_not_before(emptied: str) -> None:
    async def act(_: StillLoop) -> None:
        async with opened(emptied) as (waits, _pool):
            wait = asyncio.create_task(waits.wait_for("never", uuid4(), timedelta(seconds=3)))
            await settle()
            await advance(3 - MOMENT)
            assert not wait.done()
            await advance(MOMENT)
            assert (wait.done(), await wait) == (True, None)

    run_still(act)


def test_the_database_is_asked_every_20_ms_while_somebody_waits_and_never_else(emptied: str) -> None:
    async def act(_: StillLoop) -> None:
        async with opened(emptied) as (waits, pool):
            await advance(60)
            assert polls(pool) == 0
            wait = asyncio.create_task(waits.wait_for("never", uuid4(), timedelta(seconds=10)))
            await settle()
            await polled(pool, 1)
            await advance(0.02 - MOMENT)
            assert polls(pool) == 1
            await advance(MOMENT)
            await polled(pool, 2)
            # A second wait shares the polls of the first.
            other = asyncio.create_task(waits.wait_for("neither", uuid4(), timedelta(seconds=10)))
            await settle()
            assert polls(pool) == 2
            await advance(0.02)
            await polled(pool, 3)
            wait.cancel()
            other.cancel()
            for _round in range(5):
                await advance(1)
            assert polls(pool) == 3
            last = asyncio.create_task(waits.wait_for("in the end", uuid4(), timedelta(seconds=10)))
            await settle()
            await polled(pool, 4)
            last.cancel()

    run_still(act)


def test_a_database_that_fails_is_asked_again_after_half_a_second(emptied: str) -> None:
    rename, name = "ALTER FUNCTION consumer.{} RENAME TO {}", "app_deliveries"
    signed_in = settled(emptied, "user.signed_in")

    async def act(_: StillLoop) -> None:
        async with opened(emptied) as (waits, pool):
            with schema_change(emptied, rename.format(name, "gone"), rename.format("gone", name)):
                wait = asyncio.create_task(waits.wait_for(signed_in.message_id, request_of(signed_in), MINUTE))
                await settle()
                await polled(pool, 1)
            await advance(0.5 - MOMENT)
            assert (polls(pool), wait.done()) == (1, False)
            await advance(MOMENT)
            await polled(pool, 2)
            found = await wait
            assert found is not None
            assert (found.request_id, found.state) == (signed_in.request_id, "done")

    run_still(act)


def settled(url: str, event_type: str) -> Delivery:
    """Store and apply a delivery of the application about a user with a profile."""
    update = user_updated()
    assert update.user_id is not None
    ours = delivery(event_type, update.user_id, "app")._replace(request_id=uuid4())
    arrive(url, update, ours)
    work(url)
    return ours


def request_of(ours: Delivery) -> UUID:
    assert ours.request_id
    return ours.request_id


def test_each_wait_gets_its_own_delivery_and_the_others_go_on(emptied: str) -> None:
    first, second = (settled(emptied, "user.signed_in") for _ in range(2))

    async def act(_: StillLoop) -> None:
        async with opened(emptied) as (waits, _pool):
            pairs = [(each.message_id, request_of(each)) for each in (first, second)]
            pairs += [(first.message_id, uuid4()), ("never", uuid4())]
            tasks = [asyncio.create_task(waits.wait_for(*pair, MINUTE)) for pair in pairs]
            found = [progress for progress in await asyncio.gather(*tasks[:3]) if progress]
            assert [(progress.request_id, progress.is_repeat) for progress in found] == [
                (pairs[0][1], False),
                (pairs[1][1], False),
                (pairs[2][1], True),
            ]
            assert [progress.profile and progress.profile["user_id"] for progress in found] == [
                str(first.user_id),
                str(second.user_id),
                None,
            ]
            assert not tasks[3].done()
            tasks[3].cancel()

    run_still(act)


def test_an_error_of_the_poll_is_logged_and_a_later_poll_answers(
    emptied: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    known, errors = Progress(uuid4(), "done", False, None, None, None), [MemoryError(), MemoryError()]

    async def find(_: Waits, __: Mapping[UUID, str]) -> list[Progress]:
        if errors:
            raise errors.pop()
        return [known]

    monkeypatch.setattr(Waits, "_find", find)

    async def act(_: StillLoop) -> None:
        async with opened(emptied) as (waits, _pool):
            wait = asyncio.create_task(waits.wait_for("known", known.request_id, MINUTE))
            await settle()
            for _round in range(2):
                await advance(AWAY_SECONDS)
            assert wait.done()
            assert await wait == known

    run_still(act)

    assert [record.msg for record in caplog.records] == [logs.TASK_FAILED] * 2


@pytest.mark.parametrize("state", ["pending", "retrying", "dead"])
def test_a_dead_delivery_is_settled_and_of_another_the_state_is_told_in_the_end(emptied: str, state: str) -> None:
    ours = delivery("user.signed_in", uuid4(), "app")._replace(request_id=uuid4())
    arrive(emptied, ours)
    if state != "pending":
        set_aside(emptied, [ours], state)

    async def act(_: StillLoop) -> None:
        async with opened(emptied) as (waits, pool):
            wait = asyncio.create_task(waits.wait_for(ours.message_id, request_of(ours), timedelta(seconds=1)))
            await settle()
            await polled(pool, 1)
            assert wait.done() == (state == "dead")
            await advance(1)
            code, error = (None, None) if state == "pending" else ("23514", "CheckViolation")
            assert await wait == Progress(request_of(ours), state, False, code, error, None)

    run_still(act)


def test_a_repeat_is_settled_at_once_by_the_state_of_the_first_and_gets_no_error(emptied: str) -> None:
    ours = delivery("user.signed_in", uuid4(), "app")._replace(request_id=uuid4())
    arrive(emptied, ours)
    set_aside(emptied, [ours], "retrying")
    repeat = uuid4()

    async def act(_: StillLoop) -> None:
        async with opened(emptied) as (waits, pool):
            wait = asyncio.create_task(waits.wait_for(ours.message_id, repeat, MINUTE))
            await settle()
            await polled(pool, 1)
            assert await wait == Progress(repeat, "retrying", True, None, None, None)

    run_still(act)
