"""Checks of roles, row-level security and grants: can a login see or do more than it should?"""

from dataclasses import dataclass

from psycopg.rows import class_row

from consumer.doctor.check import Check, fail_unless, ok
from consumer.postgres.connections import Connection
from consumer.postgres.preflight import DUTIES
from consumer.postgres.queries import rows

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
    [found] = await rows(conn, class_row(Isolation), "isolation/read", values)
    return found


def judge_isolation(found: Isolation) -> list[Check]:
    """Judge the roles, row-level security and grants to strangers."""
    bypassing = found.bypassing_applications
    return [
        _fail_if(found.missing_roles, "roles", "missing: ", "all exist"),
        _fail_if(found.privileged_roles, "privileges of roles", "too many: ", "none is a superuser or BYPASSRLS"),
        _fail_if(found.open_tables, "row-level security", "not forced on ", "forced on every table of identity"),
        _judge_policies(found),
        _fail_if(bypassing, "application's logins", "pass row-level security: ", "none passes row-level security"),
        _fail_if(found.strangers_privileges, "grants", "", "none to PUBLIC, anon or authenticated"),
        ok("roles that bypass row-level security", ", ".join(found.bypassing_roles) or "none"),
    ]


def _fail_if(wrong: list[str], name: str, problem: str, otherwise: str) -> Check:
    return fail_unless(not wrong, name, problem + ", ".join(wrong) if wrong else otherwise)


def _judge_policies(found: Isolation) -> Check:
    # Under a wrong ROLE_PREFIX every policy would seem foreign, and the cure would drop all of them.
    if found.missing_roles:
        return Check("policies", "failing", "can't be checked without the roles", "See above.")
    wrong = [
        *(f"none on {missing}" for missing in found.unguarded_tables),
        *(f"not ours: {policy}" for policy in found.added_policies),
    ]
    return fail_unless(not wrong, "policies", "; ".join(wrong) or "every reader has its own on every table of identity")
