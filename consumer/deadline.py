"""Limits on waiting for work: a time, or an order to stop."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from datetime import timedelta
from typing import Any, TypeVar

T = TypeVar("T")

# Longer than a task needs to roll back and close.
CANCEL_SECONDS = 2.0


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


async def end(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait for its end; asyncio logs an error of it.

    A task that goes on is cancelled again: `asyncio.wait_for` of Python 3.11, by which psycopg's pool waits, drops a
    cancellation that comes together with its result (https://github.com/python/cpython/issues/86296).
    """
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=CANCEL_SECONDS)


def _forget(task: asyncio.Task[T]) -> None:
    """Retrieve the error of abandoned work, because asyncio logs errors that were never retrieved."""
    if not task.cancelled():
        task.exception()
