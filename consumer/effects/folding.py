"""What a fold leaves behind: a statement that takes the newer of two facts, and says which deliveries counted."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from consumer.postgres.connections import Connection


class FoldResult(NamedTuple):
    """Deliveries that changed a stored fact, deliveries older than the stored fact, and the users it concerns."""

    applied: Sequence[int] = ()
    stale: Sequence[int] = ()
    user_ids: Sequence[UUID] = ()


async def fold(conn: Connection, statement: bytes, values: Mapping[str, object]) -> FoldResult:
    """Run a folding statement, which returns one row of such lists."""
    cursor = await conn.execute(statement, values, binary=True)
    return FoldResult(*await cursor.fetchone() or ())
