"""Debian's Chromium under Playwright: how a page is looked at, and what a look finds wrong."""

import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from tests.support.console import Desk

PROGRAM = "/usr/bin/chromium"
# Nothing but our pages is asked for, and a root may start it.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
needs_chromium = pytest.mark.skipif(shutil.which(PROGRAM) is None, reason=f"there is no {PROGRAM} here")
# The browser lives in one loop, so the tests do.
in_one_loop = pytest.mark.asyncio(loop_scope="session")
# Of the steps of a test: far above what any takes, so that a hanging test fails.
STEP_MILLISECONDS = 30_000
expect.set_options(timeout=STEP_MILLISECONDS)
# For normal text, by WCAG 2.2, 1.4.3.
CONTRAST_MIN = 4.5
IDS_TWICE = """
() => [...document.querySelectorAll("[id]")].map((each) => each.id).filter((id, at, all) => all.indexOf(id) !== at)
"""
FAINT_TEXTS = Path(__file__).with_name("faint_texts.js").read_text()


@dataclass(frozen=True, slots=True)
class Look:
    """How somebody looks at the pages."""

    name: str
    colour_scheme: Literal["light", "dark"]
    width: int
    height: int = 900


LOOKS = (Look("light", "light", 1280), Look("dark", "dark", 1280), Look("phone", "light", 390, 844))


@dataclass(slots=True)
class Seen:
    """What a browser's tab has noticed since it was opened."""

    origin: str
    # Messages in its console, and errors of scripts.
    messages: list[str] = field(default_factory=list)
    # Addresses elsewhere that it asked for.
    foreign: list[str] = field(default_factory=list)

    @classmethod
    def by(cls, page: Page, origin: str) -> "Seen":
        """Return what a tab will notice from now on."""
        seen = cls(origin)
        page.on("console", lambda message: seen.messages.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: seen.messages.append(str(error)))
        page.on("request", lambda request: seen._note(request.url))
        return seen

    def _note(self, url: str) -> None:
        if not url.startswith((f"{self.origin}/", "data:", "blob:")):
            self.foreign.append(url)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Run a browser with a new folder for its data."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=PROGRAM, args=ARGUMENTS)
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def opened(
    browser: Browser, desk: Desk, look: Look = LOOKS[0], *, script: bool = True, zone: str = "UTC"
) -> AsyncIterator[Page]:
    """Open an empty tab that bears the cookie of *desk*, on a machine in a time zone."""
    context = await browser.new_context(
        base_url=origin(desk),
        color_scheme=look.colour_scheme,
        viewport={"width": look.width, "height": look.height},
        java_script_enabled=script,
        reduced_motion="reduce",
        timezone_id=zone,
    )
    context.set_default_timeout(STEP_MILLISECONDS)
    if desk.cookie:
        name, _, value = desk.cookie.partition("=")
        await context.add_cookies([{"name": name, "value": value, "url": origin(desk)}])
    try:
        yield await context.new_page()
    finally:
        await context.close()


def origin(desk: Desk) -> str:
    """Return the address of a console."""
    return f"http://127.0.0.1:{desk.port}"


async def faint_texts(page: Page) -> list[tuple[str, float]]:
    """Return the texts of a page that are hard to read, each with its contrast."""
    found: list[list[str | float]] = await page.evaluate(FAINT_TEXTS, CONTRAST_MIN)
    return [(str(text), float(contrast)) for text, contrast in found]


async def sideways_pixels(page: Page) -> int:
    """Return by how much a page is wider than its window."""
    return int(await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


@asynccontextmanager
async def in_each_look(browser: Browser, desk: Desk) -> AsyncIterator[list[tuple[Look, Page, Seen]]]:
    """Open a tab for each look."""
    async with AsyncExitStack() as stack:
        tabs = []
        for look in LOOKS:
            page = await stack.enter_async_context(opened(browser, desk, look))
            tabs.append((look, page, Seen.by(page, origin(desk))))
        yield tabs


async def problems(page: Page, seen: Seen, status: int) -> dict[str, object]:
    """Return what is wrong with a page that was answered with *status*; what the tab has noticed is forgotten."""
    # The browser itself tells of a status from 400 on.
    messages = [each for each in seen.messages if f"status of {status} " not in each]
    found = {
        "status": [status] if status >= 500 else [],
        "headings": [] if len(titles := await page.locator("h1").all_inner_texts()) == 1 else titles or ["none"],
        "ids twice": await page.evaluate(IDS_TWICE),
        "faint": await faint_texts(page),
        "too wide": [pixels] if (pixels := await sideways_pixels(page)) > 0 else [],
        "messages": messages,
        "foreign": list(seen.foreign),
    }
    seen.messages.clear()
    seen.foreign.clear()
    return {name: what for name, what in found.items() if what}
