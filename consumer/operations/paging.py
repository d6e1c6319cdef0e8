"""Goes through matching deliveries, page by page."""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeVar

from consumer.outbox import deliveries
from consumer.outbox.deliveries import SelectedDelivery, Selection
from consumer.postgres import ledger
from consumer.postgres.connections import Access, Connection, transaction

T = TypeVar("T")

# Deliveries a transaction, as in the worker: it commits in about 20 ms, and a kill undoes no more than that.
PAGE_SIZE = 1000


async def in_pages(
    conn: Connection,
    access: Access,
    selection: Selection,
    work: Callable[[Connection, Sequence[SelectedDelivery]], Awaitable[T]],
) -> AsyncIterator[T]:
    """Pass the matching deliveries to *work*, one page per transaction; yield each result once it is committed.

    It goes by seq and never back: a delivery that *work* puts back to pending may be done again before the end.
    """
    after_seq, left = 0, sys.maxsize if selection.limit is None else selection.limit
    while left > 0:
        size = min(PAGE_SIZE, left)
        async with transaction(conn, access):
            await ledger.begin_work(conn)
            found = await deliveries.page(conn, selection, after_seq=after_seq, page_size=size)
            result = await work(conn, found) if found else None
        if result is not None:
            yield result
        if len(found) < size:
            return
        after_seq, left = found[-1].seq, left - size
