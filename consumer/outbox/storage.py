"""The log: every accepted delivery, each once."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import scalar_row

from consumer.postgres.connections import Connection
from consumer.postgres.queries import rows

# The parameters of storage/put: one array for each of the first fields of Delivery.
COLUMNS = (
    *("sources", "message_ids", "event_types", "user_ids", "team_ids", "occurred_ats", "verified_bys", "bodies"),
    *("reduced_bodies", "request_ids"),
)
NULLABLE = ("user_ids", "team_ids", "verified_bys", "reduced_bodies", "request_ids")


class Delivery(NamedTuple):
    """One verified message; with an error code it is dead from the start.

    *request_id* marks the request that stores it if that waits for the result: a repeat is known by having another one,
    whichever process it reaches.
    """

    source: str
    message_id: str
    event_type: str | None
    user_id: UUID | None
    team_id: UUID | None
    occurred_at: datetime
    verified_by: str | None
    body: bytes
    # What the effects read instead of the body.
    reduced: bytes | None = None
    request_id: UUID | None = None
    error_code: str | None = None
    error: str | None = None


async def put(conn: AsyncConnection[Any], deliveries: Sequence[Delivery]) -> int:
    """Store and queue usable deliveries; return how many were new.

    A repeat of a stored id changes nothing, but its commit waits for the disk and the synchronous standby, as the first
    copy's does.
    """
    columns = {name: [delivery[place] for delivery in deliveries] for place, name in enumerate(COLUMNS)}
    for name in NULLABLE:
        # unnest fills a shorter array up with nulls; an array of nulls alone costs as much as one of values, and goes
        # as text, which a session with array_nulls off can't read.
        if not any(columns[name]):
            columns[name] = []
    [new_count] = await rows(conn, scalar_row, "storage/put", columns)
    return int(new_count)


async def put_dead(conn: Connection, delivery: Delivery) -> int:
    """Store a signed delivery that can't be used, dead with its reason; return 1 when it was new, else 0, as `put`."""
    [new_count] = await rows(conn, scalar_row, "storage/put_dead", delivery._asdict())
    return int(new_count)
