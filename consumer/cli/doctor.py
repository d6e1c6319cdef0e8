"""`consumer doctor`: checks every precondition, one line each, with the cure."""

import asyncio
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import click
import psycopg
from psycopg import errors as postgres
from rich.text import Text

from consumer.cli import secret
from consumer.cli.cells import cell, printable, size
from consumer.cli.context import NOT_MIGRATED, examples
from consumer.cli.database import VARIABLES, ProcessKind, data_dir, database_problems, databases, has_urls
from consumer.cli.doctor_logins import check_login, check_migrator, refused
from consumer.cli.embedded_logins import EmbeddedLogin
from consumer.cli.notify import check_notify
from consumer.cli.output import as_called, console, json_option, present
from consumer.cli.sources import check_findings, expectations
from consumer.cli.stack import stack_access
from consumer.doctor.check import Check, ok, warn_unless
from consumer.doctor.endpoint import check_endpoint
from consumer.doctor.installation import check_migrations, check_queue, check_settings
from consumer.doctor.isolation import isolation, judge_isolation
from consumer.doctor.rehearsal import rehearse, rehearse_statement
from consumer.doctor.rights import judge_rights
from consumer.doctor.server import activity, is_pooled, judge_room, judge_server, server
from consumer.doctor.sessions import check_locks, check_statement_logs
from consumer.doctor.stack_api import check_stack_api
from consumer.doctor.user_rehearsal import rehearse_user
from consumer.effects import reached_code
from consumer.errors import BadSettings
from consumer.operations.connect import endpoint_url
from consumer.postgres import preflight, privileges
from consumer.postgres.connections import ACCESSES, Access, Connection, RoleRefused, as_login, connect, transaction
from consumer.postgres.refusals import LEDGER_REFUSALS
from consumer.process.outage_log import error_text
from consumer.settings.settings import Settings, from_process
from consumer.verdict.database import DISK_FREE_MIN
from consumer.verdict.observe import observe

STYLES = {"ok": "green", "warning": "yellow", "failing": "bold red"}


@click.command(name="doctor", epilog=examples("doctor", "doctor --json"))
@json_option
def command(*, is_json: bool) -> None:
    """Check every precondition and name each cure.

    The exit code is 1 if a check fails; a warning does not count.
    """
    checks = [replace(check, cure=check.cure and as_called(check.cure)) for check in _examine()]
    is_well = all(check.state != "failing" for check in checks)
    present({"ok": is_well, "checks": checks}, lambda _: _show(checks), is_json=is_json)
    if not is_well:
        click.get_current_context().exit(1)


def _examine() -> list[Check]:
    """Check one precondition after another, as far as the earlier ones allow."""
    settings, problems = from_process(Path.cwd())
    if problems:
        failing = _failing("settings", problems, "Correct the variable, in the environment or in .env.")
        return failing + _warnings(settings)
    checks = [*(_warnings(settings) or [ok("settings", "valid")]), *_judge_secrets(settings), *check_notify(settings)]
    checks.append(asyncio.run(check_stack_api(stack_access(settings))))
    is_embedded = not has_urls(settings)
    problems = [problem for kind in VARIABLES for problem in database_problems(settings, kind, is_embedded=is_embedded)]
    if problems:
        return checks + _failing("database settings", list(dict.fromkeys(problems)), "Set it, or run `consumer up`.")
    if is_embedded:
        checks.append(_judge_disk(data_dir(settings)))
    with databases(settings, "operator") as conninfos:
        return checks + asyncio.run(_examine_database(settings, conninfos))


async def _examine_database(settings: Settings, conninfos: Mapping[EmbeddedLogin, str]) -> list[Check]:
    access = ACCESSES["operator"](settings.role_prefix)
    started = time.perf_counter()
    try:
        conn = await connect(conninfos["operator"], access)
    except psycopg.OperationalError as error:
        is_password = "authentication failed" in str(error)
        cure = "Correct the password in DATABASE_URL." if is_password else "Start the server, or correct DATABASE_URL."
        finding = refused(error, conninfos["operator"])
        return [Check("database", "failing", finding, cure)]
    async with conn:
        checks = [ok("database", f"answered in {time.perf_counter() - started:.3f} s")]
        # Without the role, because PostgreSQL shows each login only its own sessions.
        async with as_login(conn, access):
            found = await server(conn)
            checks += judge_server(found, skew=found.now - datetime.now(UTC))
            active, isolated = await activity(conn), await isolation(conn, settings.role_prefix)
            checks += [*judge_room(found, active, unvacuumed=isolated.unvacuumed_tables), *await check_locks(conn)]
        if not found.is_migrated:
            checks += await check_migrator(conninfos["migrate"], access, found, settings.role_prefix, checks)
            return [*checks, Check("migrations", "failing", "not migrated yet", "Run `consumer migrate`.")]
        migrated = await _migrations(conn, access)
        async with as_login(conn, access):
            prefixes = await preflight.other_prefixes(conn, settings.role_prefix)
            # Another release, or another prefix, has other rights.
            is_comparable = not prefixes and migrated.state != "warning" and "pending" not in migrated.finding
            differences = await privileges.differences(conn, settings.role_prefix) if is_comparable else None
        checks += judge_isolation(isolated, differences, migrated_under=prefixes)
        checks += judge_rights(differences) if differences else []
        logins = {kind: await check_login(settings, kind, conninfos[kind], found) for kind in ACCESSES}
        checks += logins.values()
        looked = await check_migrator(conninfos["migrate"], access, found, settings.role_prefix, checks)
        checks += _judge_ledger(looked, migrated)
        if migrated.state != "failing":
            usable = {kind: conninfos[kind] for kind, login in logins.items() if login.state != "failing"}
            checks += await check_statement_logs(usable.values(), access)
            for kind, conninfo in usable.items():
                checks += await _rehearsals(settings, kind, conninfo, conninfos["superuser"])
        workers = None if is_pooled(conn, found) else active.workers
        return checks + await _installation(conn, access, settings, workers=workers)


async def _migrations(conn: Connection, access: Access) -> Check:
    try:
        async with transaction(conn, access):
            return await check_migrations(conn)
    except NOT_MIGRATED:
        return Check("migrations", "failing", "a table of the ledger is missing", "Restore the backup whole.")
    except postgres.InsufficientPrivilege as error:
        return Check("migrations", "failing", f"can't be read as {access.role} ({error.sqlstate})", "See above.")


def _judge_ledger(looked: list[Check], migrated: Check) -> list[Check]:
    """Leave out pending migrations where the look refuses the ledger itself, because the cure is another one."""
    return looked if any(check.name in LEDGER_REFUSALS for check in looked) else [*looked, migrated]


async def _rehearse_user(access: Access, statement: bytes, *, owner: str, own: str) -> Check:
    """Rehearse a user as the login that migrates, which may often grant, if it trusts the application's code.

    Otherwise rehearse as the worker's own login.
    """
    with suppress(psycopg.OperationalError, RoleRefused):
        async with await connect(owner, access) as conn:
            async with transaction(conn, access):
                is_safe = not await reached_code.untrusted(conn, statement)
            if is_safe:
                return await rehearse_user(conn, access, statement)
    async with await connect(own, access) as conn:
        return await rehearse_user(conn, access, statement)


async def _rehearsals(settings: Settings, kind: ProcessKind, conninfo: str, owner: str) -> list[Check]:
    access = ACCESSES[kind](settings.role_prefix)
    checks: list[Check] = []
    try:
        async with await connect(conninfo, access) as conn:
            checks.append(await rehearse(conn, access, kind))
            if kind == "worker":
                checks += await rehearse_statement(conn, access, settings.projection_sql)
        if settings.projection_sql and kind == "worker" and all(check.state != "failing" for check in checks):
            checks.append(await _rehearse_user(access, settings.projection_sql, owner=owner, own=conninfo))
    except psycopg.OperationalError as error:
        name = "application's statement" if checks else f"{kind}'s queries"
        checks.append(Check(name, "failing", error_text(error), "Find the transaction that locks the tables."))
    return checks


async def _installation(conn: Connection, access: Access, settings: Settings, *, workers: int | None) -> list[Check]:
    try:
        async with transaction(conn, access):
            checks = [await check_settings(conn, settings.shaping), *await check_queue(conn, workers=workers)]
            url = await endpoint_url(conn)
        found = check_findings(await observe(conn, access, expectations(settings)))
        known = {check.name for check in found}
        checks = [check for check in checks if check.name not in known] + found
        # Outside the transaction, because the answer comes over the network.
        secrets: tuple[str, ...] = ()
        # A kept file that can't be used has a line of its own.
        with suppress(BadSettings, OSError):
            secrets = secret.known(settings, "stack")
        return checks + await check_endpoint(stack_access(settings), settings.svix_server_url, url, secrets)
    # The checks of the migrations, the role and its queries name the cause and the cure.
    except (*NOT_MIGRATED, postgres.InsufficientPrivilege) as error:
        return [Check("queue", "failing", f"can't be read as {access.role} ({error.sqlstate})", "See above.")]


def _warnings(settings: Settings) -> list[Check]:
    cure = "Correct the variable, in the environment or in .env."
    return [Check("settings", "warning", warning, cure) for warning in settings.warnings]


def _judge_secrets(settings: Settings) -> list[Check]:
    name, folder = "webhook secrets", data_dir(settings)
    if not has_urls(settings) and (found := secret.problems(folder, settings)):
        return [Check(name, "failing", *problem.rsplit(": ", 1)) for problem in found]
    if published := [f"{variable} holds {secret.EXAMPLE}" for variable in secret.examples(settings)]:
        cure = "Use a secret of your own. If this one was in use, go on with docs/recovery/leaked-secret.md."
        return _failing(name, published, cure)
    if settings.stack_webhook_secrets:
        return [ok(name, "valid for " + ("app, stack" if settings.app_webhook_secrets else "stack"))]
    if not has_urls(settings) and secret.kept(folder, "stack"):
        return [ok(name, "the ones that `consumer up` made")]
    cure = "Copy the endpoint's signing secret from Stack's dashboard."
    return [Check(name, "failing", "STACK_WEBHOOK_SECRETS is not set", cure)]


def _judge_disk(folder: Path) -> Check:
    free = shutil.disk_usage(folder).free
    return warn_unless(free >= DISK_FREE_MIN, "disk", f"{size(free)} free", f"Make room on the disk of {folder}.")


def _failing(name: str, findings: list[str], cure: str) -> list[Check]:
    return [Check(name, "failing", finding, cure) for finding in findings]


def _show(checks: list[Check]) -> None:
    """Print a line for each check; where that is wider than the window, its finding and its cure on further lines."""
    out, width = console(), max(len(check.name) for check in checks)
    for check in checks:
        state, cure = (f"{check.state:9}", STYLES[check.state]), f"→ {printable(check.cure)}" if check.cure else ""
        line = Text.assemble(state, f"{check.name:{width}}  ", cell(check.finding), f"  {cure}" if cure else "")
        if line.cell_len > out.width:
            line = Text.assemble(state, check.name, "\n  ", cell(check.finding), f"\n  {cure}" if cure else "")
        # Never wrapped here: the terminal wraps the line, so a command can be pasted and grep finds it.
        out.print(line, soft_wrap=True)
