"""Signing in by a link, signing out, and what a person without the role is told."""

import time
from contextlib import suppress
from shlex import quote
from typing import NamedTuple

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


class Unusable(NamedTuple):
    """Why a link opens nothing: a heading and a sentence. Only one that this console has signed learns more."""

    title: str
    sentence: str


NOT_OURS = Unusable(
    "This console did not make this link",
    "It may be cut off, or made for another address or with another CONSOLE_SECRET.",
)
OVER = Unusable("This link has expired", "It was made more than 10 minutes ago.")
USED = Unusable(
    "This link was used already",
    "A link signs in once, and somebody has signed in by this one. If it was not you, tell an operator.",
)


async def show_door(visit: Visit) -> Response:
    """Say how to get in."""
    return visit.page("door.html", title="Sign in")


async def show_link(visit: Visit) -> Response:
    """Ask whether to sign in; only the answer uses the link up, because chats and mail scanners open links too."""
    token, signer = visit.params["token"], visit.console.door.signer
    link = signer.read_link(token)
    if link is None or signer.is_over(link.until):
        return _refuse_link(visit, link, OVER)
    return visit.page("open.html", title="Sign in", link=link, token=token)


async def open_link(visit: Visit) -> Response:
    """Sign in by a link, once."""
    signer = visit.console.door.signer
    link = signer.read_link(visit.form.text("token"))
    if link is None or signer.is_over(link.until):
        return _refuse_link(visit, link, OVER)
    if not await _use_up(visit, link):
        return _refuse_link(visit, link, USED)
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


def _refuse_link(visit: Visit, link: SignInLink | None, why: Unusable) -> Response:
    """Say why a link opens nothing, and which command makes such a one; None is not ours, whatever else it is."""
    if link is None:
        return visit.page("door.html", 403, title=NOT_OURS.title, sentence=NOT_OURS.sentence)
    name = quote(link.name)
    return visit.page("door.html", 403, title=why.title, sentence=why.sentence, name=name, role=link.role)


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
