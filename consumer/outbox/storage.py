"""The log: every accepted delivery, each once."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection

from consumer.postgres.connections import Connection
from consumer.postgres.queries import query


class Delivery(NamedTuple):
    """One verified message; with an error code it is dead from the start."""

    source: str
    message_id: str
    event_type: str | None
    user_id: UUID | None
    team_id: UUID | None
    occurred_at: datetime
    verified_by: str | None
    body: bytes
    error_code: str | None = None
    error: str | None = None


async def put(conn: AsyncConnection[Any], deliveries: Sequence[Delivery]) -> int:
    """Store and queue usable deliveries; return how many were new. A repeat of a stored id changes nothing."""
    cursor = await conn.execute(
        query("storage/put"),
        {
            "sources": [delivery.source for delivery in deliveries],
            "message_ids": [delivery.message_id for delivery in deliveries],
            "event_types": [delivery.event_type for delivery in deliveries],
            "user_ids": [delivery.user_id for delivery in deliveries],
            "team_ids": [delivery.team_id for delivery in deliveries],
            "occurred_ats": [delivery.occurred_at for delivery in deliveries],
            "verified_bys": [delivery.verified_by for delivery in deliveries],
            "bodies": [delivery.body for delivery in deliveries],
        },
    )
    return cursor.rowcount


async def put_dead(conn: Connection, delivery: Delivery) -> int:
    """Store a signed delivery that can't be used, dead with its reason; return 1 when it was new, else 0."""
    return (await conn.execute(query("storage/put_dead"), delivery._asdict())).rowcount
