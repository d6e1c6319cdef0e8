"""The list of deliveries: filters in the address, pages by key, newest first."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from starlette.responses import Response

from consumer.console.filters import OUTCOMES, STATES, AddressFilter, read_before, read_filter
from consumer.console.form import BadForm
from consumer.console.sample import SOURCES
from consumer.console.visit import Endpoint, Visit, uuid
from consumer.events.registry import EVENT_TYPES
from consumer.lookup import id_prefixes, labels, listing, one_delivery
from consumer.lookup.id_prefixes import id_range
from consumer.lookup.listing import ListedDelivery
from consumer.lookup.one_delivery import OneDelivery
from consumer.postgres import session
from consumer.postgres.connections import Connection

PAGE_SIZE = 50
# What the list of choices offers; the address takes any time.
SPANS = {"15m": "the last 15 min", "1h": "the last hour", "24h": "the last 24 h", "7d": "the last 7 d"}
TYPES = (*sorted({f"{name.partition('.')[0]}.*" for name in EVENT_TYPES}), *EVENT_TYPES)


@dataclass(frozen=True, slots=True)
class Rows:
    """Deliveries for a table, with what their users and companies are called."""

    deliveries: list[ListedDelivery]
    emails: Mapping[UUID, str]
    teams: Mapping[UUID, str]


@dataclass(frozen=True, slots=True)
class Listed:
    """One page of the list, as read at *now*; *newest* is the newest number of all, 0 if nothing is stored."""

    rows: Rows
    before: int | None
    looked_back_to: datetime | None
    newest: int
    now: datetime


async def show(visit: Visit) -> Response:
    """Show a page of the deliveries that match; *about* is a user's, team's or message's id."""
    if about := visit.query.text("about"):
        return await _about(visit, about)
    chosen, before = read_filter(visit.query), read_before(visit.query)
    listed = await visit.read(lambda conn: _read(conn, chosen, before))
    return visit.page(
        "deliveries.html",
        title="Deliveries",
        here="/deliveries",
        chosen=chosen,
        listed=listed,
        is_newest=before is None,
        choices={"state": STATES, "type": TYPES, "outcome": OUTCOMES, "source": SOURCES, "since": SPANS},
    )


async def labelled(conn: Connection, deliveries: list[ListedDelivery]) -> Rows:
    """Return deliveries with what their users and companies are called."""
    emails = await labels.emails(conn, (each.user_id for each in deliveries))
    teams = await labels.company_names(conn, (each.team_id for each in deliveries if not each.user_id))
    return Rows(deliveries, emails, teams)


async def _read(conn: Connection, chosen: AddressFilter, before: int | None) -> Listed:
    now = await session.now(conn)
    newest = await listing.newest(conn)
    page = await listing.page(conn, chosen.wanted(now), size=PAGE_SIZE, before=before)
    return Listed(await labelled(conn, page.deliveries), page.before, page.looked_back_to, newest, now)


async def _about(visit: Visit, about: str) -> Response:
    """Lead to the list with the field that an id belongs to, or to the one delivery."""
    chosen = read_filter(visit.query, {"about", "before"})
    if subject_id := uuid(about):
        is_team = await visit.read(lambda conn: labels.is_team(conn, subject_id))
        return visit.redirect(chosen.address("/deliveries", **{"team" if is_team else "user": subject_id}))
    found, subjects = await visit.read(lambda conn: _named(conn, about))
    if len(found) == 1:
        return visit.redirect(f"/deliveries/{found[0].seq}")
    if found:
        raise BadForm(f"{len(found)} sources have a delivery with this message id: name its number.")
    if len(subjects) == 1:
        return visit.redirect(chosen.address("/deliveries", **dict(subjects)))
    if subjects:
        raise BadForm("Several users or teams have an id that begins like this: the box at the top lists them.")
    raise BadForm(
        "No user, team or delivery is found by this. Find an e-mail address by the box at the top of the page."
    )


async def _named(conn: Connection, about: str) -> tuple[list[OneDelivery], list[tuple[str, UUID]]]:
    """Return the deliveries with this message id or number, and the users and teams whose ids begin like this.

    Each of the latter comes with the name of its field.
    """
    subjects: list[tuple[str, UUID]] = []
    if wanted := id_range(about):
        subjects += [("user", each) for each in await id_prefixes.users(conn, wanted)]
        subjects += [("team", each) for each in await id_prefixes.teams(conn, wanted)]
    return await one_delivery.find(conn, about), subjects


ENDPOINTS = (Endpoint("GET", "/deliveries", "viewer", show),)
