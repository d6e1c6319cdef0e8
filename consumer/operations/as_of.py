"""A state as it was, as an operator asks for it: page by page, and nothing is changed."""

from collections.abc import AsyncIterator
from datetime import datetime

from consumer.effects.as_of import PastRows, past_rows
from consumer.operations.rebuild import Subjects, pages
from consumer.outbox.rebuild_queue import Stage
from consumer.postgres import ledger
from consumer.postgres.connections import Access, Connection, transaction


async def state(conn: Connection, access: Access, until: datetime, subjects: Subjects) -> AsyncIterator[PastRows]:
    """Yield the rows of these users, then of these companies, as the deliveries received until then make them.

    A company may be in several pages. *access* is the worker's. Raises PrunedState, before the first page or later.
    """
    for stage in (Stage.USER, Stage.COMPANY):
        async for ids in pages(conn, access, stage, subjects):
            async with transaction(conn, access):
                await ledger.begin_work(conn)
                if stage is Stage.USER:
                    found = await past_rows(conn, until, ids, [])
                else:
                    found = await past_rows(conn, until, [], ids)
            yield found
