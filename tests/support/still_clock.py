"""An event loop whose clock stands still until a test moves it, so that time limits cost no time and are met exactly.

Only the loop's own timers stand still. The server, threads and psycopg's time limits go on.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import TypeVar

T = TypeVar("T")

HOUR_SECONDS = 3600.0
# Far above the time that any of these tests takes, so that a hanging test fails instead of hanging.
PATIENCE_SECONDS = 30.0
# More turns of the loop than any chain of callbacks here needs.
TURNS = 20


class StillLoop(asyncio.SelectorEventLoop):
    """Timers fire when `advance` reaches them, and never by themselves until the test is over."""

    def __init__(self) -> None:
        self.now = 0.0
        self.is_over = False
        super().__init__()

    def time(self) -> float:
        # What is left of a test ends at once, however long it would like to wait.
        self.now += HOUR_SECONDS if self.is_over else 0
        return self.now


def run_still(act: Callable[[StillLoop], Awaitable[T]]) -> T:
    """Run *act* in a loop whose clock stands at 0."""
    is_late = threading.Event()

    async def bounded() -> T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert isinstance(loop, StillLoop)
        assert task is not None

        def end() -> None:
            is_late.set()
            loop.call_soon_threadsafe(task.cancel)

        alarm = threading.Timer(PATIENCE_SECONDS, end)
        alarm.start()
        try:
            return await act(loop)
        finally:
            alarm.cancel()
            loop.is_over = True
            # Work that is cancelled may still end as if nothing had happened.
            assert not is_late.is_set(), "it never came to an end"

    with asyncio.Runner(loop_factory=StillLoop) as runner:
        return runner.run(bounded())


async def settle() -> None:
    """Let everything run that can run without the clock and without the network."""
    for _ in range(TURNS):
        await asyncio.sleep(0)


async def advance(seconds: float) -> None:
    """Move the clock and let the timers fire that it reaches."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, StillLoop)
    loop.now += seconds
    await settle()


class Clock(SimpleNamespace):
    """Stand in for the module `time`: its clocks say what a test sets."""

    def __init__(self, now: float = 0.0) -> None:
        super().__init__(now=now)

    def monotonic(self) -> float:
        return float(self.now)

    perf_counter = monotonic
