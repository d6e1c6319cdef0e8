"""Folds: statements that keep the newer of two facts and return the deliveries that counted."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from consumer.postgres.connections import Connection


class FoldResult(NamedTuple):
    """Deliveries that changed a stored fact, deliveries older than the stored fact, and the users it concerns."""

    applied: Sequence[int] = ()
    stale: Sequence[int] = ()
    user_ids: Sequence[UUID] = ()

    def __or__(self, other: "FoldResult") -> "FoldResult":
        user_ids = [*self.user_ids, *other.user_ids]
        return FoldResult([*self.applied, *other.applied], [*self.stale, *other.stale], user_ids)


async def fold(conn: Connection, statement: bytes, values: Mapping[str, object]) -> FoldResult:
    """Run a fold, which returns one row with the lists of FoldResult."""
    cursor = await conn.execute(statement, values, binary=True)
    return FoldResult(*await cursor.fetchone() or ())
