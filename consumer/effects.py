"""What each event type does to the tables: SQL over the claimed set, so that bodies never leave PostgreSQL."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from uuid import UUID

from psycopg.errors import IntegrityError, RaiseException

from consumer import outbox
from consumer.database import Connection
from consumer.errors import LostDeliveries
from consumer.events import KNOWN_TYPES
from consumer.outbox import Claimed
from consumer.queries import query

# Returns the outcome of each delivery, by its seq.
Effect = Callable[[Connection, Sequence[int]], Awaitable[dict[int, str]]]


async def apply(conn: Connection, claimed: Sequence[Claimed]) -> dict[int, str]:
    """Apply claimed deliveries and mark them done, in the caller's transaction; return the outcome of each
    by its seq."""
    seqs_by_effect: defaultdict[Effect, list[int]] = defaultdict(list)
    for delivery in claimed:
        seqs_by_effect[_effect(delivery)].append(delivery.seq)
    outcomes: dict[int, str] = {}
    for effect in _ORDER:
        if seqs := seqs_by_effect.get(effect):
            outcomes |= await effect(conn, seqs)
    if len(outcomes) != len(claimed):
        raise LostDeliveries
    # An application's deferred constraint would speak up only at the commit, when no culprit can be looked for.
    await conn.execute(query("session/check_constraints"))
    return outcomes


def _effect(delivery: Claimed) -> Effect:
    """Choose by type; a type from a source that may not send it has none."""
    kind = KNOWN_TYPES.get(delivery.event_type)
    return EFFECTS.get(delivery.event_type, _ignore) if kind and delivery.source in kind.sources else _ignore


async def _declare_company(conn: Connection, seqs: Sequence[int]) -> dict[int, str]:
    """Make the placeholder of a default company."""
    made_by = set(await _seqs(conn, "effects/companies", {"seqs": seqs}))
    return {
        **await outbox.finish(conn, sorted(made_by), "applied"),
        **await outbox.finish(conn, sorted(set(seqs) - made_by), "unchanged"),
    }


async def _fold_users(conn: Connection, seqs: Sequence[int]) -> dict[int, str]:
    """Fold user deliveries into mirror, profiles and audit; the mirror comes first, for its rows are the locks."""
    cursor = await conn.execute(query("effects/mirror"), {"seqs": seqs}, binary=True)
    written, changed, deleted = await cursor.fetchone() or ([], [], [])
    audited: list[int] = []
    if deleted:
        audited += await _remove_profiles(conn, seqs, deleted)
        await conn.execute(query("effects/hold"), {"user_ids": deleted})
        await conn.execute(query("effects/forget"), {"user_ids": deleted})
    if written:
        audited += await _seqs(conn, "effects/profiles", {"seqs": seqs, "written": written})
    audited += await _seqs(conn, "audit/put_sign_ins", {"seqs": seqs})
    if deleted:
        await conn.execute(query("audit/scrub"), {"user_ids": deleted})
    values = {"seqs": seqs, "changed": changed, "audited": audited}
    cursor = await conn.execute(query("outbox/finish_users"), values, binary=True)
    return dict(await cursor.fetchall())


async def _remove_profiles(conn: Connection, seqs: Sequence[int], user_ids: Sequence[UUID]) -> list[int]:
    """Remove hard-deleted profiles but those that an application's constraint or trigger holds; return who did it."""
    try:
        async with conn.transaction():
            removed_by = await _seqs(conn, "effects/remove_profiles", {"seqs": seqs, "user_ids": user_ids})
            # A deferred foreign key would speak up only at the commit, when nothing can be done about it.
            await conn.execute(query("session/check_constraints"))
            return removed_by
    # 23503, PostgreSQL 18's 23001 for RESTRICT, 23502 of a NOT NULL column that the key would set to null; P0001 of a
    # trigger.
    except (IntegrityError, RaiseException):
        if len(user_ids) == 1:
            return []
        half = len(user_ids) // 2
        return [
            *await _remove_profiles(conn, seqs, user_ids[:half]),
            *await _remove_profiles(conn, seqs, user_ids[half:]),
        ]


async def _seqs(conn: Connection, name: str, values: Mapping[str, object]) -> list[int]:
    """Run a query that returns one array of deliveries."""
    cursor = await conn.execute(query(name), values, binary=True)
    (seqs,) = await cursor.fetchone() or ([],)
    return list(seqs)


async def _ignore(conn: Connection, seqs: Sequence[int]) -> dict[int, str]:
    """Mark done what has no effect in this release; a later one queues it again."""
    return await outbox.finish(conn, seqs, "ignored")


EFFECTS: Mapping[str, Effect] = {
    "company.declared": _declare_company,
    "user.created": _fold_users,
    "user.updated": _fold_users,
    "user.deleted": _fold_users,
    "user.signed_in": _fold_users,
    "user.signed_out": _fold_users,
}
# Companies come before the users who refer to them.
_ORDER: Sequence[Effect] = tuple(dict.fromkeys([*EFFECTS.values(), _ignore]))
