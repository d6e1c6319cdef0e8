"""What happens to deliveries as it happens: each change once, in whatever order transactions commit."""

from datetime import datetime, timedelta

from consumer.lookup import listing
from consumer.lookup.listing import ListedDelivery, ListFilter
from consumer.postgres import session
from consumer.postgres.connections import Connection

# A delivery gets its number and its time before its transaction commits, and a receiver's or a worker's transaction may
# take some seconds. What is read again was seen already, but for those.
OVERLAP = timedelta(seconds=15)
# Changes that one call returns: 600 a second over the whole overlap.
CHANGES_MAX = 10_000

# A delivery, its state or outcome, and since when.
Key = tuple[int, str, datetime | None]


class Follower:
    """Remembers which changes it has returned, for as long as a call might find them again."""

    def __init__(self, wanted: ListFilter, since: datetime) -> None:
        self._wanted, self._since = wanted, since
        self._returned: dict[Key, datetime] = {}

    async def changes(self, conn: Connection) -> list[ListedDelivery]:
        """Return deliveries that were received, done or refused and not returned so, the earliest change first."""
        now = await session.now(conn)
        found = await listing.recent(conn, self._wanted, self._since, size=CHANGES_MAX)
        new = [each for each in reversed(found) if _change(each) not in self._returned]
        self._since = max(self._since, now - OVERLAP)
        self._returned.update((_change(each), each.at or each.received_at) for each in new)
        self._returned = {change: at for change, at in self._returned.items() if at >= self._since}
        return new


def _change(delivery: ListedDelivery) -> Key:
    return delivery.seq, delivery.outcome or delivery.state, delivery.at
