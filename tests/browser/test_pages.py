"""Every page in a real browser, light, dark and on a phone: all is readable, fits, keeps quiet and is ours."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from consumer.console.routes import ENDPOINTS
from tests.browser.chromium import Look, Seen, in_each_look, in_one_loop, needs_chromium, problems
from tests.browser.installation import company, person
from tests.support.confirming import confirm
from tests.support.console import Desk
from tests.support.databases import rows

pytestmark = needs_chromium

# The addresses to look at, by path of the router's list; what stands in braces is found in the installation.
PAGES: Mapping[str, tuple[str, ...]] = {
    "/": ("/", "/?range=3h"),
    "/deliveries": ("/deliveries", "/deliveries?state=dead&type=user.*&since=15m", "/deliveries?source=operator"),
    "/deliveries/{seq:seq}": ("/deliveries/{dead}", "/deliveries/{applied}"),
    "/deliveries/{seq:seq}/reveal": ("/deliveries/{dead}/reveal",),
    "/deliveries/replay": ("/deliveries/replay",),
    "/deliveries/discard": ("/deliveries/discard?state=dead",),
    "/deliveries/undiscard": ("/deliveries/undiscard",),
    "/dead": ("/dead", "/dead?by=event", "/dead?by=each", "/dead?error=23505"),
    "/dead/retry": ("/dead/retry", "/dead/retry?sample=1"),
    "/dead/discard": ("/dead/discard?error=23505",),
    "/users": ("/users",),
    "/users/{user_id:uuid}": ("/users/{person}", "/users/{nobody}"),
    "/users/{user_id:uuid}/reveal": ("/users/{person}/reveal",),
    "/users/{user_id:uuid}/refresh": ("/users/{person}/refresh",),
    "/companies": ("/companies",),
    "/companies/{company_id:uuid}": ("/companies/{company}",),
    "/find": ("/find",),
    "/recovery": ("/recovery", "/recovery?before={action}"),
    "/recovery/{run_id:uuid}": ("/recovery/{nobody}",),
    "/recovery/rebuild": ("/recovery/rebuild",),
    "/recovery/check": ("/recovery/check",),
    "/actions": ("/actions",),
    "/actions/{id}": ("/actions/{action}",),
    "/system": ("/system",),
    "/system/test": ("/system/test",),
    "/login": ("/login",),
    "/open/{token}": ("/open/{token}", "/open/not-ours"),
}
# What is no page.
NO_PAGES = {"/favicon.ico", "/live", "/livez", "/static/{version}/{name}"}
ADDRESSES = [address for addresses in PAGES.values() for address in addresses]


@pytest.fixture(scope="module")
def examples(filled: str, filled_desk: Desk) -> dict[str, Any]:
    """What stands for the names in braces."""
    signer = filled_desk.signer()
    [dead] = rows(filled, "SELECT max(seq) AS seq FROM consumer.failures WHERE error_code = '23505'")
    [applied] = rows(filled, "SELECT max(seq) AS seq FROM consumer.outcomes WHERE outcome = 'applied'")
    ordered = confirm(filled_desk, "/recovery/check")
    return {
        "dead": dead["seq"],
        "applied": applied["seq"],
        "person": person(1),
        "company": company(0),
        "nobody": "00000000-0000-4000-8000-000000000000",
        "action": ordered.headers["location"].rpartition("/")[2],
        "token": signer.link("kim", "viewer"),
    }


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def tabs(browser: Browser, filled_desk: Desk) -> AsyncIterator[list[tuple[Look, Page, Seen]]]:
    async with in_each_look(browser, filled_desk) as tabs:
        yield tabs


def test_every_page_of_the_router_is_looked_at() -> None:
    listed = {each.path for each in ENDPOINTS if each.method == "GET"}

    assert PAGES.keys() == listed - NO_PAGES


@in_one_loop
@pytest.mark.parametrize("address", ADDRESSES)
async def test_a_page_is_readable_fits_and_keeps_quiet(
    address: str, tabs: list[tuple[Look, Page, Seen]], examples: dict[str, Any]
) -> None:
    wrong: dict[str, object] = {}
    for look, page, seen in tabs:
        answer = await page.goto(address.format_map(examples))
        assert answer
        if await page.locator("figure[data-chart]").count():
            await page.locator("figure canvas").first.wait_for()
        found = await problems(page, seen, answer.status)
        wrong |= {f"{look.name}, {name}": what for name, what in found.items()}

    assert wrong == {}
