"""Replay: put stored deliveries back to pending, beside live traffic, killed and repeated at will."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from consumer.errors import BadPayload
from consumer.events.check import check
from consumer.outbox import deliveries
from consumer.outbox.deliveries import BuryReason, Dead, SelectedDelivery, Selection
from consumer.postgres import session
from consumer.postgres.connections import Access, Connection

# An outbox row never changes: a body that this release reads as something else would be applied to the wrong user.
STORED_OTHERWISE = "stored_otherwise"


@dataclass(frozen=True, slots=True)
class Replayed:
    """What one transaction did: how many wait again, and how many stay dead because they are still unusable."""

    queued: int
    unusable: int


def replay(conn: Connection, access: Access, selection: Selection) -> AsyncIterator[Replayed]:
    """Put what matches back to pending, a transaction at a time; discarded deliveries never match.

    Dead ones are checked by the present code first, and those still unusable stay dead with the present reason. A
    repeat, or a second call after the first was killed, ends in the same rows: every effect is a join.
    """
    return deliveries.in_pages(conn, access, selection, _replay)


async def _replay(conn: Connection, page: Sequence[SelectedDelivery]) -> Replayed:
    usable = [seq for seq, state in page if state != "dead"]
    unusable: list[BuryReason] = []
    async for dead in deliveries.lock_dead(conn, [seq for seq, state in page if state == "dead"]):
        if reason := _bury_reason(dead):
            unusable.append(reason)
        else:
            usable.append(dead.seq)
    if unusable:
        await deliveries.rebury(conn, unusable)
    queued = await deliveries.replay(conn, usable)
    # Idle workers may be far backed off.
    await session.wake(conn)
    return Replayed(queued, len(unusable))


def _bury_reason(dead: Dead) -> BuryReason | None:
    try:
        event = check(dead.body, dead.source)
    except BadPayload as error:
        return BuryReason(dead.seq, error.code, str(error))
    if (event.type, event.user_id, event.team_id) != (dead.event_type, dead.user_id, dead.team_id):
        return BuryReason(dead.seq, STORED_OTHERWISE, "$: The stored type, user or team is not what the body says")
    return None
