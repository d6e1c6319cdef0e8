"""One rate for all calls of a process."""

import asyncio
import time
from collections.abc import Awaitable, Callable


class RateLimit:
    """Gives turns to calls, evenly spaced: Stack's limits are unpublished, and a burst is what any limit refuses first.

    *clock* is in seconds and never goes back.
    """

    def __init__(
        self,
        per_second: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        assert per_second > 0
        self.sleep = sleep
        self.requests = 0
        self._clock = clock
        self._seconds = 1 / per_second
        self._next_at = clock()

    async def turn(self) -> None:
        """Wait for the next turn, and count it as a request."""
        self.requests += 1
        at = max(self._next_at, self._clock())
        self._next_at = at + self._seconds
        if (wait := at - self._clock()) > 0:
            await self.sleep(wait)

    def pause(self, seconds: float) -> None:
        """Give no turn for so long: a limit that one call meets holds for all."""
        self._next_at = max(self._next_at, self._clock() + seconds)
