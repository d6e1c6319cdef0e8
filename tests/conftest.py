"""A real PostgreSQL for every test: TEST_DATABASE_URL's server, else an embedded one of the session's own."""

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from consumer.embedded import server as embedded
from consumer.postgres import migrations
from tests.support.application import DROP, SCHEMA, tables
from tests.support.databases import empty, plain_owner, record_settings, scratch_database

pytest_plugins = [f"tests.support.{name}" for name in ("adopt", "dead", "embedded", "endpoint", "logs", "worker")]
PROCESSES_MAX = 8
# Files that measure seconds: one process runs them, one after the other.
TIMED = {
    "tests/faults/test_torture.py",
    "tests/test_embedded.py",
    "tests/test_embedded_folder.py",
    "tests/test_http_timeouts.py",
}


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return how many processes run the tests; 0 is this one alone, which is quicker for single files and words.

    A test waits more than it computes, hence two processes a core. Each has a server of its own, where its roles are.
    """
    is_part = config.option.keyword or not any(Path(argument).is_dir() for argument in config.args)
    if is_part or os.environ.get("TEST_DATABASE_URL"):
        return 0
    return min(2 * (os.cpu_count() or 1), PROCESSES_MAX)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling:
    return Scheduling(config, log)


class Scheduling(LoadFileScheduling):  # type: ignore[misc]  # xdist ships no types.
    """Gives a process all tests of a file, whose fixtures they share, and one process all files that measure time."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return "timed" if file in TIMED else file


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """A superuser's conninfo of a server on which tests may create databases and roles."""
    if url := os.environ.get("TEST_DATABASE_URL"):
        yield url
        return
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        # The server runs as another user when the tests run as root.
        Path(folder).chmod(0o755)
        with embedded.server(Path(folder) / "postgres", create=True) as url:
            yield url


@pytest.fixture(scope="session")
def database_url(server_url: str) -> Iterator[str]:
    """A superuser's conninfo of a migrated database whose owner is none; what is in it is what the last test left."""
    with scratch_database(server_url, "consumer_test") as url, plain_owner(url) as owner_url:
        migrations.apply(owner_url, "consumer")
        yield url


@pytest.fixture
def emptied(database_url: str) -> str:
    """The session's database without a row, the default settings recorded."""
    empty(database_url)
    record_settings(database_url)
    return database_url


@pytest.fixture
def application(emptied: str) -> Iterator[str]:
    """The session's database with an application's own tables beside ours."""
    with tables(emptied, SCHEMA, DROP) as url:
        yield url
