"""The outbox: every delivery ever accepted, and the queue of those not applied yet."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import args_row

from consumer.database import Connection
from consumer.queries import query


@dataclass(frozen=True, slots=True)
class Delivery:
    """One verified message; with an error code it is dead at the door."""

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


class Claimed(NamedTuple):
    """A delivery this transaction holds; *has_failed* tells that applying it has failed before."""

    seq: int
    source: str
    message_id: str
    event_type: str
    user_id: UUID | None
    has_failed: bool = False
    attempts: int = 0


async def put(conn: AsyncConnection[Any], deliveries: Sequence[Delivery]) -> int:
    """Store and queue usable deliveries; return how many were new. A repeat of a stored id changes nothing."""
    cursor = await conn.execute(
        query("outbox/put"),
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
    cursor = await conn.execute(
        query("outbox/put_dead"),
        {
            "source": delivery.source,
            "message_id": delivery.message_id,
            "event_type": delivery.event_type,
            "user_id": delivery.user_id,
            "team_id": delivery.team_id,
            "occurred_at": delivery.occurred_at,
            "verified_by": delivery.verified_by,
            "body": delivery.body,
            "error_code": delivery.error_code,
            "error": delivery.error,
        },
    )
    return cursor.rowcount


async def claim(conn: Connection, *, after_seq: int, batch_size: int) -> list[Claimed]:
    """Lock and take up to *batch_size* pending deliveries above *after_seq*."""
    return await _claimed(conn, "outbox/claim", {"after_seq": after_seq, "batch_size": batch_size})


async def claim_retries(conn: Connection, *, batch_size: int) -> list[Claimed]:
    """Lock and take up to *batch_size* failed deliveries that are due again."""
    return await _claimed(conn, "outbox/claim_retries", {"batch_size": batch_size})


async def _claimed(conn: Connection, name: str, values: Mapping[str, int]) -> list[Claimed]:
    async with conn.cursor(binary=True, row_factory=args_row(Claimed)) as cursor:
        await cursor.execute(query(name), values)
        return await cursor.fetchall()


async def finish(conn: Connection, outcomes: Mapping[int, str]) -> None:
    """Mark claimed deliveries done, each, by its seq, with its outcome."""
    values = {"seqs": list(outcomes), "outcomes": list(outcomes.values())}
    await conn.execute(query("outbox/finish"), values)


async def finish_users(
    conn: Connection, seqs: Sequence[int], *, changed: Sequence[UUID], applied: Collection[int]
) -> dict[int, str]:
    """Mark claimed user deliveries done, each with what it did to its user, and return that by its seq."""
    values = {"seqs": seqs, "changed": changed, "applied": list(applied)}
    cursor = await conn.execute(query("outbox/finish_users"), values, binary=True)
    return dict(await cursor.fetchall())


async def retry(conn: Connection, claimed: Claimed, delay: timedelta, code: str, error: str) -> None:
    """Set a claimed delivery aside, due after *delay*, with the attempts it carries."""
    values = {"seq": claimed.seq, "attempts": claimed.attempts, "delay": delay, "error_code": code, "error": error}
    await conn.execute(query("outbox/retry"), values)


async def bury(conn: Connection, claimed: Claimed, code: str, error: str) -> None:
    """Set a claimed delivery aside for good, with the attempts it carries."""
    values = {"seq": claimed.seq, "attempts": claimed.attempts, "error_code": code, "error": error}
    await conn.execute(query("outbox/bury"), values)
