"""What the doctor says of roles, policies, owners and grants: word by word."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from psycopg import errors as postgres

from consumer.doctor.check import CURES
from consumer.doctor.isolation import Isolation, judge_isolation
from consumer.doctor.rehearsal import _error_text, _line
from consumer.doctor.rights import cure, judge_rights
from consumer.postgres.privileges import Differences, Owner, Right

SOUND = Isolation(
    missing_roles=[],
    privileged_roles=[],
    tables=["identity.profiles"],
    open_tables=[],
    unguarded_tables=[],
    added_policies=[],
    bypassing_applications=[],
    strangers_privileges=[],
    unvacuumed_tables=[],
    bypassing_roles=[],
)
OWNER = Owner(180_006, "owner", is_creator=True, login="owner", is_superuser=False, database="app")
# No role is made or changed here.
MAKE, CHANGE = "CREATE" + " ROLE", "ALTER" + " ROLE"
PREFIX = "Run `consumer migrate`, or as the owner: "


def differing(
    *lacking: str, undone: Sequence[Right] = (), left: Sequence[Right] = (), absent: Sequence[str] = ()
) -> Differences:
    return Differences(
        undone=list(undone),
        lacking=list(lacking),
        left=list(left),
        roles=frozenset({"consumer_app"}),
        absent=frozenset(absent),
        owning_roles={},
        owner=OWNER,
    )


def isolated(
    differences: Differences | None = None, under: Sequence[str] = (), **values: list[str]
) -> dict[str, tuple[str, str, str | None]]:
    found = judge_isolation(replace(SOUND, **values), differences, migrated_under=list(under))
    return {each.name: (each.state, each.finding, each.cure) for each in found}


WELL: dict[str, tuple[str, str, str | None]] = {
    "role prefix": ("ok", "the one of this database", None),
    "roles": ("ok", "all exist", None),
    "privileges of roles": ("ok", "none is a superuser or BYPASSRLS", None),
    "row-level security": ("ok", "forced on every table of identity", None),
    "policies": ("ok", "every reader has its own on every table of identity", None),
    "application's logins": ("ok", "none passes row-level security", None),
    "grants": ("ok", "none to PUBLIC, anon or authenticated", None),
    "roles that bypass row-level security": ("ok", "none", None),
}


@pytest.mark.parametrize("differences", [None, differing()], ids=["not compared", "compared"])
def test_a_sound_isolation_is_described(differences: Differences | None) -> None:
    assert isolated(differences) == WELL


@pytest.mark.parametrize(
    ("values", "name", "finding"),
    [
        ({"missing_roles": ["a", "b"]}, "roles", "missing: a, b"),
        ({"privileged_roles": ["a", "b"]}, "privileges of roles", "too many: a, b"),
        ({"open_tables": ["a", "b"]}, "row-level security", "not forced on a, b"),
        ({"unguarded_tables": ["a", "b"], "added_policies": ["c"]}, "policies", "none on a; none on b; not ours: c"),
        ({"strangers_privileges": ["a to b", "c to d"]}, "grants", "a to b, c to d"),
    ],
)
def test_what_breaks_the_isolation_is_named_and_has_the_general_cure(
    values: dict[str, list[str]], name: str, finding: str
) -> None:
    found = isolated(None, (), **values)

    assert found[name] == ("failing", finding, CURES[name])
    unlooked = {"policies"} if "missing_roles" in values else set()
    assert {other for other in found if found[other] != WELL[other]} == {name} | unlooked


def test_statements_that_would_mend_it_are_the_cure() -> None:
    statements = {
        "roles": f"{MAKE} consumer_app NOLOGIN;",
        "privileges of roles": f"{CHANGE} consumer_app NOSUPERUSER;",
        "row-level security": "ALTER TABLE identity.profiles FORCE ROW LEVEL SECURITY;",
        "grants": "REVOKE SELECT ON TABLE identity.profiles FROM PUBLIC;",
    }
    undo = Right("GRANT SELECT ON TABLE identity.profiles TO PUBLIC;", statements["grants"], None, ["PUBLIC"])
    differences = differing(*(text for name, text in statements.items() if name != "grants"), undone=[undo])
    values = {"privileged_roles": ["a"], "open_tables": ["a"], "strangers_privileges": ["a"]}

    found = isolated(differences, **values)

    assert {name: found[name][2] for name in statements if name != "roles"} == {
        name: f"{PREFIX}{text}" for name, text in statements.items() if name != "roles"
    }
    assert isolated(differences, missing_roles=["a"])["roles"][2] == f"{CURES['roles']} {statements['roles']}"


def test_an_application_s_login_has_its_own_statements() -> None:
    assert isolated(bypassing_applications=["shop", '"Shop"'])["application's logins"] == (
        "failing",
        'pass row-level security: shop, "Shop"',
        f'{CHANGE} shop NOSUPERUSER NOBYPASSRLS; {CHANGE} "Shop" NOSUPERUSER NOBYPASSRLS; Or give the application '
        "another login: this one sees every tenant.",
    )
    assert isolated(bypassing_roles=["a", "b"])["roles that bypass row-level security"] == ("ok", "a, b", None)


def test_policies_can_t_be_judged_under_a_wrong_prefix_or_without_the_roles() -> None:
    wrong = isolated(under=["shop", "other"], added_policies=["x"])
    missing = isolated(under=["shop"], missing_roles=["a"])

    assert wrong["role prefix"] == (
        "failing",
        "this database was migrated under ROLE_PREFIX shop or other",
        "Set ROLE_PREFIX=shop or other: the roles of another installation have no rights here.",
    )
    assert wrong["policies"] == ("failing", "can't be checked without the right ROLE_PREFIX", "See above.")
    assert missing["policies"] == ("failing", "can't be checked without the roles", "See above.")


def test_a_changed_policy_is_named_once_and_mended_by_dropping_and_making_it() -> None:
    drop = "DROP POLICY tenant ON identity.profiles;"
    create = "CREATE POLICY tenant ON identity.profiles TO consumer_tenant USING (FALSE);"
    quoted = 'CREATE POLICY "My own" ON identity.companies TO consumer_app USING (TRUE);'
    theirs = Right("CREATE POLICY x ON identity.profiles;", "DROP POLICY x ON identity.profiles;", None, None)
    kept = Right("CREATE POLICY y ON identity.profiles;", None, None, None)
    granted = Right("GRANT SELECT ON identity.profiles TO bi;", "REVOKE SELECT ON identity.profiles FROM bi;", None, [])
    undone = [Right(create, drop, None, None)]

    changed = isolated(differing(create, quoted, undone=undone, left=[theirs, kept, granted]))["policies"]
    added = isolated(differing(left=[theirs, kept, granted]), added_policies=["x"])["policies"]

    finding = 'changed: tenant on identity.profiles; changed: "My own" on identity.companies'
    assert changed == ("failing", finding, f"{PREFIX}{drop} {create} {quoted} {theirs.undo}")
    assert added == ("failing", "not ours: x", f"{PREFIX}{theirs.undo}")


RIGHT: dict[str, tuple[str, str, str | None]] = {
    "owners": ("ok", "each object belongs to its role", None),
    "functions and views": ("ok", "run as this release made them", None),
    "grants to our roles": ("ok", "all are given", None),
    "objects": ("ok", "none is missing", None),
    "further rights of our roles": ("ok", "none", None),
    "rights of others": ("ok", "none", None),
}


def rights(differences: Differences) -> dict[str, tuple[str, str, str | None]]:
    return {each.name: (each.state, each.finding, each.cure) for each in judge_rights(differences)}


def test_rights_as_declared_are_described() -> None:
    assert rights(differing()) == RIGHT
    assert cure([]) is None


@pytest.mark.parametrize(
    ("statement", "name", "state", "named"),
    [
        ("ALTER TABLE identity.profiles OWNER TO consumer_x;", "owners", "failing", "identity.profiles"),
        ("ALTER FUNCTION identity.f() SECURITY INVOKER;", "functions and views", "failing", "identity.f"),
        ("ALTER FUNCTION identity.f() LEAKPROOF;", "functions and views", "failing", "identity.f"),
        ("ALTER FUNCTION identity.f() RESET ALL;", "functions and views", "failing", "identity.f"),
        ("ALTER FUNCTION identity.f() SET search_path TO x;", "functions and views", "failing", "identity.f"),
        ("ALTER TABLE identity.v SET (security_invoker);", "functions and views", "failing", "identity.v"),
        ("ALTER TABLE identity.v RESET (security_invoker);", "functions and views", "failing", "identity.v"),
        ("GRANT SELECT ON TABLE identity.t TO consumer_app;", "grants to our roles", "failing", "identity.t"),
        ("GRANT SELECT ON TABLE identity.t TO consumer_worker;", "grants to our roles", "warning", "identity.t"),
        ("GRANT SELECT ON TABLE identity.t TO consumer_receiver;", "grants to our roles", "warning", "identity.t"),
        ("GRANT SELECT ON TABLE identity.t TO consumer_operator;", "grants to our roles", "warning", "identity.t"),
        ("GRANT consumer_viewer TO consumer_operator;", "grants to our roles", "failing", "consumer_viewer"),
    ],
)
def test_a_right_that_differs_is_judged_by_its_kind(statement: str, name: str, state: str, named: str) -> None:
    found = rights(differing(statement))

    assert found[name] == (state, f"wrong: {named}", f"{PREFIX}{statement}")
    assert {other for other in found if found[other] != RIGHT[other]} == {name}


def test_an_object_is_named_once_and_one_serious_grant_makes_all_of_them_fail() -> None:
    light = "GRANT SELECT ON TABLE identity.t TO consumer_worker;"
    serious = "GRANT UPDATE ON TABLE identity.t TO consumer_definer;"
    other = "GRANT UPDATE ON TABLE identity.u TO consumer_definer;"

    assert rights(differing(light, serious, other))["grants to our roles"] == (
        "failing",
        "wrong: identity.t, identity.u",
        f"{PREFIX}{light} {serious} {other}",
    )


def test_an_owner_s_cure_lets_the_new_owner_create_meanwhile() -> None:
    owner = "ALTER FUNCTION identity.f() OWNER TO consumer_x;"
    found = replace(differing(owner), owning_roles={"identity.f": "consumer_x"})
    create = "CREATE ON SCHEMA consumer, consumer_masked, identity"

    assert rights(found)["owners"] == (
        "failing",
        "wrong: identity.f",
        f"{PREFIX}GRANT {create} TO consumer_x; {owner} REVOKE {create} FROM consumer_x;",
    )


def test_missing_objects_and_what_was_granted_besides_are_listed() -> None:
    ours = Right("GRANT A;", "REVOKE A;", None, ["consumer_app"])
    fixed = Right("GRANT B;", None, None, ["x", "consumer_app"])
    theirs, more = Right("GRANT C;", "REVOKE C;", None, ["x"]), Right("GRANT D;", "REVOKE D;", None, None)

    found = rights(differing(left=[ours, theirs, fixed, more], absent=["identity.b", "identity.a"]))

    undo = "Undo the RENAME or DROP: sql/schema.sql shows each as `migrate` made it."
    assert found["objects"] == ("warning", "missing: identity.a, identity.b", undo)
    assert found["further rights of our roles"] == (
        "warning",
        "GRANT A; GRANT B;",
        "Unless you gave them on purpose: REVOKE A;",
    )
    assert found["rights of others"] == ("ok", "GRANT C; GRANT D;", None)


def test_a_refusal_shows_its_message_only_where_that_holds_no_value() -> None:
    message, hidden = "permission denied for table t", postgres.InvalidTextRepresentation('"secret"')

    class Denied(postgres.InsufficientPrivilege):
        @property
        def diag(self) -> Any:
            return type("Diagnostic", (), {"message_primary": message})()

    assert _error_text(Denied()) == f"{message} (42501)"
    assert _error_text(postgres.UndefinedTable()) == "UndefinedTable (42P01)"
    assert _error_text(hidden) == "InvalidTextRepresentation (22P02)"
    assert _line(psycopg.Error("no\nLINE 12: SELECT 'secret'\n ^")) == " in line 12"
    assert _line(psycopg.Error("no LINE 12: SELECT")) == ""
