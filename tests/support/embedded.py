"""An embedded server and its users, which are processes of their own."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
import psycopg
import pytest

from consumer.embedded import keeper
from consumer.embedded.programs import account
from consumer.embedded.server import server

ROOT = Path(__file__).parents[2]
USE = """
import signal
import sys
from pathlib import Path
from consumer.embedded.server import server

# The shell ignores it for what it starts in the background, and so would this process.
signal.signal(signal.SIGINT, signal.default_int_handler)
with server(Path(sys.argv[1]), create=True) as uri:
    print(uri, flush=True)
    sys.stdin.read()
"""


class User:
    """Another process that uses the server until it is told to leave or killed."""

    def __init__(self, data_dir: Path, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", USE, data_dir],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]), **environment},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe:
                pipe.close()

    def uri(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def leave(self) -> str:
        """Return what the process wrote to stderr."""
        return self.process.communicate(timeout=20)[1]

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def folder() -> Iterator[Path]:
    """Make a folder that the server's account may enter, which pytest's own are not when root runs the tests."""
    path = Path(tempfile.mkdtemp(prefix="embedded-")).resolve()
    path.chmod(0o711)
    try:
        yield path
    finally:
        for process in processes(path):
            process.kill()
        eventually(lambda: not processes(path))
        shutil.rmtree(path)


@pytest.fixture
def empty_dir() -> Iterator[Path]:
    with folder() as path:
        yield path / "data"


@pytest.fixture(scope="module")
def cluster_dir() -> Iterator[Path]:
    with folder() as path:
        with server(path / "data", create=True):
            pass
        yield path / "data"


@pytest.fixture
def data_dir(cluster_dir: Path) -> Iterator[Path]:
    """A folder with a cluster whose server is down."""
    yield cluster_dir
    eventually(lambda: is_down(cluster_dir))


def processes(data_dir: Path, program: str = "") -> list[psutil.Process]:
    """Return the keeper, the server and initdb of a folder, but not the server's children nor its users."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, IndexError):
            line = process.cmdline()
            name = "keeper" if "consumer.embedded.keeper" in line else Path(line[0]).name
            of_folder = any(word.startswith((str(data_dir), f"--pgdata={data_dir}")) for word in line)
            is_child = (parent := process.parent()) is not None and parent.cmdline() == line
            if of_folder and not is_child and name in ("keeper", "postgres", "initdb") and program in name:
                found.append(process)
    return found


def the(data_dir: Path, program: str) -> psutil.Process:
    [process] = processes(data_dir, program)
    return process


def is_down(data_dir: Path) -> bool:
    locks = (data_dir / keeper.KEEPER_LOCK, data_dir / keeper.SERVER_LOCK)
    return all(keeper.is_free_within(lock, 0) for lock in locks) and not processes(data_dir, "postgres")


def eventually(condition: Callable[[], object], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def answers(uri: str) -> bool:
    try:
        with psycopg.connect(uri, connect_timeout=2) as conn:
            return conn.execute("SELECT 1").fetchone() == (1,)
    except psycopg.OperationalError:
        return False


def is_usable(conn: psycopg.Connection) -> bool:
    with suppress(psycopg.OperationalError):
        conn.execute("SELECT 1")
    return not conn.closed


def own(path: Path, data_dir: Path) -> None:
    """Give a folder to the account that the server runs as."""
    os.chown(path, *account(data_dir / "cluster"))
