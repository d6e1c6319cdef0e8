"""The doctor's checks of the processes' logins: each connects as its process does."""

import asyncio
from collections.abc import Sequence

import psycopg
from psycopg import errors as postgres

from consumer.cli.database import VARIABLES, ProcessKind
from consumer.doctor.check import Check, warn_unless
from consumer.doctor.preflight import judge_preflight
from consumer.doctor.server import Server, server
from consumer.postgres import privileges
from consumer.postgres.connections import ACCESSES, Access, RoleRefused, as_login, connect, transaction
from consumer.postgres.preflight import MigrationRefused, look
from consumer.process.outage_log import address, error_text
from consumer.settings.settings import Settings


async def check_login(settings: Settings, kind: ProcessKind, conninfo: str, home: Server) -> Check:
    """Connect as the process does; warn of a superuser."""
    name, access, variable = f"{kind}'s login", ACCESSES[kind](settings.role_prefix), VARIABLES[kind]
    try:
        async with await connect(conninfo, access) as conn:
            async with as_login(conn, access):
                found, cure = await server(conn), await privileges.grant_role(conn, access.role)
            async with transaction(conn, access):
                pass
    except RoleRefused as error:
        if isinstance(error.__cause__, postgres.InvalidParameterValue):
            return Check(name, "failing", *str(error).split(": ", 1))
        if kind != "operator" and conninfo == settings.database_url:
            cure = f"Set {variable} to its own login that has the role; or, if all share one login, {cure}"
        return Check(name, "failing", f"{found.login} may not act as {access.role}", cure)
    except psycopg.OperationalError as error:
        return Check(name, "failing", refused(error, conninfo), f"Correct {variable}.")
    if found.place != home.place:
        return _elsewhere(name, kind, found)
    return warn_unless(
        not found.is_superuser,
        name,
        f"{found.login} acts as {access.role}" + (", and is a superuser" if found.is_superuser else ""),
        f"Set {variable} to its own login, not a superuser: a stolen superuser owns the whole server.",
    )


async def check_migrator(
    conninfo: str, access: Access, home: Server, role_prefix: str, checks: Sequence[Check]
) -> list[Check]:
    """Take the look of `migrate` as its login, but for what *checks* have found; warn if it may not grant its roles."""
    name = "migrator's login"
    try:
        async with await connect(conninfo, access) as conn, as_login(conn, access):
            found = await server(conn)
            if found.place != home.place:
                return [_elsewhere(name, "migrate", found)]
            roles, cure = await privileges.ungranted(conn, role_prefix) or ("", "")
        seen = await asyncio.to_thread(look, conninfo, role_prefix)
    except psycopg.OperationalError as error:
        return [Check(name, "failing", refused(error, conninfo), "Correct MIGRATE_DATABASE_URL.")]
    except MigrationRefused as error:
        return [Check(name, "failing", str(error), "Correct MIGRATE_DATABASE_URL.")]
    failed = {check.name for check in checks if check.state == "failing"}
    # pg_upgrade takes memberships over as they were, and before PostgreSQL 16 CREATEROLE was enough to grant.
    admin = warn_unless(
        not roles,
        "migrator's roles",
        f"{found.login} may not grant {roles}" if roles else "it may grant each, or need not",
        f"As a superuser: {cure}",
    )
    return [*judge_preflight(seen, found.login, judged=failed), admin]


def _elsewhere(name: str, kind: ProcessKind, found: Server) -> Check:
    finding = f"{found.login} is in another database than that of DATABASE_URL: {found.database}"
    return Check(name, "failing", finding, f"Let {VARIABLES[kind]} and DATABASE_URL name one database on one server.")


def refused(error: Exception, conninfo: str) -> str:
    """Say which database refused which login, and why."""
    return f"{address(conninfo)}: {error_text(error, conninfo)}"
