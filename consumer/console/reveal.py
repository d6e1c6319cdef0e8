"""Personal data of one delivery or one user, shown to an operator once.

The answer to the POST is the page itself. Its reason is recorded in the transaction that reads, and nothing is kept:
to see the page again, one gives a reason again.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

from starlette.responses import Response

from consumer.console import delivery, users
from consumer.console.delivery import ViewedDelivery
from consumer.console.users import ViewedUser
from consumer.console.visit import Endpoint, Visit
from consumer.operations import actions
from consumer.operations.actions import REASON_CHARACTERS_MAX, Action
from consumer.postgres.connections import Connection, transaction

T = TypeVar("T")

# What a person is about to see, as the page that asks says it.
OF_DELIVERY = (
    "The body as it was signed, with name, e-mail address, metadata and all else in it, and the values that it changed "
    "are shown on one page, once. A body that can't be read as a JSON object is not."
)
OF_USER = (
    "Name, e-mail address and picture, as they are and before and after each change that is listed, and the names of "
    "the teams are shown on one page, once. Metadata is not: it stands in the bodies of deliveries."
)
REASON_NEEDED = f"A reason has from 1 to {REASON_CHARACTERS_MAX:,} characters."


async def ask(shown: str, visit: Visit) -> Response:
    """Ask why the personal data of a page is to be shown; *shown* says which."""
    return _form(visit, shown)


async def reveal_delivery(visit: Visit) -> Response:
    """Show a delivery with the personal data in it, and record that."""
    seq = visit.params["seq"]

    async def read(conn: Connection, reason: str) -> ViewedDelivery | None:
        found = await delivery.find(conn, seq)
        if found is None:
            return None
        await actions.record(conn, Action(visit.actor, "reveal", {"seqs": [seq]}, reason=reason), 1)
        return await delivery.shown(conn, found, masked=False)

    return await _revealed(visit, OF_DELIVERY, read, lambda one, reason: delivery.page(visit, one, reason=reason))


async def reveal_user(visit: Visit) -> Response:
    """Show a user with the personal data, and record that."""
    user_id = visit.params["user_id"]

    async def read(conn: Connection, reason: str) -> ViewedUser | None:
        one = await users.shown(conn, user_id, masked=False)
        if not one.is_stored:
            return None
        await actions.record(conn, Action(visit.actor, "reveal", {"user_id": user_id}, reason=reason), 1)
        return one

    return await _revealed(visit, OF_USER, read, lambda one, reason: users.page(visit, one, reason=reason))


async def _revealed(
    visit: Visit,
    shown: str,
    read: Callable[[Connection, str], Awaitable[T | None]],
    page: Callable[[T, str], Response],
) -> Response:
    """Return the page of what *read* returns within one transaction of an operator; ask again without a reason."""
    reason = visit.form.text("reason")
    if not 0 < len(reason) <= REASON_CHARACTERS_MAX:
        return _form(visit, shown, REASON_NEEDED)
    async with visit.acting() as (conn, access), transaction(conn, access):
        one = await read(conn, reason)
    return page(one, reason) if one else visit.missing()


def _form(visit: Visit, shown: str, problem: str = "") -> Response:
    path = visit.request.scope["path"]
    back, _, _ = path.rpartition("/")
    return visit.page(
        "reveal.html",
        400 if problem else 200,
        title="Reveal personal data",
        here="",
        path=path,
        back=back,
        shown=shown,
        problem=problem,
    )


ENDPOINTS = (
    Endpoint("GET", "/deliveries/{seq:seq}/reveal", "operator", partial(ask, OF_DELIVERY)),
    Endpoint("POST", "/deliveries/{seq:seq}/reveal", "operator", reveal_delivery),
    Endpoint("GET", "/users/{user_id:uuid}/reveal", "operator", partial(ask, OF_USER)),
    Endpoint("POST", "/users/{user_id:uuid}/reveal", "operator", reveal_user),
)
