"""A receiver of little patience that the tests of one module share; after each test it must serve as before."""

from collections.abc import Iterator

import pytest

from tests.support.web import SHORT, Site, running, undisturbed


@pytest.fixture(scope="module")
def short_receiver(database_url: str) -> Iterator[Site]:
    with running(database_url, SHORT) as site:
        yield site


@pytest.fixture
def short_site(short_receiver: Site, emptied: str, caplog: pytest.LogCaptureFixture) -> Iterator[Site]:
    with undisturbed(short_receiver, caplog):
        yield short_receiver
