"""Edits: what the application sets on profiles, above what the sender says, until it withdraws that."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from consumer.postgres.connections import Connection
from consumer.postgres.queries import query


class Folded(NamedTuple):
    """The deliveries that changed what is known, and those that a newer one outdoes."""

    applied: Sequence[int] = ()
    stale: Sequence[int] = ()


async def fold(conn: Connection, seqs: Sequence[int]) -> Folded:
    """Fold edits into what is known of the locked users; the newest of each field counts."""
    cursor = await conn.execute(query("edits/fold"), {"seqs": seqs}, binary=True)
    return Folded(*await cursor.fetchone() or ())


async def forget(conn: Connection, user_ids: Sequence[UUID]) -> None:
    """Take from deleted users whose personal data is gone the edits of which no row is made any more."""
    await conn.execute(query("edits/forget"), {"user_ids": user_ids})
