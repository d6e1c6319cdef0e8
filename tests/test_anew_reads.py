"""What is read of users and companies that are made anew: digests of their rows, and rows as they were."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from consumer.effects import anew
from consumer.effects.anew import KINDS
from consumer.settings.settings import ShapingSettings
from tests.support.databases import change, record
from tests.support.queries import ran, unordered
from tests.test_anew_rows import company, fill, joined, member, mirror, profile

ADA, BOB, EVE, MAX = (UUID(int=0xA0 + n) for n in range(4))
CREW, TEAM, CLUB, CLAN = (UUID(int=0xC0 + n) for n in range(4))
DEFAULT = UUID(int=0xD0)
JUNE = datetime(2026, 6, 1, tzinfo=UTC)


def permission(user_id: UUID, company_id: UUID, name: str) -> str:
    return f"INSERT INTO consumer.team_permissions VALUES ('{user_id}', '{company_id}', '{name}', '1', TRUE)"


def edit(user_id: UUID, field: str, value: str = "'a'") -> str:
    return f"INSERT INTO consumer.edits VALUES ('{user_id}', '{field}', {value}, '1', 1)"


def audited(user_id: UUID, operation: str) -> str:
    return (
        "INSERT INTO identity.profile_audit (user_id, operation, source, message_id, seq) "
        f"VALUES ('{user_id}', '{operation}', 'app', gen_random_uuid()::text, 1)"
    )


def all_rows(user_id: UUID) -> list[str]:
    """Return statements that give a user two rows of each kind that may have several."""
    return [
        mirror(user_id),
        profile(user_id),
        *(row(user_id, each) for row in (joined, member) for each in (CREW, TEAM)),
        *(permission(user_id, *each) for each in ((CREW, "b"), (CREW, "a"), (TEAM, "a"))),
        edit(user_id, "department"),
        edit(user_id, "role_type"),
        *(audited(user_id, each) for each in ("signed_in", "signed_out", "updated")),
    ]


async def digests(url: str) -> dict[UUID, dict[str, Any]]:
    async with unordered(url) as conn:
        return await anew.digests(conn, [ADA, BOB, EVE])


WHERE = f"WHERE user_id = '{ADA}'"
# By the kind of rows that differs afterwards.
CHANGES = {
    "mirror": f"UPDATE identity.stack_user_profiles SET source_role = 'z' WHERE stack_user_id = '{ADA}'",
    "profile": f"UPDATE identity.profiles SET role_type = 'z' {WHERE}",
    "members": f"UPDATE identity.company_members SET permissions = '{{z}}' {WHERE} AND company_id = '{TEAM}'",
    "memberships": f"UPDATE consumer.memberships SET is_implied = FALSE {WHERE} AND company_id = '{TEAM}'",
    "permissions": f"UPDATE consumer.team_permissions SET is_present = FALSE {WHERE} AND company_id = '{TEAM}'",
    "edits": f"UPDATE consumer.edits SET value = NULL {WHERE} AND field = 'role_type'",
    "sign_ins": audited(ADA, "signed_out"),
}


@pytest.mark.parametrize("kind", KINDS)
async def test_only_the_digest_of_the_rows_that_differ_is_another(emptied: str, kind: str) -> None:
    fill(emptied, company(CREW), company(TEAM), *all_rows(ADA), *all_rows(BOB))
    before = await digests(emptied)

    change(emptied, CHANGES[kind])

    after = await digests(emptied)
    assert [each for each in KINDS if before[ADA][each] != after[ADA][each]] == [kind]
    assert after[BOB] == before[BOB]
    assert after[EVE] == before[EVE]
    assert before[ADA]["sign_ins"] == 2


async def test_rows_in_another_order_have_the_same_digest_and_no_rows_have_none(emptied: str) -> None:
    fill(emptied, company(CREW), company(TEAM), *all_rows(ADA))
    before = await digests(emptied)
    for table in ("identity.company_members", "consumer.memberships", "consumer.team_permissions", "consumer.edits"):
        change(
            emptied,
            f"CREATE TEMP TABLE kept AS SELECT * FROM {table}; DELETE FROM {table}; "
            f"INSERT INTO {table} SELECT * FROM kept ORDER BY kept::text DESC; DROP TABLE kept",
        )

    after = await digests(emptied)

    assert after == before
    assert None not in [after[ADA][kind] for kind in KINDS]
    assert [after[BOB][kind] for kind in KINDS] == [None] * 6 + [0]
    assert [after[BOB][name] for name in ("sync_version", "last_synced_at")] == [None, None]


@pytest.mark.parametrize("mark", ["is_forgotten", "is_held", "is_removed"])
async def test_a_mark_is_read_beside_the_digests(emptied: str, mark: str) -> None:
    fill(emptied, mirror(ADA, **{mark: "TRUE", "sync_version": "4", "last_synced_at": f"'{JUNE}'"}), mirror(BOB))

    found = await digests(emptied)

    names = ("is_forgotten", "is_held", "is_removed")
    assert {name: found[ADA][name] for name in names} == {name: name == mark for name in names}
    assert [found[one][name] for one in (BOB, EVE) for name in names] == [False] * 6
    assert (found[ADA]["sync_version"], found[ADA]["last_synced_at"]) == (4, JUNE)


@pytest.mark.parametrize("place", ["mirror", "profile", "member", None])
async def test_a_company_is_used_as_long_as_anything_puts_a_user_there(emptied: str, place: str | None) -> None:
    there = {
        "mirror": mirror(ADA, company_id=f"'{CREW}'"),
        "profile": profile(ADA, CREW),
        "member": member(ADA, CREW),
        None: joined(ADA, CREW),
    }
    fill(emptied, company(CREW, deleted_at=f"'{JUNE}'"), company(TEAM), there[place])

    found = await ran(emptied, "anew/digest_companies", company_ids=[CREW, TEAM, CLUB])

    read = {row[0]: row[1:] for row in found}
    assert [read[one][1:] for one in (CREW, TEAM, CLUB)] == [(JUNE, place is not None), (None, False), (None, False)]
    assert [read[one][0] is None for one in (CREW, TEAM, CLUB)] == [False, False, True]


@pytest.mark.parametrize(
    ("values", "differs"),
    [
        ("settings = '{\"a\": 1}'", False),
        (f"created_at = '{JUNE}'", False),
        (f"updated_at = '{JUNE}'", False),
        ("name = 'Other'", True),
        (f"seen_at = '{JUNE}'", True),
        ("version = '1'", True),
    ],
)
async def test_a_company_differs_by_what_deliveries_say_of_it(emptied: str, values: str, differs: bool) -> None:
    fill(emptied, company(CREW), company(TEAM))
    before = await ran(emptied, "anew/digest_companies", company_ids=[CREW])

    change(emptied, f"UPDATE identity.companies SET {values} WHERE id = '{CREW}'")

    assert (await ran(emptied, "anew/digest_companies", company_ids=[CREW]) != before) == differs


async def test_users_depend_on_every_company_that_a_row_of_theirs_names(emptied: str) -> None:
    chosen, named = UUID(int=0xB1), UUID(int=0xB2)
    await record(emptied, ShapingSettings(default_company_id=DEFAULT))
    fill(
        emptied,
        *(company(one) for one in (CREW, TEAM, CLUB)),
        mirror(ADA, source_company_id=f"'{named}'"),
        mirror(BOB),
        mirror(MAX, source_company_id=f"'{UUID(int=1)}'"),
        *(joined(one, CREW) for one in (ADA, BOB)),
        member(BOB, TEAM),
        member(ADA, CREW),
        edit(ADA, "company_id", f"'{chosen}'"),
        edit(BOB, "company_id", "NULL"),
        edit(ADA, "department", "'Sales'"),
        edit(MAX, "company_id", f"'{UUID(int=2)}'"),
        joined(MAX, UUID(int=3)),
        member(MAX, CLUB),
    )

    found = await ran(emptied, "as_of/named_companies", user_ids=[BOB, ADA])
    alone = await ran(emptied, "as_of/named_companies", user_ids=[EVE])
    await record(emptied, ShapingSettings())
    without_default = await ran(emptied, "as_of/named_companies", user_ids=[BOB])

    assert found == [(chosen,), (named,), (CREW,), (TEAM,), (DEFAULT,)]
    assert (alone, without_default) == ([(DEFAULT,)], [(CREW,), (TEAM,)])


async def test_past_rows_show_only_users_that_are_told_of_and_profiles_that_they_have(emptied: str) -> None:
    fill(
        emptied,
        *(company(one) for one in (CREW, TEAM)),
        mirror(ADA, has_profile="TRUE", source_role="'a'"),
        mirror(BOB, has_profile="TRUE"),
        mirror(EVE),
        mirror(MAX, has_profile="TRUE", is_removed="TRUE"),
        *(profile(one) for one in (ADA, BOB, EVE, MAX)),
        *(member(one, each) for one, each in ((ADA, TEAM), (ADA, CREW), (BOB, CREW))),
    )

    found = await ran(emptied, "as_of/users", user_ids=[MAX, BOB, ADA, EVE], told=[MAX, ADA, EVE])

    assert [user_id for user_id, _ in found] == [MAX, BOB, ADA, EVE]
    shown = {user_id: json.loads(document) for user_id, document in found}
    assert all(each["user_id"] == str(one) for one, each in shown.items())
    assert [one for one in shown if shown[one]["mirror"]] == [MAX, ADA, EVE]
    assert [one for one in shown if shown[one]["profile"]] == [ADA]
    assert [each["company_id"] for each in shown[ADA]["members"]] == [str(CREW), str(TEAM)]
    assert [each["company_id"] for each in shown[BOB]["members"]] == [str(CREW)]
    assert (shown[EVE]["members"], shown[ADA]["mirror"]["source_role"]) == ([], "a")
    assert not {"sync_version", "last_synced_at"} & {*shown[ADA]["mirror"]}
    assert not {"created_at", "updated_at"} & {*shown[ADA]["profile"]}


async def test_past_companies_come_by_id_and_without_their_dates(emptied: str) -> None:
    fill(emptied, *(company(one) for one in (TEAM, CLUB, CREW)))

    found = await ran(emptied, "as_of/companies", company_ids=[TEAM, CREW])

    assert [company_id for company_id, _ in found] == [CREW, TEAM]
    document = json.loads(found[0][1])
    assert (document["id"], document["name"]) == (str(CREW), "Crew")
    assert not {"settings", "created_at", "updated_at"} & {*document}
