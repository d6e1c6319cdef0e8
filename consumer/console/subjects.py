"""Actions on users and companies: make them anew, compare them with that, bring one user in from Stack."""

from dataclasses import replace
from functools import partial
from uuid import UUID

from starlette.responses import Response

from consumer.console import confirm
from consumer.console.confirm import COUNT_TIME, Kind, Question
from consumer.console.form import BadForm, Form
from consumer.console.visit import Endpoint, Visit, uuid
from consumer.operations import background, rebuild
from consumer.operations.rebuild import Subjects
from consumer.outbox import rebuild_queue
from consumer.postgres import session
from consumer.postgres.connections import Access, Connection, transaction

REBUILD = Kind(
    "/recovery/rebuild",
    "rebuild",
    "Rebuild",
    "Workers make their rows anew from the stored deliveries. A row that comes out different is written and audited as "
    "rebuilt, a row that no delivery tells of goes, and the others stay as they are. It is safe to repeat.",
    "/recovery",
)
CHECK = Kind(
    "/recovery/check",
    "check",
    "Check",
    "Their rows are made anew page by page, compared and rolled back: nothing changes. The page of the check counts "
    "what a rebuild would change.",
    "/recovery",
)
REFRESH = Kind(
    "/users/{user_id}/refresh",
    "refresh",
    "Refresh",
    "Stack's API is asked for this user. The answer is stored as a delivery, which workers apply. If Stack has no such "
    "user, nothing is stored or deleted.",
    "/users/{user_id}",
)
ONE, MANY = "user or company", "users and companies"


async def show(kind: Kind, visit: Visit) -> Response:
    """Ask whether to act on the user or team of the address, or on everybody."""
    return confirm.ask(visit, kind, await _question(visit, visit.query))


async def act(kind: Kind, visit: Visit) -> Response:
    """Order it. Users who came since are no reason to ask again: a rebuild writes only what differs."""
    said = confirm.answer(visit.form)
    named = _named(visit.form)
    problem = said.problem(kind, said.seen_count)
    if problem:
        return confirm.ask(visit, kind, await _question(visit, visit.form), problem)
    async with visit.acting() as (conn, access), transaction(conn, access):
        if not await background.is_known(conn, said.id):
            await confirm.order(conn, visit, kind, said, named)
    return confirm.ordered(visit, said)


async def show_refresh(visit: Visit) -> Response:
    """Ask whether to ask Stack for a user."""
    async with visit.acting() as (conn, access), transaction(conn, access):
        return _ask_refresh(visit, Question(1, "user", _facts(visit), (), await session.now(conn)))


async def act_refresh(visit: Visit) -> Response:
    """Order it."""
    said = confirm.answer(visit.form)
    async with visit.acting() as (conn, access), transaction(conn, access):
        if not await background.is_known(conn, said.id):
            await confirm.order(conn, visit, REFRESH, said, {"user_id": visit.params["user_id"]})
    return confirm.ordered(visit, said)


def _ask_refresh(visit: Visit, question: Question) -> Response:
    user_id = visit.params["user_id"]
    kind = replace(REFRESH, path=REFRESH.path.format(user_id=user_id), back=REFRESH.back.format(user_id=user_id))
    return confirm.ask(visit, kind, question)


def _facts(visit: Visit) -> list[tuple[str, str]]:
    return [("user", str(visit.params["user_id"]))]


async def _question(visit: Visit, form: Form) -> Question:
    named = _named(form)
    conditions = [(name.removesuffix("_id"), str(one)) for name, one in named.items()]
    async with visit.counting() as (conn, access):
        short = replace(access, statement_timeout=COUNT_TIME)
        count = await _count(conn, short, named)
        async with transaction(conn, short):
            return Question(count, ONE if count == 1 else MANY, conditions, conditions, await session.now(conn))


async def _count(conn: Connection, access: Access, named: dict[str, UUID]) -> int:
    if not named:
        async with transaction(conn, access):
            return await rebuild_queue.count(conn)
    subjects = Subjects(
        [one for name, one in named.items() if name == "user_id"],
        [one for name, one in named.items() if name == "team_id"],
    )
    if await rebuild.unknown(conn, access, subjects):
        return 0
    subjects = await rebuild.with_companies_named_by(conn, access, await rebuild.with_users_of(conn, access, subjects))
    return len(subjects.user_ids) + len(subjects.company_ids)


def _named(form: Form) -> dict[str, UUID]:
    """Return the user or team that a form names, by the name that the record has; raise BadForm for anything else."""
    if {name for name, _ in form.fields} - {"user", "team", *confirm.FIELDS}:
        raise BadForm
    named = {f"{name}_id": uuid(form.text(name)) for name in ("user", "team") if form.text(name)}
    if None in named.values():
        raise BadForm
    return {name: one for name, one in named.items() if one}


ENDPOINTS = (
    *(Endpoint("GET", kind.path, "operator", partial(show, kind)) for kind in (REBUILD, CHECK)),
    *(Endpoint("POST", kind.path, "operator", partial(act, kind)) for kind in (REBUILD, CHECK)),
    Endpoint("GET", "/users/{user_id:uuid}/refresh", "operator", show_refresh),
    Endpoint("POST", "/users/{user_id:uuid}/refresh", "operator", act_refresh),
)
