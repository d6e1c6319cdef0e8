"""The ledger: the migrations that this release carries, and those that the database has."""

from datetime import datetime

from consumer.postgres.connections import Connection
from consumer.postgres.queries import query, sql_root


def carried_ids() -> list[str]:
    """Return the ids of the migrations that this release carries, oldest first."""
    return sorted(file.stem for file in (sql_root() / "migrations").glob("*.sql") if ".rollback" not in file.name)


async def applied_ids(conn: Connection) -> list[str]:
    """Return the ids of the migrations that the database has; UndefinedTable before the first."""
    cursor = await conn.execute(query("ledger/applied"))
    return [migration_id for (migration_id,) in await cursor.fetchall()]


async def first_applied_at(conn: Connection) -> datetime:
    """Return when the database got its first migration."""
    [(applied_at,)] = await (await conn.execute(query("ledger/first"))).fetchall()
    assert isinstance(applied_at, datetime)
    return applied_at


async def missing_ids(conn: Connection) -> list[str]:
    """Return the ids of the migrations that this release carries and the database lacks."""
    applied = await applied_ids(conn)
    return [migration_id for migration_id in carried_ids() if migration_id not in applied]
