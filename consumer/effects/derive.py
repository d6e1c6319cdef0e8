"""Fold facts into the tables, and derive from them all that is shown: in the order of the locks, in one transaction."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from consumer.effects import companies, edits, members, users
from consumer.effects.by_fact import ABOUT_TEAMS, ABOUT_USERS, ByFact
from consumer.effects.companies import SelectedTeams
from consumer.effects.folding import FoldResult
from consumer.effects.users import Causes, ChangedProfiles, Marks, MirrorResult
from consumer.events.registry import Fact
from consumer.outbox import rebuild_queue
from consumer.postgres.connections import Connection

NOBODY: Mapping[UUID, Marks] = {}


@dataclass(slots=True)
class Derived:
    """What the deliveries changed; *applied* and *stale* are deliveries."""

    mirrored: MirrorResult = field(default_factory=MirrorResult)
    changed: ChangedProfiles = field(default_factory=ChangedProfiles)
    applied: set[int] = field(default_factory=set)
    stale: set[int] = field(default_factory=set)


async def derive(conn: Connection, by_fact: ByFact, *, anew: Mapping[UUID, Marks] = NOBODY) -> Derived:
    """Fold the deliveries, and derive members, homes and profiles of the users that they concern.

    Of the users made *anew* nothing but their marks is known before: all their deliveries are here, and all their rows
    are derived.
    """
    about_users = by_fact.about_users()
    # The mirror comes first, because its rows are the users' locks.
    mirrored = await users.mirror(conn, about_users) if about_users else MirrorResult()
    if anew:
        await users.mark_again(conn, anew)
    removed = ChangedProfiles()
    if mirrored.deleted:
        removed = await users.forget(conn, about_users, mirrored.deleted, is_anew=bool(anew))
        await edits.forget(conn, mirrored.deleted)
    if mirrored.lifted and not anew:
        await rebuild_queue.put_revived(conn, mirrored.lifted)
    edited = await edits.fold_edits(conn, by_fact.of(Fact.EDIT)) if by_fact.of(Fact.EDIT) else FoldResult()
    folded, moved = await _fold_teams(conn, by_fact, mirrored, anew)
    applied = {*edited.applied, *folded.applied}
    with_edit = by_fact.users_of(by_fact.of(Fact.EDIT))
    causes = Causes(by_fact.of(*ABOUT_USERS), mirrored.changed, applied, is_anew=bool(anew))
    written = {*mirrored.written, *moved, *with_edit, *anew}
    changed = removed | await _put_profiles(conn, by_fact, written, causes)
    if mirrored.deleted or with_edit:
        await users.scrub_audit(conn, list({*mirrored.deleted, *with_edit}))
    return Derived(mirrored, changed, applied, {*edited.stale, *folded.stale})


async def _fold_teams(
    conn: Connection, by_fact: ByFact, mirrored: MirrorResult, anew: Collection[UUID]
) -> tuple[FoldResult, Collection[UUID]]:
    """Lock the companies of the batch, and fold the deliveries about teams, memberships and permissions.

    Return the users with another home, too. A batch that concerns no team runs no statement here.
    """
    selected = SelectedTeams(mirrored.selecting, mirrored.selected)
    about_teams = by_fact.of(*ABOUT_TEAMS)
    memberships, permissions = by_fact.of(Fact.MEMBERSHIP), by_fact.of(Fact.PERMISSION)
    placed = {*mirrored.placed, *by_fact.users_of(by_fact.of(Fact.EDIT))}
    ended = {*mirrored.deleted, *mirrored.lifted, *anew}
    concerned = by_fact.users_of([*memberships, *permissions, *selected.seqs]) | placed | ended
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
    if anew:
        await members.remove_untold(conn, anew)
    rejoined = ended | {*joins.user_ids, *grants.user_ids}
    return teams | joins | grants, await members.update_members_and_homes(conn, rejoined, placed)


async def _put_profiles(conn: Connection, by_fact: ByFact, user_ids: set[UUID], causes: Causes) -> ChangedProfiles:
    """Derive profiles from mirror and edits; return the audited deliveries and the users with a written profile."""
    changed = ChangedProfiles()
    if user_ids:
        changed = await users.put(conn, list(user_ids), causes)
    if sign_ins := by_fact.of(Fact.SIGN_IN):
        changed |= ChangedProfiles(seqs=await users.put_sign_ins(conn, sign_ins))
    return changed
