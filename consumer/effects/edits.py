"""Edits: fields of a profile that the application sets. They override the sender until they are withdrawn."""

from collections.abc import Sequence
from uuid import UUID

from consumer.effects.folding import FoldResult, fold
from consumer.postgres.connections import Connection
from consumer.postgres.queries import query


async def fold_edits(conn: Connection, seqs: Sequence[int]) -> FoldResult:
    """Fold edits of locked users into `consumer.edits`; the newest edit of each field wins."""
    return await fold(conn, query("edits/fold"), {"seqs": seqs})


async def forget(conn: Connection, user_ids: Sequence[UUID]) -> None:
    """Delete edits of forgotten users that no row is derived from."""
    await conn.execute(query("edits/forget"), {"user_ids": user_ids})
