"""Rows made anew: all facts of some users or companies are forgotten and folded again from the stored deliveries.

Each attempt lies in a savepoint. What comes out the same is rolled back, so that it is not written; a check rolls all
back.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from psycopg.rows import args_row, dict_row, tuple_row

from consumer.effects import companies, users
from consumer.effects.apply import apply_own
from consumer.effects.by_fact import ABOUT_TEAMS, ABOUT_USERS, ByFact, fact_of
from consumer.effects.companies import SelectedTeams
from consumer.effects.derive import derive
from consumer.effects.users import Marks
from consumer.events.registry import EVENT_TYPES, Fact
from consumer.outbox import rebuild_queue
from consumer.outbox.rebuild_queue import Stage
from consumer.postgres import session
from consumer.postgres.connections import Connection
from consumer.postgres.queries import query, rows

# By user or company: the kinds of rows that came out different.
Differing = dict[UUID, list[str]]
KINDS = ("mirror", "profile", "members", "memberships", "permissions", "edits", "sign_ins")
COMPANY = "company"


class Naming(NamedTuple):
    """A delivery that names a company: as its team, or as a user's selected team."""

    seq: int
    company_id: UUID


@dataclass(frozen=True, slots=True)
class DeliveryGroup:
    """Stored deliveries of one source and type; the three lists belong together. A user's have other teams, or none."""

    source: str
    event_type: str | None
    seqs: Sequence[int]
    user_ids: Sequence[UUID | None]
    team_ids: Sequence[UUID]


async def make_anew(conn: Connection, stage: Stage, ids: Sequence[UUID], *, is_kept: bool) -> Differing:
    """Make the rows of a page of this stage anew in the caller's transaction; return where they differ.

    What does not differ is left as it is, and without *is_kept* everything is.
    """
    if stage is Stage.USER:
        return await _make_users_anew(conn, ids, is_kept=is_kept)
    return await _make_companies_anew(conn, ids, is_named_by_users=stage is Stage.NAMED_BY_USERS, is_kept=is_kept)


async def _make_users_anew(conn: Connection, user_ids: Sequence[UUID], *, is_kept: bool) -> Differing:
    differences: Differing = {}
    kept = list(user_ids)
    # If only some differ, these are made anew once more: the others' rows are not to be written.
    for is_last in (False, True):
        async with conn.transaction() as attempt:
            differences = await _derive_users(conn, kept)
            if not is_kept or not (is_last or len(differences) == len(kept)):
                raise psycopg.Rollback(attempt)
        if not is_kept or not differences or len(differences) == len(kept):
            break
        kept = list(differences)
    return differences


async def _derive_users(conn: Connection, user_ids: Sequence[UUID]) -> Differing:
    inserted = set(await users.lock(conn, user_ids))
    before = await _digests(conn, user_ids)
    for user_id in inserted:
        before[user_id]["mirror"] = None
    named_before = await _named_by_users(conn, user_ids)
    grouped = _by_fact(await _deliveries(conn, user_ids=user_ids))
    await conn.execute(query("anew/blank_users"), {"user_ids": user_ids})
    marks = {one: Marks(row["is_forgotten"], row["is_held"], row["is_removed"]) for one, row in before.items()}
    await derive(conn, grouped, anew=marks)
    await apply_own(conn, grouped.own)
    told = grouped.users_of(grouped.about_users())
    unsent = [user_id for user_id in user_ids if user_id not in told]
    await conn.execute(query("anew/remove_profiles"), {"user_ids": user_ids, "unsent": unsent})
    await session.check_constraints(conn)
    after = await _digests(conn, user_ids)
    differences = _differences(before, after)
    named = await _named_by_users(conn, user_ids)
    # A company that only these users name may be lost without a trace in their own rows.
    for user_id in sorted({user_id for user_id in user_ids if named.get(user_id) != named_before.get(user_id)}):
        differences.setdefault(user_id, []).append(COMPANY)
    await _keep_counters(conn, before, differences)
    renamed = {one for user_id in differences for one in (*named.get(user_id, ()), *named_before.get(user_id, ()))}
    if renamed:
        await rebuild_queue.put_companies(conn, renamed, Stage.NAMED_BY_USERS)
    return differences


async def _make_companies_anew(
    conn: Connection, company_ids: Sequence[UUID], *, is_named_by_users: bool, is_kept: bool
) -> Differing:
    differences: Differing = {}
    async with conn.transaction() as attempt:
        await conn.execute(query("anew/lock_companies"), {"company_ids": company_ids})
        differences = await _derive_companies(conn, company_ids, is_named_by_users=is_named_by_users)
        if not is_kept or not differences:
            raise psycopg.Rollback(attempt)
    return differences


async def _derive_companies(conn: Connection, company_ids: Sequence[UUID], *, is_named_by_users: bool) -> Differing:
    """Derive companies by events of their own.

    *is_named_by_users*: those without a name of their own by what users tell; those that no delivery tells of are
    ended, and removed once no user is there.
    """
    before = await _company_digests(conn, company_ids)
    own, named = _own_events(await _deliveries(conn, company_ids=company_ids))
    selecting: list[Naming] = []
    if is_named_by_users:
        # The first stage has made those anew that have a name of their own.
        company_ids = [company_id for company_id in company_ids if company_id not in named]
        own = [event for event in own if event.company_id not in named]
        selecting = await rows(conn, args_row(Naming), "anew/selecting", {"company_ids": company_ids})
    await conn.execute(
        query("anew/blank_companies"), {"company_ids": company_ids, "is_named_by_users": is_named_by_users}
    )
    selected = SelectedTeams([event.seq for event in selecting], [event.company_id for event in selecting])
    await companies.fold_teams(conn, [event.seq for event in own], selected)
    if is_named_by_users:
        told = {event.company_id for event in (*own, *selecting)}
        await _end_untold(conn, [one for one in company_ids if one not in told and before[one]["digest"]], before)
    after = await _company_digests(conn, company_ids)
    differing = [one for one in company_ids if before[one]["digest"] != after[one]["digest"]]
    latest = {event.company_id: event.seq for event in sorted(own)}
    if moved := [one for one in differing if one in latest and _is_moved(before[one], after[one])]:
        await conn.execute(query("anew/rehome"), {"company_ids": moved, "seqs": [latest[one] for one in moved]})
    return {company_id: [COMPANY] for company_id in differing}


def _is_moved(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Tell whether users may have another home: the company appeared, ended or lives again."""
    return before["digest"] is None or before["deleted_at"] != after["deleted_at"]


async def _end_untold(conn: Connection, untold: Sequence[UUID], before: Mapping[UUID, Mapping[str, Any]]) -> None:
    used = [company_id for company_id in untold if before[company_id]["is_used"]]
    unused = [company_id for company_id in untold if not before[company_id]["is_used"]]
    await conn.execute(query("anew/end_untold"), {"used": used, "unused": unused})
    if used:
        # Its users leave it, and then it goes.
        user_ids = await rebuild_queue.users_of(conn, used)
        await conn.execute(query("anew/requeue"), {"user_ids": user_ids, "company_ids": used})


async def _deliveries(
    conn: Connection, *, user_ids: Collection[UUID] = (), company_ids: Collection[UUID] = ()
) -> list[DeliveryGroup]:
    values = {"user_ids": list(user_ids), "company_ids": list(company_ids)}
    return await rows(conn, args_row(DeliveryGroup), "anew/deliveries", values)


def _by_fact(groups: Sequence[DeliveryGroup]) -> ByFact:
    seqs: dict[Fact, list[int]] = {}
    own: dict[str, list[int]] = {}
    user_ids: dict[int, UUID] = {}
    for group in groups:
        fact = fact_of(group.source, group.event_type)
        seqs.setdefault(fact, []).extend(group.seqs)
        if fact is Fact.OWN:
            own.setdefault(EVENT_TYPES[group.event_type or ""].effect, []).extend(group.seqs)
        if fact in ABOUT_USERS:
            user_ids.update((seq, user_id) for seq, user_id in zip(group.seqs, group.user_ids, strict=True) if user_id)
    return ByFact(seqs, user_ids, own)


def _own_events(groups: Sequence[DeliveryGroup]) -> tuple[list[Naming], set[UUID]]:
    """Return the deliveries that make companies, and the companies that have a name of their own."""
    own: list[Naming] = []
    named: set[UUID] = set()
    for group in groups:
        if fact_of(group.source, group.event_type) in ABOUT_TEAMS:
            known = [Naming(*pair) for pair in zip(group.seqs, group.team_ids, strict=True) if pair[1]]
            own += known
            if group.event_type in {"team.created", "team.updated"}:
                named.update(event.company_id for event in known)
    return own, named


async def _digests(conn: Connection, user_ids: Sequence[UUID]) -> dict[UUID, dict[str, Any]]:
    found = await rows(conn, dict_row, "anew/digest_users", {"user_ids": list(user_ids)})
    return {row["user_id"]: row for row in found}


async def _company_digests(conn: Connection, company_ids: Sequence[UUID]) -> dict[UUID, dict[str, Any]]:
    found = await rows(conn, dict_row, "anew/digest_companies", {"company_ids": list(company_ids)})
    return {row["company_id"]: row for row in found}


async def _named_by_users(conn: Connection, user_ids: Sequence[UUID]) -> dict[UUID, list[UUID]]:
    return dict(await rows(conn, tuple_row, "anew/named_by_users", {"user_ids": list(user_ids)}))


def _differences(before: Mapping[UUID, Mapping[str, Any]], after: Mapping[UUID, Mapping[str, Any]]) -> Differing:
    kinds = {one: [kind for kind in KINDS if before[one][kind] != after[one][kind]] for one in before}
    return {user_id: differing for user_id, differing in kinds.items() if differing}


async def _keep_counters(conn: Connection, before: Mapping[UUID, Mapping[str, Any]], differences: Differing) -> None:
    """Count a version where the mirror differs, and nothing as heard from Stack."""
    known = {user_id: row for user_id, row in before.items() if row["mirror"] is not None}
    values = {
        "user_ids": list(known),
        "sync_versions": [
            row["sync_version"] + ("mirror" in differences.get(user_id, ())) for user_id, row in known.items()
        ],
        "synced": [row["last_synced_at"] for row in known.values()],
    }
    await conn.execute(query("anew/keep_counters"), values)
