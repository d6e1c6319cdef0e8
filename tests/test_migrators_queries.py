"""What the migrator's queries answer, over roles, schemas and locks made for the question."""

from typing import Any

import pytest

from consumer.postgres.preflight import DUTIES, SCHEMAS
from consumer.postgres.queries import query
from tests.support.asked import tuples as asked
from tests.support.names import own
from tests.support.rolled_back import Conn, said

LEDGER = "CREATE TABLE consumer._yoyo_migration (migration_id text, applied_at_utc timestamp)"


def role(conn: Conn, name: str, attributes: str = "") -> str:
    said(conn, f"CREATE ROLE {own(name)} {attributes}")
    return own(name)


def act_as(conn: Conn, name: str) -> None:
    said(conn, f"SET LOCAL ROLE {name}")


def target(conn: Conn) -> dict[str, Any]:
    cursor = conn.execute(query("preflight/target"))
    [row] = cursor.fetchall()
    return dict(zip([column.name for column in cursor.description or ()], row, strict=True))


LEDGER_KEYS = ("has_ledger", "may_read_ledger")


def test_a_ledger_is_the_table_of_that_name_in_the_schema_consumer(bare: Conn) -> None:
    found = [target(bare)]
    said(bare, "CREATE SCHEMA other", LEDGER.replace("consumer.", "other."))
    found.append(target(bare))
    said(bare, "CREATE SCHEMA consumer", "CREATE TABLE consumer.one ()", "CREATE TABLE consumer.two ()")
    found.append(target(bare))
    said(bare, LEDGER)
    found.append(target(bare))

    assert [tuple(each[key] for key in LEDGER_KEYS) for each in found] == 3 * [(False, False)] + [(True, True)]


@pytest.mark.parametrize("grants", ["", "usage", "select", "usage select"])
def test_a_ledger_is_read_with_the_rights_on_schema_and_table(bare: Conn, grants: str) -> None:
    login = role(bare, "asks")
    said(bare, "CREATE SCHEMA consumer", LEDGER)
    if "usage" in grants:
        said(bare, f"GRANT USAGE ON SCHEMA consumer TO {login}")
    if "select" in grants:
        said(bare, f"GRANT SELECT ON consumer._yoyo_migration TO {login}")
    act_as(bare, login)

    assert tuple(target(bare)[key] for key in LEDGER_KEYS) == (True, grants == "usage select")


@pytest.mark.parametrize(
    ("attributes", "may_create_roles"), [("", False), ("CREATEROLE", True), ("SUPERUSER NOCREATEROLE", True)]
)
def test_a_target_knows_its_database_and_login(bare: Conn, attributes: str, may_create_roles: bool) -> None:
    login = role(bare, "asks", attributes)
    said(bare, f'ALTER ROLE {login} RENAME TO "{login} A"', "SET search_path = other, pg_catalog")
    act_as(bare, f'"{login} A"')
    found = target(bare)

    is_super = "SUPERUSER" in attributes
    assert (found["database"], found["quoted_database"]) == (bare.info.dbname, bare.info.dbname)
    assert (found["login"], found["quoted_login"]) == (f"{login} A", f'"{login} A"')
    assert (found["may_create_roles"], found["may_create_schemas"]) == (may_create_roles, is_super)
    assert (found["encoding"], found["is_standby"]) == ("UTF8", False)
    assert found["version_number"] == bare.info.server_version
    # Of a session that sets none.
    assert found["search_path"] == '"$user", public'
    assert found["languages_lacking"] == []


def test_languages_are_lacking_that_are_not_there_or_not_allowed(bare: Conn) -> None:
    login = role(bare, "asks")
    said(bare, "REVOKE USAGE ON LANGUAGE sql FROM PUBLIC")
    superusers = target(bare)["languages_lacking"]
    act_as(bare, login)
    found = [superusers, target(bare)["languages_lacking"]]
    said(bare, "RESET ROLE", "REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC")
    act_as(bare, login)
    found.append(target(bare)["languages_lacking"])
    said(bare, "RESET ROLE", "DROP EXTENSION plpgsql", "GRANT USAGE ON LANGUAGE sql TO PUBLIC")
    found.append(target(bare)["languages_lacking"])

    assert found == [[], ["sql"], ["plpgsql", "sql"], ["plpgsql"]]


def roles(conn: Conn, *names: str) -> dict[str, tuple[bool, ...]]:
    """Return by role: whether it is made, a login, privileged, a member of this login, and usable."""
    found = asked(conn, "preflight/roles", roles=[own(name) for name in names])
    assert [row[0] for row in found] == sorted(own(name) for name in names)
    return {row[0].removeprefix(own("")): row[1:] for row in found}


def test_of_each_role_is_told_what_keeps_a_login_from_it(bare: Conn) -> None:
    login = role(bare, "asks")
    for name, attributes in {"l": "LOGIN", "b": "BYPASSRLS", "s": "SUPERUSER", "m": "", "above": "", "n": ""}.items():
        role(bare, name, attributes)
    said(bare, f"GRANT {own('m')} TO {login}", f"GRANT {login} TO {own('above')}, {own('s')}")
    names = ("none", "l", "b", "s", "m", "above", "n", "asks")
    superusers = roles(bare, *names)
    act_as(bare, login)

    assert roles(bare, *names) == {
        "none": (False, False, False, False, False),
        "l": (True, True, False, False, False),
        "b": (True, False, True, False, False),
        "s": (True, False, True, False, False),
        "m": (True, False, False, False, True),
        "above": (True, False, False, True, False),
        "n": (True, False, False, False, False),
        "asks": (True, False, False, False, True),
    }
    assert {name: row[4] for name, row in superusers.items()} == dict.fromkeys(names, True)
    assert superusers["none"] == (False, False, False, False, True)


def test_a_login_that_may_grant_a_role_can_use_it(bare: Conn) -> None:
    login, group, admin = role(bare, "asks", "CREATEROLE"), role(bare, "group"), role(bare, "admin")
    for name in ("direct", "by_group", "by_admin"):
        role(bare, name)
    off = ", SET FALSE, INHERIT FALSE" if bare.info.server_version >= 160_000 else ""
    option = f"WITH ADMIN TRUE{off}" if off else "WITH ADMIN OPTION"
    said(
        bare,
        f"GRANT {own('direct')} TO {login} {option}",
        f"GRANT {group} TO {login}",
        f"GRANT {own('by_group')} TO {group} {option}",
        f"GRANT {own('by_admin')} TO {admin} {option}",
    )
    act_as(bare, login)
    usable = {name: row[4] for name, row in roles(bare, "direct", "by_group", "by_admin").items()}

    # Up to PostgreSQL 15 a login that may create roles may grant itself any of them.
    assert usable == {"direct": True, "by_group": True, "by_admin": bare.info.server_version < 160_000}


def test_of_each_schema_is_told_the_owner_and_what_a_login_has_of_it(bare: Conn) -> None:
    login, owner, kin = role(bare, "asks"), role(bare, "head"), role(bare, "kin", "NOINHERIT")
    said(
        bare,
        *(f"CREATE SCHEMA {name} AUTHORIZATION {owner}" for name in ("identity", "other")),
        "CREATE SCHEMA consumer",
        "ALTER EXTENSION plpgsql ADD SCHEMA consumer",
    )
    grant = f"GRANT {owner} TO {kin}"
    said(bare, f"{grant} WITH INHERIT FALSE" if bare.info.server_version >= 160_000 else grant)
    found = {}
    for name in (login, kin, owner):
        act_as(bare, name)
        found[name] = asked(bare, "preflight/schemas", schemas=list(SCHEMAS))
        said(bare, "RESET ROLE")

    theirs = ("consumer", "postgres", True, False, False, "plpgsql")
    assert found[login] == [theirs, ("identity", owner, False, False, False, None)]
    assert found[kin] == [theirs, ("identity", owner, False, False, True, None)]
    assert found[owner] == [theirs, ("identity", owner, False, True, True, None)]


def prefixes(conn: Conn) -> list[str]:
    return [prefix for (prefix,) in asked(conn, "preflight/prefixes")]


def test_a_prefix_is_told_by_each_of_three_traces_alone(admin: Conn) -> None:
    grants = f"REVOKE ALL ON SCHEMA consumer FROM {', '.join(f'consumer_{duty}' for duty in DUTIES)}"
    tables = ("companies", "company_members", "profile_audit", "profiles", "stack_user_profiles")
    policies = [f"DROP POLICY worker ON identity.{table}" for table in tables]
    owner = "ALTER FUNCTION identity.scrub_audit OWNER TO CURRENT_USER"
    found = [prefixes(admin)]
    for kept in range(4):
        traces = [[grants], policies, [owner]]
        with admin.transaction(force_rollback=True):
            said(admin, *(one for place, trace in enumerate(traces) if place != kept for one in trace))
            found.append(prefixes(admin))

    assert found == 4 * [["consumer"]] + [[]]


def test_other_roles_rights_policies_and_functions_tell_no_prefix(admin: Conn) -> None:
    names = {
        n: role(admin, f"{n}_{duty}") for n, duty in enumerate(("worker", "worker", "worker", "definer", "definer"))
    }
    tenant = role(admin, "e_tenant")
    said(
        admin,
        f"GRANT USAGE ON SCHEMA identity TO {names[0]}",
        f"GRANT CREATE ON SCHEMA consumer TO {names[0]}",
        f"GRANT USAGE ON SCHEMA consumer TO {tenant}",
        f"CREATE POLICY worker2 ON identity.profiles TO {names[1]}",
        "CREATE TABLE public.t ()",
        f"CREATE POLICY worker ON public.t TO {names[1]}",
        "CREATE FUNCTION public.scrub_audit() RETURNS int RETURN 1",
        f"GRANT CREATE ON SCHEMA public, identity TO {names[3]}",
        f"ALTER FUNCTION public.scrub_audit OWNER TO {names[3]}",
        f"ALTER FUNCTION identity.folded OWNER TO {names[3]}",
        f"ALTER SCHEMA consumer OWNER TO {names[2]}",
    )

    assert prefixes(admin) == ["consumer"]


def test_every_prefix_is_told_once_and_in_order(admin: Conn) -> None:
    for name in ("b", "a"):
        said(admin, f"GRANT USAGE ON SCHEMA consumer TO {role(admin, f'{name}_worker')}")
        said(admin, f"CREATE POLICY other_{name} ON identity.profiles TO {own(f'{name}_worker')}")

    assert prefixes(admin) == ["consumer", own("a"), own("b")]


def test_objects_are_those_of_the_named_schemas_by_kind_and_name(bare: Conn) -> None:
    said(
        bare,
        "CREATE SCHEMA identity",
        "CREATE SCHEMA other",
        "CREATE TABLE identity.t (id int PRIMARY KEY)",
        "CREATE VIEW identity.v AS SELECT id FROM identity.t",
        "CREATE FUNCTION identity.f(a int, b text) RETURNS int RETURN 1",
        "CREATE FUNCTION identity.f() RETURNS int RETURN 1",
        "CREATE TABLE other.t ()",
    )
    found = [("function", "identity.f")] * 2 + [("table", "identity.t"), ("view", "identity.v")]

    assert asked(bare, "preflight/objects", schemas=["consumer", "identity"]) == found
