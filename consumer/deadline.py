"""A limit on how long a piece of work is waited for."""

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, TypeVar

T = TypeVar("T")


async def within(limit: timedelta, work: Coroutine[Any, Any, T]) -> T:
    """Return what *work* returns, or raise TimeoutError when the limit is over.

    The work is cancelled then and not waited for: a cancelled psycopg call on a silent connection took 12 s to return.
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
    """Look at how abandoned work ended, for asyncio logs errors that nobody looked at."""
    if not task.cancelled():
        task.exception()
