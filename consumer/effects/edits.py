"""Edits: what the application sets on profiles, above what the sender says, until it withdraws that."""

from collections.abc import Sequence
from uuid import UUID

from consumer.effects.folding import FoldResult, fold
from consumer.postgres.connections import Connection
from consumer.postgres.queries import query


async def fold_edits(conn: Connection, seqs: Sequence[int]) -> FoldResult:
    """Fold edits into `consumer.edits`, whose users are locked; the newest edit of each field wins."""
    return await fold(conn, query("edits/fold"), {"seqs": seqs})


async def forget(conn: Connection, user_ids: Sequence[UUID]) -> None:
    """Take from deleted users whose personal data is gone the edits of which no row is made any more."""
    await conn.execute(query("edits/forget"), {"user_ids": user_ids})
