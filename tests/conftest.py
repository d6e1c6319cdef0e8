"""A real PostgreSQL for every test: TEST_DATABASE_URL's server, else an embedded one of the session's own."""

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from consumer.embedded import server as embedded
from consumer.postgres import migrations
from tests.support.application import DROP, SCHEMA, tables
from tests.support.databases import empty, plain_owner, scratch_database, shape


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
    shape(database_url)
    return database_url


@pytest.fixture
def application(emptied: str) -> Iterator[str]:
    """The session's database with an application's own tables beside ours."""
    with tables(emptied, SCHEMA, DROP) as url:
        yield url
