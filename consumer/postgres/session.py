"""Requests to the server itself: role, limits, clock, wake-ups."""

from datetime import datetime
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import scalar_row, tuple_row

from consumer.postgres.queries import query, rows


async def set_role(conn: AsyncConnection[Any], role: str) -> None:
    """Work under another role until the transaction ends."""
    await conn.execute(query("session/set_role"), {"role": role})


async def has_rights_of(conn: AsyncConnection[Any], role: str) -> bool:
    """Tell whether the current role has the rights of another without taking it."""
    [has] = await rows(conn, scalar_row, "session/has_rights_of", {"role": role})
    return bool(has)


async def forbid_writes(conn: AsyncConnection[Any]) -> None:
    """Refuse every write until the transaction ends."""
    await conn.execute(query("session/forbid_writes"))


async def allow_writes(conn: AsyncConnection[Any]) -> None:
    """Let transactions write even if the database's or the server's default forbids it; a standby still can't."""
    if conn.info.parameter_status("in_hot_standby") == "off":
        await conn.set_read_only(False)


async def set_lock_timeout(conn: AsyncConnection[Any], milliseconds: int) -> None:
    """Wait for a lock no longer than this until the transaction ends."""
    await conn.execute(query("session/set_lock_timeout"), {"lock_timeout": str(milliseconds)})


async def check_constraints(conn: AsyncConnection[Any]) -> None:
    """Check deferred constraints now, and each statement's own from here to the end of the transaction."""
    await conn.execute(query("session/check_constraints"))


async def listen(conn: AsyncConnection[Any]) -> None:
    """Listen for the notifications of `wake`."""
    await conn.execute(query("session/listen"))


async def wake(conn: AsyncConnection[Any]) -> None:
    """Wake idle workers once this transaction commits; only a hint, because they poll."""
    await conn.execute(query("session/wake"))


async def now(conn: AsyncConnection[Any]) -> datetime:
    """Return the database's clock."""
    [at] = await rows(conn, scalar_row, "session/now")
    assert isinstance(at, datetime)
    return at


async def oldest_xmin(conn: AsyncConnection[Any]) -> tuple[float, datetime]:
    """Return the age in seconds of the oldest transaction that keeps dead rows, and the database's clock."""
    [(seconds, at)] = await rows(conn, tuple_row, "session/oldest_xmin")
    return seconds, at
