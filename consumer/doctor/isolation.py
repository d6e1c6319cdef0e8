"""Checks of roles, row-level security and grants: can a login see or do more than it should?"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from psycopg.rows import class_row

from consumer.doctor.check import CURES, Check, fail_unless, ok
from consumer.doctor.rights import cure
from consumer.postgres.connections import Connection
from consumer.postgres.preflight import DUTIES
from consumer.postgres.privileges import Differences
from consumer.postgres.queries import rows

# READERS have a policy on every table of identity, named in POLICIES; an application's logins are members of a role in
# APPLICATIONS.
READERS = ("worker", "operator", "app", "tenant", "definer", "masker")
POLICIES = ["worker", "readers", "tenant", "definer", "masker"]
APPLICATIONS = ("app", "tenant")
# The name and the table of a policy in a statement.
NAMED = re.compile(r"(?:CREATE|DROP) POLICY (\S+|\".*?\") ON ([\w.]+)")


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


def judge_isolation(found: Isolation, differences: Differences | None, *, migrated_under: list[str]) -> list[Check]:
    """Judge the prefix of the roles first, then the roles, row-level security and grants to strangers.

    *differences* is None where this release can't compare; *migrated_under* holds other prefixes than ours.
    """
    statements = differences.matching if differences else _none
    return [
        *_judge_roles(found, statements, migrated_under),
        _fail_if(
            found.open_tables,
            "row-level security",
            "not forced on ",
            "forced on every table of identity",
            cure(statements("ALTER TABLE .* ROW LEVEL SECURITY")),
        ),
        _judge_policies(found, differences, is_ours=not migrated_under),
        _judge_applications(found.bypassing_applications),
        _fail_if(
            found.strangers_privileges,
            "grants",
            "",
            "none to PUBLIC, anon or authenticated",
            cure(statements("REVOKE ")),
        ),
        ok("roles that bypass row-level security", ", ".join(found.bypassing_roles) or "none"),
    ]


def _judge_roles(found: Isolation, statements: Callable[[str], list[str]], migrated_under: list[str]) -> list[Check]:
    under = " or ".join(migrated_under)
    return [
        fail_unless(
            not under,
            "role prefix",
            f"this database was migrated under ROLE_PREFIX {under}" if under else "the one of this database",
            f"Set ROLE_PREFIX={under}: the roles of another installation have no rights here.",
        ),
        _fail_if(
            found.missing_roles,
            "roles",
            "missing: ",
            "all exist",
            " ".join([CURES["roles"], *statements("CREATE ROLE ")]),
        ),
        _fail_if(
            found.privileged_roles,
            "privileges of roles",
            "too many: ",
            "none is a superuser or BYPASSRLS",
            cure(statements("ALTER ROLE ")),
        ),
    ]


def _judge_applications(bypassing: list[str]) -> Check:
    statements = [f"ALTER ROLE {login} NOSUPERUSER NOBYPASSRLS;" for login in bypassing]
    return _fail_if(
        bypassing,
        "application's logins",
        "pass row-level security: ",
        "none passes row-level security",
        " ".join([*statements, "Or give the application another login: this one sees every tenant."]),
    )


def _none(_: str) -> list[str]:
    return []


def _fail_if(wrong: list[str], name: str, problem: str, otherwise: str, cure: str | None = None) -> Check:
    return fail_unless(not wrong, name, problem + ", ".join(wrong) if wrong else otherwise, cure)


def _judge_policies(found: Isolation, differences: Differences | None, *, is_ours: bool) -> Check:
    # Under a wrong ROLE_PREFIX every policy would seem foreign, and the cure would drop all of them.
    if found.missing_roles or not is_ours:
        without = "the roles" if found.missing_roles else "the right ROLE_PREFIX"
        return Check("policies", "failing", f"can't be checked without {without}", "See above.")
    ours = differences.matching("(DROP|CREATE) POLICY ") if differences else []
    others = [right.undo for right in (differences.left if differences else []) if "CREATE POLICY" in right.statement]
    wrong = [
        *(f"none on {missing}" for missing in found.unguarded_tables),
        *(f"not ours: {policy}" for policy in found.added_policies),
    ]
    # Of the right name and role, with another command or condition.
    wrong = wrong or [f"changed: {' on '.join(pair)}" for pair in dict.fromkeys(NAMED.findall(" ".join(ours)))]
    return fail_unless(
        not wrong,
        "policies",
        "; ".join(wrong) or "every reader has its own on every table of identity",
        cure([*ours, *(undo for undo in others if undo)]),
    )
