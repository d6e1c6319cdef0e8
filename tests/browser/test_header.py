"""The header on a phone: who acts stands there, in at most two rows, whatever the page says of its liveness."""

import re
from collections.abc import Iterator

import pytest
from playwright.async_api import Browser, Page, expect

from consumer.console.door import NAME_CHARACTERS_MAX
from tests.browser.chromium import Look, in_one_loop, needs_chromium, opened, sideways_pixels
from tests.support.console import Desk, running

pytestmark = needs_chromium

# The narrowest phones that are sold, and those of most people.
PHONES = [Look("narrow", "light", 320, 700), Look("phone", "light", 390, 844)]
# Beside the pages on the side, a header has one row.
TABLET = Look("tablet", "light", 740)
LONG = "W" * NAME_CHARACTERS_MAX
# The things of the header by rows: two are in one row if one begins above the end of the other.
ROWS = """
() => [...document.querySelectorAll(".top > *")]
  .map((each) => [each.className, each.getBoundingClientRect()])
  .sort(([, one], [, other]) => one.top - other.top)
  .reduce(([rows, end], [name, box]) => {
    if (box.top >= end) rows.push([]);
    rows.at(-1).push(name);
    return [rows, Math.max(end, box.bottom)];
  }, [[], -1])[0]
  .map((row) => row.sort().join(" "))
"""
TWO_ROWS = ["brand env who", "find live"]
ONE_ROW = ["brand env find live who"]
# The part of a text that is there to read, from 0 to 1.
READABLE = "(element) => Math.min(1, element.clientWidth / element.scrollWidth)"


@pytest.fixture(scope="module")
def desk(database_url: str) -> Iterator[Desk]:
    with running(database_url) as desk:
        yield desk


async def pause(page: Page) -> None:
    await expect(page.locator("#live-state")).to_contain_text("Live")
    await page.keyboard.press("p")
    await expect(page.locator("#live-state")).to_contain_text(re.compile(r"Paused at \d\d:\d\d:\d\d"))


@in_one_loop
@pytest.mark.parametrize("look", PHONES, ids=lambda look: look.name)
@pytest.mark.parametrize("script", [True, False], ids=["paused", "without JavaScript"])
async def test_on_a_phone_the_header_has_two_rows_with_the_name_of_who_acts(
    desk: Desk, browser: Browser, look: Look, *, script: bool
) -> None:
    async with opened(browser, desk.as_("operator", "kim"), look, script=script) as page:
        await page.goto("/system")
        if script:
            await pause(page)
        who = page.locator(".who span")

        await expect(who).to_be_visible()
        await expect(who).to_have_text("kim · operator")
        assert await who.evaluate(READABLE) == 1
        assert (await page.evaluate(ROWS), await sideways_pixels(page)) == (TWO_ROWS, 0)
        await expect(page.get_by_role("button", name="Sign out")).to_be_in_viewport(ratio=1)


@in_one_loop
@pytest.mark.parametrize(
    ("look", "rows"), [(PHONES[0], TWO_ROWS), (PHONES[1], TWO_ROWS), (TABLET, ONE_ROW)], ids=["320", "390", "740"]
)
async def test_a_long_name_is_cut_and_pushes_nothing_away(
    desk: Desk, browser: Browser, look: Look, rows: list[str]
) -> None:
    async with opened(browser, desk.as_("operator", LONG), look) as page:
        await page.goto("/system")
        await pause(page)

        assert 0.05 < await page.locator(".who span").evaluate(READABLE) < 1
        await expect(page.locator(".who span")).to_have_attribute("title", LONG)
        assert (await page.evaluate(ROWS), await sideways_pixels(page)) == (rows, 0)
        await expect(page.get_by_role("button", name="Sign out")).to_be_in_viewport(ratio=1)
        await expect(page.locator(".env")).to_be_visible()
