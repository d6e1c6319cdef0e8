"""The ledger: the migrations that this release carries, those that the database has, and who may work on it.

A release has the number of its newest migration. The fence is the oldest release that may work, as the migrations say.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import cache

import psycopg
from psycopg.rows import TupleRow, scalar_row, tuple_row

from consumer.errors import WrongRelease
from consumer.postgres.connections import Connection
from consumer.postgres.queries import query, rows, sql_root

NEWER_CURE = "A newer release has migrated: upgrade this one to it."


def carried_ids() -> list[str]:
    """Return the ids of the migrations that this release carries, oldest first."""
    return sorted(file.stem for file in (sql_root() / "migrations").glob("*.sql") if ".rollback" not in file.name)


def release_number() -> int:
    """Return the number of this release: that of its newest migration."""
    return int(max(_carried()).partition(".")[0])


async def applied_ids(conn: Connection) -> list[str]:
    """Return the ids of the migrations that the database has; UndefinedTable before the first."""
    cursor = await conn.execute(query("ledger/applied"))
    return [migration_id for (migration_id,) in await cursor.fetchall()]


def read_applied_ids(conn: psycopg.Connection[TupleRow]) -> list[str]:
    """Return the same where no event loop runs."""
    return [migration_id for (migration_id,) in conn.execute(query("ledger/applied")).fetchall()]


async def first_applied_at(conn: Connection) -> datetime:
    """Return when the database got its first migration."""
    [applied_at] = await rows(conn, scalar_row, "ledger/first")
    assert isinstance(applied_at, datetime)
    return applied_at


async def last_applied_at(conn: Connection) -> datetime:
    """Return when the database got its newest migration."""
    [applied_at] = await rows(conn, scalar_row, "ledger/last")
    assert isinstance(applied_at, datetime)
    return applied_at


async def missing_ids(conn: Connection) -> list[str]:
    """Return the ids of the migrations that this release carries and the database lacks."""
    applied = await applied_ids(conn)
    return [migration_id for migration_id in carried_ids() if migration_id not in applied]


async def newer_ids(conn: Connection) -> list[str]:
    """Return the ids of the migrations that the database has and this release does not carry."""
    carried = carried_ids()
    return [migration_id for migration_id in await applied_ids(conn) if migration_id not in carried]


async def begin_work(conn: Connection) -> bool:
    """Keep the recorded settings, the fence and the migrations as they are until the transaction ends.

    Return whether the database is ahead of this release. Raises WrongRelease if this release may not work on it. Must
    be the transaction's first statement, because a migration may have changed what an earlier one has read.
    """
    [(oldest_release, applied)] = await rows(conn, tuple_row, "ledger/begin_work")
    if reason := _missing_reason(applied) or _too_old_reason(oldest_release, applied):
        raise WrongRelease(reason)
    return not _carried().issuperset(applied)


async def too_old_reason(conn: Connection) -> str | None:
    """Return why this release is too old to work on the database, or None."""
    [oldest_release] = await rows(conn, scalar_row, "ledger/oldest_release")
    return _too_old_reason(oldest_release, await applied_ids(conn))


async def missing_reason(conn: Connection) -> str | None:
    """Return why the database is too old for this release, or None."""
    return _missing_reason(await applied_ids(conn))


def sentence_and_cure(reason: str) -> tuple[str, str]:
    """Return the two parts of a reason as one line of a report has them."""
    sentence, _, cure = reason.partition(": ")
    return sentence, f"{cure[0].upper()}{cure[1:]}."


@cache
def _carried() -> frozenset[str]:
    return frozenset(carried_ids())


def _missing_reason(applied: Sequence[str]) -> str | None:
    if missing := sorted(_carried().difference(applied)):
        return f"migrations are missing, the first is {missing[0]}: run `consumer migrate`"
    return None


def _too_old_reason(oldest_release: int, applied: Sequence[str]) -> str | None:
    if release_number() >= oldest_release:
        return None
    named = next((name for name in applied if name.startswith(f"{oldest_release:04}.")), str(oldest_release))
    return (
        f"this release is too old to work on the database, because it lacks migration {named}: "
        "deploy the release that has it, or a later one"
    )
