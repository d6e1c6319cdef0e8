"""One delivery: its way, what it changed, and the deliveries around it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import class_row, scalar_row

from consumer.errors import BadPayload
from consumer.events import json_limits
from consumer.lookup import listing, revealed
from consumer.lookup.listing import ListedDelivery, ListFilter, StoredDelivery
from consumer.postgres.connections import Connection
from consumer.postgres.first_rows import FirstRows, first_rows
from consumer.postgres.queries import rows

# Deliveries before, and as many after.
NEIGHBOURS = 3
# Numbers on either side that they are looked for among, of a user or team with many deliveries: 5 ms.
WINDOW = 10_000

# Any number of so many digits fits into a bigint.
DIGITS_MAX = 18
# Nobody acts more often on one delivery.
ACTIONS_MAX = 20


@dataclass(frozen=True, slots=True)
class OneDelivery(StoredDelivery):
    """A delivery, and who excluded it, if somebody did."""

    excluded_by: str | None
    excluded_at: datetime | None
    excluded_reason: str | None

    @property
    def attempts_told(self) -> str:
        """The failed attempts in words: what is done keeps none."""
        if self.attempts or self.state != "done":
            return str(self.attempts or "none counted")
        return "failed ones are not kept once it is done: the log has delivery_retried and delivery_buried"


@dataclass(frozen=True, slots=True)
class DeliveryAction:
    """What somebody did with one delivery, which they named."""

    id: UUID
    at: datetime
    actor: str
    action: str
    reason: str | None


async def find(conn: Connection, name: str) -> list[OneDelivery]:
    """Return the deliveries with this number or message id: several sources may have the same id."""
    is_number = name.isascii() and name.isdecimal() and len(name) <= DIGITS_MAX
    number = int(name) if is_number else None
    return await rows(conn, class_row(OneDelivery), "one_delivery/find", {"seq": number, "message_id": name})


async def actions(conn: Connection, delivery: OneDelivery) -> FirstRows[DeliveryAction]:
    """Return the retries, replays and discards that named this delivery, the newest first.

    One by a wider filter is not among them: which deliveries it met is not stored.
    """
    values = {"seq": delivery.seq, "message_id": delivery.message_id, "source": delivery.source}
    return await first_rows(conn, class_row(DeliveryAction), "one_delivery/actions", values, size=ACTIONS_MAX)


async def body(conn: Connection, seq: int, *, masked: bool = True) -> Mapping[str, Any] | None:
    """Return the body as a JSON object, None if it is none or can't be read."""
    if masked:
        found: list[Any] = await rows(conn, scalar_row, "one_delivery/body", {"seq": seq})
        document = found[0] if found else None
    else:
        document = _document(await revealed.body(conn, seq))
    return document if isinstance(document, dict) else None


async def neighbours(conn: Connection, delivery: OneDelivery) -> list[ListedDelivery]:
    """Return the deliveries just before and after it, the newest first.

    They are about the same user, or about the same team if it is about no user. One with more than can be read has
    neighbours among the nearest numbers only.
    """
    user_id, team_id, seq = delivery.user_id, None if delivery.user_id else delivery.team_id, delivery.seq
    seqs = await listing.about(conn, user_id=user_id, team_id=team_id)
    if seqs is None:
        values = {"seq": seq, "user_id": user_id, "team_id": team_id, "window": WINDOW, "size": NEIGHBOURS}
        seqs = await rows(conn, scalar_row, "one_delivery/neighbours", values)
    later, earlier = sorted(each for each in seqs if each > seq), [each for each in seqs if each < seq]
    nearest = [*later[:NEIGHBOURS], *sorted(earlier, reverse=True)[:NEIGHBOURS]]
    return await listing.chosen(conn, nearest, ListFilter(), size=2 * NEIGHBOURS)


def _document(text: bytes | None) -> object:
    try:
        return json_limits.read(text or b"")
    except BadPayload:
        return None
