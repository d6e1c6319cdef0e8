"""All calls of a process share one rate."""

import asyncio

import pytest

from consumer.stack_api.client import open_stack_api
from consumer.stack_api.rate import RateLimit
from tests.support.fake_stack import FakeStack, trouble
from tests.support.stack_api import SHORT, Time, access


async def test_turns_are_evenly_spaced_for_all_calls_together() -> None:
    time = Time()
    rate = time.rate(per_second=10)

    for _ in range(4):
        await rate.turn()

    assert time.slept == pytest.approx([0.1, 0.1, 0.1])
    assert rate.requests == 4


async def test_time_without_calls_saves_up_no_burst() -> None:
    time = Time()
    rate = time.rate(per_second=10)
    await rate.turn()
    time.now = 100.0

    await rate.turn()
    await rate.turn()

    assert time.slept == pytest.approx([0.1])


async def test_a_limit_that_one_call_meets_holds_up_the_others(fake: FakeStack) -> None:
    slept: list[float] = []
    is_asleep, is_over = asyncio.Event(), asyncio.Event()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        is_asleep.set()
        await is_over.wait()

    rate = RateLimit(1000, clock=lambda: 0.0, sleep=sleep)
    fake.troubles.append(trouble.limited("3"))

    async with open_stack_api(access(fake.url), rate, SHORT) as api, open_stack_api(access(fake.url), rate) as other:
        limited = asyncio.create_task(api.users())
        await is_asleep.wait()
        held = asyncio.create_task(other.users())
        await asyncio.sleep(0)
        is_over.set()
        await asyncio.gather(limited, held)

    assert slept[:2] == [3.0, 3.0]
