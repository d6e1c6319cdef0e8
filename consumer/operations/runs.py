"""Runs over Stack's API: rows with a place, so that a killed run goes on and several processes may share one.

No process leads, and none holds a lease. A process stores the page that it fetched only if the run is still there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, NamedTuple
from uuid import UUID, uuid4

from psycopg.rows import class_row, scalar_row

from consumer.errors import BadSettings
from consumer.postgres import ledger
from consumer.postgres.connections import Access, Connection, transaction
from consumer.postgres.queries import query, rows
from consumer.sync import REPLICA_LAG

RunKind = Literal["backfill", "reconcile"]
RunStage = Literal["users", "teams", "members"]

# A user that signed up so lately may not be listed yet: a replica lags, and Stack's clock may differ.
LATELY = REPLICA_LAG + timedelta(minutes=2)


class Place(NamedTuple):
    """Where a run is; *cursor* None: at the first page of a stage. *restarts* tells one scan of a list from the next.

    *cursor_millis* is when the cursor's user signed up, if it was listed, *newest_millis* the latest sign-up that was
    listed so far, and *listed_at* when the page was asked for that named the cursor, or that showed it to be lost.
    """

    stage: RunStage
    restarts: int = 0
    cursor: str | None = None
    cursor_millis: int | None = None
    newest_millis: int | None = None
    listed_at: datetime | None = None


class PageCounts(NamedTuple):
    """What a page lists, and what of it was stored."""

    users: int = 0
    teams: int = 0
    memberships: int = 0
    permissions: int = 0
    stored: int = 0
    unusable: int = 0
    calls: int = 0


@dataclass(frozen=True, slots=True)
class Run:
    """A run as it was at *now*, the database's clock."""

    id: UUID
    kind: RunKind
    project_id: str
    stage: RunStage
    restarts: int
    cursor: str | None
    cursor_millis: int | None
    newest_millis: int | None
    listed_at: datetime | None
    users: int
    teams: int
    memberships: int
    permissions: int
    stored: int
    unusable: int
    calls: int
    begun_at: datetime
    finished_at: datetime | None
    abandoned_at: datetime | None
    teams_left: int
    now: datetime

    @property
    def is_open(self) -> bool:
        """It has pages left."""
        return self.finished_at is None and self.abandoned_at is None

    @property
    def place(self) -> Place:
        """Where it goes on."""
        return Place(self.stage, self.restarts, self.cursor, self.cursor_millis, self.newest_millis, self.listed_at)


class BegunRun(NamedTuple):
    """The run to go on with; *is_resumed*: it was open before."""

    run: Run
    is_resumed: bool


async def begin(conn: Connection, access: Access, kind: RunKind, project_id: str, *, is_new: bool) -> BegunRun:
    """Return the open run of this kind, or begin one; with *is_new* the open one is given up.

    Raises BadSettings if the database has another project's users.
    """
    values = {"run_id": uuid4(), "kind": kind, "project_id": project_id, "is_new": is_new}
    async with transaction(conn, access):
        await ledger.begin_work(conn)
        await conn.execute(query("runs/abandon"), values)
        begun = await rows(conn, scalar_row, "runs/begin", values)
        if begun:
            await conn.execute(query("runs/suspect_all"), {"run_id": begun[0], "lag": LATELY})
        [run_id] = begun or await rows(conn, scalar_row, "runs/open", values)
        run = await read(conn, run_id)
        _refuse_other(run.project_id, project_id)
        await refuse_other_project(conn, project_id)
        return BegunRun(run, is_resumed=not begun)


async def undecided(conn: Connection, kind: RunKind, *, within: timedelta, is_fixing: bool) -> Run | None:
    """Return the newest run of a kind if it ended within a time and has suspects to ask about, or to delete."""
    values = {"kind": kind, "within": within, "is_fixing": is_fixing}
    found = await rows(conn, scalar_row, "runs/newest_complete", values)
    return await read(conn, found[0]) if found else None


async def pin_project(conn: Connection, project_id: str) -> None:
    """Record the project whose users this database holds, in the caller's transaction; BadSettings if it is another."""
    await conn.execute(query("runs/pin_project"), {"project_id": project_id})
    await refuse_other_project(conn, project_id)


async def refuse_other_project(conn: Connection, project_id: str) -> None:
    """Raise BadSettings if the database holds another project's users: bodies name no project, so two would mix."""
    for known in await rows(conn, scalar_row, "runs/project"):
        _refuse_other(known, project_id)


def _refuse_other(known: str, project_id: str) -> None:
    if known != project_id:
        sentence = f"This database holds the users of project {known}, and STACK_PROJECT_ID is {project_id}"
        cure = "two projects would mix. Correct STACK_PROJECT_ID, or use another database."
        raise BadSettings([f"{sentence}: {cure}"])


async def read(conn: Connection, run_id: UUID) -> Run:
    """Return a run as it is now."""
    [run] = await rows(conn, class_row(Run), "runs/read", {"run_id": run_id})
    return run


async def lock(conn: Connection, run: Run) -> bool:
    """Lock a run until the transaction ends; False if it has left its place: then its page is another's."""
    values = {"run_id": run.id, "stage": run.stage, "restarts": run.restarts, "cursor": run.cursor}
    return bool(await rows(conn, scalar_row, "runs/lock", values))


async def advance(conn: Connection, run: Run, place: Place | None, counts: PageCounts) -> None:
    """Let a locked run go on; without a *place* it is complete, and what those before it suspected is forgotten."""
    values = {**(place or run.place)._asdict(), **counts._asdict(), "run_id": run.id, "is_last": place is None}
    await conn.execute(query("runs/advance"), values)
    if place is None:
        await conn.execute(query("runs/drop_suspects"), {"run_id": run.id, "kind": run.kind})


async def lock_complete(conn: Connection, run: Run) -> None:
    """Lock a complete run until the transaction ends, so that processes record answers one after the other."""
    await conn.execute(query("runs/lock_complete"), {"run_id": run.id})


async def count_answers(conn: Connection, run: Run, counts: PageCounts) -> None:
    """Count what answers about a run's suspects brought."""
    await conn.execute(query("runs/count_answers"), {**counts._asdict(), "run_id": run.id})


async def put_teams(conn: Connection, run: Run, team_ids: Sequence[UUID]) -> int:
    """Remember teams whose members are to be listed; return how many are new to the run."""
    [new_count] = await rows(conn, scalar_row, "runs/put_teams", {"run_id": run.id, "team_ids": list(team_ids)})
    return int(new_count)


async def next_teams(conn: Connection, run: Run, page_size: int) -> list[UUID]:
    """Return the next teams whose members are to be listed."""
    return await rows(conn, scalar_row, "runs/next_teams", {"run_id": run.id, "page_size": page_size})


async def drop_teams(conn: Connection, run: Run, team_ids: Sequence[UUID]) -> None:
    """Forget teams whose members are stored."""
    await conn.execute(query("runs/drop_teams"), {"run_id": run.id, "team_ids": list(team_ids)})
