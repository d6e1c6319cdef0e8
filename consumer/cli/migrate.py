"""`consumer migrate`: bring the database to this release, and record the settings that shape its rows."""

import asyncio
from dataclasses import dataclass

import click
from psycopg import errors as postgres

from consumer.cli.context import examples, pass_settings
from consumer.cli.database import database
from consumer.cli.output import console, json_option, present
from consumer.effects import recorded_settings
from consumer.errors import SettingsMismatch
from consumer.postgres import ledger, migrations
from consumer.postgres.connections import connect, operator_access, worker_access
from consumer.settings.settings import Settings


@dataclass(frozen=True, slots=True)
class MigrateReport:
    """The migrations that were applied and are pending, and the settings that were recorded."""

    applied: list[str]
    pending: list[str]
    recorded: list[str]


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
        if is_check:
            report = MigrateReport(applied=[], pending=asyncio.run(_pending(conninfo, settings)), recorded=[])
        else:
            report = migrate(conninfo, settings, is_forced=is_forced)
    present(report, _show, is_json=is_json)
    if report.pending:
        click.get_current_context().exit(1)


def migrate(conninfo: str, settings: Settings, *, is_forced: bool = False) -> MigrateReport:
    """Apply pending migrations, record the settings, and return both.

    Raises SettingsMismatch if other settings are recorded, unless forced. Must not be called in an event loop.
    """
    applied = migrations.apply(conninfo, settings.role_prefix)
    recorded = asyncio.run(_record(conninfo, settings, is_forced=is_forced))
    return MigrateReport(applied=applied, pending=[], recorded=recorded)


async def _record(conninfo: str, settings: Settings, *, is_forced: bool) -> list[str]:
    async with await connect(conninfo, operator_access(settings.role_prefix)) as conn:
        worker_role = worker_access(settings.role_prefix).role
        return await recorded_settings.record(conn, settings.shaping, worker_role=worker_role, is_forced=is_forced)


async def _pending(conninfo: str, settings: Settings) -> list[str]:
    async with await connect(conninfo, operator_access(settings.role_prefix)) as conn:
        try:
            missing = await ledger.missing_ids(conn)
            if not missing:
                await recorded_settings.require(conn, settings.shaping)
        except SettingsMismatch as error:
            raise click.ClickException(str(error)) from error
        except (postgres.InvalidSchemaName, postgres.UndefinedTable):
            return ledger.carried_ids()
        return missing


def _show(report: MigrateReport) -> None:
    out = console()
    for verb, names in (("[green]applied[/]", report.applied), ("[yellow]pending[/]", report.pending)):
        for name in names:
            out.print(f"{verb}  {name}")
    if report.recorded:
        out.print(
            f"[green]recorded[/] {', '.join(report.recorded)}, for deliveries applied from now on", soft_wrap=True
        )
    if not report.applied and not report.pending and not report.recorded:
        out.print("The database is up to date.")
