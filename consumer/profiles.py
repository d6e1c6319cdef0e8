"""The library's profiles, read and edited by an application in Python as what it may see and do in the database."""

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
from consumer.postgres.queries import query

# A page is held in memory as a whole.
PAGE_SIZE = 50
PAGE_SIZE_MAX = 1_000
# Longer roles are in no index (profiles_role_type).
ROLE_BYTES_MAX = 256


@dataclass(frozen=True, slots=True)
class Profile:
    """A row of `identity.profiles`; *deleted_at* is None while the user lives."""

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
    """A profile's home."""

    id: UUID
    name: str
    logo_url: str | None
    settings: Mapping[str, Any]


class WithCompany(NamedTuple):
    """A profile and its home; None where there is none, or none that the caller may see."""

    profile: Profile
    company: Company | None


class Edits(TypedDict, total=False):
    """What an application sets on a profile; None withdraws it, so that the source's value is back."""

    role_type: str | None
    department: str | None
    company_id: UUID | None


@asynccontextmanager
async def acting_as(
    conn: AsyncConnection[Any],
    role: str = "consumer_tenant",
    *,
    company_id: UUID | None = None,
    user_id: UUID | None = None,
) -> AsyncIterator[None]:
    """Open a transaction as a role, for one company or one person; with it ends what they let the caller see."""
    context = {"role": role, "company_id": str(company_id or ""), "user_id": str(user_id or "")}
    async with conn.transaction():
        await conn.execute(query("profiles/enter"), context)
        yield


async def get(conn: AsyncConnection[Any], user_id: UUID) -> Profile | None:
    """Return a profile; of a deleted user too, where the caller may see it."""
    return next(iter(await _profiles(conn, "get", {"user_id": user_id})), None)


async def exists(conn: AsyncConnection[Any], user_id: UUID) -> bool:
    """Return whether the caller sees a living profile of the user."""
    return bool(await _value(conn, "exists", {"user_id": user_id}))


async def with_company(conn: AsyncConnection[Any], user_id: UUID) -> WithCompany | None:
    """Return a profile and its home."""
    async with conn.cursor(binary=True, row_factory=args_row(_with_company)) as cursor:
        await cursor.execute(query("profiles/with_company"), {"user_id": user_id})
        return await cursor.fetchone()


async def page(conn: AsyncConnection[Any], *, after: UUID | None = None, size: int = PAGE_SIZE) -> list[Profile]:
    """Return the next living profiles of the transaction's company, in the order of their ids: its own and its guests.

    *after* is the last user id of the page before.
    """
    return await _profiles(conn, "page", {"role_type": None, "after": after, "size": _size(size)})


async def by_role(
    conn: AsyncConnection[Any], role_type: str, *, after: UUID | None = None, size: int = PAGE_SIZE
) -> list[Profile]:
    """Return the next of the company's profiles that have a role, as `page` does."""
    if len(role_type.encode()) > ROLE_BYTES_MAX:
        raise BadQuery(f"A role of more than {ROLE_BYTES_MAX} bytes can't be looked for.")
    return await _profiles(conn, "page", {"role_type": role_type, "after": after, "size": _size(size)})


async def search(conn: AsyncConnection[Any], name: str, *, size: int = PAGE_SIZE) -> list[Profile]:
    """Return the company's profiles by a part of their name, accents and case aside; first those that begin with it."""
    return await _profiles(conn, "search", {"name": name, "size": _size(size)})


async def edit(conn: AsyncConnection[Any], user_id: UUID, edits: Edits) -> str:
    """Queue an edit, which a worker applies once the caller's transaction commits; return its message id.

    It wins over what Stack says until it is withdrawn. Raises psycopg's InvalidParameterValue for what is no edit. The
    caller acts as `consumer_app`.
    """
    values = {name: str(value) if isinstance(value, UUID) else value for name, value in edits.items()}
    return str(await _value(conn, "edit", {"user_id": user_id, "edits": Jsonb(values)}))


async def _profiles(conn: AsyncConnection[Any], name: str, values: Mapping[str, object]) -> list[Profile]:
    async with conn.cursor(binary=True, row_factory=args_row(Profile)) as cursor:
        await cursor.execute(query(f"profiles/{name}"), values)
        return await cursor.fetchall()


async def _value(conn: AsyncConnection[Any], name: str, values: Mapping[str, object]) -> object:
    async with conn.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(query(f"profiles/{name}"), values)
        return await cursor.fetchone()


def _with_company(*columns: Any) -> WithCompany:
    profile, company = columns[:-4], columns[-4:]
    return WithCompany(Profile(*profile), Company(*company) if company[0] else None)


def _size(size: int) -> int:
    if not 1 <= size <= PAGE_SIZE_MAX:
        raise BadQuery(f"A page has between 1 and {PAGE_SIZE_MAX} profiles.")
    return size
