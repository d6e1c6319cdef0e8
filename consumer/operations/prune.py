"""Retention: what is kept no longer is removed, in bounded steps."""

from collections.abc import AsyncIterator
from datetime import timedelta

from consumer.postgres.connections import Access, Connection, transaction
from consumer.postgres.queries import query

# A busy hour's changes of people: a transaction of seconds, beside which workers go on.
STEP = timedelta(hours=1)


async def prune_audit(conn: Connection, access: Access, kept: timedelta, step: timedelta = STEP) -> AsyncIterator[int]:
    """Remove audit rows older than *kept*, a slice of time a transaction; yield how many each removed.

    Killed or repeated, it goes on where the audit begins.
    """
    is_more = True
    while is_more:
        async with transaction(conn, access):
            cursor = await conn.execute(query("prune/audit"), {"kept": kept, "step": step}, binary=True)
            [(removed, is_more)] = await cursor.fetchall()
        yield removed
