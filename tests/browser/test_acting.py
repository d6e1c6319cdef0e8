"""Every action in a real browser: by mouse, by keyboard, without script, and tried by a viewer."""

import asyncio
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from uuid import UUID

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from tests.browser.chromium import Seen, in_one_loop, needs_chromium, opened, origin
from tests.support.backfills import environment
from tests.support.cli import arrive, work
from tests.support.console import Desk, running
from tests.support.databases import rows
from tests.support.dead import dead_at_the_door
from tests.support.factories import membership, team_event, user_updated
from tests.support.fake_stack import FakeStack
from tests.support.outbox import set_aside
from tests.support.web import SECRET

pytestmark = needs_chromium

# Sends a form from one of our own pages, as a curious viewer can.
SEND = """
(action) => {
  const form = Object.assign(document.createElement("form"), { method: "post", action });
  document.body.append(form);
  setTimeout(() => form.submit());
}
"""
PERSON, OTHER, TEAM = (UUID(int=n, version=4) for n in range(1, 4))


class Offer(NamedTuple):
    """An action as a page offers it: the button, the verb in the question, and what the page says that it leads to."""

    page: str
    button: str
    verb: str
    leads_to: str = " by kim"


# In an order in which each leaves something for the next.
OFFERS = (
    Offer("/users/{person}", "Reveal…", "Reveal", "ada@example.com"),
    Offer("/deliveries/{done}", "Reveal…", "Reveal", "bob@example.com"),
    Offer("/recovery", "Check against a rebuild…", "Check"),
    Offer("/recovery", "Rebuild…", "Rebuild"),
    Offer("/users/{person}", "Rebuild…", "Rebuild"),
    Offer("/companies/{team}", "Rebuild…", "Rebuild"),
    Offer("/users/{person}", "Refresh from Stack…", "Refresh"),
    Offer("/users/{person}", "Replay…", "Replay"),
    Offer("/companies/{team}", "Replay…", "Replay"),
    Offer("/deliveries/{done}", "Replay…", "Replay"),
    Offer("/deliveries?state=done", "Replay what matches…", "Replay"),
    Offer("/deliveries/{dead}", "Retry…", "Retry"),
    Offer("/dead", "Retry…", "Retry"),
    Offer("/dead", "Retry all…", "Retry"),
    Offer("/recovery", "Replay…", "Replay"),
    Offer("/deliveries/{unusable}", "Discard…", "Discard"),
    Offer("/deliveries/{unusable}", "Let it count again…", "Take back the discard of"),
    Offer("/system", "Send a test delivery…", "Send"),
    Offer("/dead", "Discard…", "Discard"),
    Offer("/deliveries/{done}", "Discard…", "Discard"),
)
# Those whose button is there before any other was pressed.
FIRST_OFFERS = [offer for offer in OFFERS if not offer.button.startswith("Let")]


@pytest.fixture
def acted_on(emptied: str) -> str:
    """Two users of a company, two deliveries that died of a constraint, and one that says too little."""
    applied = (
        user_updated(PERSON),
        user_updated(OTHER, primary_email="bob@example.com"),
        team_event("created", TEAM),
        membership("created", TEAM, PERSON),
    )
    died = [user_updated(OTHER), user_updated(OTHER)]
    arrive(emptied, *applied)
    work(emptied)
    arrive(emptied, *died, dead_at_the_door("says too little"))
    set_aside(emptied, died)
    return emptied


@pytest.fixture
def desk(acted_on: str, fake: FakeStack) -> Iterator[Desk]:
    # No receiver listens there.
    with running(acted_on, STACK_WEBHOOK_SECRETS=SECRET, PORT="1", **environment(fake)) as desk:
        yield desk.as_("operator")


def addresses(url: str) -> dict[str, object]:
    """Return what stands in braces."""
    [dead] = rows(url, "SELECT max(seq) AS seq FROM consumer.failures WHERE error_code <> 'bad_shape'")
    [unusable] = rows(url, "SELECT seq FROM consumer.failures WHERE error_code = 'bad_shape'")
    done = rows(url, "SELECT seq FROM consumer.outcomes JOIN consumer.outbox USING (seq) ORDER BY seq LIMIT 2")[1]
    return {"dead": dead["seq"], "unusable": unusable["seq"], "done": done["seq"], "person": PERSON, "team": TEAM}


def button(page: Page, offer: Offer) -> Locator:
    return page.locator("main").get_by_role("link", name=offer.button, exact=True).first


async def do(page: Page, offer: Offer, scope: str) -> None:
    """Press an action's button, fill in and send what it asks."""
    await button(page, offer).click()
    asked = page.locator(scope)
    await expect(asked.get_by_role("heading", level=1)).to_have_text(re.compile(rf"^{offer.verb} .+\?$"))
    reason = asked.locator("[name=reason]")
    if await reason.count():
        await reason.fill("a test")
    # The page may show what it leads to already: without the wait the next address could cut this answer off.
    await page.wait_for_load_state()
    async with page.expect_event("load"):
        await asked.get_by_role("button", name=re.compile(f"^{offer.verb}")).click()
    await expect(page.locator("main")).to_contain_text(offer.leads_to)
    await expect(page.locator("main .note.bad")).to_have_count(int(offer.verb == "Send"))


@in_one_loop
@pytest.mark.parametrize(
    ("offers", "script"),
    [pytest.param(OFFERS, True, id="in a dialog"), pytest.param(OFFERS[-3:], False, id="on a page without script")],
)
async def test_every_action_is_asked_and_done(
    offers: Sequence[Offer], script: bool, desk: Desk, acted_on: str, browser: Browser
) -> None:
    found = addresses(acted_on)
    async with opened(browser, desk, script=script) as page:
        seen = Seen.by(page, origin(desk))
        for offer in offers:
            await page.goto(offer.page.format_map(found))
            await do(page, offer, "#dialog" if script else "#confirm")
            await until_done(acted_on)

    assert (seen.messages, seen.foreign) == ([], [])
    assert len(rows(acted_on, "SELECT FROM consumer.actions WHERE actor = 'kim'")) == len(offers)


async def until_done(url: str) -> None:
    """Let the console finish what was ordered and a worker apply what that put back."""
    await asyncio.to_thread(work, url)
    while rows(url, "SELECT FROM consumer.background WHERE finished_at IS NULL"):
        await asyncio.to_thread(work, url)
    await asyncio.to_thread(work, url)


@in_one_loop
async def test_a_dialog_before_a_retry_says_what_a_sample_has_told(desk: Desk, browser: Browser) -> None:
    async with opened(browser, desk) as page:
        seen = Seen.by(page, origin(desk))
        await page.goto("/dead")
        await page.get_by_role("link", name="Retry all…").click()
        await expect(page.locator("#dialog #tried")).to_contain_text("3 checked again: 1 would be applied")
        await page.goto("/dead/retry")
        await expect(page.locator("#confirm #tried")).to_contain_text("3 checked again: 1 would be applied")

    assert (seen.messages, seen.foreign) == ([], [])


@in_one_loop
async def test_an_action_is_done_by_keys_alone(desk: Desk, acted_on: str, browser: Browser) -> None:
    async with opened(browser, desk) as page:
        await page.goto("/")
        await page.keyboard.press("g")
        await page.keyboard.press("x")
        await page.wait_for_url("**/dead")
        retry = page.get_by_role("link", name="Retry all…")
        await retry.focus()
        await page.keyboard.press("Enter")
        await expect(page.locator("#dialog")).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(page.locator("#dialog")).to_be_hidden()
        await expect(retry).to_be_focused()
        await page.keyboard.press("Enter")
        send = page.locator("#dialog").get_by_role("button", name="Retry 3")
        await expect(send).to_be_visible()
        while not await send.evaluate("(button) => button === document.activeElement"):
            await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await expect(page.locator("main")).to_contain_text("Retry by kim")

    assert len(rows(acted_on, "SELECT FROM consumer.actions WHERE action = 'retry'")) == 1


@in_one_loop
async def test_cancel_closes_the_dialog_changes_nothing_and_gives_the_focus_back(
    desk: Desk, acted_on: str, browser: Browser
) -> None:
    async with opened(browser, desk) as page:
        await page.goto("/dead")
        retry = page.get_by_role("link", name="Retry all…")
        # Some browsers leave the focus where it was when a link is clicked.
        await retry.dispatch_event("click")
        await page.locator("#dialog").get_by_role("link", name="Cancel").click()

        await expect(page.locator("#dialog")).to_be_hidden()
        await expect(retry).to_be_focused()
        assert page.url.endswith("/dead")

    assert rows(acted_on, "SELECT FROM consumer.actions") == []


@in_one_loop
async def test_the_keys_go_along_the_rows_and_find(desk: Desk, browser: Browser) -> None:
    async with opened(browser, desk) as page:
        await page.goto("/deliveries")
        links = page.locator("main table.rows td.a a")
        await page.keyboard.press("j")
        await expect(links.nth(0)).to_be_focused()
        await page.keyboard.press("j")
        await expect(links.nth(1)).to_be_focused()
        await page.keyboard.press("k")
        await expect(links.nth(0)).to_be_focused()
        await page.keyboard.press("?")
        await expect(page.locator("#keys")).to_be_visible()
        await page.keyboard.press("Escape")
        await page.keyboard.press("/")
        await page.keyboard.type("ADA@example.com")
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"**/users/{PERSON}")


@in_one_loop
async def test_a_viewer_sees_every_action_locked_and_is_refused(desk: Desk, acted_on: str, browser: Browser) -> None:
    found = addresses(acted_on)
    viewer, tried = desk.as_("viewer", "vera"), set[str]()
    async with opened(browser, desk) as operators, opened(browser, viewer) as page:
        for offer in FIRST_OFFERS:
            await operators.goto(offer.page.format_map(found))
            target = await button(operators, offer).get_attribute("href")
            await page.goto(offer.page.format_map(found))
            await expect(button(page, offer)).to_be_disabled()
            await button(page, offer).click(force=True)
            await expect(page.locator("#dialog")).to_be_hidden()
            address = (target or "").partition("?")[0]
            async with page.expect_navigation():
                await page.evaluate(SEND, address)
            tried.add(address)
            await expect(page.locator("h1")).to_have_text("An operator's action")

    recorded = rows(acted_on, "SELECT actor, role, action, affected FROM consumer.actions")
    # Of an address one a minute.
    assert recorded == [{"actor": "vera", "role": "viewer", "action": "refused", "affected": 0}] * len(tried)
