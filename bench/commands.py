"""The product's own processes, run by their command lines as in production, from this tree or from another one."""

import os
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import psutil

from bench.checks import FalseFigure, require_soon
from consumer.cli.addresses import free_port

HOST = "127.0.0.1"
TREE = Path(__file__).parent.parent
# Not the tree's own folder: a .env there would be read.
WORK_FOLDER = "/"
ASK_SECONDS = 0.005
READY_SECONDS_MAX = 30
# Far above what any bench has a command do.
RUN_SECONDS_MAX = 1800


def run(url: str, *arguments: str, tree: Path = TREE, settings: Mapping[str, str] | None = None) -> None:
    """Run a command to its end, its output thrown away; raise FalseFigure if it fails."""
    null = subprocess.DEVNULL
    command, environment = _command(tree, *arguments), {**_environment(url, tree), **(settings or {})}
    try:
        code = subprocess.call(
            command, env=environment, cwd=WORK_FOLDER, stdout=null, stderr=null, timeout=RUN_SECONDS_MAX
        )
    except subprocess.TimeoutExpired as error:
        raise FalseFigure(f"No figure: {error}.") from error
    if code != 0:
        raise _failed(code, tree, *arguments)


@contextmanager
def running(command: str, url: str, key: bytes, *, port: int = 0, tree: Path = TREE) -> Iterator[psutil.Process]:
    """Run `serve` or `work` from its readiness until the block ends."""
    ops_port = free_port(HOST)
    secret = f"whsec_{b64encode(key).decode()}"
    settings = {"STACK_WEBHOOK_SECRETS": secret, "PORT": str(port), "OPS_PORT": str(ops_port)}
    process = subprocess.Popen(
        _command(tree, command), env={**_environment(url, tree), **settings}, cwd=WORK_FOLDER, stderr=subprocess.DEVNULL
    )
    try:
        require_soon(
            f"`consumer {command}` ready",
            lambda: process.poll() is not None or _is_ready(ops_port),
            READY_SECONDS_MAX,
            poll=ASK_SECONDS,
        )
        if process.poll() is not None:
            raise _failed(process.returncode, tree, command)
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(timeout=15)


def python_of(tree: Path) -> str:
    """Return the Python of the tree's own environment (.venv); this process's for this tree, or without one."""
    own = tree / ".venv" / "bin" / "python"
    return str(own) if tree != TREE and own.exists() else sys.executable


def _command(tree: Path, *arguments: str) -> list[str]:
    return [python_of(tree), "-m", "consumer", *arguments]


def _failed(code: int, tree: Path, *arguments: str) -> FalseFigure:
    return FalseFigure(f"No figure: `consumer {' '.join(arguments)}` of {tree} ended with {code}.")


def _environment(url: str, tree: Path) -> dict[str, str]:
    return {**os.environ, "DATABASE_URL": url, "PYTHONPATH": str(tree)}


def _is_ready(ops_port: int) -> bool:
    connection = HTTPConnection(HOST, ops_port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
