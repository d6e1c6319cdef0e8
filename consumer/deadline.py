"""Limits on waiting for work: a time, or an order to stop."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from datetime import timedelta
from typing import Any, TypeVar

T = TypeVar("T")


async def first_of(stop: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """Return the result of *work*, or cancel it as soon as *stop* is set and return None."""
    working = asyncio.create_task(work)
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        working.cancel()
    with suppress(asyncio.CancelledError):
        return await working
    return None


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
