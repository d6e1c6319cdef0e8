"""Rows of the audit: what changed in a profile, and because of which delivery."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import class_row

from consumer.lookup import revealed
from consumer.postgres.connections import Connection
from consumer.postgres.first_rows import FirstRows, first_rows


@dataclass(frozen=True, slots=True)
class AuditRow:
    """A change of one profile; a masked row names neither who edited nor why."""

    id: int
    at: datetime
    user_id: UUID
    company_id: UUID | None
    operation: str
    changed_fields: Sequence[str]
    previous_values: Mapping[str, Any] | None
    new_values: Mapping[str, Any] | None
    source: str
    message_id: str
    seq: int
    edited_by: str | None
    reason: str | None

    def changes(self) -> dict[str, tuple[Any, Any]]:
        """Return each changed field with its value before and after."""
        before, after = self.previous_values or {}, self.new_values or {}
        return {field: (before.get(field), after.get(field)) for field in self.changed_fields}


async def of_delivery(conn: Connection, seq: int, *, size: int, masked: bool = True) -> FirstRows[AuditRow]:
    """Return the first *size* rows of what a delivery changed; a team's may have moved any number of users."""
    found = await first_rows(conn, class_row(AuditRow), "audit/of_delivery", {"seq": seq}, size=size)
    return found if masked else await _revealed(conn, found)


async def of_user(
    conn: Connection, user_id: UUID, span: tuple[int, int], *, size: int, masked: bool = True
) -> FirstRows[AuditRow]:
    """Return the newest changes of a user's profile, and its sign-ins, by deliveries from one number to below another.

    The newest is first.
    """
    values = {"user_id": user_id, "lowest": span[0], "before": span[1]}
    found = await first_rows(conn, class_row(AuditRow), "audit/of_user", values, size=size)
    return found if masked else await _revealed(conn, found)


async def _revealed(conn: Connection, found: FirstRows[AuditRow]) -> FirstRows[AuditRow]:
    values = {each.id: each for each in await revealed.audit(conn, [(row.user_id, row.id) for row in found])}
    return found.made_into(replace(row, **values[row.id]._asdict()) if row.id in values else row for row in found)
