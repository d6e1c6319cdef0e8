"""Runs a process: its event loop, the signals that stop it, and the parent that it must not outlive."""

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Callable, Coroutine
from typing import TypeVar

import click
import uvloop

from consumer import logs

# A process ends within 10 s of SIGTERM (promise P8), even if a silent database delays its last cancelled call for
# longer. Nothing is lost: acknowledged deliveries are committed, and others are delivered again.
EXIT_SECONDS_MAX = 9.5

log = logging.getLogger(__name__)

T = TypeVar("T")
Work = Callable[[asyncio.Event], Coroutine[None, None, T]]

supervised_option = click.option(
    "--supervised", "is_supervised", is_flag=True, hidden=True, help="End when standard input ends."
)


def run(work: Work[T], *, is_supervised: bool = False) -> T:
    """Run *work* and return its result; SIGTERM, SIGINT and the parent's end set its stop event."""
    if is_supervised:
        threading.Thread(target=_end_with_parent, name="parent-watch", daemon=True).start()
    return uvloop.run(_with_signals(work))


async def _with_signals(work: Work[T]) -> T:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop, stop, number)
    return await work(stop)


def _stop(stop: asyncio.Event, number: signal.Signals) -> None:
    if not stop.is_set():
        log.info(logs.STOP_REQUESTED, extra={"signal": number.name})
        stop.set()
        deadline = threading.Timer(EXIT_SECONDS_MAX, os._exit, (0,))
        deadline.daemon = True
        deadline.start()


def _end_with_parent() -> None:
    """Wait on the pipe that the parent holds open: the kernel closes it when the parent ends, even by SIGKILL."""
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
