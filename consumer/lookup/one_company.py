"""One company: its name, its members, and what waits for it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from psycopg.rows import args_row, class_row

from consumer.lookup import revealed
from consumer.postgres.connections import Connection
from consumer.postgres.first_rows import FirstRows, first_rows
from consumer.postgres.queries import rows

# A count of rows by an index: some milliseconds, however large the company.
COUNTED_MAX = 10_000


@dataclass(frozen=True, slots=True)
class KnownCompany:
    """A company; *members* are the active ones, *guests* those of them that are at home elsewhere.

    They and *at_home* are counted up to COUNTED_MAX.
    """

    id: UUID
    name: str
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None
    members: int
    guests: int
    at_home: int
    is_rehome_queued: bool
    is_rebuild_queued: bool


class CompanyMember(NamedTuple):
    """An active member, with masked personal values; one without a profile has none."""

    user_id: UUID
    full_name: str | None
    email: str | None
    role_type: str | None
    is_guest: bool
    joined_at: datetime | None
    permissions: Sequence[str]


async def find(conn: Connection, company_id: UUID, *, masked: bool = True) -> KnownCompany | None:
    """Return a company, None if nothing is known of it."""
    values = {"company_id": company_id, "counted_max": COUNTED_MAX}
    found = await rows(conn, class_row(KnownCompany), "one_company/find", values)
    if found and not masked:
        return replace(found[0], name=(await revealed.company_names(conn, [company_id]))[company_id])
    return found[0] if found else None


async def members(
    conn: Connection, company_id: UUID, *, size: int, after: UUID | None = None
) -> FirstRows[CompanyMember]:
    """Return the next active members by user id, at most *size*."""
    values = {"company_id": company_id, "after": after}
    return await first_rows(conn, args_row(CompanyMember), "one_company/members", values, size=size)
