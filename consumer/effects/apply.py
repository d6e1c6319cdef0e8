"""Apply a batch: run the SQL of each kind of fact over the claimed deliveries, in the order of the locks."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from consumer.effects import application, companies, edits, members, users
from consumer.effects.companies import SelectedTeams
from consumer.effects.folding import FoldResult
from consumer.effects.users import ChangedProfiles, MirrorResult
from consumer.errors import BadPayload, LostDeliveries
from consumer.events.registry import EVENT_TYPES, Fact
from consumer.outbox import queue
from consumer.outbox.queue import Claimed
from consumer.postgres import session
from consumer.postgres.connections import Connection
from consumer.postgres.queries import query

# A delivery with one of these facts locks its user, if it has one.
ABOUT_USERS = (Fact.USER, Fact.SIGN_IN, Fact.EDIT, Fact.MEMBERSHIP, Fact.PERMISSION, Fact.OWN)
# A delivery with one of these facts can't be applied without a user, or without a team.
NEEDING_USER = (Fact.USER, Fact.SIGN_IN, Fact.EDIT, Fact.MEMBERSHIP, Fact.PERMISSION)
NEEDING_TEAM = (Fact.TEAM, Fact.MEMBERSHIP, Fact.PERMISSION)
NO_SUBJECT = BadPayload("no_subject", "$.data", "Expected the user and the team that the type is about")


@dataclass(frozen=True, slots=True)
class ByFact:
    """Claimed deliveries, grouped by their fact."""

    seqs: Mapping[Fact, list[int]]
    user_ids: Mapping[int, UUID]
    own: Mapping[str, list[int]]

    def of(self, *facts: Fact) -> list[int]:
        """Return the deliveries with any of *facts*."""
        return [seq for fact in facts for seq in self.seqs.get(fact, ())]

    def users_of(self, seqs: Iterable[int]) -> set[UUID]:
        """Return the users of these deliveries."""
        return {self.user_ids[seq] for seq in seqs}


def lacks_subject(delivery: Claimed) -> bool:
    """Tell whether the type of a delivery needs a user or a team that the delivery does not name."""
    fact = _fact(delivery)
    return (fact in NEEDING_USER and not delivery.user_id) or (fact in NEEDING_TEAM and not delivery.team_id)


async def apply(conn: Connection, claimed: Sequence[Claimed], projection_sql: bytes | None = None) -> dict[int, str]:
    """Apply claimed deliveries and mark them done, in the caller's transaction; return outcomes by seq.

    The application's statement, if there is one, runs for each user with a new fact, even if the profile stays the
    same: an edit may set the role that the profile had by default. Raises LostDeliveries if a statement skips any.
    """
    by_fact = _by_fact(claimed)
    about_users = [seq for seq in by_fact.of(*ABOUT_USERS) if seq in by_fact.user_ids]
    # The mirror comes first, because its rows are the users' locks.
    mirrored = await users.mirror(conn, about_users) if about_users else MirrorResult()
    removed = ChangedProfiles()
    if mirrored.deleted:
        removed = await users.forget(conn, about_users, mirrored.deleted)
        await edits.forget(conn, mirrored.deleted)
    edited = await edits.fold_edits(conn, by_fact.of(Fact.EDIT)) if by_fact.of(Fact.EDIT) else FoldResult()
    folded, moved = await _fold_teams(conn, by_fact, mirrored)
    applied = {*edited.applied, *folded.applied}
    changed = removed | await _put_profiles(conn, by_fact, mirrored, moved, applied)
    with_new_fact = {by_fact.user_ids[seq] for seq in applied if seq in by_fact.user_ids}
    await application.run_app_statement(conn, projection_sql, {*changed.user_ids, *mirrored.changed, *with_new_fact})
    own = await _apply_own(conn, by_fact.own)
    stale = {*edited.stale, *folded.stale}
    outcomes = await _finish(conn, by_fact, mirrored, {*applied, *changed.seqs, *own}, stale)
    if len(outcomes) != len(claimed):
        raise LostDeliveries
    # An application's deferred constraint would fail only at the commit, too late to bisect.
    await session.check_constraints(conn)
    return outcomes


def _by_fact(claimed: Sequence[Claimed]) -> ByFact:
    seqs: defaultdict[Fact, list[int]] = defaultdict(list)
    own: defaultdict[str, list[int]] = defaultdict(list)
    for delivery in claimed:
        fact = _fact(delivery)
        seqs[fact].append(delivery.seq)
        if fact is Fact.OWN:
            own[EVENT_TYPES[delivery.event_type].effect].append(delivery.seq)
    return ByFact(seqs, {delivery.seq: delivery.user_id for delivery in claimed if delivery.user_id}, own)


def _fact(delivery: Claimed) -> Fact:
    known = EVENT_TYPES.get(delivery.event_type)
    # A type from a source that may not send it carries no fact.
    return known.fact if known and delivery.source in known.sources else Fact.NOTHING


async def _fold_teams(conn: Connection, by_fact: ByFact, mirrored: MirrorResult) -> tuple[FoldResult, Sequence[UUID]]:
    """Lock the companies of the batch, and fold the deliveries about teams, memberships and permissions.

    Return the users with another home, too. A batch that concerns no team runs no statement here.
    """
    selected = SelectedTeams(mirrored.selecting, mirrored.selected)
    about_teams = by_fact.of(Fact.TEAM, Fact.MEMBERSHIP)
    memberships, permissions = by_fact.of(Fact.MEMBERSHIP), by_fact.of(Fact.PERMISSION)
    placed = {*mirrored.placed, *by_fact.users_of(by_fact.of(Fact.EDIT))}
    concerned = by_fact.users_of([*memberships, *permissions, *selected.seqs]) | {*placed, *mirrored.deleted}
    if not about_teams and not concerned:
        return FoldResult(), ()
    await companies.lock(conn, about_teams, selected, concerned)
    teams, joins, grants = FoldResult(), FoldResult(), FoldResult()
    if about_teams or selected.seqs:
        teams = await companies.fold_teams(conn, about_teams, selected)
    if memberships or selected.seqs:
        joins = await members.fold_joins(conn, memberships, selected)
    if permissions:
        grants = await members.fold_permissions(conn, permissions)
    rejoined = {*mirrored.deleted, *joins.user_ids, *grants.user_ids}
    return teams | joins | grants, await members.update_members_and_homes(conn, rejoined, placed)


async def _put_profiles(
    conn: Connection, by_fact: ByFact, mirrored: MirrorResult, moved: Collection[UUID], applied: Collection[int]
) -> ChangedProfiles:
    """Derive the profiles from mirror and edits; return the audited deliveries and the users with a written profile."""
    changed = ChangedProfiles()
    edited = by_fact.users_of(by_fact.of(Fact.EDIT))
    if user_ids := {*mirrored.written, *moved, *edited}:
        seqs = by_fact.of(*ABOUT_USERS)
        changed = await users.put(conn, seqs, list(user_ids), changed=mirrored.changed, applied=applied)
    if sign_ins := by_fact.of(Fact.SIGN_IN):
        changed |= ChangedProfiles(seqs=await users.put_sign_ins(conn, sign_ins))
    if mirrored.deleted or edited:
        await users.scrub_audit(conn, list({*mirrored.deleted, *edited}))
    return changed


async def _apply_own(conn: Connection, own: Mapping[str, Sequence[int]]) -> set[int]:
    """Run the SQL of your own event types, in the order of their names; return the deliveries that changed a row."""
    applied: set[int] = set()
    for name in sorted(own):
        cursor = await conn.execute(query(f"effects/{name}"), {"seqs": own[name]}, binary=True)
        (changed,) = await cursor.fetchone() or ([],)
        applied.update(changed)
    return applied


async def _finish(
    conn: Connection, by_fact: ByFact, mirrored: MirrorResult, applied: Collection[int], stale: Collection[int]
) -> dict[int, str]:
    # A delivery without an effect in this release is ignored: the release that gives it one queues it again.
    outcomes = dict.fromkeys(by_fact.of(Fact.NOTHING), "ignored")
    for seq in by_fact.of(Fact.EDIT, Fact.TEAM, Fact.MEMBERSHIP, Fact.PERMISSION, Fact.OWN):
        outcomes[seq] = "applied" if seq in applied else "stale" if seq in stale else "unchanged"
    if outcomes:
        await queue.finish(conn, outcomes)
    if about_users := by_fact.of(Fact.USER, Fact.SIGN_IN):
        outcomes |= await queue.finish_users(conn, about_users, changed=mirrored.changed, applied=applied)
    return outcomes
