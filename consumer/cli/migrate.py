"""`consumer migrate`: bring the database to this release, and record the settings that shape its rows."""

import asyncio
from dataclasses import dataclass

import click
from rich.markup import escape

from consumer.cli.context import examples, pass_settings
from consumer.cli.database import database
from consumer.cli.output import console, json_option, present
from consumer.effects import recorded_settings
from consumer.errors import SettingsMismatch
from consumer.postgres import migrations, preflight
from consumer.postgres.connections import connect, operator_access, worker_access
from consumer.postgres.preflight import Preflight
from consumer.settings.settings import Settings


@dataclass(frozen=True, slots=True)
class MigrateReport:
    """The migrations that were applied, are pending, and are of a newer release; the settings that were recorded."""

    applied: list[str]
    pending: list[str]
    newer: list[str]
    recorded: list[str]
    warnings: list[str]


@click.command(name="migrate", epilog=examples("migrate", "migrate --check", "migrate --settings"))
@click.option(
    "--check",
    "is_check",
    is_flag=True,
    help="Change nothing; exit with 1 if migrations are pending or settings differ.",
)
@click.option("--settings", "is_forced", is_flag=True, help="Record changed settings that shape rows.")
@json_option
@pass_settings("migrate")
def command(settings: Settings, *, is_check: bool, is_forced: bool, is_json: bool) -> None:
    """Apply this release's migrations and record its settings.

    Any number of replicas may call this at once. The settings that shape rows are recorded the first time. Later a
    changed one is refused; --settings records it, and it shapes the deliveries that are applied from then on.
    """
    with database(settings, "migrate") as conninfo:
        report = check(conninfo, settings) if is_check else migrate(conninfo, settings, is_forced=is_forced)
    present(report, _show, is_json=is_json)
    if report.pending:
        click.get_current_context().exit(1)


def migrate(conninfo: str, settings: Settings, *, is_forced: bool = False) -> MigrateReport:
    """Apply pending migrations, record the settings, and return both; change nothing that a newer release migrated,
    unless forced.

    Raises MigrationRefused with every reason not to begin, SettingsMismatch if other settings are recorded, unless
    forced, and WrongRelease if forced while this release is too old to work on the database. Must not be called in an event loop.
    """
    applied = migrations.apply(conninfo, settings.role_prefix)
    found = preflight.look(conninfo, settings.role_prefix)
    recorded = [] if found.newer and not is_forced else asyncio.run(_record(conninfo, settings, is_forced=is_forced))
    return _report(found, applied=applied, recorded=recorded)


def check(conninfo: str, settings: Settings) -> MigrateReport:
    """Take the look of `migrate` and compare the settings; raises what `migrate` would, and changes nothing."""
    found = preflight.look(conninfo, settings.role_prefix)
    found.require()
    if not found.pending and not found.newer:
        asyncio.run(_require_settings(conninfo, settings))
    return _report(found, applied=[], recorded=[])


def _report(found: Preflight, *, applied: list[str], recorded: list[str]) -> MigrateReport:
    return MigrateReport(applied, found.pending, found.newer, recorded, [f"{each}." for each in found.warnings])


async def _record(conninfo: str, settings: Settings, *, is_forced: bool) -> list[str]:
    async with await connect(conninfo, operator_access(settings.role_prefix)) as conn:
        worker_role = worker_access(settings.role_prefix).role
        return await recorded_settings.record(conn, settings.shaping, worker_role=worker_role, is_forced=is_forced)


async def _require_settings(conninfo: str, settings: Settings) -> None:
    async with await connect(conninfo, operator_access(settings.role_prefix)) as conn:
        try:
            await recorded_settings.require(conn, settings.shaping)
        except SettingsMismatch as error:
            raise click.ClickException(str(error)) from error


def _show(report: MigrateReport) -> None:
    out = console()
    for verb, names in (("[green]applied[/]", report.applied), ("[yellow]pending[/]", report.pending)):
        for name in names:
            out.print(f"{verb}  {name}")
    if report.recorded:
        out.print(
            f"[green]recorded[/] {', '.join(report.recorded)}, for deliveries applied from now on", soft_wrap=True
        )
    if report.newer:
        newer = ", ".join(report.newer)
        out.print(f"A newer release has migrated this database ({newer}): nothing was changed.", soft_wrap=True)
    elif not report.applied and not report.pending and not report.recorded:
        out.print("The database is up to date.")
    for warning in report.warnings:
        out.print(f"[yellow]warning[/]  {escape(warning)}", soft_wrap=True)
