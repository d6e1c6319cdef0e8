"""Who is in which company, what they may do there, and which company is their home."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from consumer.effects.companies import Selected
from consumer.postgres.connections import Connection
from consumer.postgres.queries import query


class Folded(NamedTuple):
    """The deliveries that changed what is known, those that a newer one outdoes, and the users concerned."""

    applied: Sequence[int] = ()
    stale: Sequence[int] = ()
    user_ids: Sequence[UUID] = ()


async def fold(conn: Connection, seqs: Sequence[int], selected: Selected) -> Folded:
    """Fold joins, explicit or implied by a selected team, and removals into what is known of the locked users."""
    values = {
        "seqs": [*seqs, *selected.seqs],
        "selecting": list(selected.seqs),
        "selected": list(selected.company_ids),
    }
    return await _folded(conn, "members/fold", values)


async def fold_permissions(conn: Connection, seqs: Sequence[int]) -> Folded:
    """Fold permissions into what is known of the locked users."""
    return await _folded(conn, "members/fold_permissions", {"seqs": seqs})


async def _folded(conn: Connection, name: str, values: Mapping[str, object]) -> Folded:
    cursor = await conn.execute(query(name), values, binary=True)
    return Folded(*await cursor.fetchone() or ())


async def settle(conn: Connection, user_ids: Collection[UUID], placed: Collection[UUID] = ()) -> Sequence[UUID]:
    """Make the memberships of locked users, in locked companies, what is known of them, and find the home of these and
    of those placed; return who moved."""
    if user_ids:
        await conn.execute(query("members/put"), {"user_ids": sorted(user_ids)})
    looking = sorted({*user_ids, *placed})
    if not looking:
        return []
    cursor = await conn.execute(query("members/home"), {"user_ids": looking}, binary=True)
    (moved,) = await cursor.fetchone() or ([],)
    return list(moved)
