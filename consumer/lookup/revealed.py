"""Personal values as they are stored: only for an operator, whose caller records that they were shown."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from psycopg.rows import args_row, dict_row, scalar_row, tuple_row

from consumer.postgres.connections import Connection
from consumer.postgres.queries import rows


class AuditValues(NamedTuple):
    """What the audit row with this id says of persons."""

    id: int
    previous_values: Mapping[str, Any] | None
    new_values: Mapping[str, Any] | None
    edited_by: str | None
    reason: str | None


async def profile(conn: Connection, user_id: UUID) -> Mapping[str, Any]:
    """Return name, e-mail and picture of a profile, and its company's name; nothing if there is no profile."""
    found = await rows(conn, dict_row, "revealed/profile", {"user_id": user_id})
    return found[0] if found else {}


async def audit(conn: Connection, keys: Sequence[tuple[UUID, int]]) -> list[AuditValues]:
    """Return the values of audit rows; *keys* are their users and ids."""
    values = {"user_ids": [user_id for user_id, _ in keys], "ids": [number for _, number in keys]}
    return await rows(conn, args_row(AuditValues), "revealed/audit", values)


async def company_names(conn: Connection, company_ids: Sequence[UUID]) -> dict[UUID, str]:
    """Return the names of companies by id; that of a team with one member may be the member's."""
    return dict(await rows(conn, tuple_row, "revealed/company_names", {"company_ids": list(company_ids)}))


async def body(conn: Connection, seq: int) -> bytes | None:
    """Return the signed bytes of a delivery."""
    found: list[bytes] = await rows(conn, scalar_row, "revealed/body", {"seq": seq})
    return found[0] if found else None
