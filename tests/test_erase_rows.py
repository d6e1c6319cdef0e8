"""What an erasure finds of a user in the tables and bodies, row by row: those just inside and just outside."""

from collections import Counter
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from psycopg.rows import args_row, scalar_row, tuple_row

from consumer.operations import erase
from consumer.operations.erase import Mention, TouchedTeam
from consumer.operations.stored_bodies import Candidate
from consumer.postgres.connections import Connection, operator_access, transaction
from consumer.postgres.queries import rows
from tests.support.databases import change
from tests.support.databases import rows as read
from tests.support.factories import NOON
from tests.support.kept import kept

OPERATOR = operator_access("consumer")
USER, OTHER, TEAM, OWN, THIRD = (UUID(int=n) for n in range(1, 6))
MIRROR = "INSERT INTO identity.stack_user_profiles "
OUTBOX = (
    "INSERT INTO consumer.outbox (seq, source, message_id, event_type, user_id, team_id, occurred_at, body) "
    "OVERRIDING SYSTEM VALUE VALUES "
)
AUDIT = (
    "INSERT INTO identity.profile_audit (user_id, operation, previous_values, new_values, edited_by, reason, source, "
    "message_id, seq) VALUES "
)
ACTIONS = "INSERT INTO consumer.actions (id, actor, via, role, action, filter, reason) VALUES "


@pytest.fixture
async def conn(emptied: str) -> AsyncIterator[Connection]:
    async with kept(emptied, OPERATOR) as conn, transaction(conn, OPERATOR):
        yield conn


def stored(number: int, user: UUID | None, team: UUID | None = None, body: str = "", source: str = "stack") -> str:
    user_id, team_id = (f"'{each}'" if each else "NULL" for each in (user, team))
    return f"({number}, '{source}', 'm{number}', 'x', {user_id}, {team_id}, '{NOON}', '{body}')"


def acted(number: int, filter_: str, reason: str | None = "why", actor: str = "a") -> str:
    told = "NULL" if reason is None else f"'{reason}'"
    return f"('{UUID(int=number)}', '{actor}', 'cli', 'operator', 'x', '{filter_}', {told})"


NOTHING = {
    "identity.stack_user_profiles": 0,
    "identity.profiles": 0,
    "identity.company_members": 0,
    "identity.profile_audit": 0,
    "consumer.edits": 0,
    "consumer.actions": 0,
}


async def test_of_somebody_unknown_nothing_is_held(conn: Connection) -> None:
    assert await erase.held(conn, USER) == Counter(NOTHING)


@pytest.mark.parametrize(
    "column",
    [
        *("stack_display_name", "stack_primary_email", "stack_profile_image_url", "source_role", "source_department"),
        *("stack_metadata", "signed_up_at"),
    ],
)
async def test_each_personal_value_of_the_mirror_counts(emptied: str, conn: Connection, column: str) -> None:
    value = {"stack_metadata": "{}", "signed_up_at": str(NOON)}.get(column, "x")
    change(emptied, f"{MIRROR}(stack_user_id, is_anonymous, {column}) VALUES ('{OTHER}', NULL, '{value}')")
    change(emptied, f"{MIRROR}(stack_user_id, is_anonymous) VALUES ('{USER}', TRUE)")
    without = await erase.held(conn, USER)
    change(emptied, f"UPDATE identity.stack_user_profiles SET {column} = '{value}' WHERE stack_user_id = '{USER}'")

    assert without["identity.stack_user_profiles"] == 0
    assert (await erase.held(conn, USER))["identity.stack_user_profiles"] == 1


@pytest.mark.parametrize(
    ("name", "email", "avatar", "is_held"),
    [
        ("Deleted user", "NULL", "NULL", False),
        ("Ada", "NULL", "NULL", True),
        ("Deleted user", "'a@b'", "NULL", True),
        ("Deleted user", "NULL", "'x'", True),
    ],
)
async def test_a_profile_counts_if_it_shows_a_person(
    emptied: str, conn: Connection, name: str, email: str, avatar: str, *, is_held: bool
) -> None:
    change(
        emptied,
        "INSERT INTO identity.profiles (user_id, full_name, email, avatar_url, role_type, department) VALUES "
        f"('{USER}', '{name}', {email}, {avatar}, 'r', 'd'), ('{OTHER}', 'Bob', 'b@c', 'y', 'r', 'd')",
    )

    assert (await erase.held(conn, USER))["identity.profiles"] == is_held


@pytest.mark.parametrize(
    ("before", "after", "edited_by", "reason", "is_held"),
    [
        ("NULL", "NULL", "NULL", "NULL", False),
        ("'{\"role_type\": 1}'", "'{\"department\": 1}'", "NULL", "NULL", False),
        ("'{\"full_name\": null}'", "NULL", "NULL", "NULL", True),
        ("NULL", "'{\"email\": 1}'", "NULL", "NULL", True),
        ("NULL", "'{\"email_verified\": 1}'", "NULL", "NULL", True),
        ("NULL", "'{\"avatar_url\": 1}'", "NULL", "NULL", True),
        ("NULL", "NULL", "'me'", "NULL", True),
        ("NULL", "NULL", "NULL", "'why'", True),
    ],
)
async def test_a_row_of_the_audit_counts_if_it_names_a_person(
    emptied: str, conn: Connection, before: str, after: str, edited_by: str, reason: str, *, is_held: bool
) -> None:
    row = f"'update', {before}, {after}, {edited_by}, {reason}, 'stack', 'm', 1"
    whole = "'update', '{\"email\": 1}', NULL, 'x', 'y', 'stack', 'n', 2"
    change(emptied, f"{AUDIT}('{USER}', {row}), ('{OTHER}', {whole})")

    assert (await erase.held(conn, USER))["identity.profile_audit"] == is_held


async def test_memberships_edits_and_reasons_of_actions_count(emptied: str, conn: Connection) -> None:
    change(
        emptied,
        f"INSERT INTO identity.companies (id) VALUES ('{TEAM}');"
        "INSERT INTO identity.company_members (company_id, user_id) "
        f"VALUES ('{TEAM}', '{USER}'), ('{TEAM}', '{OTHER}');"
        "INSERT INTO consumer.edits (user_id, field, version, seq) VALUES "
        f"('{USER}', 'role_type', 'v', 1), ('{USER}', 'department', 'v', 1), ('{OTHER}', 'role_type', 'v', 1);"
        + ACTIONS
        + ", ".join(
            [
                acted(1, f'{{"user_id": "{USER}"}}'),
                acted(2, f'{{"user_ids": ["{OTHER}", "{USER}"]}}'),
                acted(3, f'{{"user_id": "{USER}"}}', None),
                acted(4, f'{{"user_id": "{OTHER}"}}'),
                acted(5, f'{{"user_ids": ["{OTHER}"]}}'),
            ]
        ),
    )

    found = await erase.held(conn, USER)

    expected = {"identity.company_members": 1, "consumer.edits": 2, "consumer.actions": 2}
    assert found == Counter({**NOTHING, **expected})


async def test_names_and_addresses_are_those_of_the_mirror_and_of_both_images(emptied: str, conn: Connection) -> None:
    change(
        emptied,
        f"{MIRROR}(stack_user_id, stack_display_name, stack_primary_email) VALUES "
        f"('{USER}', 'Ada', 'a@x'), ('{OTHER}', 'Bob', 'b@x');"
        f'{AUDIT}(\'{USER}\', \'update\', \'{{"full_name": "Old", "email": "o@x"}}\', '
        "'{\"full_name\": \"New\", \"email\": null}', NULL, NULL, 'stack', 'm', 1), "
        f"('{OTHER}', 'update', '{{\"full_name\": \"Eve\"}}', NULL, NULL, NULL, 'stack', 'n', 2)",
    )

    [(names, emails)] = await rows(conn, tuple_row, "erase/traces", {"user_id": USER})
    [nobody] = await rows(conn, tuple_row, "erase/traces", {"user_id": THIRD})

    assert (sorted(names), sorted(emails), nobody) == (["Ada", "New", "Old"], ["a@x", "o@x"], (None, None))


async def test_an_address_is_shared_if_another_user_has_it(emptied: str, conn: Connection) -> None:
    change(
        emptied,
        f"{MIRROR}(stack_user_id, stack_primary_email) "
        f"VALUES ('{USER}', 'a@x'), ('{OTHER}', 'b@x'), ('{THIRD}', 'b@x')",
    )

    values = {"user_id": USER, "emails": ["a@x", "b@x", "c@x"]}
    assert await rows(conn, scalar_row, "erase/shared_emails", values) == ["b@x"]


async def test_a_team_is_a_users_own_if_nobody_else_was_ever_in_it(emptied: str, conn: Connection) -> None:
    teams = [UUID(int=100 + n) for n in range(7)]
    facts = [(teams[0], USER), (teams[1], USER), (teams[1], OTHER), (teams[6], OTHER)]
    change(
        emptied,
        "INSERT INTO consumer.memberships (company_id, user_id, join_version, removal_version, is_implied) VALUES "
        + ", ".join(f"('{team}', '{user}', '', '', FALSE)" for team, user in facts)
        + ";"
        + OUTBOX
        + ", ".join(
            [
                stored(1, USER, teams[2]),
                stored(2, USER, teams[3]),
                stored(3, OTHER, teams[3]),
                stored(4, USER, teams[4]),
                stored(5, OTHER, teams[4]),
                stored(6, None, teams[2]),
            ]
        )
        + "; INSERT INTO consumer.outcomes (seq, outcome) VALUES (3, 'applied'), (5, 'discarded')",
    )

    values = {"user_id": USER, "team_ids": [teams[5], teams[0]]}
    found = await rows(conn, args_row(TouchedTeam), "erase/teams", values)

    assert [(each.id, each.is_own) for each in found] == list(
        zip(teams[:6], (True, False, True, False, True, True), strict=True)
    )


async def test_an_erasure_is_settled_once_it_is_done_and_nothing_waits(emptied: str, conn: Connection) -> None:
    change(emptied, OUTBOX + stored(1, USER, source="operator").replace("'m1'", f"'erase:{USER}'"))
    found = [await erase.is_settled(conn, USER)]
    change(emptied, "INSERT INTO consumer.outcomes (seq, outcome) VALUES (1, 'applied')")
    found.append(await erase.is_settled(conn, USER, [TEAM]))
    for stage, waiting in ((2, USER), (1, TEAM)):
        change(emptied, f"INSERT INTO consumer.rebuild (stage, id) VALUES ({stage}, '{waiting}')")
        found.append(await erase.is_settled(conn, USER, [TEAM]))
        change(emptied, "DELETE FROM consumer.rebuild")
    change(emptied, f"INSERT INTO consumer.rebuild (stage, id) VALUES (1, '{THIRD}')")

    assert found == [False, True, False, False]
    assert await erase.is_settled(conn, USER, [TEAM])
    assert not await erase.is_settled(conn, OTHER)


async def test_mentions_are_listed_by_table_key_and_column(emptied: str, conn: Connection) -> None:
    change(
        emptied,
        OUTBOX
        + stored(7, OTHER)
        + "; INSERT INTO consumer.exclusions (seq, excluded_by, reason) VALUES (7, 'Ada L', 'for Ada');"
        "INSERT INTO consumer.past_exclusions (seq, excluded_by, reason, taken_back_by, "
        "taken_back_reason, excluded_at) VALUES (7, 'Ada', 'Ada', 'Ada', 'Ada', now());"
        f"{AUDIT}('{OTHER}', 'update', NULL, NULL, 'Ada', 'of Ada', 'stack', 'm', 1), "
        f"('{USER}', 'update', NULL, NULL, 'Ada', 'Ada', 'stack', 'n', 2);"
        f"{ACTIONS}{acted(1, '{}', 'as Ada said', 'Ada@x')}, {acted(2, '{}', 'Bob')};"
        f"INSERT INTO identity.companies (id, name) VALUES ('{TEAM}', 'Ada Works'), ('{OWN}', 'Ada Own'), "
        f"('{THIRD}', 'ada')",
    )
    [audited] = read(emptied, f"SELECT id FROM identity.profile_audit WHERE user_id = '{OTHER}'")

    values = {"user_id": USER, "texts": ["Ada", "nobody"], "team_ids": [OWN]}
    found = await rows(conn, args_row(Mention), "erase/remarks", values)

    assert [tuple(each) for each in found] == [
        ("consumer.actions", str(UUID(int=1)), "actor"),
        ("consumer.actions", str(UUID(int=1)), "reason"),
        ("consumer.exclusions", "7", "excluded_by"),
        ("consumer.exclusions", "7", "reason"),
        ("consumer.past_exclusions", "7", "excluded_by"),
        ("consumer.past_exclusions", "7", "reason"),
        ("consumer.past_exclusions", "7", "taken_back_by"),
        ("consumer.past_exclusions", "7", "taken_back_reason"),
        ("identity.companies", str(TEAM), "name"),
        ("identity.profile_audit", str(audited["id"]), "edited_by"),
        ("identity.profile_audit", str(audited["id"]), "reason"),
    ]


async def test_bodies_of_others_are_found_by_team_value_or_name(emptied: str, conn: Connection) -> None:
    listed = [
        stored(1, OTHER, TEAM, "x"),
        stored(2, OTHER, None, "has a@x in it"),
        stored(3, OTHER, None, "names Ada"),
        stored(4, OTHER, OWN, "nothing"),
        stored(5, USER, TEAM, "a@x Ada"),
        stored(6, None, None, "a@x"),
        stored(7, OTHER, None, "Ada"),
    ]
    change(emptied, OUTBOX + ", ".join(listed))

    async def found(after: int, last: int, size: int) -> list[tuple[int, bytes | None]]:
        values: dict[str, Any] = {
            "user_id": USER,
            "team_ids": [TEAM],
            "needles": [b"a@x"],
            "names": [b"Ada"],
            "after_seq": after,
            "last_seq": last,
            "page_size": size,
        }
        page = await rows(conn, args_row(Candidate), "stored_bodies/others", values)
        return [(each.seq, each.body) for each in page]

    everything = [(1, b"x"), (2, b"has a@x in it"), (3, None), (6, b"a@x"), (7, None)]
    assert await found(0, 9, 9) == everything
    assert await found(1, 6, 9) == everything[1:4]
    assert await found(0, 9, 2) == everything[:2]
