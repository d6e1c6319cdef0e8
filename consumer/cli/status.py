"""`consumer status`: the queue, the last deliveries and errors, the migrations and the database."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from operator import attrgetter

import click
from rich.text import Text

from consumer.cli.cells import cell, duration, size
from consumer.cli.context import examples, pass_settings
from consumer.cli.database import as_operator
from consumer.cli.failures import show_errors
from consumer.cli.output import console, json_option, present, show_facts, show_rows
from consumer.cli.sources import last_deliveries, observe
from consumer.doctor.installation import connected
from consumer.doctor.server import activity, is_pooled, server
from consumer.operations.maintenance import LastRun
from consumer.outbox import deliveries
from consumer.outbox.deliveries import ErrorGroup, Stats
from consumer.postgres import ledger, locks, session
from consumer.postgres.connections import Access, Connection, as_login, transaction
from consumer.process.findings import Finding, Observation, findings
from consumer.settings.settings import Settings

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

    queue: Stats
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


@click.command(name="status", epilog=examples("status", "status --json"))
@json_option
@pass_settings("operator")
def command(settings: Settings, *, is_json: bool) -> None:
    """Show queue, errors and database.

    A worker would take the pending and due deliveries now. The rates are of the last minute. A source that has a secret
    and is silent for more than SILENCE_HOURS is a finding, and so is a job of `maintain` that failed or is a day late.
    """

    async def read(conn: Connection, access: Access) -> tuple[Status, Observation]:
        return await _status(conn, access, settings)

    status, seen = as_operator(settings, read)
    present(status, lambda _: _show(status, last_deliveries(seen)), is_json=is_json)


async def _status(conn: Connection, access: Access, settings: Settings) -> tuple[Status, Observation]:
    async with transaction(conn, access):
        pending = await ledger.missing_ids(conn)
        stats = await deliveries.stats(conn)
        failed = await deliveries.errors(conn, ("retrying", "dead"), limit=GROUPS)
        seen = await observe(conn, settings)
    # Without the role, because PostgreSQL shows each login only its own sessions.
    seen = replace(seen, lock_holders=await locks.noteworthy(conn))
    status = Status(
        queue=stats,
        last_received={**dict.fromkeys(seen.expected), **seen.last_received},
        findings=findings(seen),
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


def _show(status: Status, last: Mapping[str, str]) -> None:
    queue, database = status.queue, status.database
    depth = {
        "pending": f"{queue.pending:,}",
        "retrying": f"{queue.retrying:,}",
        "dead": f"{queue.dead:,}",
        "done": f"{queue.done:,}",
        "oldest due": duration(queue.oldest_due_seconds) if queue.oldest_due_seconds else "-",
        "received/min": f"{queue.received_last_minute:,}",
        "applied/min": f"{queue.applied_last_minute:,}",
    }
    show_rows([depth])
    if status.last_errors:
        show_errors(status.last_errors)
    if status.more_errors:
        console().print(f"and {status.more_errors} more: `consumer dead list` shows those that are dead")
    applied, pending = status.migrations["applied"], status.migrations["pending"]
    place = f"{database.name} on PostgreSQL {database.version}"
    show_facts(
        {
            **{f"last from {source}": text for source, text in last.items()},
            "migrations": f"{len(applied)} applied, {len(pending)} pending {' '.join(pending)}".rstrip(),
            "workers": connected(database.workers),
            "database": f"{place}, {size(database.size_bytes)}, answers in {database.latency_ms} ms",
        }
    )
    for finding in status.findings:
        if finding.cure:
            head, cure = f"  {finding.subject}: ", Text.assemble("\n  → ", cell(finding.cure))
            line = Text.assemble((finding.gravity, "yellow"), head, cell(finding.sentence), cure)
            console().print(line, soft_wrap=True)
