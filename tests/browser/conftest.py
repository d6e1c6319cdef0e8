"""One browser for all, and the installation that its pages show."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.browser import installation
from tests.browser.chromium import chromium
from tests.support.console import Desk, running
from tests.support.databases import change, reset


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def filled(database_url: str) -> Iterator[str]:
    """The session's database with the made-up installation in it."""
    reset(database_url)
    try:
        installation.fill(database_url)
        yield database_url
    finally:
        change(database_url, "DROP TABLE IF EXISTS public.app_users")


@pytest.fixture(scope="module")
def filled_desk(filled: str) -> Iterator[Desk]:
    with running(filled, **installation.ENVIRONMENT) as desk:
        yield desk.as_("operator")
