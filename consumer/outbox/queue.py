"""The queue of deliveries not applied yet: claimed, finished, set aside."""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from psycopg.rows import args_row

from consumer.postgres.connections import Connection
from consumer.postgres.queries import query, rows


class Claimed(NamedTuple):
    """A delivery that this transaction holds; *has_failed*: an earlier attempt to apply it failed.

    *is_pruned*: it repeats a delivery that a prune had just removed, and tells nothing. *age_seconds*: the time since
    it was stored, by the database's clock; None for one that is replayed or tried again.
    """

    seq: int
    source: str
    message_id: str
    event_type: str
    user_id: UUID | None
    team_id: UUID | None
    has_failed: bool = False
    attempts: int = 0
    is_pruned: bool = False
    age_seconds: float | None = None


async def claim(conn: Connection, *, after_seq: int, batch_size: int) -> list[Claimed]:
    """Lock and take up to *batch_size* pending deliveries above *after_seq*."""
    return await rows(conn, args_row(Claimed), "queue/claim", {"after_seq": after_seq, "batch_size": batch_size})


async def claim_retries(
    conn: Connection, *, batch_size: int, known_types: Collection[tuple[str, str]] | None = None
) -> list[Claimed]:
    """Lock and take up to *batch_size* failed deliveries that are due again.

    Those that wait for a newer release are taken only if *known_types* has their source and type; if None, all are.
    """
    known = None if known_types is None else [f"{source} {event_type}" for source, event_type in known_types]
    return await rows(conn, args_row(Claimed), "queue/claim_retries", {"batch_size": batch_size, "known_types": known})


async def finish(conn: Connection, outcomes: Mapping[int, str]) -> None:
    """Mark claimed deliveries done; *outcomes* maps each seq to its outcome."""
    await conn.execute(query("queue/finish"), {"seqs": list(outcomes), "outcomes": list(outcomes.values())})


async def finish_users(
    conn: Connection, seqs: Sequence[int], *, changed: Sequence[UUID], applied: Collection[int]
) -> dict[int, str]:
    """Mark claimed user deliveries done, each with its outcome for its user; return the outcomes by seq."""
    values = {"seqs": seqs, "changed": changed, "applied": list(applied)}
    cursor = await conn.execute(query("queue/finish_users"), values, binary=True)
    return dict(await cursor.fetchall())


async def retry(conn: Connection, claimed: Claimed, delay: timedelta, code: str, error: str) -> None:
    """Set a claimed delivery aside, due after *delay*, with the attempts it carries."""
    await conn.execute(query("queue/retry"), {**_failure(claimed, code, error), "delay": delay})


async def await_release(conn: Connection, claimed: Sequence[Claimed], code: str, error: str) -> None:
    """Set claimed deliveries aside, with the attempts they carry, until a worker takes them that knows their type."""
    values = {
        "seqs": [c.seq for c in claimed],
        "attempts": [c.attempts for c in claimed],
        "sources": [c.source for c in claimed],
        "event_types": [c.event_type for c in claimed],
    }
    await conn.execute(query("queue/await_release"), {**values, "error_code": code, "error": error})


async def bury(conn: Connection, claimed: Claimed, code: str, error: str) -> None:
    """Set a claimed delivery aside for good, with the attempts it carries."""
    await conn.execute(query("queue/bury"), _failure(claimed, code, error))


def _failure(claimed: Claimed, code: str, error: str) -> dict[str, object]:
    return {
        "seq": claimed.seq,
        "attempts": claimed.attempts,
        "source": claimed.source,
        "event_type": claimed.event_type,
        "error_code": code,
        "error": error,
    }
