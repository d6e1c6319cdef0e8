"""Members, homes and guests: what each statement makes of several users and companies at once."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from consumer.postgres.connections import transaction
from consumer.postgres.queries import query
from consumer.settings.settings import ShapingSettings
from tests.support.databases import change, record, rows
from tests.support.kept import kept
from tests.support.queries import ACCESS, ran
from tests.test_anew_rows import JUNE, company, fill, joined, member, mirror, profile
from tests.test_stored import store

ADA, BOB, EVE, MAX = (UUID(int=0xA0 + n) for n in range(4))
CREW, TEAM, CLUB, CLAN = (UUID(int=0xC0 + n) for n in range(4))


def day(number: int) -> str:
    return f"'{JUNE + timedelta(days=number)}'"


def edited(user_id: UUID, field: str, value: str) -> str:
    return f"INSERT INTO consumer.edits VALUES ('{user_id}', '{field}', {value}, '1', 1)"


def may(user_id: UUID, company_id: UUID, name: str, is_present: bool = True) -> str:
    return f"INSERT INTO consumer.team_permissions VALUES ('{user_id}', '{company_id}', '{name}', '1', {is_present})"


def told(user_id: UUID, company_id: UUID, join: str, removal: str, removed_at: str = "NULL") -> str:
    return (
        "INSERT INTO consumer.memberships VALUES "
        f"('{user_id}', '{company_id}', {day(1)}, '{join}', '{removal}', {removed_at}, FALSE)"
    )


def members(url: str, columns: str) -> list[tuple[Any, ...]]:
    found = rows(url, f"SELECT user_id, company_id, {columns} FROM identity.company_members ORDER BY 1, 2")
    return [tuple(row.values()) for row in found]


async def test_a_member_is_made_of_the_facts_of_its_user_and_company_alone(emptied: str) -> None:
    fill(
        emptied,
        *(company(one) for one in (CREW, TEAM)),
        company(CLUB, deleted_at=day(4)),
        mirror(ADA),
        mirror(BOB, deleted_at=day(3)),
        mirror(EVE, is_removed="TRUE"),
        mirror(MAX),
        told(ADA, CREW, "2", "1", day(2)),
        told(ADA, TEAM, "1", "2", day(2)),
        told(ADA, CLUB, "1", "1", day(2)),
        told(BOB, CREW, "1", "2", day(5)),
        told(BOB, TEAM, "1", ""),
        told(EVE, CREW, "1", ""),
        told(MAX, CREW, "1", ""),
        *(may(ADA, *each) for each in ((CREW, "b"), (CREW, "a"), (TEAM, "c"), (CLAN, "d"))),
        may(ADA, CREW, "no", is_present=False),
        may(BOB, TEAM, "e"),
    )

    await ran(emptied, "members/put", user_ids=[BOB, EVE, ADA])

    at = {number: JUNE + timedelta(days=number) for number in range(6)}
    assert members(emptied, "joined_at, removed_at, permissions") == [
        (ADA, CREW, at[1], None, ["a", "b"]),
        (ADA, TEAM, at[1], at[2], ["c"]),
        (ADA, CLUB, at[1], at[4], []),
        (BOB, CREW, at[1], at[3], []),
        (BOB, TEAM, at[1], at[3], ["e"]),
    ]


async def test_only_members_that_differ_are_written(emptied: str) -> None:
    fill(emptied, *(company(one) for one in (CREW, TEAM)), mirror(ADA), joined(ADA, CREW), joined(ADA, TEAM))
    await ran(emptied, "members/put", user_ids=[ADA])
    before = members(emptied, "xmin::text, joined_at")
    for damage in ("joined_at = now() + '1 h'", "removed_at = now()", "permissions = '{x}'"):
        change(emptied, f"UPDATE identity.company_members SET {damage} WHERE company_id = '{TEAM}'")

        await ran(emptied, "members/put", user_ids=[ADA])

        after = members(emptied, "xmin::text, joined_at")
        assert after[0] == before[0]
        assert after[1][3] == before[1][3]
        assert members(emptied, "removed_at, permissions")[1][2:] == (None, [])


async def test_each_user_is_at_home_in_the_first_active_company_and_a_guest_elsewhere(emptied: str) -> None:
    key = {one: UUID(int=0xF0 - one.int + 0xC0) for one in (CREW, TEAM, CLUB, CLAN)}
    await record(emptied, ShapingSettings(default_company_id=CLAN))
    change(emptied, "DELETE FROM identity.companies")
    fill(
        emptied,
        *(company(one, guest_key=f"'{key[one]}'") for one in (CREW, TEAM, CLAN)),
        company(CLUB, guest_key=f"'{key[CLUB]}'", deleted_at=day(1)),
        mirror(ADA, source_company_id=f"'{TEAM}'"),
        edited(ADA, "department", f"'{CREW}'"),
        mirror(BOB, source_company_id=f"'{CLUB}'"),
        edited(BOB, "company_id", f"'{CLUB}'"),
        mirror(EVE, deleted_at=day(2), company_id=f"'{CREW}'", source_company_id=f"'{CREW}'"),
        mirror(MAX, source_company_id=f"'{TEAM}'"),
        *(member(one, each) for one in (ADA, BOB, EVE, MAX) for each in (CREW, TEAM, CLAN)),
    )
    change(emptied, f"UPDATE identity.company_members SET joined_at = {day(9)}")
    change(emptied, f"UPDATE identity.company_members SET joined_at = {day(8)} WHERE company_id = '{TEAM}'")
    change(
        emptied,
        f"UPDATE identity.company_members SET removed_at = {day(9)}, joined_at = {day(1)} WHERE company_id = '{CREW}'",
    )

    [(moved,)] = await ran(emptied, "members/home", user_ids=[EVE, BOB, ADA])

    homes = rows(emptied, "SELECT company_id, guest_keys FROM identity.stack_user_profiles ORDER BY stack_user_id")
    assert [tuple(row.values()) for row in homes] == [
        (TEAM, [key[CLAN]]),
        (TEAM, [key[CLAN]]),
        (None, [key[CLAN], key[TEAM]]),
        (None, None),
    ]
    assert sorted(moved) == [ADA, BOB, EVE]
    assert [row[:2] for row in members(emptied, "is_guest") if row[2]] == [
        (ADA, CLAN),
        (BOB, CLAN),
        (EVE, TEAM),
        (EVE, CLAN),
    ]
    assert await ran(emptied, "members/home", user_ids=[EVE, BOB, ADA]) == [([],)]


async def test_guests_have_the_names_of_their_profiles_and_none_without_one(emptied: str) -> None:
    fill(
        emptied,
        *(company(one) for one in (CREW, TEAM)),
        *(mirror(one, has_profile="TRUE") for one in (ADA, BOB)),
        mirror(EVE, has_profile="FALSE"),
        mirror(MAX, has_profile="TRUE"),
        *(profile(one) for one in (ADA, BOB, EVE, MAX)),
        "UPDATE identity.profiles SET search_name = right(user_id::text, 2)",
        *(member(one, each) for one in (ADA, BOB, EVE, MAX) for each in (CREW, TEAM)),
        f"UPDATE identity.company_members SET is_guest = TRUE, search_name = 'old' WHERE company_id = '{CREW}'",
    )
    change(emptied, f"UPDATE identity.company_members SET search_name = NULL WHERE user_id = '{BOB}'")
    change(emptied, f"UPDATE identity.company_members SET search_name = 'a0' WHERE user_id = '{ADA}' AND is_guest")
    before = members(emptied, "xmin::text")

    await ran(emptied, "users/name_guests", user_ids=[EVE, ADA, BOB])

    assert members(emptied, "search_name") == [
        (ADA, CREW, "a0"),
        (ADA, TEAM, None),
        (BOB, CREW, "a1"),
        (BOB, TEAM, None),
        (EVE, CREW, None),
        (EVE, TEAM, None),
        (MAX, CREW, "old"),
        (MAX, TEAM, None),
    ]
    assert members(emptied, "xmin::text")[:2] == before[:2]


async def test_a_company_that_is_unknown_or_was_missed_is_misjudged_under_a_shared_lock(emptied: str) -> None:
    fill(emptied, company(CREW), company(TEAM, missing_at=day(1)), company(CLUB, deleted_at=day(1)))

    found = [
        await ran(emptied, "companies/was_misjudged", company_ids=ids)
        for ids in ([], [CREW], [CLUB, CREW], [CREW, TEAM], [CREW, CLAN])
    ]

    assert found == [[(False,)], [(False,)], [(False,)], [(True,)], [(True,)]]


async def test_only_sign_ins_and_sign_outs_among_the_claimed_are_audited_by_user_and_number(emptied: str) -> None:
    fill(emptied, company(CREW), profile(BOB, CREW))
    claimed = [
        store(emptied, event_type, user_id=user_id, source="app")
        for event_type, user_id in (
            ("user.signed_in", BOB),
            ("user.updated", BOB),
            ("user.signed_out", ADA),
            ("user.signed_in", ADA),
            ("user.deleted", ADA),
        )
    ]
    store(emptied, "user.signed_in", user_id=BOB)

    [(seqs,)] = await ran(emptied, "users/put_sign_ins", seqs=claimed)
    again = await ran(emptied, "users/put_sign_ins", seqs=claimed)

    found = rows(emptied, "SELECT user_id, company_id, operation, source, seq FROM identity.profile_audit ORDER BY id")
    assert [tuple(row.values()) for row in found] == [
        (ADA, None, "signed_out", "app", claimed[2]),
        (ADA, None, "signed_in", "app", claimed[3]),
        (BOB, CREW, "signed_in", "app", claimed[0]),
    ]
    assert (sorted(seqs), again) == ([claimed[0], claimed[2], claimed[3]], [([],)])


LOCKED = """
SELECT objid::int AS stripe, mode FROM pg_locks
WHERE locktype = 'advisory' AND pid = pg_backend_pid()
    AND classid = (hashtext('consumer.companies')::bigint & 4294967295)::oid
"""


async def test_a_batch_locks_what_it_names_and_what_its_own_users_refer_to(emptied: str) -> None:
    of_ada, of_bob = ([UUID(int=first + n) for n in range(3)] for first in (0xD0, 0xE0))
    await record(emptied, ShapingSettings(default_company_id=CLAN))
    for one, (named, chosen, in_one) in ((ADA, of_ada), (BOB, of_bob)):
        fill(
            emptied,
            mirror(one, source_company_id=f"'{named}'"),
            edited(one, "company_id", f"'{chosen}'"),
            edited(one, "department", f"'{UUID(int=0xF0)}'"),
            joined(one, in_one),
        )
    fill(emptied, company(CREW), company(TEAM), company(CLUB, missing_at=day(1)))
    twin, chosen = UUID(int=CREW.int + 256), UUID(int=0xCF)
    seqs = [
        store(emptied, event_type, user_id=None, team_id=team_id, outcome=None)
        for event_type, team_id in (("team.updated", CREW), ("team.deleted", TEAM), ("team.updated", CLUB))
    ]
    store(emptied, "team.deleted", user_id=None, team_id=UUID(int=0xCE), outcome=None)
    fill(emptied, company(twin))

    async with kept(emptied, ACCESS) as conn, transaction(conn, ACCESS):
        values = {"seqs": seqs, "selected": [twin, chosen], "user_ids": [ADA]}
        found = await (await conn.execute(query("companies/lock"), values, binary=True)).fetchall()
        held: dict[int, str] = dict(await (await conn.execute(LOCKED)).fetchall())

    shared = {0xC0, CLAN.int, *(one.int for one in of_ada)}
    assert held == dict.fromkeys(shared, "ShareLock") | dict.fromkeys((0xC1, 0xC2, 0xCF), "ExclusiveLock")
    named_ids = [set(ids or ()) for _, ids in found]
    assert [ids for ids in named_ids if ids] == [{CREW, twin}]
    assert len(found) == len(held)
