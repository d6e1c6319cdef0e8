"""Dead letters: what could not be applied, and how it is given up for good."""

from collections.abc import AsyncIterator, Sequence

from consumer import deliveries
from consumer.database import Access, Connection
from consumer.deliveries import Selected, Selection


def discard(
    conn: Connection, access: Access, selection: Selection, *, by: str | None, reason: str
) -> AsyncIterator[int]:
    """Exclude the dead deliveries that match, a transaction at a time; yield how many each excluded.

    Nothing brings an excluded delivery back, a repeat by its sender neither.
    """

    async def exclude(conn: Connection, page: Sequence[Selected]) -> int:
        return await deliveries.discard(conn, [seq for seq, _ in page], by=by, reason=reason)

    return deliveries.in_pages(conn, access, selection, exclude)
