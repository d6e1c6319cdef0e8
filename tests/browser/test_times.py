"""Times in the reader's zone, in a real browser: each keeps its day, and charts and dialogs follow."""

import re
from datetime import datetime
from zoneinfo import ZoneInfo

from playwright.async_api import Browser, Page, expect

from tests.browser.chromium import in_one_loop, needs_chromium, opened
from tests.browser.test_live import NOTE_DRAWN, apply_one
from tests.support.console import Desk
from tests.support.databases import change

pytest_plugins = ["tests.support.console"]

pytestmark = needs_chromium

# Three and a half hours behind UTC in winter.
ZONE = "America/St_Johns"
# There it is half past ten in the evening of 10 November.
NOW = "2026-11-11T02:00:00Z"
# The time of an action, and what the page shows in that zone at that time.
MINE = {
    "2026-11-11T01:00:00Z": "21:30:00",
    "2026-11-10T04:05:40Z": "00:35:40",
    "2026-11-10T03:00:00Z": "9\N{NO-BREAK SPACE}Nov, 23:30:00",
    "2026-09-30T04:05:40Z": "30\N{NO-BREAK SPACE}Sep, 01:35:40",
}
ACTION = """
INSERT INTO consumer.actions (id, at, actor, via, role, action)
VALUES (gen_random_uuid(), '{at}', 'kim', 'cli', 'operator', 'retry')
"""
# A worker that has reported for three hours.
REPORTS = """
INSERT INTO consumer.reports (process_id, duty, host, pid, release, at, clock_skew_seconds)
SELECT 'b7a1d0de-5b1e-4f0a-9e57-1d2c3b4a5f60', 'worker', 'work-1', 1, '0', at, 0
FROM generate_series(now() - interval '3 hours', now(), interval '10 seconds') AS at
"""
# A quarter of an hour beside every half of UTC.
QUARTER_ZONE = "Asia/Kathmandu"
DRAWN = "drawn.rates?.length"
LABELS = "[...new Set(drawn.rates.filter((text) => text.includes(':')))]"


async def show_mine(page: Page) -> None:
    await page.get_by_role("button", name="show mine").click()


@in_one_loop
async def test_a_time_of_another_day_keeps_its_day_in_the_reader_s_zone(
    desk: Desk, emptied: str, browser: Browser
) -> None:
    for at in MINE:
        change(emptied, ACTION.format(at=at))
    async with opened(browser, desk, zone=ZONE) as page:
        await page.clock.set_fixed_time(NOW)
        await page.goto("/actions")
        found = page.locator("main time")
        in_utc = await found.all_inner_texts()
        assert in_utc[1].endswith("04:05:40")
        await show_mine(page)
        await expect(found).to_have_text(list(MINE.values()))
        await expect(page.locator(".foot")).to_contain_text(f"Times in {ZONE} · show UTC")

        await page.reload()
        await expect(found).to_have_text(list(MINE.values()))
        await page.get_by_role("button", name="show UTC").click()
        await expect(page.locator(".foot")).to_contain_text("Times in UTC · show mine")
        await expect(found).to_have_text(in_utc)


@in_one_loop
async def test_the_axis_of_a_chart_is_in_the_reader_s_zone_at_round_times(
    desk: Desk, emptied: str, browser: Browser
) -> None:
    change(emptied, REPORTS)
    async with opened(browser, desk, zone=QUARTER_ZONE) as page:
        await page.add_init_script(NOTE_DRAWN)
        await page.goto("/?range=3h")
        await page.wait_for_function(DRAWN)
        in_utc = await page.evaluate(LABELS)
        # In one step, because each frame of the stream draws it anew.
        await page.locator("#local-times").evaluate("(button) => { drawn = {}; button.click(); }")
        await page.wait_for_function(DRAWN)
        mine = await page.evaluate(LABELS)

    assert {text[3:] for text in (*in_utc, *mine)} <= {"00", "30"}
    now = datetime.now(ZoneInfo(QUARTER_ZONE))
    assert {(now.hour - int(text[:2])) % 24 for text in mine} <= {0, 1, 2, 3, 4}


@in_one_loop
async def test_the_time_on_a_confirmation_is_in_the_reader_s_zone(desk: Desk, emptied: str, browser: Browser) -> None:
    await apply_one(emptied)
    async with opened(browser, desk, zone=ZONE) as page:
        await page.goto("/deliveries")
        await show_mine(page)
        # Each frame of the stream would show all times anew.
        await page.keyboard.press("p")
        await page.get_by_role("link", name="Replay what matches").click()
        time = page.locator("dialog time").first
        at = datetime.fromisoformat(await time.get_attribute("datetime") or "")

        await expect(time).to_have_text(re.compile(f"{at.astimezone(ZoneInfo(ZONE)):%H:%M:%S}$"))
