"""Companies: the teams of the sender, and the locks that keep what refers to one in step with it."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple
from uuid import UUID

from consumer.postgres.connections import Connection
from consumer.postgres.queries import query


class Selected(NamedTuple):
    """The deliveries in which Stack names a user's selected team, and that team, pair by pair."""

    seqs: Sequence[int] = ()
    company_ids: Sequence[UUID] = ()


class Folded(NamedTuple):
    """The deliveries that changed a company, and those that a newer one outdoes."""

    applied: Sequence[int] = ()
    stale: Sequence[int] = ()


async def lock(conn: Connection, seqs: Sequence[int], selected: Selected, user_ids: Iterable[UUID]) -> None:
    """Lock the companies that these deliveries name and those that these users refer to, until the transaction ends.

    Comes after the users' own locks, once a transaction. What depends on a company is read by later statements.
    """
    values = {"seqs": seqs, "selected": list(selected.company_ids), "user_ids": sorted(user_ids)}
    await conn.execute(query("companies/lock"), values)


async def fold(conn: Connection, seqs: Sequence[int], selected: Selected) -> Folded:
    """Fold deliveries that name a team into the locked companies, and queue the users of those made or deleted."""
    values = {"seqs": seqs, "selecting": list(selected.seqs), "selected": list(selected.company_ids)}
    cursor = await conn.execute(query("companies/fold"), values, binary=True)
    return Folded(*await cursor.fetchone() or ())
