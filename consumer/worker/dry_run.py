"""Dry run of a retry: dead deliveries are applied as a batch is, and rolled back."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from psycopg.rows import args_row

from consumer.outbox.queue import Claimed
from consumer.postgres import ledger
from consumer.postgres.connections import Access, Connection, transaction
from consumer.postgres.queries import rows
from consumer.worker.bisect import BISECT_LOCK_TIMEOUT, Failing
from consumer.worker.claimed import apply_claimed

# The whole of it: a person waits, and live work may wait for what it has locked.
TIME = timedelta(seconds=2)
# If the end of the caller's time does not reach the server, a statement ends by itself, as a silent transaction does.
STATEMENT_TIMEOUT = TIME / 2
# Live work goes first: what it holds locked is not waited for.
LOCK_TIMEOUT = timedelta(milliseconds=BISECT_LOCK_TIMEOUT)


async def run(
    conn: Connection, access: Access, seqs: Sequence[int], projection_sql: bytes | None
) -> tuple[dict[int, str], Failing[Claimed]]:
    """Apply the dead ones of these deliveries and roll it back; return outcomes by seq, and what fails.

    *access* is the worker's. Sequences move on, and triggers of the application run; nothing else is left of it.
    Raises errors that are not the deliveries' fault.
    """
    limited = replace(access, statement_timeout=STATEMENT_TIMEOUT, lock_timeout=LOCK_TIMEOUT, idle_timeout=TIME)
    async with transaction(conn, limited), conn.transaction(force_rollback=True):
        await ledger.begin_work(conn)
        claimed = await rows(conn, args_row(Claimed), "dry_run/dead", {"seqs": list(seqs)})
        return await apply_claimed(conn, claimed, projection_sql)
