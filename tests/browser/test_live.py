"""Live pages in a real browser: they change by themselves, say when they stopped, and go on."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, Request, Response, Route, expect

from consumer.cli.addresses import free_port
from tests.browser.chromium import Seen, faint_texts, in_one_loop, needs_chromium, opened, origin
from tests.support import processes
from tests.support.cli import arrive, work
from tests.support.console import SECRET, Desk, running
from tests.support.databases import change
from tests.support.factories import user_updated
from tests.support.processes import ask, until
from tests.support.settings import load

pytestmark = needs_chromium

# Beyond the ten seconds after which a page takes a silent stream for dead, and the longest pause before the next try.
SILENT_MILLISECONDS = 12_000
AGAIN_MILLISECONDS = 70_000
TRIES = 5
# What a browser does when somebody turns to another tab; Chromium without a screen shows all its tabs.
HIDE = """
(isHidden) => {
  const state = isHidden ? "hidden" : "visible";
  Object.defineProperty(document, "hidden", { configurable: true, get: () => isHidden });
  Object.defineProperty(document, "visibilityState", { configurable: true, get: () => state });
  document.dispatchEvent(new Event("visibilitychange"));
}
"""
# Notes the texts that are drawn on each chart.
NOTE_DRAWN = """
  window.drawn = {};
  const fill = CanvasRenderingContext2D.prototype.fillText;
  CanvasRenderingContext2D.prototype.fillText = function (text, ...place) {
    const chart = this.canvas.closest("figure[data-chart]")?.dataset.chart;
    (drawn[chart] ??= []).push(text);
    fill.call(this, text, ...place);
  };
"""
# A chart has points once a process has reported in a whole step.
REPORT = """
INSERT INTO consumer.reports (process_id, duty, host, pid, release, at, clock_skew_seconds)
VALUES (gen_random_uuid(), 'console', 'work-1', 1, '0', now() - interval '1 minute', 0)
"""


@pytest.fixture
def desk(emptied: str) -> Iterator[Desk]:
    with running(emptied) as desk:
        yield desk.as_("viewer")


async def apply_one(url: str) -> None:
    """Let a delivery arrive and be applied."""
    await asyncio.to_thread(arrive, url, user_updated())
    await asyncio.to_thread(work, url)


async def goes_live(page: Page) -> None:
    async with page.expect_request(lambda request: "/live" in request.url):
        await page.goto("/")
    await is_live(page)


def is_of_stream(exchange: Request | Response) -> bool:
    return "/live" in exchange.url


async def is_live(page: Page) -> None:
    await expect(page.locator("#live-state")).to_contain_text("Live")
    await expect(page.locator("html")).not_to_have_class(re.compile("stale"))


@in_one_loop
async def test_a_delivery_appears_by_itself_and_what_is_open_stays_open(
    desk: Desk, emptied: str, browser: Browser
) -> None:
    change(emptied, REPORT)
    async with opened(browser, desk) as page:
        seen = Seen.by(page, origin(desk))
        await page.goto("/")
        await expect(page.locator("#verdict")).to_have_text("Ready. No delivery has come yet.")
        opened_by_hand = page.locator("details.chart-table[open]")
        await page.locator("details.chart-table summary").first.click()
        await expect(opened_by_hand).to_have_count(1)
        await apply_one(emptied)

        await expect(page.locator("#overview-tables")).to_contain_text("user.updated")
        await expect(page.locator("#verdict")).to_have_text("Users are flowing. Nothing needs you.")
        await expect(opened_by_hand).to_have_count(1)

    assert (seen.messages, seen.foreign) == ([], [])


@in_one_loop
async def test_a_chart_of_a_single_step_has_an_axis_of_times(desk: Desk, emptied: str, browser: Browser) -> None:
    change(emptied, REPORT)
    async with opened(browser, desk) as page:
        await page.add_init_script(NOTE_DRAWN)
        await page.goto("/")
        await page.locator("figure canvas").last.wait_for()
        drawn = await page.evaluate("drawn.rates")

    assert len({text for text in drawn if ":" in text}) > 1


@in_one_loop
async def test_a_list_stays_still_and_says_that_newer_ones_have_come(
    desk: Desk, emptied: str, browser: Browser
) -> None:
    await apply_one(emptied)
    async with opened(browser, desk) as page:
        await page.goto("/deliveries")
        rows = page.locator("main table.rows tbody tr")
        await expect(rows).to_have_count(1)
        await apply_one(emptied)

        await expect(page.locator("#newer")).to_contain_text("Newer deliveries have come.")
        await expect(rows).to_have_count(1)
        await page.locator("#newer a").click()
        await expect(rows).to_have_count(2)


@in_one_loop
async def test_pause_keeps_the_page_as_it_is_until_it_goes_on(desk: Desk, emptied: str, browser: Browser) -> None:
    async with opened(browser, desk) as page:
        await goes_live(page)
        await page.keyboard.press("p")
        await expect(page.locator("#live-state")).to_contain_text("Paused at")
        await apply_one(emptied)
        # The frame after the one that could bear it.
        for _ in range(2):
            await page.evaluate(
                "new Promise((done) => live.addEventListener('htmx:sse:before:message', done, { once: true }))"
            )
        await expect(page.locator("#verdict")).to_have_text("Ready. No delivery has come yet.")

        await page.get_by_role("button", name="Pause live updates").click()
        await expect(page.locator("#verdict")).to_have_text("Users are flowing. Nothing needs you.")


@in_one_loop
async def test_a_hidden_tab_closes_its_stream_and_opens_it_when_it_is_shown_again(desk: Desk, browser: Browser) -> None:
    async with opened(browser, desk) as page:
        await goes_live(page)
        async with page.expect_event("requestfailed", lambda request: "/live" in request.url):
            await page.evaluate(HIDE, True)
        async with page.expect_request(lambda request: "/live" in request.url):
            await page.evaluate(HIDE, False)
        await is_live(page)


@in_one_loop
@pytest.mark.parametrize("status", [None, 502], ids=["no answer", "a proxy's answer"])
async def test_a_page_whose_stream_never_began_greys_and_begins_it_again(
    desk: Desk, browser: Browser, status: int | None
) -> None:
    async def fail(route: Route) -> None:
        await (route.abort() if status is None else route.fulfill(status=status, body="<h1>Bad gateway</h1>"))

    async with opened(browser, desk) as page:
        await page.clock.install()
        await page.route("**/live?*", fail)
        async with page.expect_event("requestfailed" if status is None else "response", is_of_stream):
            await page.goto("/")
        await page.clock.fast_forward(SILENT_MILLISECONDS)
        await expect(page.locator("html")).to_have_class(re.compile("stale"))
        await expect(page.locator("#live-state")).to_contain_text("Stopped at")

        await page.unroute("**/live?*")
        await page.clock.fast_forward(SILENT_MILLISECONDS)
        await is_live(page)


@in_one_loop
async def test_a_page_greys_when_the_console_is_killed_and_goes_on_when_it_is_back(
    tmp_path: Path, emptied: str, browser: Browser
) -> None:
    port = free_port("127.0.0.1")
    environment = {"DATABASE_URL": emptied, "CONSOLE_SECRET": SECRET, "CONSOLE_PORT": str(port)}
    desk = Desk(port, load(environment)).as_("viewer")
    with ExitStack() as stack:

        def start() -> processes.Running:
            console = stack.enter_context(processes.running(tmp_path, environment, "console"))
            until(lambda: ask(port, "/livez")[0] == 200)
            return console

        console = await asyncio.to_thread(start)
        async with opened(browser, desk) as page:
            await page.clock.install()
            await page.goto("/")
            await is_live(page)
            console.process.kill()
            await page.clock.fast_forward(SILENT_MILLISECONDS)
            await expect(page.locator("html")).to_have_class(re.compile("stale"))
            await expect(page.locator("#live-state")).to_contain_text("Stopped at")
            assert await faint_texts(page) == []

            await asyncio.to_thread(start)
            await apply_one(emptied)
            for _ in range(TRIES):
                # Each try that fails sets the time of the next; one that succeeds needs a moment until its first frame.
                await page.clock.fast_forward(AGAIN_MILLISECONDS)
                with suppress(AssertionError):
                    await is_live(page)
                    break
            await is_live(page)
            await expect(page.locator("#verdict")).to_have_text("Users are flowing. Nothing needs you.")
