"""What happens to deliveries as it happens: each change once, in whatever order transactions commit."""

from datetime import datetime, timedelta

from consumer.lookup import listing
from consumer.lookup.listing import ChangePlace, ListedDelivery, ListFilter
from consumer.postgres import session
from consumer.postgres.connections import Connection

# A delivery gets its number and its time before its transaction commits, and a receiver's or a worker's transaction may
# take some seconds. What is read again was seen already, but for those.
OVERLAP = timedelta(seconds=15)
# Changes that one call reads: some megabytes. Where there are more, the next call goes on behind them.
CHANGES_MAX = 10_000
# The time that one call looks at: at first more than lies between two calls. It is halved where a call finds too many
# changes, because each call sorts all of its time, and doubled where it finds few, for a log in which nothing happens.
TIME, TIME_MIN = 2 * OVERLAP, timedelta(milliseconds=1)

# A delivery, its state or outcome, and since when.
Key = tuple[int, str, datetime | None]


class Follower:
    """Goes through the changes from *since* to now, again and again; each time the last seconds are read once more.

    It remembers which changes it has returned, for as long as a call might find them again. *is_behind*: more changes
    may be there already, so the next call should follow at once.
    """

    def __init__(self, wanted: ListFilter, since: datetime) -> None:
        self.is_behind = False
        # Nothing before *since* will be found again; the next call reads on from *place*.
        self._wanted, self._since, self._place = wanted, since, ChangePlace(since)
        self._time = TIME
        self._returned: dict[Key, datetime] = {}

    async def changes(self, conn: Connection) -> list[ListedDelivery]:
        """Return deliveries that were received, done or refused and not returned so, the earliest change first."""
        now = await session.now(conn)
        settled = now - OVERLAP
        # One that can't keep up begins again too, so that it remembers no more than twice the overlap.
        if not self.is_behind or self._since < self._place.at <= settled:
            self._place, self._time = ChangePlace(self._since), TIME
        until = self._place.at + self._time
        found = await listing.recent(conn, self._wanted, self._place, until, size=CHANGES_MAX)
        is_whole = len(found) < CHANGES_MAX
        reached = ChangePlace(until) if is_whole else found[-1].place
        if self._place.at <= self._since:
            self._since = max(self._since, min(reached.at, settled))
        new = [each for each in found if _key(each) not in self._returned]
        self._returned.update((_key(each), each.place.at) for each in new)
        self._returned = {key: at for key, at in self._returned.items() if at >= self._since}
        self._place, self.is_behind = reached, not is_whole or until <= now
        self._time = 2 * self._time if is_whole else max(self._time / 2, TIME_MIN)
        return new


def _key(delivery: ListedDelivery) -> Key:
    return delivery.seq, delivery.outcome or delivery.state, delivery.at
