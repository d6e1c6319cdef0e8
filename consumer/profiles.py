"""Profiles for applications in Python: read and edited with the rights of the application's connection."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, TypedDict
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import args_row, scalar_row
from psycopg.types.json import Jsonb

from consumer.errors import BadQuery
from consumer.postgres.queries import query, rows

# A whole page is held in memory.
PAGE_SIZE = 50
PAGE_SIZE_MAX = 1_000
# The index profiles_role_type holds no longer role.
ROLE_BYTES_MAX = 256


@dataclass(frozen=True, slots=True)
class Profile:
    """A row of `identity.profiles`; *deleted_at* is None until the user is deleted."""

    user_id: UUID
    company_id: UUID | None
    full_name: str
    email: str | None
    email_verified: bool | None
    avatar_url: str | None
    role_type: str
    department: str
    is_restricted: bool | None
    last_active_at: datetime | None
    last_sign_in_at: datetime | None
    last_sign_out_at: datetime | None
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None


@dataclass(frozen=True, slots=True)
class Company:
    """A profile's company."""

    id: UUID
    name: str
    logo_url: str | None
    settings: Mapping[str, Any]


class WithCompany(NamedTuple):
    """A profile and its company; None if it has no company that the caller may see."""

    profile: Profile
    company: Company | None


class Edits(TypedDict, total=False):
    """The fields that an application sets on a profile; None withdraws an edit, so that Stack's value returns.

    *edited_by* and *reason*, of at most 1,000 characters each, stand in the audit row of the change.
    """

    role_type: str | None
    department: str | None
    company_id: UUID | None
    edited_by: str | None
    reason: str | None


@asynccontextmanager
async def acting_as(
    conn: AsyncConnection[Any],
    role: str = "consumer_tenant",
    *,
    company_id: UUID | None = None,
    user_id: UUID | None = None,
) -> AsyncIterator[None]:
    """Open a transaction under a role, for one company or one user; both end with it."""
    context = {"role": role, "company_id": str(company_id or ""), "user_id": str(user_id or "")}
    async with conn.transaction():
        await conn.execute(query("profiles/enter"), context)
        yield


async def get(conn: AsyncConnection[Any], user_id: UUID) -> Profile | None:
    """Return a profile, or None; a deleted user's profile too, if the caller may see it."""
    return next(iter(await rows(conn, args_row(Profile), "profiles/get", {"user_id": user_id})), None)


async def exists(conn: AsyncConnection[Any], user_id: UUID) -> bool:
    """Tell whether the caller sees a profile of the user that is not deleted."""
    return await rows(conn, scalar_row, "profiles/exists", {"user_id": user_id}) == [True]


async def with_company(conn: AsyncConnection[Any], user_id: UUID) -> WithCompany | None:
    """Return a profile and its company, or None."""
    return next(iter(await rows(conn, args_row(_with_company), "profiles/with_company", {"user_id": user_id})), None)


async def page(conn: AsyncConnection[Any], *, after: UUID | None = None, size: int = PAGE_SIZE) -> list[Profile]:
    """Return the company's next profiles by user id: its home users and guests, except deleted ones.

    *after* is the last user id of the previous page.
    """
    values = {"role_type": None, "after": after, "size": _size(size)}
    return await rows(conn, args_row(Profile), "profiles/page", values)


async def by_role(
    conn: AsyncConnection[Any], role_type: str, *, after: UUID | None = None, size: int = PAGE_SIZE
) -> list[Profile]:
    """Return the company's next profiles with this role, as `page` does."""
    if len(role_type.encode()) > ROLE_BYTES_MAX:
        raise BadQuery(f"A role must have at most {ROLE_BYTES_MAX} bytes.")
    values = {"role_type": role_type, "after": after, "size": _size(size)}
    return await rows(conn, args_row(Profile), "profiles/page", values)


async def search(conn: AsyncConnection[Any], name: str, *, size: int = PAGE_SIZE) -> list[Profile]:
    """Return the company's profiles whose name contains *name*, without accents or case; first those that begin so."""
    return await rows(conn, args_row(Profile), "profiles/search", {"name": name, "size": _size(size)})


async def edit(conn: AsyncConnection[Any], user_id: UUID, edits: Edits) -> str:
    """Store an edit, which a worker applies after the caller's transaction commits; return its message id.

    It overrides Stack's value until it is withdrawn. Raises psycopg's InvalidParameterValue for an invalid edit. The
    caller acts as `consumer_app`.
    """
    values = {name: str(value) if isinstance(value, UUID) else value for name, value in edits.items()}
    [message_id] = await rows(conn, scalar_row, "profiles/edit", {"user_id": user_id, "edits": Jsonb(values)})
    return str(message_id)


def _with_company(*columns: Any) -> WithCompany:
    profile, company = columns[:-4], columns[-4:]
    return WithCompany(Profile(*profile), Company(*company) if company[0] else None)


def _size(size: int) -> int:
    if not 1 <= size <= PAGE_SIZE_MAX:
        raise BadQuery(f"A page must have from 1 to {PAGE_SIZE_MAX} profiles.")
    return size
