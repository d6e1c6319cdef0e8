"""The one box: a user's or team's id or its beginning, an e-mail address, a message id or a number leads to its page.

It is a POST, because an e-mail address must lie in no address and no log.
"""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from starlette.responses import Response

from consumer.console.visit import Endpoint, Visit, uuid
from consumer.lookup import id_prefixes, labels, one_delivery, one_user
from consumer.lookup.id_prefixes import id_range
from consumer.lookup.one_delivery import OneDelivery
from consumer.postgres.connections import Connection
from consumer.postgres.first_rows import FirstRows

# Longer than any message id and any address that mail can reach.
CHARACTERS_MAX = 320
NOT_FOUND = (
    "Nothing stored has this id, number or e-mail address. "
    "A user or team is found by the first 8 digits of its id, an address only as a whole."
)


class FoundIds(NamedTuple):
    """Users or teams that were found, and the folder of their pages."""

    title: str
    folder: str
    ids: FirstRows[UUID]


async def show_users(visit: Visit) -> Response:
    """Show the box: there are too many users for a list."""
    return _box(visit, "Users", "/users")


async def show_companies(visit: Visit) -> Response:
    """Show the box for companies."""
    return _box(visit, "Companies", "/companies")


async def show(visit: Visit) -> Response:
    """Show the box."""
    return _box(visit, "Find", "")


async def find(visit: Visit) -> Response:
    """Lead to the page of what is named; list what several have in common."""
    text = visit.form.text("q")
    if not text:
        return _box(visit, "Find", "")
    if len(text) > CHARACTERS_MAX:
        return _box(visit, "Nothing found", "", NOT_FOUND, status=404)
    if found_id := uuid(text):
        is_team = await visit.read(lambda conn: labels.is_team(conn, found_id))
        return visit.redirect(f"/{'companies' if is_team else 'users'}/{found_id}")
    if "@" in text:
        user_ids = await visit.read(lambda conn: one_user.by_email(conn, text))
        return _one_of(visit, [FoundIds("Users with this e-mail address", "users", user_ids)])
    return _one_of(visit, *await visit.read(lambda conn: _by_id(conn, text)))


async def _by_id(conn: Connection, text: str) -> tuple[list[FoundIds], list[OneDelivery]]:
    """Return the users and teams whose ids begin like this, and the deliveries with this id or number."""
    subjects = []
    if wanted := id_range(text):
        subjects = [
            FoundIds("Users with an id that begins like this", "users", await id_prefixes.users(conn, wanted)),
            FoundIds("Teams with an id that begins like this", "companies", await id_prefixes.teams(conn, wanted)),
        ]
    return subjects, await one_delivery.find(conn, text)


def _one_of(visit: Visit, subjects: Sequence[FoundIds], deliveries: Sequence[OneDelivery] = ()) -> Response:
    """Lead to the one that was found, or list them; of an e-mail address the answer repeats nothing."""
    found = [each for each in subjects if each.ids]
    paths = [f"/{each.folder}/{subject_id}" for each in found for subject_id in each.ids]
    paths += [f"/deliveries/{each.seq}" for each in deliveries]
    if len(paths) == 1:
        return visit.redirect(paths[0])
    if not paths:
        return _box(visit, "Nothing found", "", NOT_FOUND, status=404)
    title = "Several have this"
    return visit.page("find.html", title=title, here="", sentence="", subjects=found, deliveries=deliveries)


def _box(visit: Visit, title: str, here: str, sentence: str = "", *, status: int = 200) -> Response:
    return visit.page("find.html", status, title=title, here=here, sentence=sentence, subjects=(), deliveries=())


ENDPOINTS = (
    Endpoint("GET", "/users", "viewer", show_users),
    Endpoint("GET", "/companies", "viewer", show_companies),
    Endpoint("GET", "/find", "viewer", show),
    Endpoint("POST", "/find", "viewer", find),
)
