"""Applies claimed deliveries, except those that fail."""

from collections.abc import Sequence

from consumer.effects.apply import apply
from consumer.effects.by_fact import NO_SUBJECT, lacks_subject
from consumer.events.registry import ERASED
from consumer.outbox.queue import Claimed
from consumer.postgres.connections import Connection
from consumer.worker import late
from consumer.worker.bisect import Failing, apply_except_failing
from consumer.worker.tally import BatchTally, subject_of


async def apply_claimed(
    conn: Connection, claimed: Sequence[Claimed], projection_sql: bytes | None
) -> tuple[dict[int, str], Failing[Claimed]]:
    """Apply what can be applied, in the caller's transaction; return outcomes by seq, and what fails.

    Raises errors that are not the deliveries' fault.
    """
    outcomes: dict[int, str] = {}
    failing: Failing[Claimed] = [(delivery, NO_SUBJECT) for delivery in filter(lacks_subject, claimed)]
    usable = [delivery for delivery in claimed if not lacks_subject(delivery)]
    # Erasures come first: what else the batch brings about their users is late.
    erasures = [delivery for delivery in usable if delivery.event_type == ERASED]
    others = [delivery for delivery in usable if delivery.event_type != ERASED] if erasures else usable
    for part in filter(None, (erasures, others)):
        applied, failed = await _apply_usable(conn, part, projection_sql)
        outcomes |= applied
        failing += failed
    return outcomes, failing


async def _apply_usable(
    conn: Connection, usable: Sequence[Claimed], projection_sql: bytes | None
) -> tuple[dict[int, str], Failing[Claimed]]:
    async def attempt(deliveries: Sequence[Claimed]) -> dict[int, str]:
        outcomes = await apply(conn, deliveries, projection_sql)
        await late.require_none(conn, deliveries)
        return outcomes

    async def bisect(deliveries: Sequence[Claimed]) -> tuple[dict[int, str] | None, Failing[Claimed]]:
        return await apply_except_failing(conn, deliveries, attempt, BatchTally(deliveries), subject=subject_of)

    discarded, (outcomes, failing) = await late.apply_around(conn, usable, bisect)
    return discarded | (outcomes or {}), failing
