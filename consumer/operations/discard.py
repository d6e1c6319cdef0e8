"""Excludes dead deliveries for good."""

from collections.abc import AsyncIterator, Sequence

from consumer.outbox import deliveries
from consumer.outbox.deliveries import SelectedDelivery, Selection
from consumer.postgres.connections import Access, Connection


def discard_dead(
    conn: Connection, access: Access, selection: Selection, *, by: str | None, reason: str
) -> AsyncIterator[int]:
    """Exclude the matching dead deliveries, page by page; yield the number after each page's commit.

    An excluded delivery never comes back, not even if its sender repeats it.
    """

    async def exclude(conn: Connection, page: Sequence[SelectedDelivery]) -> int:
        return await deliveries.discard(conn, [seq for seq, _ in page], by=by, reason=reason)

    return deliveries.in_pages(conn, access, selection, exclude)
