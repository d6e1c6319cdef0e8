"""The queue of users and companies whose rows are made anew from the outbox.

It has three stages: companies by their own events, users, and companies as far as only users tell of them.
"""

from collections.abc import Collection, Sequence
from datetime import timedelta
from enum import IntEnum
from itertools import accumulate
from typing import NamedTuple
from uuid import UUID

from psycopg.rows import args_row, class_row, scalar_row, tuple_row

from consumer.postgres.connections import Connection
from consumer.postgres.queries import query, rows

# A page takes about as long as a batch of deliveries, so that neither holds up the other. A user with more deliveries
# than DELIVERIES_MAX has a page of its own.
USERS_MAX, DELIVERIES_MAX = 500, 20_000
# Companies are locked against all that refers to them.
COMPANIES_MAX = 100
# Ids that a statement finds: some milliseconds.
IDS_MAX = 5000


class Stage(IntEnum):
    """What waits, in the order in which it is made anew."""

    COMPANY = 1
    USER = 2
    NAMED_BY_USERS = 3


class Waiting(NamedTuple):
    """A user or company in the queue, locked by this transaction."""

    id: UUID
    attempts: int


class Depth(NamedTuple):
    """How much waits in a stage; *postponed*: failed, and not due yet; *error*: why one of these failed."""

    stage: int
    waiting: int
    postponed: int
    error: str | None


async def put_users(conn: Connection, user_ids: Collection[UUID]) -> None:
    """Queue users."""
    await conn.execute(query("rebuild_queue/put_users"), {"user_ids": list(user_ids)})


async def put_revived(conn: Connection, user_ids: Collection[UUID]) -> None:
    """Queue those of these living users that are marked as forgotten."""
    await conn.execute(query("rebuild_queue/put_revived"), {"user_ids": list(user_ids)})


async def put_companies(conn: Connection, company_ids: Collection[UUID], *stages: Stage) -> None:
    """Queue companies in these stages."""
    values = {"company_ids": list(company_ids), "stages": [int(stage) for stage in stages]}
    await conn.execute(query("rebuild_queue/put_companies"), values)


async def users_of(conn: Connection, company_ids: Collection[UUID]) -> list[UUID]:
    """Return every user that these companies concern."""
    return await rows(conn, scalar_row, "rebuild_queue/users_of", {"company_ids": list(company_ids)})


async def named_by(conn: Connection, user_ids: Collection[UUID]) -> list[UUID]:
    """Return the companies whose names are facts of these users."""
    return await rows(conn, scalar_row, "rebuild_queue/named_by", {"user_ids": list(user_ids)})


async def next_ids(conn: Connection, stage: Stage, after: UUID | None) -> list[UUID]:
    """Return the next of all users or companies that a delivery or a row names, by id; none at the end."""
    values = {"after": after or UUID(int=0), "page_size": IDS_MAX}
    name = "next_users" if stage is Stage.USER else "next_companies"
    return await rows(conn, scalar_row, f"rebuild_queue/{name}", values)


async def first_stage(conn: Connection) -> Stage | None:
    """Return the stage that is worked on; None when the queue is empty."""
    [stage] = await rows(conn, scalar_row, "rebuild_queue/stage")
    return None if stage is None else Stage(stage)


async def claim(conn: Connection, stage: Stage) -> list[Waiting]:
    """Lock the next page of a stage that is due; skip what another worker holds."""
    page_size = USERS_MAX if stage is Stage.USER else COMPANIES_MAX
    return await rows(conn, args_row(Waiting), "rebuild_queue/claim", {"stage": stage, "page_size": page_size})


async def lock(conn: Connection, stage: Stage, ids: Collection[UUID]) -> list[Waiting]:
    """Lock those of these that still wait; skip what another worker holds."""
    return await rows(conn, args_row(Waiting), "rebuild_queue/lock", {"stage": stage, "ids": list(ids)})


async def fitting(conn: Connection, user_ids: Sequence[UUID]) -> int:
    """Return how many of these users, from the first on, fit into one page by their deliveries; at least one."""
    sizes: list[int] = await rows(conn, scalar_row, "rebuild_queue/sizes", {"user_ids": list(user_ids)})
    return max(1, sum(total <= DELIVERIES_MAX for total in accumulate(sizes)))


async def finish(conn: Connection, stage: Stage, ids: Collection[UUID]) -> None:
    """Take what was made anew out of the queue."""
    await conn.execute(query("rebuild_queue/finish"), {"stage": stage, "ids": list(ids)})


async def postpone(conn: Connection, stage: Stage, failed: Waiting, delay: timedelta, error: str) -> None:
    """Queue again, with one more attempt, what could not be made anew."""
    values = {"stage": stage, "id": failed.id, "attempts": failed.attempts + 1, "delay": delay, "error": error}
    await conn.execute(query("rebuild_queue/postpone"), values)


async def depth(conn: Connection) -> list[Depth]:
    """Return what waits in each stage; stages without anything are absent."""
    return await rows(conn, class_row(Depth), "rebuild_queue/depth")


async def waiting(conn: Connection) -> dict[str, int]:
    """Return how much waits in each stage, also where nothing does, by the stage's name in small letters."""
    counts: dict[int, int] = dict(await rows(conn, tuple_row, "rebuild_queue/waiting"))
    return {stage.name.lower(): counts.get(stage, 0) for stage in Stage}
