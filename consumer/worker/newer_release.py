"""Deliveries of an unknown type while the database is ahead of this release: a newer worker may know the type."""

from collections.abc import Sequence

from consumer.errors import NewerRelease
from consumer.events.registry import is_known
from consumer.outbox import queue
from consumer.outbox.queue import Claimed
from consumer.postgres.connections import Connection
from consumer.postgres.error_classes import code, summary


async def set_unknown_aside(
    conn: Connection, claimed: Sequence[Claimed]
) -> tuple[list[Claimed], list[tuple[Claimed, Exception]]]:
    """Set aside the deliveries that a newer worker must take; return the others, and those set aside, with the error.

    No attempt is counted: this release cannot try.
    """
    known = [delivery for delivery in claimed if is_known(delivery.event_type, delivery.source)]
    unknown = [delivery for delivery in claimed if not is_known(delivery.event_type, delivery.source)]
    error = NewerRelease()
    if unknown:
        await queue.await_release(conn, unknown, code(error), summary(error))
    return known, [(delivery, error) for delivery in unknown]
