"""Dead letters: what could not be applied, and how it is given up for good."""

from collections.abc import AsyncIterator, Sequence

from consumer.outbox import deliveries
from consumer.outbox.deliveries import SelectedDelivery, Selection
from consumer.postgres.connections import Access, Connection


def discard_dead(
    conn: Connection, access: Access, selection: Selection, *, by: str | None, reason: str
) -> AsyncIterator[int]:
    """Exclude the dead deliveries that match, a transaction at a time; yield how many each excluded.

    Nothing brings an excluded delivery back, a repeat by its sender neither.
    """

    async def exclude(conn: Connection, page: Sequence[SelectedDelivery]) -> int:
        return await deliveries.discard(conn, [seq for seq, _ in page], by=by, reason=reason)

    return deliveries.in_pages(conn, access, selection, exclude)
