"""`consumer migrate`: bring the database to this release, and record the settings that shape its rows."""

import asyncio
from dataclasses import dataclass, replace

import click
from rich.text import Text

from consumer.cli.cells import printable
from consumer.cli.context import examples, pass_settings
from consumer.cli.database import database
from consumer.cli.output import as_called, console, json_option, present
from consumer.effects import recorded_settings
from consumer.errors import SettingsMismatch
from consumer.postgres import migrations, origin, preflight, privileges, session
from consumer.postgres.connections import (
    as_login,
    connect,
    operator_access,
    transaction,
    worker_access,
)
from consumer.postgres.mend import mend
from consumer.postgres.preflight import Preflight
from consumer.settings.settings import Settings


@dataclass(frozen=True, slots=True)
class MigrateReport:
    """What was done and what is left.

    *applied*, *pending* and *newer* hold migrations, the last those of a newer release; *mended*, *unmended* and
    *others* statements: what `migrate` executed, what `--check` would execute, and what others were granted.
    *adopted* says why the database was a copy until now.
    """

    applied: list[str]
    pending: list[str]
    newer: list[str]
    mended: list[str]
    unmended: list[str]
    recorded: list[str]
    adopted: list[str]
    others: list[str]
    warnings: list[str]


@click.command(
    name="migrate", epilog=examples("migrate", "migrate --check", "migrate --settings", "migrate --adopt-copy")
)
@click.option(
    "--check",
    "is_check",
    is_flag=True,
    help="Change nothing; exit with 1 if migrations are pending, or rights or settings differ.",
)
@click.option("--settings", "is_forced", is_flag=True, help="Record changed settings that shape rows.")
@click.option(
    "--adopt-copy", "is_adopted", is_flag=True, help="Let this copy of a database act: it becomes the recorded one."
)
@json_option
@pass_settings("migrate")
def command(settings: Settings, *, is_check: bool, is_forced: bool, is_adopted: bool, is_json: bool) -> None:
    """Apply this release's migrations, rights and settings.

    Roles, owners, row-level security, policies and grants become those of sql/privileges.sql; what others were granted
    is listed and left as it is. A login without the rights for that changes nothing.

    Any number of replicas may call this at once. The settings that shape rows are recorded the first time. Later a
    changed one is refused; --settings records it, and it shapes the deliveries that are applied from then on.

    The server and the database are recorded the first time too. A copy elsewhere applies what arrives, but asks nothing
    of Stack until --adopt-copy has made it the recorded one.
    """
    with database(settings, "migrate") as conninfo:
        if is_check:
            report = check(conninfo, settings)
        else:
            report = migrate(conninfo, settings, is_forced=is_forced, is_adopted=is_adopted)
    present(report, _show, is_json=is_json)
    if report.pending or report.unmended:
        click.get_current_context().exit(1)


def migrate(conninfo: str, settings: Settings, *, is_forced: bool = False, is_adopted: bool = False) -> MigrateReport:
    """Apply pending migrations, mend roles and rights, and record the settings and the origin.

    What a newer release has migrated stays as it is; only a forced record is tried. Raises MigrationRefused with every
    reason not to begin, MayNotMend if the login may not mend, SettingsMismatch if other settings are recorded, unless
    forced, and WrongRelease if this release is too old to record any. Must not be called in an event loop.
    """
    applied = migrations.apply(conninfo, settings.role_prefix)
    found = preflight.look(conninfo, settings.role_prefix)
    report = asyncio.run(_mend_and_record(conninfo, settings, found, applied, is_forced=is_forced))
    return report if found.newer else asyncio.run(_record_origin(conninfo, settings, report, is_adopted=is_adopted))


async def _mend_and_record(
    conninfo: str, settings: Settings, found: Preflight, applied: list[str], *, is_forced: bool
) -> MigrateReport:
    role_prefix, access = settings.role_prefix, operator_access(settings.role_prefix)
    mended, others, recorded = list[str](), list[str](), list[str]()
    async with await connect(conninfo, access) as conn:
        await session.allow_writes(conn)
        if not found.newer:
            async with as_login(conn, access):
                rights = await privileges.differences(conn, role_prefix)
            others = rights.others
            if rights.statements:
                with migrations.turn(conninfo):
                    async with as_login(conn, access):
                        mended = await mend(conn, role_prefix)
        if is_forced or not found.newer:
            recorded = await recorded_settings.record(
                conn, access, settings.shaping, worker_role=worker_access(role_prefix).role, is_forced=is_forced
            )
    return _report(found, applied=applied, mended=mended, recorded=recorded, others=others)


async def _record_origin(
    conninfo: str, settings: Settings, report: MigrateReport, *, is_adopted: bool
) -> MigrateReport:
    """Record server and database; say what is adopted, and warn of a copy that is not."""
    access = operator_access(settings.role_prefix)
    async with await connect(conninfo, access) as conn:
        await session.allow_writes(conn)
        was = await origin.record(conn, access, is_adopted=is_adopted)
        async with transaction(conn, access):
            still = await origin.difference(conn)
    warnings = [*report.warnings, f"{still}: {origin.cure()}"] if still else report.warnings
    return replace(report, adopted=[was] if was else [], warnings=warnings)


def check(conninfo: str, settings: Settings) -> MigrateReport:
    """Take the look of `migrate`, and compare settings and rights; raises what `migrate` would, and changes nothing."""
    found = preflight.look(conninfo, settings.role_prefix)
    found.require()
    if found.pending or found.newer:
        return _report(found)
    return asyncio.run(_compare(conninfo, settings, found))


async def _compare(conninfo: str, settings: Settings, found: Preflight) -> MigrateReport:
    access = operator_access(settings.role_prefix)
    async with await connect(conninfo, access) as conn, as_login(conn, access):
        try:
            await recorded_settings.require(conn, settings.shaping)
        except SettingsMismatch as error:
            raise click.ClickException(str(error)) from error
        rights = await privileges.differences(conn, settings.role_prefix)
    return _report(found, unmended=rights.statements, others=rights.others)


def _report(found: Preflight, **done: list[str]) -> MigrateReport:
    names = ("applied", "mended", "unmended", "recorded", "adopted", "others")
    nothing: dict[str, list[str]] = {name: [] for name in names}
    warnings = [f"{each}." for each in found.warnings]
    return MigrateReport(pending=found.pending, newer=found.newer, warnings=warnings, **nothing | done)


def _show(report: MigrateReport) -> None:
    out = console()
    recorded = [f"{', '.join(report.recorded)}, for deliveries applied from now on"] if report.recorded else []
    lines = {
        ("applied", "green"): report.applied,
        ("pending", "yellow"): report.pending,
        ("mended", "green"): report.mended,
        ("unmended", "yellow"): report.unmended,
        ("recorded", "green"): recorded,
        ("adopted", "green"): [f"this copy: it is the recorded one from now on ({each})" for each in report.adopted],
    }
    for (verb, style), texts in lines.items():
        for text in texts:
            out.print(Text.assemble((verb, style), f" {printable(text)}"), soft_wrap=True)
    if report.newer:
        newer = ", ".join(report.newer)
        rest = "nothing else was changed" if report.recorded else "nothing was changed"
        out.print(Text(f"A newer release has migrated this database ({newer}): {rest}."), soft_wrap=True)
    elif not any(lines.values()):
        out.print("The database is up to date.")
    for statement in report.others:
        out.print(Text(f"left as others made it: {printable(statement)}"), soft_wrap=True)
    for warning in report.warnings:
        out.print(Text.assemble(("warning", "yellow"), f"  {printable(as_called(warning))}"), soft_wrap=True)
