"""How the console looks when all is not well: each state is made for real, and seen light, dark and on a phone."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.browser.chromium import Look, Seen, in_each_look, in_one_loop, needs_chromium, problems
from tests.faults.proxy import Wire
from tests.support.cli import arrive, work
from tests.support.console import Desk
from tests.support.dead import dead_at_the_door
from tests.support.factories import user_updated
from tests.support.states import long_history, pending_migration, reported, waits, wired

pytestmark = needs_chromium


@dataclass(frozen=True)
class State:
    """What makes it, what stands there as the title, and what else; where it is seen, and what holds it meanwhile."""

    make: Callable[[str], None]
    title: str
    says: tuple[str, ...]
    address: str = "/"
    held: Callable[[str], AbstractContextManager[object]] = nullcontext


# A name as long as PostgreSQL allows, which has to break on a phone.
REASON = f"permission denied for table {'app_users' * 7}"
STATES: Mapping[str, State] = {
    "empty": State(
        lambda _: None,
        "Ready. No delivery has come yet.",
        ("Point Stack at http://127.0.0.1:8000/webhooks/stack", "consumer send user.created"),
    ),
    "nobody works": State(
        waits,
        "Users are not flowing. One thing needs you.",
        ("nobody applies deliveries, the oldest has waited for", "Start a worker: consumer work"),
    ),
    "a migration is pending": State(
        lambda _: None,
        "Users are not flowing. One thing needs you.",
        ("pending: 0", "consumer migrate", "This page shows what the present schema has."),
        held=pending_migration,
    ),
    "a clock is wrong": State(
        lambda url: reported(url, "receiver", "web-2", skew=-71.0),
        "Users are flowing. One thing needs you.",
        ("receiver on web-2", "its clock is 71.", "Set its clock: at 300 s a receiver refuses every signature"),
    ),
    "a worker is paused": State(
        lambda url: reported(url, "worker", "work-1", paused_by=REASON),
        "Users are not flowing. One thing needs you.",
        (f"paused by {REASON}", "Nothing dies of it", "consumer doctor"),
    ),
    "a process is paused, on the page of the system": State(
        lambda url: reported(url, "worker", "work-1", paused_by=REASON),
        "System",
        (f"paused by {REASON}", "Nothing dies of it"),
        "/system",
    ),
    "a cause has a long name": State(
        lambda url: arrive(url, dead_at_the_door("says too little")._replace(error=REASON)),
        "Dead letters",
        (REASON,),
        "/dead",
    ),
    "nothing matches": State(
        long_history,
        "Deliveries",
        ("Nothing matches", "so far was looked back", "Look further back", "Clear the filter"),
        "/deliveries?type=team.*",
    ),
}


@pytest.fixture(scope="module")
def cut_off(database_url: str) -> Iterator[tuple[Desk, Wire]]:
    """A console behind a wire to the session's database."""
    with wired(database_url) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def tabs(browser: Browser, cut_off: tuple[Desk, Wire]) -> AsyncIterator[list[tuple[Look, Page, Seen]]]:
    async with in_each_look(browser, cut_off[0]) as tabs:
        yield tabs


@in_one_loop
@pytest.mark.parametrize("name", STATES)
async def test_a_state_is_named_with_its_cure_and_readable(
    name: str, tabs: list[tuple[Look, Page, Seen]], emptied: str
) -> None:
    state, wrong = STATES[name], dict[str, object]()
    await asyncio.to_thread(state.make, emptied)
    with state.held(emptied):
        for look, page, seen in tabs:
            answer = await page.goto(state.address)
            await expect(page.locator("h1")).to_have_text(state.title)
            for words in state.says:
                await expect(page.locator("main")).to_contain_text(words)
            assert answer
            found = await problems(page, seen, answer.status)
            wrong |= {f"{look.name}, {what}": each for what, each in found.items()}

    assert wrong == {}


@in_one_loop
async def test_while_the_database_is_away_the_last_sample_is_greyed_actions_are_off_and_one_stays_signed_in(
    cut_off: tuple[Desk, Wire], tabs: list[tuple[Look, Page, Seen]], emptied: str
) -> None:
    wrong, (_, cable) = dict[str, object](), cut_off
    await asyncio.to_thread(arrive, emptied, user_updated(), dead_at_the_door("says too little"))
    await asyncio.to_thread(work, emptied)
    for _, page, _ in tabs:
        await page.goto("/dead")
        await expect(page.locator("#side-dead")).to_have_text("1")
    cable.cut()
    try:
        for look, page, seen in tabs:
            await is_greyed(page)
            await page.get_by_role("link", name="Retry all…").click()
            await expect(page.locator("h1")).to_have_text("The database is away")
            found = {"the action": await problems(page, seen, 503)}
            assert found["the action"].pop("status") == [503]
            await page.goto("/")
            await expect(page.locator("#verdict")).to_have_text(re.compile("^The database has been away for .+"))
            await expect(page.locator("main")).to_contain_text(re.compile(r"Below is what was known at \d\d:\d\d:\d\d"))
            await expect(page.locator("#overview-tables")).to_contain_text("user.updated")
            await is_greyed(page)
            found["the overview"] = await problems(page, seen, 200)
            wrong |= {f"{look.name}, {name}": each for name, each in found.items() if each}
    finally:
        cable.mend()
    await expect(tabs[0][1].locator("#verdict")).to_have_text("Users are flowing. One thing needs you.")
    await expect(tabs[0][1].locator("html")).not_to_have_class(re.compile("stale"))

    assert wrong == {}


async def is_greyed(page: Page) -> None:
    await expect(page.locator("html")).to_have_class(re.compile("stale"))
    await expect(page.locator("#live-state")).to_contain_text("Stopped at")
    await expect(page.locator(".who")).to_contain_text("kim · operator")


@in_one_loop
async def test_a_viewer_is_told_the_limit_and_who_may_do_more(
    cut_off: tuple[Desk, Wire], browser: Browser, emptied: str
) -> None:
    await asyncio.to_thread(arrive, emptied, dead_at_the_door("says too little"))
    wrong = dict[str, object]()
    async with in_each_look(browser, cut_off[0].as_("viewer", "vera")) as tabs:
        for look, page, seen in tabs:
            await page.goto("/dead")
            await expect(page.get_by_role("link", name="Retry all…")).to_be_disabled()
            found = {"locked": await problems(page, seen, 200)}
            answer = await page.goto("/dead/retry")
            await expect(page.locator(".note")).to_contain_text("You may look, not act. Ask an operator")
            assert answer
            found["the limit"] = await problems(page, seen, answer.status)
            wrong |= {f"{look.name}, {name}": each for name, each in found.items() if each}

    assert wrong == {}
