"""Retention: removes old audit rows in bounded steps."""

from collections.abc import AsyncIterator
from datetime import timedelta

from consumer.postgres import ledger
from consumer.postgres.connections import Access, Connection, transaction
from consumer.postgres.queries import query

# The changes of a busy hour take a transaction of seconds, and workers continue beside it.
STEP = timedelta(hours=1)


async def prune_audit(conn: Connection, access: Access, kept: timedelta, step: timedelta = STEP) -> AsyncIterator[int]:
    """Remove audit rows older than *kept*, one *step* of time in each transaction; yield the number after each commit.

    After a kill a second call continues at the oldest row.
    """
    is_more = True
    while is_more:
        async with transaction(conn, access):
            await ledger.begin_work(conn)
            cursor = await conn.execute(query("prune/audit"), {"kept": kept, "step": step}, binary=True)
            [(removed, is_more)] = await cursor.fetchall()
        yield removed
