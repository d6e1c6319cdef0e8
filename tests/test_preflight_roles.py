"""What a login may do with the roles and schemas that it finds: whatever the look lets pass can be migrated."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consumer.postgres import ledger, migrations
from consumer.postgres.preflight import SCHEMAS, MigrationRefused
from tests.support.databases import change, rows
from tests.support.migrating import PREFIX, ROLES, login, traces
from tests.support.names import own

pytestmark = pytest.mark.lone_server

pytest_plugins = ["tests.support.migrating"]

# How a role comes before its login: not at all, alone, or with these options of a membership since PostgreSQL 16.
MEMBERSHIPS = ("missing", "alone", "plain", "SET", "INHERIT", "ADMIN", "SET, INHERIT", "ADMIN, INHERIT")
ATTRIBUTES = ("NOLOGIN", "NOLOGIN INHERIT", "LOGIN", "BYPASSRLS", "SUPERUSER")
OPTIONS = ("SET", "INHERIT", "ADMIN")


def membership(conn: psycopg.Connection, role: str, attributes: str, options: str) -> None:
    """Make a role and grant it with these options and no others; before PostgreSQL 16 only ADMIN is one."""
    if options == "missing":
        return
    conn.execute(f"CREATE ROLE {role} {attributes}")
    if options == "alone":
        return
    given = options.split(", ")
    if options == "plain":
        clause = ""
    elif conn.info.server_version < 160_000:
        clause = "WITH ADMIN OPTION" if "ADMIN" in given else ""
    else:
        clause = "WITH " + ", ".join(f"{name} {'TRUE' if name in given else 'FALSE'}" for name in OPTIONS)
    conn.execute(f"GRANT {role} TO some_login {clause}")


@contextmanager
def without_traces(url: str) -> Iterator[None]:
    """Remove what one example left, roles and all."""
    try:
        yield
    finally:
        with psycopg.connect(url, autocommit=True) as conn:
            conn.execute("DROP SCHEMA IF EXISTS consumer, consumer_masked, identity CASCADE")
            for role in ROLES:
                conn.execute(f"DROP ROLE IF EXISTS {role}")


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    rights=st.sampled_from(["CREATEROLE", "NOCREATEROLE", "CREATEROLE NOINHERIT", "NOCREATEROLE NOINHERIT"]),
    options=st.lists(st.sampled_from(MEMBERSHIPS), min_size=len(ROLES), max_size=len(ROLES))
    | st.sampled_from(MEMBERSHIPS).map(lambda one: [one] * len(ROLES)),
    attributes=st.just(["NOLOGIN"] * len(ROLES))
    | st.lists(st.sampled_from(ATTRIBUTES), min_size=len(ROLES), max_size=len(ROLES)),
    has_create=st.sampled_from([True, True, True, False]),
)
def test_what_the_look_lets_pass_can_be_migrated_and_what_it_refuses_is_unchanged(
    bare_url: str, rights: str, options: list[str], attributes: list[str], has_create: bool
) -> None:
    with without_traces(bare_url), login(bare_url, rights) as conninfo:
        with psycopg.connect(bare_url, autocommit=True) as admin:
            for role, own_attributes, own_options in zip(ROLES, attributes, options, strict=True):
                membership(admin, role, own_attributes, own_options)
            if not has_create:
                admin.execute(f"REVOKE CREATE ON DATABASE {own('bare')} FROM some_login")
        before = traces(bare_url)

        try:
            applied = migrations.apply(conninfo, PREFIX)
        except MigrationRefused:
            assert traces(bare_url) == before
        else:
            assert applied == ledger.carried_ids()
            with psycopg.connect(conninfo) as conn:
                for role in ROLES:
                    conn.execute(f"SET ROLE {role}")


@pytest.mark.parametrize("rights", ["CREATEROLE", "NOCREATEROLE NOINHERIT"])
def test_memberships_without_set_are_refused_with_the_grant_that_cures_it(bare_url: str, rights: str) -> None:
    with login(bare_url, rights) as conninfo:
        with psycopg.connect(bare_url, autocommit=True) as admin:
            if admin.info.server_version < 160_000:
                pytest.skip("PostgreSQL 15 has no SET option")
            for role in ROLES:
                membership(admin, role, "NOLOGIN", "INHERIT")
        before = traces(bare_url)

        with pytest.raises(MigrationRefused) as refusal:
            migrations.apply(conninfo, PREFIX)

        assert traces(bare_url) == before
        cure = str(refusal.value).split("somebody else made: ")[1].split(", or set")[0]
        change(bare_url, cure)
        assert migrations.apply(conninfo, PREFIX) == ledger.carried_ids()


@pytest.mark.parametrize("attributes", ["LOGIN", "SUPERUSER", "BYPASSRLS"])
def test_a_role_of_somebody_else_is_not_given_our_rights(bare_url: str, attributes: str) -> None:
    with login(bare_url) as conninfo:
        change(bare_url, f"CREATE ROLE {ROLES[3]} {attributes}; GRANT {ROLES[3]} TO some_login")
        before = traces(bare_url)

        with pytest.raises(MigrationRefused, match=rf"^The roles {ROLES[3]} are logins, superusers or BYPASSRLS"):
            migrations.apply(conninfo, PREFIX)

        assert traces(bare_url) == before


def test_a_role_above_the_login_is_refused(bare_url: str) -> None:
    with login(bare_url) as conninfo:
        change(bare_url, f"CREATE ROLE {ROLES[0]}; GRANT some_login TO {ROLES[0]}")

        with pytest.raises(
            MigrationRefused, match=rf"members of the login some_login.*REVOKE some_login FROM {ROLES[0]}"
        ):
            migrations.apply(conninfo, PREFIX)


@pytest.mark.parametrize("names", [("Some Login",), ("order",), ('quo"ted',)], ids=["space", "keyword", "quote"])
def test_a_cure_quotes_the_login(bare_url: str, names: tuple[str]) -> None:
    [name] = names
    with login(bare_url, "NOCREATEROLE", name=name) as conninfo:
        with pytest.raises(MigrationRefused) as refusal:
            migrations.apply(conninfo, PREFIX)
        change(bare_url, str(refusal.value).split("_worker: ")[1].split(", or")[0])

        assert migrations.apply(conninfo, PREFIX) == ledger.carried_ids()


def test_the_schemas_of_a_group_need_its_rights_and_not_only_its_membership(bare_url: str) -> None:
    with login(bare_url, "CREATEROLE NOINHERIT") as conninfo:
        change(bare_url, "CREATE ROLE owners; GRANT owners TO some_login")
        for name in SCHEMAS:
            change(bare_url, f"CREATE SCHEMA {name} AUTHORIZATION owners")
        try:
            with pytest.raises(MigrationRefused, match="lacks the rights of owners") as refusal:
                migrations.apply(conninfo, PREFIX)
            change(bare_url, str(refusal.value).split("identity: ")[1].split(", or")[0])

            assert migrations.apply(conninfo, PREFIX) == ledger.carried_ids()
        finally:
            change(bare_url, "DROP SCHEMA consumer, consumer_masked, identity CASCADE; DROP ROLE owners")


def test_a_server_that_lets_nobody_write_functions_is_refused(bare_url: str) -> None:
    with login(bare_url) as conninfo:
        change(bare_url, "REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC")

        with pytest.raises(MigrationRefused, match="GRANT USAGE ON LANGUAGE plpgsql TO some_login"):
            migrations.apply(conninfo, PREFIX)

    assert not rows(bare_url, "SELECT 1 FROM pg_namespace WHERE nspname = 'consumer'")
