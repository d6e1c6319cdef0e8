"""Actions on users and companies: make them anew, compare them with that, bring one user in from Stack."""

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from urllib.parse import urlencode
from uuid import UUID

from psycopg import errors as postgres
from starlette.responses import Response

from consumer.console import confirm
from consumer.console.confirm import COUNT_MAX, COUNT_TIME, ActionPage, Question
from consumer.console.filters import read_filter
from consumer.console.form import BadForm, Form
from consumer.console.formats import clock
from consumer.console.visit import Endpoint, Visit
from consumer.deadline import within
from consumer.operations import background, rebuild
from consumer.operations.rebuild import Subjects
from consumer.outbox import deliveries
from consumer.outbox.deliveries import Selection
from consumer.outbox.rebuild_queue import Stage
from consumer.postgres import session
from consumer.postgres.connections import Access, Connection, transaction

REBUILD = ActionPage(
    "/recovery/rebuild",
    "rebuild",
    "Rebuild",
    "Workers make their rows anew from the stored deliveries. A row that comes out different is written and audited as "
    "rebuilt, a row that no delivery tells of goes, and the others stay as they are. It is safe to repeat.",
    "/recovery",
    check="/recovery/check",
)
CHECK = ActionPage(
    "/recovery/check",
    "check",
    "Check",
    "Their rows are made anew page by page, compared and rolled back: nothing changes. The page of the check counts "
    "what a rebuild would change.",
    "/recovery",
)
REFRESH = ActionPage(
    "/users/{user_id}/refresh",
    "refresh",
    "Refresh",
    "Stack's API is asked for this user. The answer is stored as a delivery, which workers apply. If Stack has no such "
    "user, nothing is stored or deleted.",
    "/users/{user_id}",
)
ONE, MANY = "user or company", "users and companies"
# The fields that choose, as the command line has them; what each of the first two and the deliveries name is taken.
FIELDS = {
    "user": "User id",
    "team": "Team id, with its users",
    "since": "Users and teams of deliveries received since",
    "verified_by": "Signed with the secret (8 hex digits)",
}
FINGERPRINT = re.compile("[0-9a-f]{8}")
FINGERPRINT_HINT = "A secret is named by the first 8 hex digits of its SHA-256, as the page of each delivery shows."
CHANGED = "The fields were changed after these were counted, so nothing was done. This is what they choose now."
UNUSABLE, TOO_SLOW = "A field can't be used", "To find them takes too long"
TOO_MANY = f"To find them took over {COUNT_TIME.seconds} s: choose less, or use the command consumer rebuild."


@dataclass(frozen=True, slots=True)
class ChosenSubjects:
    """What a form chooses, by the names of the form's fields; *applied* are deliveries that were done at its time."""

    user_id: UUID | None
    team_id: UUID | None
    applied: Selection | None

    @classmethod
    def read(cls, form: Form, now: datetime) -> "ChosenSubjects":
        """Read a form; a duration counts back from *now*. Raises BadForm with a sentence on what can't be used."""
        values = read_filter(Form(tuple(each for each in form.fields if each[0] in FIELDS)))
        wanted = values.wanted(now)
        fingerprint = wanted.verified_by.lower() if wanted.verified_by else None
        if fingerprint and not FINGERPRINT.fullmatch(fingerprint):
            raise BadForm(FINGERPRINT_HINT)
        if wanted.since and wanted.since >= now:
            raise BadForm("The field since lies in the future: no delivery came since.")
        applied = Selection(rebuild.APPLIED, since=wanted.since, settled_until=now, verified_by=fingerprint)
        return cls(
            wanted.user_ids[0] if wanted.user_ids else None,
            wanted.team_id,
            applied if wanted.since or fingerprint else None,
        )

    @property
    def named(self) -> Subjects:
        """The user and the team."""
        return Subjects([self.user_id] if self.user_id else [], [self.team_id] if self.team_id else [])

    @property
    def conditions(self) -> Sequence[tuple[str, str]]:
        """The conditions as fields of a form, with fixed times."""
        since = self.applied.since.isoformat() if self.applied and self.applied.since else None
        verified_by = self.applied.verified_by if self.applied else None
        found = {"user": self.user_id, "team": self.team_id, "since": since, "verified_by": verified_by}
        return [(name, str(value)) for name, value in found.items() if value]

    @property
    def recorded(self) -> Mapping[str, object]:
        """The conditions as the record of actions has them."""
        named = {"user_id": self.user_id, "team_id": self.team_id}
        if self.applied is None:
            return named
        names = ("since", "settled_until", "verified_by")
        return named | {name: getattr(self.applied, name) for name in names}

    @property
    def words(self) -> str:
        """The deliveries, for a sentence."""
        assert self.applied
        since, secret = self.applied.since, self.applied.verified_by
        signed = f"was signed with the secret {secret}" if secret else "was received"
        return f"{signed} since {clock(since)}" if since else signed


async def show(page: ActionPage, visit: Visit) -> Response:
    """Ask whether to act on what the address chooses: a user, a team, those of some deliveries, or everybody."""
    return await _ask(page, visit, visit.query)


async def act(page: ActionPage, visit: Visit) -> Response:
    """Order it. Users who came since are no reason to ask again: a rebuild writes only what differs."""
    confirmed = confirm.answer(visit.form)
    problem = confirmed.problem(page, confirmed.seen_count)
    if not _are_counted(visit.form, confirmed.seen_at):
        problem = 409, CHANGED
    if problem:
        return await _ask(page, visit, visit.form, problem)
    async with visit.acting() as (conn, access), transaction(conn, access):
        # Nobody can choose what comes after now.
        seen_at = min(confirmed.seen_at, await session.now(conn))
        if not await background.is_known(conn, confirmed.id):
            await confirm.order(conn, visit, page, confirmed, ChosenSubjects.read(visit.form, seen_at).recorded)
    return confirm.ordered(visit, confirmed)


def _are_counted(form: Form, seen_at: datetime) -> bool:
    """Tell whether the fields of an order choose what its page has counted."""
    try:
        return form.text("counted") == urlencode(ChosenSubjects.read(form, seen_at).conditions)
    except BadForm:
        return False


async def show_refresh(visit: Visit) -> Response:
    """Ask whether to ask Stack for a user; without the settings for it, say how else."""
    if missing := [name for name in ("STACK_PROJECT_ID", "STACK_SECRET_SERVER_KEY") if not visit.console.has(name)]:
        user_id = visit.params["user_id"]
        return visit.page("refresh.html", title="Refresh a user", here="/users", user_id=user_id, missing=missing)
    async with visit.acting() as (conn, access), transaction(conn, access):
        return _ask_refresh(visit, Question(1, "user", _facts(visit), (), await session.now(conn)))


async def act_refresh(visit: Visit) -> Response:
    """Order it."""
    confirmed = confirm.answer(visit.form)
    async with visit.acting() as (conn, access), transaction(conn, access):
        if not await background.is_known(conn, confirmed.id):
            await confirm.order(conn, visit, REFRESH, confirmed, {"user_id": visit.params["user_id"]})
    return confirm.ordered(visit, confirmed)


def _ask_refresh(visit: Visit, question: Question) -> Response:
    user_id = visit.params["user_id"]
    page = replace(REFRESH, path=REFRESH.path.format(user_id=user_id), back=REFRESH.back.format(user_id=user_id))
    return confirm.ask(visit, page, question)


def _facts(visit: Visit) -> list[tuple[str, str]]:
    return [("user", str(visit.params["user_id"]))]


async def _ask(page: ActionPage, visit: Visit, form: Form, problem: tuple[int, str] | None = None) -> Response:
    """Ask with the fields as they were typed; say what can't be used of them, or what they don't match."""
    if {name for name, _ in form.fields} - {*FIELDS, *confirm.FIELDS}:
        raise BadForm
    typed = [(name, label, form.text(name)) for name, label in FIELDS.items()]
    async with visit.counting() as (conn, access):
        short = replace(access, statement_timeout=COUNT_TIME)
        async with transaction(conn, short):
            now = await session.now(conn)
        nothing = Question(0, MANY, (), (), now, choices=typed)
        try:
            chosen = ChosenSubjects.read(form, now)
        except BadForm as error:
            return confirm.ask(visit, page, replace(nothing, empty_title=UNUSABLE), (422, str(error)))
        is_all = True
        try:
            if chosen.conditions:
                count = await within(COUNT_TIME, _count(conn, short, chosen))
            else:
                count, is_all = await _count_everybody(conn, short)
        except (TimeoutError, postgres.QueryCanceled):
            return confirm.ask(visit, page, replace(nothing, empty_title=TOO_SLOW), (422, TOO_MANY))
    if not count and not problem and chosen.applied:
        problem = 422, f"No applied delivery {chosen.words}: nothing is chosen."
    noun, conditions = ONE if count == 1 and is_all else MANY, chosen.conditions
    question = Question(count, noun, conditions, conditions, now, choices=typed, is_all=is_all)
    return confirm.ask(visit, page, question, problem)


async def _count_everybody(conn: Connection, access: Access) -> tuple[int, bool]:
    """Count the users and companies that the work will find, by its own queries; tell whether these are all.

    A count that takes too long is given up, but everybody may be chosen all the same: then there is at least one.
    """
    found, given_up_at = 0, time.monotonic() + COUNT_TIME.total_seconds()
    try:
        for stage in (Stage.COMPANY, Stage.USER):
            async for ids in rebuild.all_ids(conn, access, stage):
                found += len(ids)
                if found >= COUNT_MAX or time.monotonic() > given_up_at:
                    return min(found, COUNT_MAX), False
    except postgres.QueryCanceled:
        return max(found, 1), False
    return found, True


async def _count(conn: Connection, access: Access, chosen: ChosenSubjects) -> int:
    if await rebuild.unknown(conn, access, chosen.named):
        return 0
    # A name beside it does not make up for a secret that nobody has.
    if chosen.applied:
        async with transaction(conn, access):
            if not await deliveries.count(conn, chosen.applied, count_max=1):
                return 0
    subjects = await rebuild.chosen(conn, access, chosen.named, chosen.applied)
    return len(subjects.user_ids) + len(subjects.company_ids)


ENDPOINTS = (
    *(Endpoint("GET", page.path, "operator", partial(show, page)) for page in (REBUILD, CHECK)),
    *(Endpoint("POST", page.path, "operator", partial(act, page)) for page in (REBUILD, CHECK)),
    Endpoint("GET", "/users/{user_id:uuid}/refresh", "operator", show_refresh),
    Endpoint("POST", "/users/{user_id:uuid}/refresh", "operator", act_refresh),
)
