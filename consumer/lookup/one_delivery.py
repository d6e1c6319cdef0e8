"""One delivery: its way, what it changed, and the deliveries around it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import args_row, class_row, scalar_row

from consumer.errors import BadPayload
from consumer.events import json_limits
from consumer.lookup import revealed
from consumer.lookup.listing import ListedDelivery, StoredDelivery
from consumer.postgres.connections import Connection
from consumer.postgres.queries import rows

# Deliveries before, and as many after.
NEIGHBOURS = 3

# Any number of so many digits fits into a bigint.
DIGITS_MAX = 18


@dataclass(frozen=True, slots=True)
class OneDelivery(StoredDelivery):
    """A delivery, and who excluded it, if somebody did."""

    excluded_by: str | None
    excluded_at: datetime | None
    excluded_reason: str | None


async def find(conn: Connection, name: str) -> list[OneDelivery]:
    """Return the deliveries with this number or message id: several sources may have the same id."""
    is_number = name.isascii() and name.isdecimal() and len(name) <= DIGITS_MAX
    number = int(name) if is_number else None
    return await rows(conn, class_row(OneDelivery), "one_delivery/find", {"seq": number, "message_id": name})


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

    They are about the same user, or about the same team if it is about no user.
    """
    values = {"seq": delivery.seq, "user_id": delivery.user_id, "team_id": delivery.team_id, "size": NEIGHBOURS}
    return await rows(conn, args_row(ListedDelivery), "one_delivery/neighbours", values)


def _document(text: bytes | None) -> object:
    try:
        return json_limits.read(text or b"")
    except BadPayload:
        return None
