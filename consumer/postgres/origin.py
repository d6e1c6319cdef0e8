"""The server and the database that this is: elsewhere it is a copy.

Two databases that act for one project would bring in, repair and delete the same users, so a copy must not act.
"""

from typing import NamedTuple

import psycopg
from psycopg.rows import args_row, scalar_row, tuple_row

from consumer.errors import ConsumerError
from consumer.postgres.connections import Access, Connection, as_login, transaction
from consumer.postgres.queries import query, rows

ADOPT = "`consumer migrate --adopt-copy`"


class CopyRefused(ConsumerError):
    """The database is a copy of the one that was recorded, and a copy must not act."""


class Origin(NamedTuple):
    """A server, and a database in it.

    *server* is the system identifier: the same on standbys and after a physical restore, another one after pg_dump.
    """

    server: str
    database_oid: int
    database_name: str


async def refuse_copy(conn: Connection, access: Access) -> None:
    """Raise CopyRefused if the database is a copy, which must not act for its project."""
    async with transaction(conn, access):
        if found := await difference(conn):
            raise CopyRefused(f"{found[0].upper()}{found[1:]}, so it asks nothing of Stack: {cure()}")


def cure() -> str:
    """Return what to do about a difference."""
    return f"if it is this database that shall act from now on, run {ADOPT}."


async def difference(conn: Connection) -> str | None:
    """Return how this database is not known as the one that may act, or None; in a transaction of the operator's."""
    if await _recorded(conn) is None:
        return "nobody has recorded yet which server and database this is"
    return await copy_reason(conn)


async def copy_reason(conn: Connection) -> str | None:
    """Return how this database is not the one that was recorded, or None, also if none was; in a transaction."""
    known = await _recorded(conn)
    if known is None:
        return None
    here = await _here(conn)
    place = f"the database {known.database_name}"
    if known.server != here.server:
        return f"this database is a copy of {place} on another server"
    if known.database_oid != here.database_oid:
        return f"this database is a copy of {place} on this server, or a restored one in its place"
    if known.database_name != here.database_name:
        return f"this database was {place} when that was recorded"
    return None


async def record(conn: Connection, access: Access, *, is_adopted: bool) -> str | None:
    """Record this server and database, if nothing is recorded or *is_adopted*.

    Returns what was different and now is not, for a copy that is adopted.
    """
    async with transaction(conn, access):
        here, known, found = await _here(conn), await _recorded(conn), await difference(conn)
    if known is None or (is_adopted and here != known):
        # The owner's, because the operator may not say what is a copy.
        async with as_login(conn, access):
            await conn.execute(query("origin/record"), here._asdict())
    return found if known and is_adopted else None


async def _recorded(conn: Connection) -> Origin | None:
    return next(iter(await rows(conn, args_row(Origin), "origin/recorded")), None)


async def _here(conn: Connection) -> Origin:
    try:
        async with conn.transaction():
            [server] = await rows(conn, scalar_row, "origin/system_identifier")
    except psycopg.OperationalError:
        raise
    # Everybody may call it by default; a hardened server or a provider may have taken it away.
    except psycopg.Error:
        [server] = await rows(conn, scalar_row, "origin/table_number")
    [(oid, name)] = await rows(conn, tuple_row, "origin/database")
    return Origin(server, oid, name)
