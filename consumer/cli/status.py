"""`consumer status`: the queue, the last deliveries and errors, the migrations and the database."""

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter

import click
from rich.text import Text

from consumer.cli.board import headline, rate_lines
from consumer.cli.cells import cell, size
from consumer.cli.context import examples, pass_settings
from consumer.cli.database import as_operator, database
from consumer.cli.failures import show_errors
from consumer.cli.output import as_called, console, json_option, present, show_facts
from consumer.cli.sources import expectations, last_deliveries
from consumer.cli.watch import watch
from consumer.doctor.installation import connected
from consumer.doctor.server import activity, is_pooled, server
from consumer.operations.maintenance import LastRun
from consumer.outbox import deliveries
from consumer.outbox.deliveries import ErrorGroup, Stats
from consumer.postgres import ledger, session
from consumer.postgres.connections import Access, Connection, as_login, transaction
from consumer.settings.settings import Settings
from consumer.verdict.finding import Finding
from consumer.verdict.findings import findings, verdict_sentence
from consumer.verdict.observation import Observation
from consumer.verdict.observe import observe
from consumer.verdict.rates import Rates, rates

# The errors shown: as many as fit on one screen, the latest of the most frequent groups.
ERRORS = 5
GROUPS = 100


@dataclass(frozen=True, slots=True)
class Database:
    """The database that holds the tables."""

    name: str
    version: str
    size_bytes: int
    latency_ms: float
    # None behind a pooler, because its sessions do not show which processes are connected.
    workers: int | None


@dataclass(frozen=True, slots=True)
class Status:
    """Everything that `status` prints."""

    verdict: str
    queue: Stats
    # None: a migration is missing.
    rates: Rates | None
    # By source; None: it has a secret and has sent nothing yet.
    last_received: Mapping[str, datetime | None]
    findings: list[Finding]
    last_errors: list[ErrorGroup]
    # Further groups of errors, of the GROUPS most frequent ones.
    more_errors: int
    # By state: applied in this database, or pending.
    migrations: Mapping[str, list[str]]
    # The last run of each job of `maintain` that has begun at least once.
    maintenance: list[LastRun]
    database: Database


@click.command(name="status", epilog=examples("status", "status --json", "status --watch", "status --check"))
@click.option("--watch", "is_watching", is_flag=True, help="Draw it again every two seconds, until q or Ctrl-C.")
@click.option("--check", "is_checking", is_flag=True, help="Exit with 1 while a finding is failing.")
@json_option
@pass_settings("operator")
def command(settings: Settings, *, is_watching: bool, is_checking: bool, is_json: bool) -> None:
    """Show the verdict, queue, errors and database.

    Each finding has its cure; docs/OPERATIONS.md explains them all. A worker would take the pending and due deliveries
    now. The rates are of the last minute, and each bar is a minute. With --watch only the verdict and the rates.
    """
    if is_watching:
        if is_checking or is_json or not sys.stdout.isatty():
            raise click.UsageError("--watch draws on a terminal, and goes on: call it alone there.")
        with database(settings, "operator") as conninfo:
            watch(settings, conninfo)
        return

    async def read(conn: Connection, access: Access) -> tuple[Status, Observation]:
        return await _status(conn, access, settings)

    status, seen = as_operator(settings, read)
    present(status, lambda _: _show(status, seen), is_json=is_json)
    if is_checking and any(finding.gravity == "failing" for finding in status.findings):
        click.get_current_context().exit(1)


async def _status(conn: Connection, access: Access, settings: Settings) -> tuple[Status, Observation]:
    seen = await observe(conn, access, expectations(settings))
    async with transaction(conn, access):
        stats = await deliveries.stats(conn)
        failed = await deliveries.errors(conn, ("retrying", "dead"), limit=GROUPS)
        flow = None if seen.missing_migrations else await rates(conn)
    pending = list(seen.missing_migrations)
    found = findings(seen)
    status = Status(
        verdict=verdict_sentence(found),
        queue=stats,
        rates=flow,
        last_received={**dict.fromkeys(seen.expected), **seen.last_received},
        findings=found,
        last_errors=sorted(failed, key=attrgetter("last_at"), reverse=True)[:ERRORS],
        more_errors=max(0, len(failed) - ERRORS),
        migrations={"applied": [name for name in ledger.carried_ids() if name not in pending], "pending": pending},
        maintenance=list(seen.last_runs.values()),
        database=await _database(conn, access),
    )
    return status, seen


async def _database(conn: Connection, access: Access) -> Database:
    """Ask without the role, because PostgreSQL shows each login only its own sessions."""
    async with as_login(conn, access):
        found, active = await server(conn), await activity(conn)
        started = time.perf_counter()
        await session.now(conn)
        seconds = time.perf_counter() - started
    workers = None if is_pooled(conn, found) else active.workers
    return Database(found.database, found.version, found.database_bytes, round(1000 * seconds, 3), workers)


def _show(status: Status, seen: Observation) -> None:
    out, database = console(), status.database
    out.print(headline(seen, status.findings, out.width), soft_wrap=True)
    for finding in status.findings:
        if finding.cure:
            head, cure = f"  {finding.subject}: ", Text.assemble("\n  → ", cell(as_called(finding.cure)))
            line = Text.assemble((finding.gravity, "yellow"), head, cell(as_called(finding.sentence)), cure)
            out.print(line, soft_wrap=True)
    for line in rate_lines(status.queue, status.rates, out.width):
        out.print(line, soft_wrap=True)
    if status.last_errors:
        show_errors(status.last_errors)
    if status.more_errors:
        out.print(as_called(f"and {status.more_errors} more: `consumer dead list` shows those that are dead"))
    applied, pending = status.migrations["applied"], status.migrations["pending"]
    place = f"{database.name} on PostgreSQL {database.version}"
    show_facts(
        {
            "done": f"{status.queue.done:,}",
            **{f"last from {source}": text for source, text in last_deliveries(seen).items()},
            "migrations": f"{len(applied)} applied, {len(pending)} pending {' '.join(pending)}".rstrip(),
            "workers": connected(database.workers),
            "database": f"{place}, {size(database.size_bytes)}, answers in {database.latency_ms} ms",
        }
    )
