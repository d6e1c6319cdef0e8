"""Deliveries with chosen times, applied in chosen batches, and the rows that they leave."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

import orjson

from consumer.outbox.storage import Delivery
from consumer.postgres.connections import worker_access
from tests.support.databases import rows
from tests.support.factories import NOON, team
from tests.support.factories import snapshot as snapshot_fields
from tests.support.kept import kept
from tests.support.outbox import apply_next, put

ACCESS = worker_access("consumer")
# The last byte of a company's id is its stripe.
USER, OTHER = UUID(int=1), UUID(int=2)
DEFAULT, FIRST, SECOND, THIRD = (UUID(int=0x1000 + n) for n in (10, 20, 30, 40))
_numbers = count(1)
Row = dict[str, Any]
# Of a table of cases: the batches, and the outcomes of their deliveries.
Batches = list[list[Delivery]]
Outcomes = list[list[str]]
A, U, S = "applied", "unchanged", "stale"
# The fields of a new profile that are not null, by name.
ALL_FIELDS = ["department", "email", "email_verified", "full_name", "role_type"]


def at(second: float) -> datetime:
    return NOON + timedelta(seconds=second)


def millis(second: float) -> int:
    return int(at(second).timestamp() * 1000)


def fact(
    event_type: str,
    second: float,
    data: Row,
    *,
    user_id: UUID | None = None,
    team_id: UUID | None = None,
    source: str = "stack",
    message_id: str | None = None,
) -> Delivery:
    return Delivery(
        source=source,
        message_id=message_id or f"msg_{next(_numbers):027}",
        event_type=event_type,
        user_id=user_id,
        team_id=team_id,
        occurred_at=at(second),
        verified_by="0123abcd",
        body=orjson.dumps({"type": event_type, "data": data}),
    )


def snapshot(**data: Any) -> Row:
    return snapshot_fields(**data)


def user(second: float, user_id: UUID = USER, event_type: str = "user.updated", **data: Any) -> Delivery:
    """A snapshot from Stack."""
    return fact(event_type, second, {"id": str(user_id), **snapshot(**data)}, user_id=user_id)


def gone(second: float, user_id: UUID = USER, source: str = "stack", **data: Any) -> Delivery:
    return fact("user.deleted", second, {"id": str(user_id), **data}, user_id=user_id, source=source)


def signed(verb: str, second: float, user_id: UUID = USER, source: str = "app", **data: Any) -> Delivery:
    return fact(f"user.signed_{verb}", second, {"id": str(user_id), **data}, user_id=user_id, source=source)


def edit(second: float, user_id: UUID = USER, **fields: Any) -> Delivery:
    return fact("profile.edited", second, {"id": str(user_id), **fields}, user_id=user_id, source="app")


def crew(verb: str, second: float, team_id: UUID = FIRST, source: str = "stack", **data: Any) -> Delivery:
    """An event of a team itself."""
    return fact(f"team.{verb}", second, team(team_id, **data), team_id=team_id, source=source)


def member(verb: str, second: float, team_id: UUID = FIRST, user_id: UUID = USER) -> Delivery:
    data = {"team_id": str(team_id), "user_id": str(user_id)}
    return fact(f"team_membership.{verb}", second, data, user_id=user_id, team_id=team_id)


def may(verb: str, second: float, name: str, message_id: str | None = None, team_id: UUID = FIRST) -> Delivery:
    """A permission of USER."""
    data = {"team_id": str(team_id), "user_id": str(USER), "id": name}
    return fact(f"team_permission.{verb}", second, data, user_id=USER, team_id=team_id, message_id=message_id)


async def in_batches(url: str, *batches: Sequence[Delivery]) -> list[list[str]]:
    """Apply each batch in a transaction of its own; return the outcomes in the order of the deliveries."""
    found = []
    async with kept(url, ACCESS) as conn:
        for batch in batches:
            # One by one, so that the deliveries get their numbers in this order.
            for delivery in batch:
                await put(conn, [delivery])
            outcomes = await apply_next(conn, len(batch) + 1)
            found.append([outcomes[seq] for seq in sorted(outcomes)])
    return found


def one(url: str, table: str, columns: str, condition: str = "TRUE") -> tuple[Any, ...]:
    """Return the one row of a table that fulfils the condition."""
    [row] = rows(url, f"SELECT {columns} FROM {table} WHERE {condition}")
    return tuple(row.values())


def every(url: str, table: str, columns: str, condition: str = "TRUE", order: str = "1") -> list[tuple[Any, ...]]:
    statement = f"SELECT {columns} FROM {table} WHERE {condition} ORDER BY {order}"
    return [tuple(row.values()) for row in rows(url, statement)]


def audited(url: str, columns: str = "operation, message_id") -> list[tuple[Any, ...]]:
    """Return the audit in its order; each row's message and number must be those of one delivery."""
    named = (
        "SELECT a.id FROM identity.profile_audit AS a LEFT JOIN consumer.outbox AS o USING (seq, source, message_id)"
    )
    assert not rows(url, f"{named} WHERE o.seq IS NULL"), "an audit row names no delivery"
    return every(url, "identity.profile_audit", columns, order="id")


def audited_by(url: str, count: int, batch: Sequence[Delivery]) -> list[tuple[Any, ...]]:
    """Return the audit rows after the first *count*: operation, fields, company, and the letter of the delivery."""
    letters = {delivery.message_id: "abcdefgh"[n] for n, delivery in enumerate(batch)}
    found = audited(url, "operation, changed_fields, company_id, message_id")[count:]
    return [(*rest, letters.get(message_id, "?")) for *rest, message_id in found]
