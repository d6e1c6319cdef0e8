"""Signing in by a link, signing out, and what a person without the role is told."""

import time
from contextlib import suppress

from starlette.responses import Response

from consumer.console.door import SignInLink
from consumer.console.turns import Unavailable
from consumer.console.visit import Endpoint, Visit
from consumer.operations import actions
from consumer.operations.actions import Action
from consumer.postgres.connections import transaction
from consumer.postgres.queries import query

# A viewer's forms write at most one row in this time for each address: they must not fill the record or the database.
REFUSAL_SECONDS = 60


async def show_door(visit: Visit) -> Response:
    """Say how to get in."""
    return visit.page("door.html", title="Sign in")


async def show_link(visit: Visit) -> Response:
    """Ask whether to sign in; only the answer uses the link up, because chats and mail scanners open links too."""
    token = visit.params["token"]
    link = visit.console.door.signer.read_link(token)
    if link is None:
        return visit.page("door.html", 403, title="This link is used up")
    return visit.page("open.html", title="Sign in", link=link, token=token)


async def open_link(visit: Visit) -> Response:
    """Sign in by a link, once."""
    link = visit.console.door.signer.read_link(visit.form.text("token"))
    if link is None or not await _use_up(visit, link):
        return visit.page("door.html", 403, title="This link is used up")
    response = visit.redirect("/")
    visit.console.door.let_in(response, link)
    return response


async def leave(visit: Visit) -> Response:
    """Sign out."""
    response = visit.redirect("/login")
    visit.console.door.let_out(response)
    return response


async def refuse(visit: Visit, path: str) -> Response:
    """Answer a person who may not ask for this address; a viewer's attempt to act is recorded.

    *path* is the address in Starlette's form.
    """
    if visit.person.may("viewer"):
        if visit.request.method == "POST" and _is_new(visit, path):
            # The refusal does not depend on the record.
            with suppress(Unavailable):
                await _record_refusal(visit)
        return visit.page("limit.html", 403, title="An operator's action")
    if visit.request.method == "POST":
        return visit.page("door.html", 401, title="Sign in")
    # A browser that follows a link from another site, such as a chat, keeps a Strict cookie back; from our own page it
    # sends it.
    if visit.request.headers.get("sec-fetch-site", "same-origin") in {"cross-site", "same-site"}:
        return visit.page("again.html", title="One moment")
    return visit.redirect("/login")


def _is_new(visit: Visit, path: str) -> bool:
    """Tell whether this person was refused here for the first time in REFUSAL_SECONDS."""
    refusals, key, now = visit.console.refusals, (visit.person.name, path), time.monotonic()
    if now - refusals.get(key, -REFUSAL_SECONDS) < REFUSAL_SECONDS:
        return False
    refusals[key] = now
    return True


async def _record_refusal(visit: Visit) -> None:
    action = Action(visit.actor, "refused", {"address": visit.request.scope["path"]})
    async with visit.acting() as (conn, access), transaction(conn, access):
        await actions.record(conn, action, 0)


async def _use_up(visit: Visit, link: SignInLink) -> bool:
    """Record that a link is used; return False if it was used before, at any console of this database.

    The link's id is the key of the record, so a second one is refused, also after a restart of this process.
    """
    async with visit.acting() as (conn, access), transaction(conn, access):
        values = {"id": link.id, "actor": link.name, "role": link.role}
        return (await conn.execute(query("sign_in/use_up"), values)).rowcount == 1


ENDPOINTS = (
    Endpoint("GET", "/login", "nobody", show_door),
    Endpoint("GET", "/open/{token}", "nobody", show_link),
    Endpoint("POST", "/open", "nobody", open_link),
    Endpoint("POST", "/leave", "viewer", leave),
)
