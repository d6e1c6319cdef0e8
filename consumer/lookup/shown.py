"""All that is shown of one delivery or one user, for the command line and the console alike."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from consumer.lookup import audit, metadata_keys, one_delivery, one_user, revealed
from consumer.lookup.audit import AuditRow
from consumer.lookup.forecast import replay_forecast
from consumer.lookup.listing import ListedDelivery
from consumer.lookup.one_delivery import DeliveryAction, OneDelivery
from consumer.lookup.one_user import KnownMembership, KnownUser, StoredCounts, Timeline
from consumer.lookup.origins import FieldOrigin, origins
from consumer.lookup.unfollowed import Known, Unfollowed, unfollowed
from consumer.postgres import session
from consumer.postgres.connections import Connection
from consumer.postgres.first_rows import FirstRows


@dataclass(frozen=True)
class ShownDelivery:
    """One delivery, as read at *now*: what people did with it, what it changed, what did not follow, what is around."""

    delivery: OneDelivery
    user: KnownUser | None
    actions: FirstRows[DeliveryAction]
    changes: FirstRows[AuditRow]
    unfollowed: Sequence[Unfollowed]
    replay: str
    neighbours: Sequence[ListedDelivery]
    body: Mapping[str, Any] | None
    now: datetime


@dataclass(frozen=True)
class ShownUser:
    """One user, as read at *now*: who set each field, the teams, and what happened."""

    user: KnownUser
    fields: Sequence[FieldOrigin]
    memberships: FirstRows[KnownMembership]
    timeline: Timeline
    counts: StoredCounts
    now: datetime

    @property
    def is_stored(self) -> bool:
        """Whether anything about the user is stored."""
        return self.user.is_known or self.counts.deliveries > 0


async def show_delivery(
    conn: Connection, delivery: OneDelivery, *, changes_max: int, is_operators: bool, masked: bool = True
) -> ShownDelivery:
    """Read a delivery; a team's may have changed any number of users, of which *changes_max* are shown.

    Only an operator's connection may read a body, to tell whether this release can use a dead one: that is no personal
    data. Without *masked* the caller records who looks.
    """
    known = await _known(conn, delivery.user_id, masked=masked) if delivery.user_id else None
    body = await one_delivery.body(conn, delivery.seq, masked=masked)
    is_checked = is_operators and delivery.state == "dead"
    return ShownDelivery(
        delivery=delivery,
        user=known.user if known else None,
        actions=await one_delivery.actions(conn, delivery),
        changes=await audit.of_delivery(conn, delivery.seq, size=changes_max, masked=masked),
        unfollowed=unfollowed(delivery, body, known, await metadata_keys.read(conn)),
        replay=replay_forecast(delivery, await revealed.body(conn, delivery.seq) if is_checked else None),
        neighbours=await one_delivery.neighbours(conn, delivery),
        body=body,
        now=await session.now(conn),
    )


async def show_user(
    conn: Connection, user_id: UUID, *, size: int, before: int | None = None, masked: bool = True
) -> ShownUser:
    """Read a user and *size* entries of the timeline, below the number *before*; without *masked* the caller records
    who looks.
    """
    known = await _known(conn, user_id, masked=masked)
    changes = await one_user.field_changes(conn, user_id)
    return ShownUser(
        user=known.user,
        fields=origins(known.user, known.edits, known.memberships, changes),
        memberships=known.memberships,
        timeline=await one_user.timeline(conn, user_id, size=size, before=before, masked=masked),
        counts=await one_user.counts(conn, user_id),
        now=await session.now(conn),
    )


async def _known(conn: Connection, user_id: UUID, *, masked: bool) -> Known:
    user = await one_user.find(conn, user_id, masked=masked)
    edits = await one_user.edits(conn, user_id)
    return Known(user, edits, await one_user.memberships(conn, user_id, masked=masked))
