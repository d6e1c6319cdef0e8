"""The one box: a user's or team's id, an e-mail address, a message id or a number leads to its page.

It is a POST, because an e-mail address must lie in no address and no log.
"""

from collections.abc import Sequence
from uuid import UUID

from starlette.responses import Response

from consumer.console.visit import Endpoint, Visit, uuid
from consumer.lookup import labels, one_delivery, one_user
from consumer.lookup.one_delivery import OneDelivery
from consumer.postgres.first_rows import FirstRows

# Longer than any message id and any address that mail can reach.
CHARACTERS_MAX = 320
NOT_FOUND = "Nothing stored has this id, number or e-mail address. An address is found only as a whole."


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
        return _one_of(visit, [f"/users/{user_id}" for user_id in user_ids], user_ids=user_ids)
    deliveries = await visit.read(lambda conn: one_delivery.find(conn, text))
    return _one_of(visit, [f"/deliveries/{each.seq}" for each in deliveries], deliveries=deliveries)


def _one_of(
    visit: Visit,
    paths: Sequence[str],
    *,
    user_ids: FirstRows[UUID] | None = None,
    deliveries: Sequence[OneDelivery] = (),
) -> Response:
    """Lead to the one that was found, or list them; of an e-mail address the answer repeats nothing."""
    if len(paths) == 1:
        return visit.redirect(paths[0])
    if not paths:
        return _box(visit, "Nothing found", "", NOT_FOUND, status=404)
    title = "Several have this"
    return visit.page("find.html", title=title, here="", sentence="", user_ids=user_ids, deliveries=deliveries)


def _box(visit: Visit, title: str, here: str, sentence: str = "", *, status: int = 200) -> Response:
    return visit.page("find.html", status, title=title, here=here, sentence=sentence, user_ids=(), deliveries=())


ENDPOINTS = (
    Endpoint("GET", "/users", "viewer", show_users),
    Endpoint("GET", "/companies", "viewer", show_companies),
    Endpoint("GET", "/find", "viewer", show),
    Endpoint("POST", "/find", "viewer", find),
)
