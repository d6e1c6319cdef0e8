"""Pictures of the console for the documents: `python -m tests.browser.pictures` writes docs/pictures/.

They show the made-up installation of tests/browser/installation.py, as an operator's Chromium shows it.
"""

import asyncio
from pathlib import Path

from playwright.async_api import Browser, Page

from bench.support import database
from consumer.postgres import migrations
from tests.browser import installation
from tests.browser.chromium import LOOKS, Look, chromium, opened
from tests.conftest import server_of_its_own
from tests.support.console import Desk, running
from tests.support.databases import record_settings, rows
from tests.support.processes import ROOT

FOLDER = ROOT / "docs" / "pictures"
# Each picture is loaded with its document.
PICTURE_BYTES_MAX = 150_000
# What the README shows is wide enough for its tables and not taller than a screen.
HEIGHT = 720
# A page for each name; {dead} is the newest dead delivery, {person} a user with a history.
PAGES = {
    "overview": "/",
    "dead": "/dead",
    "retry": "/dead?error=23505",
    "delivery": "/deliveries/{dead}",
    "user": "/users/{person}",
}


async def draw(desk: Desk, dead: int) -> None:
    """Write the pictures: the overview in each look, the other pages in light."""
    async with chromium() as browser:
        for look in LOOKS:
            names = PAGES if look == LOOKS[0] else ("overview",)
            for name in names:
                await _draw(browser, desk, look, name, PAGES[name].format(dead=dead, person=installation.person(1)))


async def _draw(browser: Browser, desk: Desk, look: Look, name: str, address: str) -> None:
    async with opened(browser, desk, Look(look.name, look.colour_scheme, look.width, HEIGHT)) as page:
        await page.goto(address)
        await page.get_by_text("Live", exact=True).wait_for()
        if name == "overview":
            await page.locator("figure canvas").last.wait_for()
        if name == "retry":
            await page.locator("main").get_by_role("link", name="Retry…", exact=True).first.click()
            await page.locator("#dialog h1").wait_for()
        await _write(page, FOLDER / f"{name}-{look.name}.png")


async def _write(page: Page, file: Path) -> None:
    size = len(await page.screenshot(path=file))
    assert size <= PICTURE_BYTES_MAX, f"{file.name} has {size:,} bytes"


def main() -> None:
    """Fill an installation on a server of its own, and draw it."""
    FOLDER.mkdir(exist_ok=True)
    with server_of_its_own() as server_url, database(server_url, "shop") as url:
        migrations.apply(url, "consumer")
        record_settings(url)
        installation.fill(url)
        [found] = rows(url, "SELECT max(seq) AS seq FROM consumer.failures WHERE error_code = '23505'")
        with running(url, **installation.ENVIRONMENT) as desk:
            asyncio.run(draw(desk.as_("operator"), found["seq"]))


if __name__ == "__main__":
    main()
