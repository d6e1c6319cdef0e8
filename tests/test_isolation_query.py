"""What the catalogue tells of the separation of tenants: each list holds what it is about, and nothing beside it."""

from dataclasses import fields
from typing import Any

import pytest

from consumer.doctor.isolation import Isolation, isolation
from tests.support.passing import passing

# Roles are made, and are gone with the transaction.
pytestmark = pytest.mark.lone_server

SOUND: dict[str, list[str]] = {
    each.name: [] for each in fields(Isolation) if each.name not in {"tables", "bypassing_roles"}
}
TABLES = ["companies", "company_members", "profile_audit", "profiles", "stack_user_profiles"]


async def found(url: str, statement: str, prefix: str = "consumer") -> dict[str, Any]:
    """Return the lists after a statement that is taken back."""
    async with passing(url, statement) as conn:
        read = await isolation(conn, prefix)
    return {name: getattr(read, name) for name in SOUND}


async def whole(url: str, statement: str = "SELECT") -> Isolation:
    async with passing(url, statement) as conn:
        return await isolation(conn, "consumer")


async def test_a_sound_database_has_only_tables_and_its_superuser(emptied: str) -> None:
    read = await whole(emptied)

    assert {name: getattr(read, name) for name in SOUND} == SOUND
    assert read.tables == [f"identity.{name}" for name in TABLES]
    assert read.bypassing_roles == ["postgres"]


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (
            "CREATE TABLE identity.b (); CREATE TABLE identity.a (n int) PARTITION BY RANGE (n)",
            ["identity.a", "identity.b"],
        ),
        ("CREATE VIEW identity.v AS SELECT 1 AS one; CREATE SEQUENCE identity.s; CREATE TABLE consumer.t ()", []),
        ("CREATE SCHEMA apart; CREATE TABLE apart.t ()", []),
        ("ALTER TABLE identity.profiles NO FORCE ROW LEVEL SECURITY", ["identity.profiles"]),
        (
            "ALTER TABLE identity.profiles DISABLE ROW LEVEL SECURITY;"
            "ALTER TABLE identity.companies DISABLE ROW LEVEL SECURITY",
            ["identity.companies", "identity.profiles"],
        ),
    ],
)
async def test_a_table_of_the_users_data_must_be_closed(emptied: str, statement: str, expected: list[str]) -> None:
    assert (await found(emptied, statement))["open_tables"] == expected


@pytest.mark.parametrize(
    ("statement", "unguarded", "added"),
    [
        ("DROP POLICY tenant ON identity.profiles", ["identity.profiles for consumer_tenant"], []),
        (
            "ALTER POLICY tenant ON identity.profiles RENAME TO handy",
            [],
            ["handy on identity.profiles for consumer_tenant"],
        ),
        (
            "DROP POLICY tenant ON identity.profiles; DROP POLICY tenant ON identity.companies; "
            "CREATE POLICY tenant ON identity.profiles AS RESTRICTIVE TO consumer_tenant",
            ["identity.companies for consumer_tenant", "identity.profiles for consumer_tenant"],
            [],
        ),
        # One on another table does not help.
        (
            "DROP POLICY tenant ON identity.profiles; CREATE POLICY more ON consumer.settings TO consumer_tenant",
            ["identity.profiles for consumer_tenant"],
            [],
        ),
        (
            'CREATE POLICY "A 1" ON identity.profiles; CREATE POLICY b ON identity.companies TO consumer_tenant, bi',
            [],
            [
                '"A 1" on identity.profiles for PUBLIC',
                "b on identity.companies for bi",
                "b on identity.companies for consumer_tenant",
            ],
        ),
        (
            "ALTER POLICY tenant ON identity.profiles TO consumer_tenant, bi, PUBLIC",
            ["identity.profiles for consumer_tenant"],
            ["tenant on identity.profiles for PUBLIC"],
        ),
        (
            "ALTER POLICY tenant ON identity.profiles TO consumer_tenant, bi",
            [],
            ["tenant on identity.profiles for bi"],
        ),
        ("CREATE POLICY handy ON consumer.settings", [], []),
    ],
)
async def test_every_reader_has_its_policy_and_nobody_else(
    emptied: str, statement: str, unguarded: list[str], added: list[str]
) -> None:
    lists = await found(emptied, f"CREATE ROLE bi; {statement}")

    assert (lists["unguarded_tables"], lists["added_policies"]) == (unguarded, added)


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("GRANT USAGE ON SCHEMA consumer TO PUBLIC", ["schema consumer to PUBLIC"]),
        ("GRANT USAGE ON SCHEMA consumer_masked TO anon", ["schema consumer_masked to anon"]),
        ("GRANT SELECT, DELETE ON consumer.outbox TO authenticated", ["consumer.outbox to authenticated"]),
        (
            "GRANT SELECT (body, seq) ON consumer.outbox TO PUBLIC, anon",
            [
                "consumer.outbox.body to anon",
                "consumer.outbox.body to PUBLIC",
                "consumer.outbox.seq to anon",
                "consumer.outbox.seq to PUBLIC",
            ],
        ),
        ("CREATE FUNCTION identity.f() RETURNS int LANGUAGE sql AS 'SELECT 1'", ["identity.f() to PUBLIC"]),
        ("CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 1'", []),
        ("GRANT SELECT ON identity.profiles TO bi; CREATE TABLE public.t (); GRANT SELECT ON public.t TO anon", []),
    ],
)
async def test_strangers_have_no_rights_in_our_schemas(emptied: str, statement: str, expected: list[str]) -> None:
    roles = "CREATE ROLE bi; CREATE ROLE anon; CREATE ROLE authenticated"
    lists = await found(emptied, f"{roles}; {statement}")

    assert sorted(lists["strangers_privileges"]) == sorted(expected)
    assert {name: each for name, each in lists.items() if each and name != "open_tables"} == (
        {"strangers_privileges": lists["strangers_privileges"]} if expected else {}
    )


async def test_the_rights_of_strangers_are_in_order(emptied: str) -> None:
    granted = "GRANT SELECT ON consumer.outbox, consumer.failures, identity.profiles, consumer.pending TO PUBLIC"

    assert (await found(emptied, granted))["strangers_privileges"] == [
        "consumer.failures to PUBLIC",
        "consumer.outbox to PUBLIC",
        "consumer.pending to PUBLIC",
        "identity.profiles to PUBLIC",
    ]


async def test_tables_that_vacuum_skips_are_named(emptied: str) -> None:
    changed = (
        "ALTER TABLE consumer.pending SET (autovacuum_enabled = off);"
        "ALTER TABLE consumer.failures SET (autovacuum_enabled = off);"
        "ALTER TABLE consumer.outcomes SET (autovacuum_enabled = on);"
        "ALTER TABLE identity.profiles SET (toast.autovacuum_enabled = off, fillfactor = 90)"
    )

    assert (await found(emptied, changed))["unvacuumed_tables"] == ["consumer.failures", "consumer.pending"]


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("CREATE ROLE shop LOGIN SUPERUSER IN ROLE consumer_app", ["shop"]),
        ("CREATE ROLE shop LOGIN BYPASSRLS IN ROLE consumer_tenant", ["shop"]),
        ("CREATE ROLE shop LOGIN IN ROLE consumer_tenant", []),
        ("CREATE ROLE shop BYPASSRLS IN ROLE consumer_tenant", []),
        ("CREATE ROLE shop LOGIN BYPASSRLS IN ROLE consumer_worker", []),
        ("CREATE ROLE a IN ROLE consumer_app; CREATE ROLE b IN ROLE a; CREATE ROLE c LOGIN SUPERUSER IN ROLE b", ["c"]),
        (
            'CREATE ROLE "Shop 2" LOGIN SUPERUSER IN ROLE consumer_app; CREATE ROLE a LOGIN BYPASSRLS IN ROLE "Shop 2"',
            ['"Shop 2"', "a"],
        ),
        ("GRANT consumer_app TO postgres", []),
        ("GRANT consumer_app TO postgres; CREATE ROLE boss SUPERUSER; SET LOCAL SESSION AUTHORIZATION boss", []),
        ("CREATE ROLE shop LOGIN SUPERUSER IN ROLE consumer_app; ALTER SCHEMA identity OWNER TO shop", []),
        ("CREATE ROLE shop LOGIN SUPERUSER IN ROLE consumer_app; SET LOCAL SESSION AUTHORIZATION shop", []),
        ("ALTER ROLE consumer_app LOGIN BYPASSRLS", ["consumer_app"]),
    ],
)
async def test_an_application_s_login_that_passes_the_policies_is_named(
    emptied: str, statement: str, expected: list[str]
) -> None:
    assert (await found(emptied, statement))["bypassing_applications"] == expected


async def test_roles_that_pass_the_policies_or_are_missing_are_named(emptied: str) -> None:
    changed = "ALTER ROLE consumer_tenant BYPASSRLS; ALTER ROLE consumer_app SUPERUSER; CREATE ROLE abc BYPASSRLS"
    read = await whole(emptied, changed)
    missing = (await found(emptied, "CREATE ROLE other_worker SUPERUSER; CREATE ROLE other_app", "other"))[
        "missing_roles"
    ]

    assert (read.missing_roles, read.privileged_roles) == ([], ["consumer_app", "consumer_tenant"])
    assert read.bypassing_roles == ["abc", "consumer_app", "consumer_tenant", "postgres"]
    assert missing == [
        "other_definer",
        "other_masker",
        "other_operator",
        "other_receiver",
        "other_tenant",
        "other_viewer",
    ]
