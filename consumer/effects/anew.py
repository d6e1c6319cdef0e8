"""Rows made anew: all facts of some users or companies are forgotten and folded again from the stored deliveries.

Each attempt lies in a savepoint. What comes out the same is rolled back, so that it is not written; a check rolls all
back.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row, tuple_row

from consumer.effects import companies, stored, users
from consumer.effects.apply import apply_own
from consumer.effects.by_fact import ByFact
from consumer.effects.companies import SelectedTeams
from consumer.effects.derive import derive
from consumer.effects.reread import reread, reread_companies
from consumer.effects.stored import Naming
from consumer.effects.users import Marks
from consumer.outbox import rebuild_queue
from consumer.outbox.rebuild_queue import Stage
from consumer.postgres import session
from consumer.postgres.connections import Connection
from consumer.postgres.queries import query, rows

# By user or company: the kinds of rows that came out different.
Differing = dict[UUID, list[str]]
KINDS = ("mirror", "profile", "members", "memberships", "permissions", "edits", "sign_ins")
COMPANY = "company"


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
    before = await digests(conn, user_ids)
    for user_id in inserted:
        before[user_id]["mirror"] = None
    named_before = await _named_by_users(conn, user_ids)
    grouped = await fold_users(conn, before)
    await apply_own(conn, grouped.own)
    told = grouped.users_of(grouped.about_users())
    unsent = [user_id for user_id in user_ids if user_id not in told]
    await conn.execute(query("anew/remove_profiles"), {"user_ids": user_ids, "unsent": unsent})
    await session.check_constraints(conn)
    known = {user_id: row for user_id, row in before.items() if row["mirror"] is not None}
    await _keep_counters(conn, known)
    differences = _differences(before, await digests(conn, user_ids))
    named = await _named_by_users(conn, user_ids)
    # A company that only these users name may be lost without a trace in their own rows.
    for user_id in sorted({user_id for user_id in user_ids if named.get(user_id) != named_before.get(user_id)}):
        differences.setdefault(user_id, []).append(COMPANY)
    if changed := {user_id: row for user_id, row in known.items() if "mirror" in differences.get(user_id, ())}:
        await _keep_counters(conn, changed, added=1)
    renamed = {one for user_id in differences for one in (*named.get(user_id, ()), *named_before.get(user_id, ()))}
    if renamed:
        await rebuild_queue.put_companies(conn, renamed, Stage.NAMED_BY_USERS)
    return differences


async def fold_users(
    conn: Connection, before: Mapping[UUID, Mapping[str, Any]], until: datetime | None = None
) -> ByFact:
    """Forget all facts about locked users, whose digests are *before*, and fold them again; return their deliveries.

    With *until* only the deliveries received until then are folded.
    """
    groups = await stored.deliveries(conn, before, until)
    await reread(conn, chain.from_iterable(group.reduced for group in groups))
    grouped = stored.by_fact(groups)
    await conn.execute(query("anew/blank_users"), {"user_ids": list(before)})
    marks = {one: Marks(row["is_forgotten"], row["is_held"], row["is_removed"]) for one, row in before.items()}
    await derive(conn, grouped, anew=marks)
    return grouped


async def _make_companies_anew(
    conn: Connection, company_ids: Sequence[UUID], *, is_named_by_users: bool, is_kept: bool
) -> Differing:
    differences: Differing = {}
    async with conn.transaction() as attempt:
        # A page of users locks deliveries before companies, too.
        await reread_companies(conn, company_ids, is_named_by_users=is_named_by_users)
        await lock_companies(conn, company_ids)
        differences = await _derive_companies(conn, company_ids, is_named_by_users=is_named_by_users)
        if not is_kept or not differences:
            raise psycopg.Rollback(attempt)
    return differences


async def lock_companies(conn: Connection, company_ids: Sequence[UUID]) -> None:
    """Lock companies exclusively until the transaction ends."""
    await conn.execute(query("anew/lock_companies"), {"company_ids": company_ids})


async def _derive_companies(conn: Connection, company_ids: Sequence[UUID], *, is_named_by_users: bool) -> Differing:
    """Derive companies by events of their own.

    *is_named_by_users*: those without a name of their own by what users tell; those that no delivery tells of are
    ended, and removed once no user is there.
    """
    before = await _company_digests(conn, company_ids)
    own, named = await stored.company_events(conn, company_ids)
    selecting: list[Naming] = []
    if is_named_by_users:
        # The first stage has made those anew that have a name of their own.
        company_ids = [company_id for company_id in company_ids if company_id not in named]
        own = [event for event in own if event.company_id not in named]
        selecting = await stored.selecting(conn, company_ids)
    await _fold_companies(conn, company_ids, own, selecting, is_named_by_users=is_named_by_users)
    if is_named_by_users:
        told = {event.company_id for event in (*own, *selecting)}
        await _end_untold(conn, [one for one in company_ids if one not in told and before[one]["digest"]], before)
    after = await _company_digests(conn, company_ids)
    differing = [one for one in company_ids if before[one]["digest"] != after[one]["digest"]]
    latest = {event.company_id: event.seq for event in sorted(own)}
    if moved := [one for one in differing if one in latest and _is_moved(before[one], after[one])]:
        await conn.execute(query("anew/rehome"), {"company_ids": moved, "seqs": [latest[one] for one in moved]})
    return {company_id: [COMPANY] for company_id in differing}


async def fold_past_companies(conn: Connection, company_ids: Sequence[UUID], until: datetime) -> set[UUID]:
    """Forget all facts about locked companies, and fold again what was received until then.

    Return the companies that existed. The others are ended, because rows may refer to them: roll it back.
    """
    own, _ = await stored.company_events(conn, company_ids, until)
    selecting = await stored.selecting(conn, company_ids, until)
    await _fold_companies(conn, company_ids, own, selecting, is_named_by_users=True)
    told = {event.company_id for event in (*own, *selecting)}
    await conn.execute(query("anew/end_untold"), {"used": list({*company_ids} - told), "unused": []})
    return told


async def _fold_companies(
    conn: Connection,
    company_ids: Sequence[UUID],
    own: Sequence[Naming],
    selecting: Sequence[Naming],
    *,
    is_named_by_users: bool,
) -> None:
    values = {"company_ids": company_ids, "is_named_by_users": is_named_by_users}
    await conn.execute(query("anew/blank_companies"), values)
    selected = SelectedTeams([event.seq for event in selecting], [event.company_id for event in selecting])
    await companies.fold_teams(conn, [event.seq for event in own], selected)


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


async def digests(conn: Connection, user_ids: Sequence[UUID]) -> dict[UUID, dict[str, Any]]:
    """Return by user the digest of each kind of row, the counters and the marks."""
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


async def _keep_counters(conn: Connection, known: Mapping[UUID, Mapping[str, Any]], *, added: int = 0) -> None:
    """Give the mirror rows their counters from before, with *added* versions: nothing was heard from Stack."""
    values = {
        "user_ids": list(known),
        "sync_versions": [row["sync_version"] + added for row in known.values()],
        "synced": [row["last_synced_at"] for row in known.values()],
    }
    await conn.execute(query("anew/keep_counters"), values)
