"""One user: what happened, who set each field, the teams, and whether the profile is in step with Stack."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date
from itertools import groupby
from uuid import UUID

from starlette.responses import Response

from consumer.console.filters import read_before
from consumer.console.visit import Endpoint, Visit
from consumer.lookup import labels
from consumer.lookup.one_user import Entry
from consumer.lookup.shown import ShownUser, show_user
from consumer.postgres.connections import Connection

# Two screens of what happened.
TIMELINE_SIZE = 30
SIGN_INS = frozenset({"user.signed_in", "user.signed_out"})


@dataclass(frozen=True, slots=True)
class Day:
    """One day of a timeline, newest first; *sign_ins* are told in one line."""

    day: date
    entries: Sequence[Entry]
    sign_ins: Sequence[Entry]


@dataclass(frozen=True)
class ViewedUser(ShownUser):
    """A user with the names of *teams* by their ids."""

    teams: Mapping[UUID, str]

    @property
    def days(self) -> list[Day]:
        """The timeline by days of UTC."""
        return [_day(day, list(entries)) for day, entries in groupby(self.timeline.entries, _day_of)]

    @property
    def state(self) -> tuple[str, str, str]:
        """Kind, icon and words for how the user is."""
        user = self.user
        if user.is_erased:
            return "bad", "cross", "erased"
        if user.deleted_at:
            return "bad", "cross", "deleted"
        if not user.is_known:
            return "run", "clock", "not applied yet"
        if not user.has_profile:
            return "idle", "dash", "anonymous, without a profile" if user.is_anonymous else "without a profile"
        return ("warn", "lock", "restricted") if user.is_restricted else ("ok", "check", "active")

    @property
    def step(self) -> tuple[str, str, str]:
        """Kind, icon and words for whether the rows are in step with Stack."""
        user, counts = self.user, self.counts
        if waiting := counts.pending + counts.retrying:
            return "run", "clock", f"{waiting:,} waiting"
        if counts.dead:
            return "warn", "warn", f"{counts.dead:,} dead"
        if user.is_rebuild_queued:
            return "run", "again", "waits to be made anew"
        if user.deleted_at:
            return "ok", "check", "in step"
        if user.is_unlisted:
            return "warn", "warn", "Stack did not list this user"
        return ("ok", "check", "confirmed") if user.confirmed_at else ("idle", "dash", "never confirmed")


async def show(visit: Visit) -> Response:
    """Show a user with masked personal data; *before* is the number that continues the timeline."""
    user_id, before = visit.params["user_id"], read_before(visit.query)
    one = await visit.read(lambda conn: shown(conn, user_id, before=before))
    return page(visit, one) if one.is_stored else visit.missing("No delivery about this user was ever stored.")


def page(visit: Visit, one: ViewedUser, *, reason: str | None = None) -> Response:
    """Answer with the page of a user; with a *reason* it is a revealed one."""
    return visit.page("user.html", title="User", here="/users", one=one, reason=reason)


async def shown(conn: Connection, user_id: UUID, *, before: int | None = None, masked: bool = True) -> ViewedUser:
    """Read all that is shown of a user; without *masked* only as an operator, who records it."""
    one = await show_user(conn, user_id, size=TIMELINE_SIZE, before=before, masked=masked)
    team_ids = {entry.delivery.team_id for entry in one.timeline.entries if entry.delivery}
    team_ids |= {change.company_id for entry in one.timeline.entries for change in entry.changes}
    team_ids |= {each.company_id for each in one.memberships}
    return ViewedUser(**vars(one), teams=await labels.company_names(conn, team_ids))


def _day_of(entry: Entry) -> date:
    return entry.at.astimezone(UTC).date()


def _day(day: date, entries: Sequence[Entry]) -> Day:
    sign_ins = [each for each in entries if _is_plain_sign_in(each)]
    return Day(day, [each for each in entries if not _is_plain_sign_in(each)], sign_ins)


def _is_plain_sign_in(entry: Entry) -> bool:
    """Tell whether an entry is a sign-in or sign-out that was applied, and nothing else."""
    delivery = entry.delivery
    return bool(delivery and delivery.event_type in SIGN_INS and delivery.outcome == "applied")


ENDPOINTS = (Endpoint("GET", "/users/{user_id:uuid}", "viewer", show),)
