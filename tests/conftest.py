"""A real PostgreSQL for every test: TEST_DATABASE_URL's server, else an embedded one of the session's own."""

import gc
import os
import shutil
import signal
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from consumer.embedded import server as embedded
from consumer.postgres import migrations
from tests.support.application import DROP, SCHEMA, tables
from tests.support.databases import plain_owner, reset, scratch_database
from tests.support.names import living

FIXTURES = (
    "adopt",
    "dead",
    "embedded",
    "endpoint",
    "logs",
    "notifying",
    "printed",
    "rolled_back",
    "short_wire",
    "stack_api",
    "told",
    "worker",
)
pytest_plugins = [f"tests.support.{name}" for name in (*FIXTURES, "time_limit")]
PROCESSES_MAX = 8
# Files that measure seconds: one process runs them, one after the other.
TIMED = {
    "tests/faults/test_torture.py",
    "tests/test_embedded.py",
    "tests/test_embedded_folder.py",
    "tests/test_http_timeouts.py",
}

# Where Linux keeps files in memory, and what the servers of all processes may need, most of it for their logs.
MEMORY = Path("/dev/shm")
MEMORY_BYTES = PROCESSES_MAX * 1024**3
# Of a server's folder; the id of its process follows.
PREFIX = "consumer-tests-"


def pytest_configure() -> None:
    """Take Ctrl-C again where a shell ignores it, as for `./test &`: processes that tests start would ignore it too."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return how many processes run the tests; 0 is this one alone, which is quicker for single files and words.

    A test waits more than it computes, hence two processes a core.
    """
    is_part = config.option.keyword or not any(Path(argument).is_dir() for argument in config.args)
    if is_part:
        return 0
    return min(2 * (os.cpu_count() or 1), PROCESSES_MAX)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling:
    return Scheduling(config, log)


class Scheduling(LoadFileScheduling):  # type: ignore[misc]  # xdist ships no types.
    """Gives a process all tests of a file, whose fixtures they share, and one process all files that measure time."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return "timed" if file in TIMED else file


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for no garbage among the tests while they are collected, nor later: a third of the time of a collection."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


@contextmanager
def server_of_its_own() -> Iterator[str]:
    prefix = f"{PREFIX}{os.getpid()}-"
    with TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True, dir=_memory()) as folder:
        # The server runs as another user when the tests run as root.
        Path(folder).chmod(0o755)
        with embedded.server(Path(folder) / "postgres", create=True) as url:
            yield url


def _memory() -> Path | None:
    """Return where a commit waits for no disk, None without the room; what a killed run left there is removed."""
    if not MEMORY.is_dir():
        return None
    for left in MEMORY.glob(f"{PREFIX}*"):
        if not psutil.pid_exists(int(left.name.removeprefix(PREFIX).partition("-")[0])):
            shutil.rmtree(left, ignore_errors=True)
    return MEMORY if shutil.disk_usage(MEMORY).free > MEMORY_BYTES else None


@contextmanager
def migrated(server_url: str) -> Iterator[str]:
    with scratch_database(server_url, "session") as url, plain_owner(url) as owner_url:
        migrations.apply(owner_url, "consumer")
        yield url


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """A superuser's conninfo of a server that others may use too: databases and logins get names from `own`."""
    if url := os.environ.get("TEST_DATABASE_URL"):
        with living(url):
            yield url
        return
    with server_of_its_own() as url:
        yield url


@pytest.fixture(scope="session")
def lone_server_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A superuser's conninfo of a server that nobody else uses: a test may change what its databases share."""
    if not os.environ.get("TEST_DATABASE_URL"):
        yield request.getfixturevalue("server_url")
        return
    with server_of_its_own() as url:
        yield url


@pytest.fixture(scope="session")
def database_url(server_url: str) -> Iterator[str]:
    """A superuser's conninfo of a migrated database whose owner is none; what is in it is what the last test left."""
    with migrated(server_url) as url:
        yield url


@pytest.fixture(scope="session")
def lone_database_url(request: pytest.FixtureRequest, lone_server_url: str) -> Iterator[str]:
    """The same on the server that nobody else uses."""
    if not os.environ.get("TEST_DATABASE_URL"):
        yield request.getfixturevalue("database_url")
        return
    with migrated(lone_server_url) as url:
        yield url


@pytest.fixture
def emptied(request: pytest.FixtureRequest) -> str:
    """The session's database, or a marked test's on the lone server, without a row, the default settings recorded."""
    is_lone = request.node.get_closest_marker("lone_server")
    url: str = request.getfixturevalue("lone_database_url" if is_lone else "database_url")
    reset(url)
    return url


@pytest.fixture
def application(emptied: str) -> Iterator[str]:
    """The session's database with an application's own tables beside ours."""
    with tables(emptied, SCHEMA, DROP) as url:
        yield url
