"""Apply a batch: run the SQL of each kind of fact over the claimed deliveries, and mark them done."""

from collections.abc import Mapping, Sequence

from consumer.effects import application
from consumer.effects.by_fact import ByFact, by_fact
from consumer.effects.derive import Derived, derive
from consumer.errors import LostDeliveries
from consumer.events.registry import Fact
from consumer.outbox import queue
from consumer.outbox.queue import Claimed
from consumer.postgres import session
from consumer.postgres.connections import Connection
from consumer.postgres.queries import query

# The outcome of a delivery that a newer one supersedes.
STALE = "stale"


async def apply(conn: Connection, claimed: Sequence[Claimed], projection_sql: bytes | None = None) -> dict[int, str]:
    """Apply claimed deliveries and mark them done, in the caller's transaction; return outcomes by seq.

    The application's statement, if there is one, runs for each user with a new fact, even if the profile stays the
    same: an edit may set the role that the profile had by default. Raises LostDeliveries if a statement skips any.
    """
    # Of a repeat of a removed delivery nothing counts: its own time may be newer than what superseded it.
    grouped = by_fact([delivery for delivery in claimed if not delivery.is_pruned])
    derived = await derive(conn, grouped)
    with_new_fact = {grouped.user_ids[seq] for seq in derived.applied if seq in grouped.user_ids}
    changed = {*derived.changed.user_ids, *derived.mirrored.changed, *with_new_fact}
    await application.run_app_statement(conn, projection_sql, changed)
    own = await apply_own(conn, grouped.own)
    derived.applied.update(derived.changed.seqs, own)
    outcomes = await _finish(conn, grouped, derived)
    if repeats := {delivery.seq: STALE for delivery in claimed if delivery.is_pruned}:
        await queue.finish(conn, repeats)
        outcomes |= repeats
    if len(outcomes) != len(claimed):
        raise LostDeliveries
    # An application's deferred constraint would fail only at the commit, too late to bisect.
    await session.check_constraints(conn)
    return outcomes


async def apply_own(conn: Connection, own: Mapping[str, Sequence[int]]) -> set[int]:
    """Run the SQL of your own event types, in the order of their names; return the deliveries that changed a row."""
    applied: set[int] = set()
    for name in sorted(own):
        cursor = await conn.execute(query(f"effects/{name}"), {"seqs": own[name]}, binary=True)
        (changed,) = await cursor.fetchone() or ([],)
        applied.update(changed)
    return applied


async def _finish(conn: Connection, grouped: ByFact, derived: Derived) -> dict[int, str]:
    # A delivery without an effect in this release is ignored: the release that gives it one queues it again.
    outcomes = dict.fromkeys(grouped.of(Fact.NOTHING), "ignored")
    for seq in grouped.of(Fact.EDIT, Fact.TEAM, Fact.MEMBERSHIP, Fact.PERMISSION, Fact.OWN):
        outcomes[seq] = "applied" if seq in derived.applied else STALE if seq in derived.stale else "unchanged"
    if outcomes:
        await queue.finish(conn, outcomes)
    if about_users := grouped.of(Fact.USER, Fact.SIGN_IN):
        changed = derived.mirrored.changed
        outcomes |= await queue.finish_users(conn, about_users, changed=changed, applied=derived.applied)
    return outcomes
