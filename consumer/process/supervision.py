"""Supervises a group of processes: restarts each that dies, and ends them together."""

import asyncio
import contextlib
import logging
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from consumer import logs
from consumer.deadline import first_of
from consumer.errors import BadSettings

# The first restart comes at once, later ones more slowly; start-up included, a killed process works again within 3 s
# (promise P7).
RESTART_SECONDS_MIN = 0.1
RESTART_SECONDS_MAX = 1.6
# A process that lived this long did not fail at its start.
SOUND_SECONDS = 10.0
# A process ends by itself within 10 s of SIGTERM (promise P8).
STOP_SECONDS_MAX = 10.5
# The exit code for an unusable configuration, which a restart would not change.
REFUSED = 2

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Program:
    """One `consumer` process: its name, arguments and environment."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str] = field(repr=False)
    directory: Path | None = None
    output: IO[bytes] | None = None
    # It inherits them, also when it is started again.
    sockets: Sequence[socket.socket] = ()


async def supervise(programs: Sequence[Program], stop: asyncio.Event) -> None:
    """Keep every program running until *stop* is set, then end them all.

    The standard input of each is a pipe from this process, so it ends when this process does, even by SIGKILL. Raises
    BadSettings, after the others have ended, if one refuses its configuration.
    """
    keepers = [asyncio.create_task(_keep(program, stop), name=program.name) for program in programs]
    await asyncio.wait(keepers, return_when=asyncio.FIRST_EXCEPTION)
    stop.set()
    await asyncio.wait(keepers)
    for keeper in keepers:
        keeper.result()


async def _keep(program: Program, stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    pause = RESTART_SECONDS_MIN
    while not stop.is_set():
        started_at = loop.time()
        exit_code = await _run(program, stop)
        if stop.is_set():
            return
        if exit_code == REFUSED:
            raise BadSettings([f"The {program.name} refused to start; its reason is above."])
        if loop.time() - started_at > SOUND_SECONDS:
            pause = RESTART_SECONDS_MIN
        log.error(logs.PROCESS_DIED, extra={"program": program.name, "exit_code": exit_code, "restart_seconds": pause})
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), pause)
        pause = min(2 * pause, RESTART_SECONDS_MAX)


async def _run(program: Program, stop: asyncio.Event) -> int:
    """Run a program until it ends or *stop* is set; return its exit code, negative for a signal."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        # Without it Python would import click.py and the like from the working directory, which may be a stranger's.
        "-P",
        "-m",
        "consumer",
        *program.arguments,
        "--supervised",
        stdin=subprocess.PIPE,
        stdout=program.output,
        stderr=program.output,
        cwd=program.directory,
        env=program.environment,
        pass_fds=[each.fileno() for each in program.sockets],
        # A terminal's Ctrl-C must reach only this process, which stops the others.
        start_new_session=True,
    )
    await first_of(stop, process.wait())
    if process.returncode is None:
        process.terminate()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), STOP_SECONDS_MAX)
    if process.returncode is None:
        process.kill()
    return await process.wait()
