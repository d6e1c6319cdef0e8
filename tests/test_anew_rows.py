"""Each statement that makes rows anew: which rows it touches, which it leaves, and what it leaves of a row."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from consumer.postgres.connections import transaction
from consumer.postgres.queries import query
from tests.support.databases import change, rows
from tests.support.kept import kept
from tests.support.queries import ACCESS, ran

ADA, BOB, EVE, MAX = (UUID(int=0xA0 + n) for n in range(4))
CREW, TEAM, CLUB = (UUID(int=0xC0 + n) for n in range(3))
JUNE = datetime(2026, 6, 1, tzinfo=UTC)
MARKS = ("is_forgotten", "is_held", "is_removed")
KEPT = {"stack_user_id", "last_synced_at", "sync_version"}
FALSE = {"has_profile", "is_erased", *MARKS}


def fill(url: str, *statements: str) -> None:
    change(url, "; ".join(statements))


def company(company_id: UUID, **values: str) -> str:
    given = {"id": f"'{company_id}'", "name": "'Crew'", **values}
    return f"INSERT INTO identity.companies ({', '.join(given)}) VALUES ({', '.join(given.values())})"


def mirror(user_id: UUID, **values: str) -> str:
    given = {"stack_user_id": f"'{user_id}'", **values}
    return f"INSERT INTO identity.stack_user_profiles ({', '.join(given)}) VALUES ({', '.join(given.values())})"


def profile(user_id: UUID, company_id: UUID | None = None) -> str:
    home = f"'{company_id}'" if company_id else "NULL"
    return (
        "INSERT INTO identity.profiles (user_id, company_id, full_name, role_type, department) "
        f"VALUES ('{user_id}', {home}, 'Ada', 'x', 'y')"
    )


def joined(user_id: UUID, company_id: UUID, is_implied: bool = True) -> str:
    return f"INSERT INTO consumer.memberships VALUES ('{user_id}', '{company_id}', now(), '', '', NULL, {is_implied})"


def member(user_id: UUID, company_id: UUID) -> str:
    return f"INSERT INTO identity.company_members (company_id, user_id) VALUES ('{company_id}', '{user_id}')"


def whole(url: str, table: str, key: str) -> dict[UUID, dict[str, Any]]:
    return {row[key]: row for row in rows(url, f"SELECT * FROM {table}")}


FULL = {
    "version": "'11'",
    "logo_url": "'logo'",
    "deletion_at": f"'{JUNE}'",
    "missing_at": f"'{JUNE}'",
    "seen_at": f"'{JUNE}'",
    "deleted_at": f"'{JUNE}'",
    "settings": """'{"a": 1}'""",
}


@pytest.mark.parametrize(
    ("version", "is_named_by_users", "is_blanked"),
    [("11", False, True), ("1", False, True), ("01", False, False), ("01", True, True), ("11", True, True)],
)
async def test_a_company_forgets_its_facts_but_not_a_name_that_only_users_tell_of(
    emptied: str, version: str, is_named_by_users: bool, is_blanked: bool
) -> None:
    fill(emptied, *(company(one, **FULL | {"version": f"'{version}'"}) for one in (CREW, TEAM)))
    before = whole(emptied, "identity.companies", "id")

    await ran(emptied, "anew/blank_companies", company_ids=[CREW], is_named_by_users=is_named_by_users)

    after = whole(emptied, "identity.companies", "id")
    assert after[TEAM] == before[TEAM]
    [key] = rows(emptied, f"SELECT consumer.guest_key(guest_salt, '{CREW}') AS guest_key FROM consumer.settings")
    blank = {"name": "Unnamed team", "logo_url": None, "version": ""} if is_blanked else {}
    ends = dict.fromkeys(("deletion_at", "missing_at", "seen_at", "deleted_at"))
    assert after[CREW] == before[CREW] | key | blank | ends


async def test_a_user_forgets_all_facts_and_another_one_none(emptied: str) -> None:
    columns = rows(
        emptied,
        "SELECT column_name AS name, data_type AS type FROM information_schema.columns "
        "WHERE table_schema = 'identity' AND table_name = 'stack_user_profiles'",
    )
    values = {
        "uuid": f"'{CREW}'",
        "boolean": "TRUE",
        "text": "'a'",
        "timestamp with time zone": f"'{JUNE}'",
        "jsonb": "'{}'",
        "bigint": "7",
        "ARRAY": f"'{{{CREW}}}'",
    }
    given = {row["name"]: values[row["type"]] for row in columns}
    del given["stack_user_id"]
    others = [
        f"INSERT INTO consumer.team_permissions VALUES ('{one}', '{CREW}', 'a', '1', TRUE);"
        f"INSERT INTO consumer.edits VALUES ('{one}', 'role_type', 'a', '1', 1); {joined(one, CREW)}"
        for one in (ADA, BOB)
    ]
    fill(emptied, company(CREW), *(mirror(one, **given) for one in (ADA, BOB)), *others)
    before = whole(emptied, "identity.stack_user_profiles", "stack_user_id")

    await ran(emptied, "anew/blank_users", user_ids=[ADA])

    after = whole(emptied, "identity.stack_user_profiles", "stack_user_id")
    assert after[BOB] == before[BOB]
    for name, value in after[ADA].items():
        expected = before[ADA][name] if name in KEPT else False if name in FALSE else "" if name == "version" else None
        assert (name, value) == (name, expected)
    for table in ("memberships", "team_permissions", "edits"):
        assert [*whole(emptied, f"consumer.{table}", "user_id")] == [BOB]


async def test_companies_that_nobody_tells_of_are_removed_if_unused_and_else_ended_now(emptied: str) -> None:
    fill(emptied, company(CREW), company(TEAM), company(CLUB))

    await ran(emptied, "anew/end_untold", unused=[CREW], used=[TEAM])

    ended = rows(emptied, "SELECT id, deleted_at IS NOT NULL AS is_ended FROM identity.companies ORDER BY id")
    assert ended == [{"id": TEAM, "is_ended": True}, {"id": CLUB, "is_ended": False}]


async def test_each_user_gets_its_own_counters_back(emptied: str) -> None:
    fill(emptied, *(mirror(one, sync_version="9") for one in (ADA, BOB, EVE)))
    later = JUNE.replace(year=2027)

    await ran(emptied, "anew/keep_counters", user_ids=[BOB, ADA], sync_versions=[2, 3], synced=[JUNE, later])

    found = rows(
        emptied, "SELECT sync_version, last_synced_at FROM identity.stack_user_profiles ORDER BY stack_user_id"
    )
    assert [tuple(row.values()) for row in found[:2]] == [(3, later), (2, JUNE)]
    assert (found[2]["sync_version"], found[2]["last_synced_at"] in (JUNE, later)) == (9, False)


async def test_companies_are_locked_each_stripe_once_in_order_against_readers_too(emptied: str) -> None:
    other = UUID(int=0x01C0)
    locks = (
        "SELECT objid::int AS stripe, mode FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() "
        "AND classid::bigint = hashtext('consumer.companies')::bigint & 4294967295 ORDER BY 1"
    )
    async with kept(emptied, ACCESS) as conn, transaction(conn, ACCESS):
        cursor = await conn.execute(query("anew/lock_companies"), {"company_ids": [TEAM, CREW, other]})
        count = len(await cursor.fetchall())
        held = await (await conn.execute(locks.encode())).fetchall()

    assert count == 2
    assert held == [(0xC0, "ExclusiveLock"), (0xC1, "ExclusiveLock")]


async def test_users_name_the_teams_that_they_selected_and_that_tell_nothing_themselves(emptied: str) -> None:
    fill(emptied, company(TEAM, version="'01'"), company(CREW), company(CLUB, version="'1'"))
    fill(
        emptied,
        *(joined(BOB, one) for one in (TEAM, CREW, CLUB)),
        joined(ADA, TEAM),
        joined(ADA, CREW, is_implied=False),
        joined(EVE, CLUB),
        joined(MAX, CREW),
    )

    assert await ran(emptied, "anew/named_by_users", user_ids=[EVE, BOB, ADA]) == [(ADA, [TEAM]), (BOB, [CREW, TEAM])]


async def test_companies_are_queued_for_new_homes_in_their_order_each_with_its_delivery(emptied: str) -> None:
    await ran(emptied, "anew/rehome", company_ids=[TEAM, CREW], seqs=[7, 8])

    found = rows(emptied, "SELECT company_id, seq FROM consumer.rehome ORDER BY id")
    assert [tuple(row.values()) for row in found] == [(CREW, 8), (TEAM, 7)]


async def test_profiles_that_nobody_tells_of_go_and_leave_an_audit_row(emptied: str) -> None:
    other = UUID(int=0xB0)
    fill(
        emptied,
        company(CREW),
        mirror(ADA, has_profile="TRUE"),
        mirror(BOB, has_profile="FALSE"),
        mirror(EVE, has_profile="TRUE", is_removed="TRUE"),
        *(profile(one, CREW) for one in (ADA, BOB, EVE, MAX, other)),
    )

    await ran(emptied, "anew/remove_profiles", user_ids=[ADA, BOB, EVE, MAX], unsent=[BOB])

    assert sorted(whole(emptied, "identity.profiles", "user_id")) == [ADA, other]
    assert sorted(whole(emptied, "identity.stack_user_profiles", "stack_user_id")) == [ADA, EVE]
    found = rows(emptied, "SELECT * FROM identity.profile_audit ORDER BY user_id")
    assert [row["user_id"] for row in found] == [BOB, EVE, MAX]
    told = ("company_id", "operation", "changed_fields", "new_values", "source", "message_id", "seq")
    fields = ["company_id", "department", "full_name", "role_type"]
    for row in found:
        assert [row[name] for name in told] == [CREW, "rebuilt", fields, None, "operator", "rebuild", 0]
        assert row["previous_values"]["full_name"] == "Ada"


async def test_users_wait_before_their_company_and_it_waits_for_the_last_of_them(emptied: str) -> None:
    waiting = "INSERT INTO consumer.rebuild (stage, id, attempts, due_at) VALUES ({}, '{}', 1, now() + interval '{} h')"
    times = [(2, ADA, 1), (2, BOB, 3), (2, MAX, 9), (3, TEAM, 5), (1, ADA, 7), (3, ADA, 8)]
    fill(emptied, *(waiting.format(*each) for each in times))

    await ran(emptied, "anew/requeue", user_ids=[EVE, ADA, BOB], company_ids=[TEAM, CREW])

    hours = "round(extract(epoch FROM due_at - now()) / 3600)::int AS hours"
    found = rows(emptied, f"SELECT stage, id, attempts, {hours} FROM consumer.rebuild ORDER BY stage, id")
    assert [tuple(row.values()) for row in found] == [
        (1, ADA, 1, 7),
        (2, ADA, 1, 1),
        (2, BOB, 1, 3),
        (2, EVE, 0, 0),
        (2, MAX, 1, 9),
        (3, ADA, 1, 8),
        (3, CREW, 0, 3),
        (3, TEAM, 1, 3),
    ]


@pytest.mark.parametrize("is_waiting", [False, True])
async def test_a_company_whose_users_are_due_is_due_too(emptied: str, is_waiting: bool) -> None:
    if is_waiting:
        fill(emptied, f"INSERT INTO consumer.rebuild (stage, id, due_at) VALUES (2, '{ADA}', now() - interval '1 h')")

    await ran(emptied, "anew/requeue", user_ids=[ADA], company_ids=[CREW])

    age = "SELECT now() - due_at < interval '1 min' AS is_now FROM consumer.rebuild WHERE stage = 3"
    assert rows(emptied, age) == [{"is_now": True}]
