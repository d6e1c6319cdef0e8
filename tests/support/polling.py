"""Waiting for what another task, thread or process does."""

import asyncio
from collections.abc import Callable


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(15):
        while not holds():  # noqa: ASYNC110  # Another thread or process makes it hold.
            await asyncio.sleep(0.01)
