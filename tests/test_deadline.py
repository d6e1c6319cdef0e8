"""Limits on waiting for work: what comes back, when, and what becomes of the work."""

import asyncio
import gc
import logging
from datetime import timedelta
from itertools import pairwise

import pytest

from consumer.deadline import CANCEL_SECONDS, end, first_of, within
from tests.support.still_clock import StillLoop, advance, run_still, settle

LIMIT = timedelta(seconds=3)
MOMENT = 2.0**-10


class Work:
    """Work that takes some seconds, and after its cancellation some more."""

    def __init__(self, seconds: float, more: float = 0, error: Exception | None = None) -> None:
        self.seconds, self.more, self.error = seconds, more, error
        self.is_cancelled = self.is_done = False

    async def do(self) -> str:
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            self.is_cancelled = True
            await asyncio.sleep(self.more)
            raise self.error or asyncio.CancelledError from None
        self.is_done = True
        if self.error:
            raise self.error
        return "done"


@pytest.mark.parametrize("seconds", [0, 1, 3 - MOMENT])
def test_work_that_ends_within_its_limit_returns(seconds: float) -> None:
    async def act(_: StillLoop) -> None:
        work = Work(seconds)
        waiting = asyncio.create_task(within(LIMIT, work.do()))
        await settle()
        assert waiting.done() == (seconds == 0)
        await advance(seconds)
        assert (waiting.result(), work.is_cancelled) == ("done", False)

    run_still(act)


def test_work_that_fails_within_its_limit_raises_its_own_error() -> None:
    async def act(_: StillLoop) -> None:
        with pytest.raises(KeyError):
            await within(LIMIT, Work(0, error=KeyError()).do())

    run_still(act)


def test_a_limit_is_not_waited_for_longer_although_the_work_goes_on() -> None:
    async def act(_: StillLoop) -> None:
        work = Work(60, more=60)
        waiting = asyncio.create_task(within(LIMIT, work.do()))
        await settle()
        await advance(3 - MOMENT)
        assert (waiting.done(), work.is_cancelled) == (False, False)
        await advance(MOMENT)
        assert (type(waiting.exception()), work.is_cancelled, work.is_done) == (TimeoutError, True, False)
        await advance(60)

    run_still(act)


def test_a_cancelled_wait_ends_the_work() -> None:
    async def act(_: StillLoop) -> None:
        work = Work(60)
        waiting = asyncio.create_task(within(LIMIT, work.do()))
        await settle()
        waiting.cancel()
        await settle()
        assert (waiting.cancelled(), work.is_cancelled) == (True, True)

    run_still(act)


@pytest.mark.parametrize("error", [None, KeyError()], ids=["cancelled", "failed"])
def test_abandoned_work_that_fails_later_is_no_line_in_the_log(
    caplog: pytest.LogCaptureFixture, error: Exception | None
) -> None:
    async def act(_: StillLoop) -> None:
        waiting = asyncio.create_task(within(LIMIT, Work(60, more=1, error=error).do()))
        await settle()
        await advance(3)
        assert isinstance(waiting.exception(), TimeoutError)
        await advance(1)
        gc.collect()

    with caplog.at_level(logging.DEBUG, "asyncio"):
        run_still(act)

    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_work_that_ends_before_the_stop_returns_and_one_that_is_stopped_is_cancelled() -> None:
    stop, work = asyncio.Event(), Work(60)
    assert await first_of(stop, Work(0).do()) == "done"
    with pytest.raises(KeyError):
        await first_of(stop, Work(0, error=KeyError()).do())

    waiting = asyncio.create_task(first_of(stop, work.do()))
    await settle()
    assert not waiting.done()
    stop.set()

    assert await waiting is None
    assert (work.is_cancelled, work.is_done) == (True, False)


async def test_a_cancelled_wait_for_a_stop_ends_the_work_too() -> None:
    work = Work(60)
    waiting = asyncio.create_task(first_of(asyncio.Event(), work.do()))
    await settle()

    waiting.cancel()
    await asyncio.wait({waiting})

    assert work.is_cancelled


def test_a_task_that_has_dropped_its_cancellation_is_cancelled_again() -> None:
    cancelled: list[float] = []

    async def drop_two() -> None:
        loop = asyncio.get_running_loop()
        while len(cancelled) < 3:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                cancelled.append(loop.time())
        raise asyncio.CancelledError

    async def act(_: StillLoop) -> None:
        task = asyncio.create_task(drop_two())
        await settle()
        ending = asyncio.create_task(end(task))
        for _again in range(2):
            await settle()
            await advance(CANCEL_SECONDS)
        await settle()
        assert ending.done()
        assert task.cancelled()

    run_still(act)
    assert [later - earlier for earlier, later in pairwise(cancelled)] == [CANCEL_SECONDS] * 2
