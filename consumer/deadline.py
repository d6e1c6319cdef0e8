"""A time limit on waiting for work."""

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, TypeVar

T = TypeVar("T")


async def within(limit: timedelta, work: Coroutine[Any, Any, T]) -> T:
    """Return the result of *work*, or raise TimeoutError after *limit*.

    At the limit the work is cancelled but not awaited: a cancelled psycopg call on a silent connection took 12 s.
    """
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task}, timeout=limit.total_seconds())
    finally:
        if not task.done():
            task.cancel()
            task.add_done_callback(_forget)
    if not task.done():
        raise TimeoutError
    return task.result()


def _forget(task: asyncio.Task[T]) -> None:
    """Retrieve the error of abandoned work, because asyncio logs errors that were never retrieved."""
    if not task.cancelled():
        task.exception()
