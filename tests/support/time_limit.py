"""A time limit for each part of a test: what hangs fails under its name, with what every thread and task waits for."""

import asyncio
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

import pytest

# The slowest test takes a minute on an idle machine.
SECONDS_MAX = 300.0
# Code under test may catch what is raised once and go on waiting.
REPEAT_SECONDS = 5.0


class TookTooLong(SystemExit):
    """The test hangs. Only a SystemExit ends an event loop from within a callback."""


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    with _limited(item):
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    with _limited(item):
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    with _limited(item):
        return (yield)


@contextmanager
def _limited(item: pytest.Item) -> Iterator[None]:
    marker = item.get_closest_marker("seconds_max")
    seconds = float(marker.args[0]) if marker else SECONDS_MAX
    error = TookTooLong(f"{item.nodeid} was not over after {seconds:g} s.")
    has_failed = False

    def fail(_number: int, _frame: FrameType | None) -> None:
        nonlocal has_failed
        has_failed = True
        _show_waiting()
        raise error

    before = signal.signal(signal.SIGALRM, fail)
    signal.setitimer(signal.ITIMER_REAL, seconds, REPEAT_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    if has_failed:  # A test runner of commands takes a SystemExit for the end of its command.
        raise error


def _show_waiting() -> None:
    """Print where the other threads and the tasks are; the exception tells where the main thread is."""
    frames = sys._current_frames()
    for thread in threading.enumerate():
        if thread is not threading.main_thread() and thread.ident in frames:
            print(f"Thread {thread.name}:", file=sys.stderr)
            traceback.print_stack(frames[thread.ident], file=sys.stderr)
    with suppress(RuntimeError):  # No event loop runs.
        for task in asyncio.all_tasks():
            print(f"Task {task.get_name()}:", file=sys.stderr)
            awaited: Any = task.get_coro()
            while frame := getattr(awaited, "cr_frame", None):
                traceback.print_stack(frame, file=sys.stderr)
                awaited = awaited.cr_await
