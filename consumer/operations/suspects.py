"""What the rows hold and Stack's answers lack, or the other way round: kept with the run until it is decided."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from psycopg.rows import args_row, dict_row, scalar_row, tuple_row

from consumer.operations.runs import Run
from consumer.operations.scan import RunPage
from consumer.postgres.connections import Connection
from consumer.postgres.queries import query, rows
from consumer.sync import REPLICA_LAG

# Deleted here by an event, and listed by Stack all the same: no answer takes that back.
LISTED = ("listed_user", "listed_team")

# With the settings of a larger project, a run brings its users in; those of the project before are few beside them.
# Somebody has noticed that in a week.
BROUGHT_LATELY = timedelta(days=7)


class Suspect(NamedTuple):
    """A user, a team, a membership or a permission; *asked_at* is when the first answer that lacks it was recorded.

    *requested_at*, on the database's clock too, is when the next request begins, or when the second one began.
    """

    kind: str
    team_id: UUID | None
    user_id: UUID | None
    permission_id: str | None
    asked_at: datetime | None
    requested_at: datetime

    @property
    def question(self) -> tuple[UUID | None, UUID | None, bool]:
        """What one answer tells of: a user, a team, or all members of a team."""
        is_member = self.team_id is not None and self.user_id is not None
        return self.team_id, None if is_member else self.user_id, is_member


class SuspectCount(NamedTuple):
    """How many of a kind are suspected, and how many of them two answers lack."""

    suspected: int
    confirmed: int


async def clear_listed(conn: Connection, run: Run, page: RunPage) -> None:
    """Suspect no longer what a page lists."""
    await conn.execute(query("suspects/clear_listed"), _listed(run, page))


async def put_found(conn: Connection, run: Run, page: RunPage) -> None:
    """Suspect what a page lists although it is deleted here, and what lives here and the page's answers lack."""
    values = {**_listed(run, page), "before": run.now - REPLICA_LAG}
    await conn.execute(query("suspects/put_dead"), values)
    members = [member for answer in page.team_answers.values() for member in answer.members]
    permissions = [permission for answer in page.team_answers.values() for permission in answer.permissions]
    values = {
        "run_id": run.id,
        "begun_at": run.begun_at,
        "team_ids": list(page.team_answers),
        "member_team_ids": [member.team_id for member in members],
        "member_user_ids": [member.user_id for member in members],
        "permission_team_ids": [permission.team_id for permission in permissions],
        "permission_user_ids": [permission.user_id for permission in permissions],
        "permission_ids": [permission.id for permission in permissions],
    }
    if page.team_answers:
        await conn.execute(query("suspects/put_extra"), values)


async def drop_settled(conn: Connection, run: Run) -> None:
    """Suspect no longer what events have told meanwhile."""
    await conn.execute(query("suspects/drop_settled"), {"run_id": run.id})


async def due(conn: Connection, run: Run, *, asked_again_after: timedelta, page_size: int) -> list[Suspect]:
    """Return the suspects of the next questions, of at most *page_size* users or teams."""
    values = {"run_id": run.id, "asked_again_after": asked_again_after, "page_size": page_size}
    return await rows(conn, args_row(Suspect), "suspects/due", values)


async def due_at(conn: Connection, run: Run, *, asked_again_after: timedelta) -> datetime | None:
    """Return when the next question may be asked; None if none is open."""
    values = {"run_id": run.id, "asked_again_after": asked_again_after}
    [at] = await rows(conn, scalar_row, "suspects/due_at", values)
    assert at is None or isinstance(at, datetime)
    return at


async def put_missing(conn: Connection, run: Run, missing: Sequence[Suspect]) -> None:
    """Record that answers lack these, each with the time of its request."""
    if missing:
        values = {**_keys(run, missing), "asked_ats": [suspect.asked_at for suspect in missing]}
        await conn.execute(query("suspects/put_answers"), {**values, "requested_at": missing[0].requested_at})


async def drop(conn: Connection, run: Run, cleared: Sequence[Suspect]) -> Mapping[str, int]:
    """Suspect these no longer; return how many of each kind were suspects still."""
    return dict(await rows(conn, tuple_row, "suspects/drop", _keys(run, cleared))) if cleared else {}


async def confirmed(conn: Connection, run: Run, page_size: int) -> list[Suspect]:
    """Return the next suspects that two answers lack."""
    values = {"run_id": run.id, "page_size": page_size}
    return await rows(conn, args_row(Suspect), "suspects/confirmed", values)


async def count(conn: Connection, run: Run) -> Mapping[str, SuspectCount]:
    """Count the suspects of a run by kind."""
    found = await rows(conn, tuple_row, "suspects/count", {"run_id": run.id})
    return {kind: SuspectCount(suspected, sure) for kind, suspected, sure in found}


async def living(conn: Connection) -> Mapping[str, int]:
    """Count what lives here, by the kind of suspect that it may be, without what was brought in lately."""
    [found] = await rows(conn, dict_row, "suspects/living", {"within": BROUGHT_LATELY})
    return found


def _listed(run: Run, page: RunPage) -> dict[str, object]:
    return {"run_id": run.id, "user_ids": list(page.listed_user_ids), "team_ids": list(page.listed_team_ids)}


def _keys(run: Run, suspects: Sequence[Suspect]) -> dict[str, object]:
    return {
        "run_id": run.id,
        "kinds": [suspect.kind for suspect in suspects],
        "team_ids": [suspect.team_id for suspect in suspects],
        "user_ids": [suspect.user_id for suspect in suspects],
        "permission_ids": [suspect.permission_id for suspect in suspects],
    }
