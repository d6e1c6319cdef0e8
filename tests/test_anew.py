"""Rows made anew, one page at a time: what is told apart, what is queued behind it, what is left as it is."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import pytest
from psycopg.errors import LockNotAvailable

from consumer.effects import anew, as_of, users
from consumer.effects.anew import Differing
from consumer.outbox.rebuild_queue import Stage
from consumer.postgres.connections import Connection, connect, transaction, worker_access
from tests.support.databases import change, rows
from tests.support.effects import applied
from tests.support.factories import edited, membership, team, team_event, user_updated
from tests.support.kept import kept

ACCESS = worker_access("consumer")
ADA, BOB, EVE, CREW, OTHER = (UUID(int=n) for n in (1, 2, 3, 9, 10))
COUNTERS = "SELECT sync_version, last_synced_at FROM identity.stack_user_profiles"


async def made_anew(url: str, stage: Stage, *ids: UUID, is_kept: bool = True) -> Differing:
    async with kept(url, ACCESS) as conn, transaction(conn, ACCESS):
        return await anew.make_anew(conn, stage, list(ids), is_kept=is_kept)


def queued(url: str) -> list[tuple[object, ...]]:
    return [tuple(row.values()) for row in rows(url, "SELECT stage, id FROM consumer.rebuild ORDER BY stage, id")]


async def test_a_team_that_a_user_no_longer_names_and_the_one_that_it_does_are_both_made_anew(emptied: str) -> None:
    await applied(emptied, user_updated(ADA, selected_team=team(CREW)), user_updated(BOB, selected_team=team(OTHER)))
    change(emptied, f"UPDATE consumer.memberships SET company_id = '{OTHER}' WHERE user_id = '{ADA}'")

    differing = await made_anew(emptied, Stage.USER, ADA, BOB)

    assert sorted(differing) == [ADA]
    assert {"memberships", "company"} <= {*differing[ADA]}
    assert queued(emptied) == [(Stage.NAMED_BY_USERS, CREW), (Stage.NAMED_BY_USERS, OTHER)]


async def test_a_user_that_no_delivery_tells_of_differs_in_nothing_and_gets_no_row(emptied: str) -> None:
    assert await made_anew(emptied, Stage.USER, ADA) == {}
    assert rows(emptied, "SELECT FROM identity.stack_user_profiles") == []


async def test_a_lost_mirror_row_comes_back_with_the_counters_of_a_first_event(emptied: str) -> None:
    await applied(emptied, user_updated(ADA, display_name="Ada"))
    [before] = rows(emptied, COUNTERS)
    change(emptied, "DELETE FROM identity.stack_user_profiles")

    differing = await made_anew(emptied, Stage.USER, ADA)

    assert "mirror" in differing[ADA]
    [after] = rows(emptied, COUNTERS)
    assert after["sync_version"] == before["sync_version"] == 1
    assert after["last_synced_at"] is not None


async def test_a_company_in_which_somebody_is_stays_ended_until_its_users_have_left(emptied: str) -> None:
    await applied(emptied, user_updated(ADA))
    change(emptied, f"INSERT INTO identity.companies (id, name) VALUES ('{OTHER}', 'Untold')")
    change(emptied, f"UPDATE identity.stack_user_profiles SET company_id = '{OTHER}'")

    assert await made_anew(emptied, Stage.NAMED_BY_USERS, OTHER) == {OTHER: ["company"]}

    assert rows(emptied, "SELECT id FROM identity.companies WHERE deleted_at IS NOT NULL") == [{"id": OTHER}]
    assert queued(emptied) == [(Stage.USER, ADA), (Stage.NAMED_BY_USERS, OTHER)]


async def test_a_team_that_ends_or_lives_again_queues_its_users_and_another_name_does_not(emptied: str) -> None:
    await applied(emptied, team_event("created", CREW, display_name="Crew"))
    for damage, is_moved in (("name = 'Other'", False), ("deleted_at = now()", True)):
        change(emptied, f"UPDATE identity.companies SET {damage}")

        assert await made_anew(emptied, Stage.COMPANY, CREW) == {CREW: ["company"]}
        assert bool(rows(emptied, "SELECT FROM consumer.rehome")) == is_moved


async def test_without_is_kept_differences_are_told_and_nothing_is_written(emptied: str) -> None:
    await applied(emptied, user_updated(ADA, display_name="Ada"), team_event("created", CREW))
    change(emptied, "UPDATE identity.profiles SET full_name = 'wrong'; UPDATE identity.companies SET name = 'wrong'")

    assert await made_anew(emptied, Stage.USER, ADA, is_kept=False) == {ADA: ["profile"]}
    assert await made_anew(emptied, Stage.COMPANY, CREW, is_kept=False) == {CREW: ["company"]}
    assert rows(emptied, "SELECT full_name FROM identity.profiles") == [{"full_name": "wrong"}]
    assert rows(emptied, "SELECT name FROM identity.companies") == [{"name": "wrong"}]


@pytest.mark.parametrize(
    ("damaged", "is_kept", "attempts"),
    [
        ([], True, [[ADA, BOB]]),
        ([], False, [[ADA, BOB]]),
        ([BOB], True, [[ADA, BOB], [BOB]]),
        ([BOB], False, [[ADA, BOB]]),
        ([ADA, BOB], True, [[ADA, BOB]]),
        ([ADA, BOB], False, [[ADA, BOB]]),
    ],
)
async def test_only_those_that_differ_among_others_are_made_anew_once_more(
    emptied: str, monkeypatch: pytest.MonkeyPatch, damaged: list[UUID], is_kept: bool, attempts: list[list[UUID]]
) -> None:
    await applied(emptied, user_updated(ADA), user_updated(BOB))
    for one in damaged:
        change(emptied, f"UPDATE identity.profiles SET full_name = 'wrong' WHERE user_id = '{one}'")
    tried = []

    async def derive(conn: Connection, user_ids: Sequence[UUID]) -> Differing:
        tried.append(list(user_ids))
        return await real(conn, user_ids)

    real = anew._derive_users
    monkeypatch.setattr(anew, "_derive_users", derive)

    assert sorted(await made_anew(emptied, Stage.USER, ADA, BOB, is_kept=is_kept)) == damaged
    assert tried == attempts
    wrong = rows(emptied, "SELECT user_id FROM identity.profiles WHERE full_name = 'wrong' ORDER BY 1")
    assert [row["user_id"] for row in wrong] == ([] if is_kept else damaged)


async def test_the_second_attempt_is_kept_whatever_it_finds(emptied: str, monkeypatch: pytest.MonkeyPatch) -> None:
    await applied(emptied, *(user_updated(one) for one in (ADA, BOB, EVE)))
    change(emptied, f"UPDATE identity.profiles SET full_name = 'wrong' WHERE user_id <> '{EVE}'")
    tried = []

    async def derive(conn: Connection, user_ids: Sequence[UUID]) -> Differing:
        tried.append(list(user_ids))
        found = await real(conn, user_ids)
        return {ADA: found[ADA]} if len(tried) == 2 else found

    real = anew._derive_users
    monkeypatch.setattr(anew, "_derive_users", derive)

    assert await made_anew(emptied, Stage.USER, ADA, BOB, EVE) == {ADA: ["profile"]}
    assert tried == [[ADA, BOB, EVE], [ADA, BOB]]
    assert not rows(emptied, "SELECT FROM identity.profiles WHERE full_name = 'wrong'")


async def test_of_companies_that_nobody_tells_of_the_unused_one_goes_at_once(emptied: str) -> None:
    await applied(emptied, user_updated(ADA), user_updated(BOB, selected_team=team(CREW)))
    empty, used, unknown = (UUID(int=n) for n in (20, 21, 22))
    for one in (empty, used):
        change(emptied, f"INSERT INTO identity.companies (id, name) VALUES ('{one}', 'Untold')")
    change(emptied, f"UPDATE identity.profiles SET company_id = '{used}' WHERE user_id = '{ADA}'")

    differing = await made_anew(emptied, Stage.NAMED_BY_USERS, used, CREW, unknown, empty)

    assert differing == {empty: ["company"], used: ["company"]}
    left = rows(emptied, "SELECT id, deleted_at IS NULL AS is_there FROM identity.companies ORDER BY id")
    assert [tuple(row.values()) for row in left] == [(CREW, True), (used, False)]
    assert queued(emptied) == [(Stage.USER, ADA), (Stage.NAMED_BY_USERS, used)]


async def test_a_company_with_a_name_of_its_own_is_not_touched_by_what_users_say(emptied: str) -> None:
    await applied(emptied, team_event("created", CREW, display_name="Own"), user_updated(ADA, selected_team=team(CREW)))
    change(emptied, "UPDATE identity.companies SET name = 'wrong'")

    assert await made_anew(emptied, Stage.NAMED_BY_USERS, CREW) == {}
    assert rows(emptied, "SELECT name FROM identity.companies") == [{"name": "wrong"}]
    assert await made_anew(emptied, Stage.COMPANY, CREW) == {CREW: ["company"]}
    assert rows(emptied, "SELECT name FROM identity.companies") == [{"name": "Own"}]


async def test_rows_that_are_looked_at_as_of_then_leave_neither_lock_nor_row(emptied: str) -> None:
    named = user_updated(ADA, server_metadata={"company_id": str(CREW)})
    await applied(emptied, team_event("created", CREW), team_event("created", OTHER), named, edited(ADA, role_type="x"))
    then = datetime(2030, 1, 1, tzinfo=UTC)
    tables = ("identity.stack_user_profiles", "identity.profiles", "identity.companies", "consumer.edits")
    before = [rows(emptied, f"SELECT xmin::text, t.* FROM {one} AS t ORDER BY t::text") for one in tables]

    async with kept(emptied, ACCESS) as conn, transaction(conn, ACCESS):
        found = await as_of._named_companies(conn, then, [ADA])
        cursor = await conn.execute("SELECT FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()")
        assert (found, cursor.rowcount) == ([CREW], 0)
        past = await as_of.past_rows(conn, then, [ADA], [OTHER])

    assert (list(past.users), list(past.companies)) == ([ADA], [CREW, OTHER])
    assert [rows(emptied, f"SELECT xmin::text, t.* FROM {one} AS t ORDER BY t::text") for one in tables] == before


async def test_rows_as_of_then_wait_for_who_is_told_of_just_now(emptied: str) -> None:
    then = datetime(2030, 1, 1, tzinfo=UTC)

    async with kept(emptied, ACCESS) as conn, await connect(emptied, ACCESS) as other, transaction(other, ACCESS):
        await users.lock(other, [ADA])
        async with transaction(conn, ACCESS):
            await conn.execute("SET LOCAL lock_timeout = 50")
            assert (await as_of.past_rows(conn, then, [BOB], [])).companies == {}
            with pytest.raises(LockNotAvailable):
                await as_of.past_rows(conn, then, [BOB, ADA], [])


async def test_companies_as_of_then_wait_for_who_refers_to_them_just_now(emptied: str) -> None:
    then = datetime(2030, 1, 1, tzinfo=UTC)
    shared = "SELECT pg_advisory_xact_lock_shared(hashtext('consumer.companies'), 9)"

    async with kept(emptied, ACCESS) as conn, await connect(emptied, ACCESS) as other, transaction(other, ACCESS):
        await other.execute(shared)
        async with transaction(conn, ACCESS):
            await conn.execute("SET LOCAL lock_timeout = 50")
            assert (await as_of.past_rows(conn, then, [], [OTHER])).companies == {}
            with pytest.raises(LockNotAvailable):
                await as_of.past_rows(conn, then, [], [OTHER, CREW])


async def test_a_company_is_made_anew_only_when_nobody_refers_to_it(emptied: str) -> None:
    shared = "SELECT pg_advisory_xact_lock_shared(hashtext('consumer.companies'), 9)"

    async with kept(emptied, ACCESS) as conn, await connect(emptied, ACCESS) as other, transaction(other, ACCESS):
        await other.execute(shared)
        async with transaction(conn, ACCESS):
            await conn.execute("SET LOCAL lock_timeout = 50")
            with pytest.raises(LockNotAvailable):
                await anew.make_anew(conn, Stage.COMPANY, [CREW], is_kept=True)


async def test_a_company_that_only_a_join_names_stays_beside_one_with_a_name_of_its_own(emptied: str) -> None:
    await applied(emptied, membership("created", CREW, ADA), team_event("created", OTHER))

    assert await made_anew(emptied, Stage.NAMED_BY_USERS, CREW, OTHER) == {}
    assert rows(emptied, "SELECT FROM identity.companies WHERE deleted_at IS NOT NULL") == []
