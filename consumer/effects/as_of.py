"""Rows as they were: made anew of the deliveries received until an instant, read, and rolled back."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from psycopg.rows import scalar_row, tuple_row

from consumer.effects import anew, users
from consumer.errors import PrunedState
from consumer.postgres.connections import Connection
from consumer.postgres.queries import rows


class PastRows(NamedTuple):
    """Rows of users and of companies, each user or company as a JSON object, by id."""

    users: Mapping[UUID, str]
    companies: Mapping[UUID, str]


async def past_rows(
    conn: Connection, until: datetime, user_ids: Sequence[UUID], company_ids: Sequence[UUID]
) -> PastRows:
    """Return the rows that the deliveries received until then make, under the exclusions and settings of today.

    To those of *company_ids* it adds the companies that the users' rows depend on. It runs in the caller's transaction,
    and keeps nothing of what it writes. Raises PrunedState if some of these deliveries may be missing.
    """
    async with conn.transaction(force_rollback=True):
        await users.lock(conn, user_ids)
        # Homes depend on companies, and which companies that are is known once the users are folded. The locks go with
        # the savepoint: they are taken once more, in their order and in the strongest mode.
        named = sorted({*company_ids, *await _named_companies(conn, until, user_ids)})
        await anew.lock_companies(conn, named)
        existing = await anew.fold_past_companies(conn, named, until)
        told = await _fold_users(conn, until, user_ids)
        values = {"user_ids": user_ids, "told": list(told)}
        found = PastRows(
            dict(await rows(conn, tuple_row, "as_of/users", values)),
            dict(await rows(conn, tuple_row, "as_of/companies", {"company_ids": list(existing)})),
        )
    # Last, because a prune may have run beside it.
    [pruned_until] = await rows(conn, scalar_row, "as_of/pruned_until")
    if pruned_until and until < pruned_until:
        raise PrunedState(pruned_until)
    return found


async def _named_companies(conn: Connection, until: datetime, user_ids: Sequence[UUID]) -> list[UUID]:
    async with conn.transaction(force_rollback=True):
        await _fold_users(conn, until, user_ids)
        return await rows(conn, scalar_row, "as_of/named_companies", {"user_ids": user_ids})


async def _fold_users(conn: Connection, until: datetime, user_ids: Sequence[UUID]) -> set[UUID]:
    """Fold what was received until then; return the users that it tells of."""
    grouped = await anew.fold_users(conn, await anew.digests(conn, user_ids), until)
    return grouped.users_of(grouped.about_users())
