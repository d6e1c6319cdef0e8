"""The command line under test: in this process for its refusals, as real processes for their lives."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TypeVar
from unittest import mock

import psutil
from click.testing import CliRunner, Result

from consumer.cli.addresses import free_port
from consumer.cli.main import consumer
from consumer.simulator.samples import SampleContext, body
from consumer.simulator.sender import Answer, Sender, new_message_id
from tests.support.databases import rows
from tests.support.logs import logging_as_before

T = TypeVar("T")

ROOT = Path(__file__).parents[2]
HOST = "127.0.0.1"
SECRET = "whsec_TBLusB12Fygrrm8tfpKzVtU3qV40Nelq"
APP_SECRET = "whsec_MJu13X5JXY7WpAG3ZvfXnxlHlZESuj6H"
# Far above what anything here takes, so that a hanging test fails instead of hanging.
PATIENCE_SECONDS = 20.0
# What SIGTERM grants a process (promise P8).
EXIT_SECONDS = 10.0
INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH", "CONSUMER_PG_BIN")


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Return what a process needs to run, and the settings; nothing of the developer's own.

    `up` runs no console unless a test gives it a port: of those that run at once only one would get the usual port.
    """
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    return {**inherited, "PYTHONPATH": str(ROOT), "CONSOLE_PORT": "off", **settings}


def invoke(folder: Path, settings: Mapping[str, str], *arguments: str) -> Result:
    """Run a command in this process and in *folder*; what it does to logging is undone."""
    with mock.patch.dict(os.environ, environment(settings), clear=True), logging_as_before():
        here = Path.cwd()
        os.chdir(folder)
        try:
            return CliRunner().invoke(consumer, arguments, prog_name="consumer", catch_exceptions=False)
        finally:
            os.chdir(here)


@dataclass(frozen=True)
class Running:
    """A process of ours, and where its output goes."""

    process: subprocess.Popen[bytes]
    output: Path

    @property
    def text(self) -> str:
        """Whatever it has said by now."""
        return self.output.read_text()

    def said(self, name: str) -> str:
        """Return what `up` printed behind a name, nothing while it has not."""
        lines = (line for line in self.text.splitlines() if line.startswith(name))
        return next(lines, "").removeprefix(name).strip()

    def family(self) -> list[psutil.Process]:
        """Return the process and all that it started."""
        own = psutil.Process(self.process.pid)
        return [own, *own.children(recursive=True)]

    def child(self, command: str) -> psutil.Process | None:
        """Return the child that runs a command, None while there is none."""
        for child in psutil.Process(self.process.pid).children():
            # One that was killed just now has no command line any more.
            with suppress(psutil.ZombieProcess, psutil.NoSuchProcess):
                if command in child.cmdline():
                    return child
        return None

    def stop(self) -> int:
        """Send SIGTERM and return the exit code."""
        self.process.terminate()
        return self.process.wait(PATIENCE_SECONDS)


@contextmanager
def running(
    folder: Path,
    settings: Mapping[str, str],
    *arguments: str,
    python: str | Path = sys.executable,
    files_max: int | None = None,
) -> Iterator[Running]:
    """Run a command as a process in *folder*, killed with all it started if it still runs in the end."""
    limit = ["prlimit", f"--nofile={files_max}"] if files_max else []
    output = folder / f"{arguments[0]}.{time.monotonic_ns()}.log"
    with output.open("wb") as stream:
        process = subprocess.Popen(
            [*limit, python, "-m", "consumer", *arguments],
            cwd=folder,
            env=environment(settings),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
        )
    family = Running(process, output)
    try:
        yield family
    except BaseException:
        # pytest shows it beside the failure.
        sys.stdout.write(family.text)
        raise
    finally:
        if process.poll() is None:
            for member in family.family():
                member.kill()
        process.wait()


def until(condition: Callable[[], T | None], seconds: float = PATIENCE_SECONDS) -> T:
    """Return the condition's first true value."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)
    return value


def ask(port: int, path: str) -> tuple[int, str]:
    """Return the status and the body of a GET, 0 while nobody listens."""
    connection = HTTPConnection(HOST, port, timeout=PATIENCE_SECONDS)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    except (OSError, HTTPException):
        return 0, ""
    finally:
        connection.close()


def is_ready(port: int) -> bool:
    """Tell whether the process on this port can do its work."""
    return ask(port, "/readyz")[0] == 200


def deliver(port: int, *, secret: str = SECRET) -> Answer:
    """Deliver a signed `user.created` to the receiver on a port."""
    with Sender(f"http://{HOST}:{port}/webhooks/stack", secret=secret) as sender:
        return sender.post(body("user.created", SampleContext.now()), new_message_id(datetime.now(UTC)))


def on(url: str, **settings: int | str) -> Mapping[str, str]:
    """Return the settings of a process on a database, with secrets for both senders."""
    secrets = {"STACK_WEBHOOK_SECRETS": SECRET, "APP_WEBHOOK_SECRETS": APP_SECRET}
    return {"DATABASE_URL": url, **secrets, **{name: str(value) for name, value in settings.items()}}


def deliveries(url: str, state: str) -> int:
    """Count the deliveries in a state."""
    return len(rows(url, f"SELECT seq FROM consumer.deliveries WHERE state = '{state}'"))


def ports(count: int) -> list[int]:
    """Return ports that nobody listens on."""
    return [free_port(HOST) for _ in range(count)]
