"""Code of other roles that a write reaches: it runs in the worker's session, and may take its login over."""

import re

from psycopg.rows import scalar_row

from consumer.postgres.connections import Connection
from consumer.postgres.queries import rows

PARAMETER = re.compile(rb"%\(user_ids\)[bst]")


async def is_privileged(conn: Connection) -> bool:
    """Tell whether the login may do more than the role that it works under."""
    [found] = await rows(conn, scalar_row, "reached_code/is_privileged")
    return bool(found)


async def untrusted(conn: Connection, statement: bytes | None) -> list[str]:
    """Return the objects that a statement reaches and that belong to roles that a privileged login does not trust.

    Under a login that may do nothing more than the worker's role there is nothing to take over: then none is returned.
    Raises the server's error when the statement can't be parsed.
    """
    if not await is_privileged(conn):
        return []
    async with conn.transaction(force_rollback=True):
        if statement is not None:
            await conn.execute(_as_function(statement))
        return await rows(conn, scalar_row, "reached_code/untrusted")


def _as_function(statement: bytes) -> bytes:
    """Return the statement as the body of a function: PostgreSQL then records the tables and functions it uses."""
    body = PARAMETER.sub(b"$1", statement).replace(b"%%", b"%").rstrip().removesuffix(b";")
    head = b"CREATE FUNCTION pg_temp.statement(uuid[]) RETURNS void LANGUAGE sql BEGIN ATOMIC\n"
    return head + body + b"\n;\nEND"
