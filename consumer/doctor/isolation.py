"""Checks of roles, row-level security and grants: can a login see or do more than it should?"""

from dataclasses import dataclass

from psycopg.rows import class_row

from consumer.doctor.check import Check, fail_unless, ok
from consumer.postgres.connections import Connection
from consumer.postgres.migrations import DUTIES
from consumer.postgres.queries import query

# READERS have a policy on every table of identity, named in POLICIES; an application's logins are members of a role in
# APPLICATIONS.
READERS = ("worker", "operator", "app", "tenant", "definer")
POLICIES = ["worker", "readers", "tenant", "definer"]
APPLICATIONS = ("app", "tenant")


@dataclass(frozen=True, slots=True)
class Isolation:
    """Objects that would break the separation of tenants; the operator judges the last list."""

    missing_roles: list[str]
    privileged_roles: list[str]
    tables: list[str]
    open_tables: list[str]
    unguarded_tables: list[str]
    added_policies: list[str]
    bypassing_applications: list[str]
    strangers_privileges: list[str]
    unvacuumed_tables: list[str]
    bypassing_roles: list[str]


async def isolation(conn: Connection, role_prefix: str) -> Isolation:
    """Read the catalogue, which any login may."""
    named = {"roles": DUTIES, "readers": READERS, "applications": APPLICATIONS}
    values = {name: [f"{role_prefix}_{duty}" for duty in duties] for name, duties in named.items()}
    values["policies"] = POLICIES
    async with conn.cursor(binary=True, row_factory=class_row(Isolation)) as cursor:
        await cursor.execute(query("isolation/read"), values)
        found = await cursor.fetchone()
    assert found is not None, "lists always have a row"
    return found


def judge_isolation(found: Isolation) -> list[Check]:
    """Judge the roles, row-level security and grants to strangers."""
    return [
        fail_unless(
            not found.missing_roles,
            "roles",
            _missing(found.missing_roles),
            "Correct ROLE_PREFIX, or run `consumer migrate` as a login that may create roles: it names a wrong prefix.",
        ),
        fail_unless(
            not found.privileged_roles,
            "privileges of roles",
            f"too many: {_list(found.privileged_roles)}"
            if found.privileged_roles
            else "none is a superuser or BYPASSRLS",
            "ALTER ROLE … NOSUPERUSER NOBYPASSRLS: such a role sees every tenant.",
        ),
        _judge_tables(found),
        _judge_policies(found),
        fail_unless(
            not found.bypassing_applications,
            "application's logins",
            f"pass row-level security: {_list(found.bypassing_applications)}"
            if found.bypassing_applications
            else "none passes row-level security",
            "ALTER ROLE … NOSUPERUSER NOBYPASSRLS, or give the application another login: this one sees every tenant.",
        ),
        fail_unless(
            not found.strangers_privileges,
            "grants",
            _list(found.strangers_privileges) or "none to PUBLIC, anon or authenticated",
            "REVOKE ALL ON … FROM PUBLIC, and from anon and authenticated where they exist.",
        ),
        ok("roles that bypass row-level security", _list(found.bypassing_roles) or "none"),
    ]


def _judge_tables(found: Isolation) -> Check:
    return fail_unless(
        not found.open_tables,
        "row-level security",
        f"not forced on {_list(found.open_tables)}" if found.open_tables else "forced on every table of identity",
        "ALTER TABLE … ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY.",
    )


def _judge_policies(found: Isolation) -> Check:
    # Under a wrong ROLE_PREFIX every policy would seem foreign, and the cure would drop all of them.
    if found.missing_roles:
        return Check("policies", "failing", "can't be checked without the roles", "See above.")
    wrong = [
        *(f"none on {missing}" for missing in found.unguarded_tables),
        *(f"not ours: {policy}" for policy in found.added_policies),
    ]
    return fail_unless(
        not wrong,
        "policies",
        "; ".join(wrong) or "every reader has its own on every table of identity",
        "CREATE POLICY as sql/schema.sql shows it, or DROP POLICY: without its policy a role sees no row, and another "
        "one may show every tenant's rows.",
    )


def _missing(roles: list[str]) -> str:
    return f"missing: {_list(roles)}" if roles else "all exist"


def _list(names: list[str]) -> str:
    return ", ".join(names)
