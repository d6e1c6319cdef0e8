"""A receiver that the tests of one module share, over empty tables."""

from collections.abc import Iterator

import pytest

from consumer.web.connection_limits import Limits
from tests.support.databases import rows
from tests.support.web import Site, running


@pytest.fixture(scope="module")
def receiver(database_url: str) -> Iterator[Site]:
    with running(database_url, Limits()) as site:
        yield site


@pytest.fixture
def site(receiver: Site, emptied: str) -> Iterator[Site]:
    """The module's receiver as it started, over empty tables."""
    app = receiver.app
    receiver.refused.clear()
    yield receiver
    receiver.app = app


def stored(database_url: str) -> list[dict[str, object]]:
    return rows(database_url, "SELECT source, message_id, event_type, body FROM consumer.outbox ORDER BY seq")


def states(database_url: str) -> list[tuple[object, object]]:
    found = rows(database_url, "SELECT state, error_code FROM consumer.deliveries ORDER BY seq")
    return [(row["state"], row["error_code"]) for row in found]
