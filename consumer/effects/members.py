"""Members: the users of each company, their permissions there, and the home company of each user."""

from collections.abc import Collection, Sequence
from uuid import UUID

from consumer.effects.companies import SelectedTeams
from consumer.effects.folding import FoldResult, fold
from consumer.postgres.connections import Connection
from consumer.postgres.queries import query


async def fold_joins(conn: Connection, seqs: Sequence[int], selected: SelectedTeams) -> FoldResult:
    """Fold joins, explicit or implied by a selected team, and removals of locked users into `consumer.memberships`."""
    values = {"seqs": [*seqs, *selected.seqs], "selecting": list(selected.seqs), "selected": list(selected.company_ids)}
    return await fold(conn, query("members/fold"), values)


async def fold_permissions(conn: Connection, seqs: Sequence[int]) -> FoldResult:
    """Fold permissions of locked users into `consumer.team_permissions`."""
    return await fold(conn, query("members/fold_permissions"), {"seqs": seqs})


async def remove_untold(conn: Connection, user_ids: Collection[UUID]) -> None:
    """Remove memberships of these users that `consumer.memberships` does not know, and those of removed users."""
    await conn.execute(query("members/remove_untold"), {"user_ids": list(user_ids)})


async def update_members_and_homes(
    conn: Connection, user_ids: Collection[UUID], placed: Collection[UUID] = ()
) -> Sequence[UUID]:
    """Rewrite company_members of *user_ids*, then recompute the home company of *user_ids* and *placed*.

    Users and companies must be locked. Returns the users with a new home or new guest keys.
    """
    if user_ids:
        await conn.execute(query("members/put"), {"user_ids": list(user_ids)})
    looking = list({*user_ids, *placed})
    if not looking:
        return []
    cursor = await conn.execute(query("members/home"), {"user_ids": looking}, binary=True)
    (moved,) = await cursor.fetchone() or ([],)
    return list(moved)
