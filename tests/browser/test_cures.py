"""The three things of the overview's design, produced for real and cured from the page, in the clicks of the design."""

import asyncio
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from consumer.cli.addresses import free_port
from consumer.simulator.sender import Sender, new_message_id
from tests.browser import installation
from tests.browser.chromium import Seen, in_one_loop, needs_chromium, opened, origin
from tests.browser.installation import person
from tests.support import processes
from tests.support.cli import call
from tests.support.console import Desk, running
from tests.support.databases import change, rows
from tests.support.factories import delivery, user_updated
from tests.support.processes import APP_SECRET, HOST, SECRET, Running, deliveries, is_ready, on, until

pytestmark = needs_chromium

DYING = installation.DYING
# Everything happened a moment ago; the second worker has been silent for as long as on the design's page, and the first
# one did not take its place, because it began before.
SET_BACK = """
UPDATE consumer.reports SET at = at - interval '14 minutes', next_at = next_at - interval '14 minutes' WHERE pid = {};
UPDATE consumer.reports SET at = at - interval '1 hour' WHERE pid = {};
"""


@dataclass(frozen=True)
class Shop:
    """An application's database, with a receiver and a worker that go on."""

    url: str
    desk: Desk
    port: int
    folder: Path
    settings: dict[str, str]
    stack: ExitStack

    def start(self, *command: str) -> Running:
        """Start a process of ours."""
        return self.stack.enter_context(processes.running(self.folder, self.settings, *command))

    def post(self, source: str, bodies: Sequence[bytes]) -> list[int]:
        """Deliver as a source does; returns the statuses."""
        secret = {"stack": SECRET, "app": APP_SECRET}[source]
        with Sender(f"http://{HOST}:{self.port}/webhooks/{source}", secret=secret) as sender:
            return [sender.post(body, new_message_id(datetime.now(UTC))).status for body in bodies]


@pytest.fixture
def shop(emptied: str, tmp_path: Path) -> Iterator[Shop]:
    """Deliveries die, your backend is silent, and one of two workers was killed."""
    statement, port = tmp_path / "app_users.sql", free_port(HOST)
    statement.write_bytes(installation.APP_STATEMENT)
    settings = {**on(emptied, PORT=port, MAX_ATTEMPTS=1), "CONSUMER_PROJECTION_SQL": str(statement)}
    change(emptied, installation.APP_TABLE)
    change(emptied, installation.EARLIER.replace("%(user_id)s", f"'{person(0)}'"))
    with ExitStack() as stack:
        stack.callback(change, emptied, "DROP TABLE public.app_users")
        desk = stack.enter_context(running(emptied, **installation.ENVIRONMENT))
        shop = Shop(emptied, desk.as_("operator"), port, tmp_path, settings, stack)
        shop.start("serve")
        lasting, killed = shop.start("work").process, shop.start("work").process
        until(lambda: is_ready(port))
        for first in (0, DYING):
            # The second half of the users has the addresses of the first.
            people = [user_updated(person(first + n), primary_email=f"{n}@example.com").body for n in range(DYING)]
            assert shop.post("stack", people) == [204] * DYING
            until(lambda: not deliveries(emptied, "pending"))
        killed.kill()
        killed.wait()
        until(lambda: {lasting.pid, killed.pid} <= reporting(emptied))
        change(emptied, SET_BACK.format(killed.pid, lasting.pid))
        assert call(emptied, "maintain").exit_code == 0
        yield shop


def reporting(url: str) -> set[int]:
    """Return the numbers of the processes that have reported."""
    return {row["pid"] for row in rows(url, "SELECT pid FROM consumer.reports")}


class Mouse:
    """Counts the clicks in one tab."""

    def __init__(self) -> None:
        self.clicks = 0

    async def click(self, what: Locator) -> None:
        await what.click()
        self.clicks += 1


def finding(page: Page, subject: str) -> Locator:
    """Return the line of the overview about a subject."""
    return page.locator("#overview .todo li").filter(has=page.locator(".st", has_text=subject))


async def is_mended(page: Page, subject: str, left: str) -> None:
    """Go back by the keys, without a click, and wait until the overview no longer has a finding."""
    await page.keyboard.press("g")
    await page.keyboard.press("o")
    await expect(page.locator("#verdict")).to_have_text(f"Users are flowing. {left}")
    await expect(finding(page, subject)).to_have_count(0)


@in_one_loop
async def test_the_three_things_of_the_overview_are_cured_from_the_page(shop: Shop, browser: Browser) -> None:
    async with opened(browser, shop.desk) as page:
        seen = Seen.by(page, origin(shop.desk))
        await page.goto("/")
        await expect(page.locator("#verdict")).to_have_text("Users are flowing. Three things need you.")
        await cure_the_dead(page, shop)
        await is_mended(page, "dead letters", "Two things need you.")
        await cure_the_silent_source(page, shop)
        await is_mended(page, "app", "One thing needs you.")
        await cure_the_killed_worker(page, shop)
        await is_mended(page, "worker", "Nothing needs you.")

    assert (seen.messages, seen.foreign) == ([], [])
    assert len(rows(shop.url, "SELECT FROM public.app_users")) == 2 * DYING


async def cure_the_dead(page: Page, shop: Shop) -> None:
    """One click to know what is stuck, why and what cures it, and two for the retry."""
    mouse, line = Mouse(), finding(page, "dead letters")
    await expect(line).to_contain_text(re.compile(rf"{DYING}, of which {DYING} died since .*app_users_email_key"))

    await mouse.click(line.get_by_role("link", name="See the groups"))
    group = page.locator(".group")
    await expect(group.locator("h3")).to_have_text("23505 A unique index of your application refuses the row")
    await expect(group).to_contain_text("Cure: Drop or widen the index, then retry.")
    table, index = re.findall(r"public\.\w+|\w+_key", await group.locator(".soft code").inner_text())
    change(shop.url, f"ALTER TABLE {table} DROP CONSTRAINT {index}")

    await mouse.click(group.get_by_role("link", name="Retry…"))
    await mouse.click(page.locator("#dialog").get_by_role("button", name=f"Retry {DYING}"))
    await expect(page.locator("main")).to_contain_text("Retry by kim")
    assert mouse.clicks == 3


async def cure_the_silent_source(page: Page, shop: Shop) -> None:
    """One click, to the last ones; the backend has to send again, which the page notices."""
    mouse, line = Mouse(), finding(page, "app")
    await expect(line).to_contain_text(re.compile(r"nothing received for 3h 1\dm, .*; the quietest .* brought \d+"))
    await expect(line).to_contain_text("Does your backend still post to /webhooks/app, and what is it answered?")

    await mouse.click(line.get_by_role("link", name="See the last ones"))
    await expect(page.locator("main table.rows tbody tr").first).to_contain_text("user.signed_in")
    body = delivery("user.signed_in", person(0), "app").body
    assert await asyncio.to_thread(shop.post, "app", [body]) == [204]
    await expect(page.locator("#newer")).to_contain_text("Newer deliveries have come.")
    assert mouse.clicks == 1


async def cure_the_killed_worker(page: Page, shop: Shop) -> None:
    """One click, to the processes; the page names the command that starts it again."""
    mouse, line = Mouse(), finding(page, "worker")
    await expect(line).to_contain_text("has not reported for 14m")
    await expect(line).to_contain_text("others of its kind: 1")

    await mouse.click(line.get_by_role("link", name="See processes"))
    await expect(page.locator("main table.rows").first).to_contain_text("silent for 14")
    name, *command = (await page.locator("main .note code").inner_text()).split()
    assert name == "consumer"
    shop.start(*command)
    assert mouse.clicks == 1
