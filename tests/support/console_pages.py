"""A console over an installation in which each thing has happened once."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID, uuid4

from consumer.outbox.storage import Delivery
from tests.support.cli import arrive, work
from tests.support.console import Desk, running
from tests.support.databases import reset, rows
from tests.support.dead import dead_at_the_door
from tests.support.factories import delivery, edited, membership, team_event, user_updated
from tests.support.lookups import canary
from tests.support.outbox import set_aside


@dataclass(frozen=True)
class Told:
    """The console, and who and what its pages are about: *user_id* is the canary's, *snapshot* the newest about it."""

    desk: Desk
    url: str
    user_id: UUID
    team_id: UUID
    overtaken: Delivery
    snapshot: Delivery
    edit: Delivery
    dead: tuple[Delivery, ...]
    unusable: Delivery
    retrying: Delivery
    pending: Delivery

    def seq(self, stored: Delivery) -> int:
        """Return the number of a stored delivery."""
        found = rows(self.url, f"SELECT seq FROM consumer.outbox WHERE message_id = '{stored.message_id}'")
        return int(found[0]["seq"])


@contextmanager
def told(url: str) -> Iterator[Told]:
    """Fill an emptied database, and run a console over it."""
    reset(url)
    user_id, team_id = uuid4(), uuid4()
    overtaken = canary(user_id=user_id, display_name="Zaphod Before")
    team = team_event("created", team_id, display_name="Northwind")
    first = [team, overtaken, membership("created", team_id, user_id)]
    edit, snapshot = edited(user_id, role_type="owner"), canary(user_id=user_id)
    second = [snapshot, edit, membership("created", team_id, uuid4())]
    dead, unusable = tuple(user_updated() for _ in range(3)), dead_at_the_door("msg_unusable")
    retrying, pending = user_updated(), user_updated()
    for batch in (first, second, [delivery(f"user.signed_{way}", user_id, "app") for way in ("in", "out")]):
        arrive(url, *batch)
        work(url)
    arrive(url, *dead, retrying, unusable, pending)
    set_aside(url, dead, code="23505")
    set_aside(url, [retrying], state="retrying", code="23503")
    with running(url) as desk:
        yield Told(desk, url, user_id, team_id, overtaken, snapshot, edit, dead, unusable, retrying, pending)


def words(text: str) -> str:
    """Return what a person reads of a page's main part."""
    main = text[text.index("<main") : text.index("</main>")]
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", main)).replace("\N{NO-BREAK SPACE}", " ")
    return re.sub(r" ([.,;:])", r"\1", text)


def links(text: str) -> list[str]:
    """Return the addresses that the main part of a page leads to."""
    main = text[text.index("<main") : text.index("</main>")]
    return [each.replace("&amp;", "&") for each in re.findall(r'href="([^"#]+)"', main)]


def listed(text: str) -> list[int]:
    """Return the numbers of the deliveries that the rows of a page lead to, in their order."""
    return [int(each) for each in re.findall(r'<td class="a"><a href="/deliveries/(\d+)">', text)]
