"""`consumer status`: how far the queue is, what failed last, and what it all stands on."""

import time
from dataclasses import dataclass
from operator import attrgetter

import click
from rich.table import Table

from consumer.cli.cells import cell, duration, size
from consumer.cli.context import as_operator, operator_problems, pass_settings_unless
from consumer.cli.failures import show_errors
from consumer.cli.output import console, emit, json_option, table
from consumer.doctor.installation import connected
from consumer.doctor.server import activity, is_pooled, server
from consumer.outbox import deliveries
from consumer.outbox.deliveries import ErrorGroup, Stats
from consumer.postgres import ledger, session
from consumer.postgres.connections import Access, Connection, transaction
from consumer.settings.settings import Settings

# What fits below the rest on one screen, of the most frequent ones.
ERRORS = 5
GROUPS = 100


@dataclass(frozen=True, slots=True)
class Database:
    """Where the tables are."""

    name: str
    version: str
    size_bytes: int
    latency_ms: float
    # None behind a pooler: its sessions say nothing of who is connected.
    workers: int | None


@dataclass(frozen=True, slots=True)
class Migrations:
    """What this release carries, split by what the database has."""

    applied: list[str]
    pending: list[str]


@dataclass(frozen=True, slots=True)
class Status:
    """Everything that `status` tells."""

    queue: Stats
    last_errors: list[ErrorGroup]
    migrations: Migrations
    database: Database


@click.command(name="status")
@json_option
@pass_settings_unless(operator_problems)
def command(settings: Settings, *, is_json: bool) -> None:
    """Tell the depth by state, the oldest due age, rates, last errors, migrations and the database.

    `pending` and `due` are what a worker would take now; rates are of the last minute.
    """
    status = as_operator(settings, _status)
    if is_json:
        emit(status)
    else:
        _show(status)


async def _status(conn: Connection, access: Access) -> Status:
    async with transaction(conn, access):
        pending = await ledger.missing_ids(conn)
        stats = await deliveries.stats(conn)
        failed = await deliveries.errors(conn, ("retrying", "dead"), limit=GROUPS)
    return Status(
        queue=stats,
        last_errors=sorted(failed, key=attrgetter("last_at"), reverse=True)[:ERRORS],
        migrations=Migrations([name for name in ledger.carried_ids() if name not in pending], pending),
        database=await _database(conn),
    )


async def _database(conn: Connection) -> Database:
    """Ask as the login, not in its role: PostgreSQL shows each login its own sessions only."""
    found, active = await server(conn), await activity(conn)
    started = time.perf_counter()
    await session.now(conn)
    seconds = time.perf_counter() - started
    workers = None if is_pooled(conn, found) else active.workers
    return Database(found.database, found.version, found.database_bytes, round(1000 * seconds, 3), workers)


def _show(status: Status) -> None:
    out = console()
    queue, database = status.queue, status.database
    made = table("pending", "retrying", "dead", "done", "oldest due", "received/min", "applied/min")
    made.add_row(
        f"{queue.pending:,}",
        f"{queue.retrying:,}",
        f"{queue.dead:,}",
        f"{queue.done:,}",
        duration(queue.oldest_due_seconds) if queue.oldest_due_seconds else "-",
        f"{queue.received_last_minute:,}",
        f"{queue.applied_last_minute:,}",
    )
    out.print(made)
    if status.last_errors:
        show_errors(status.last_errors)
    pending = status.migrations.pending
    facts = Table.grid(padding=(0, 2))
    facts.add_row("migrations", f"{len(status.migrations.applied)} applied, {len(pending)} pending {' '.join(pending)}")
    facts.add_row("workers", connected(database.workers))
    facts.add_row("database", cell(_described(database)))
    out.print(facts)


def _described(database: Database) -> str:
    where = f"{database.name} on PostgreSQL {database.version}"
    return f"{where}, {size(database.size_bytes)}, answers in {database.latency_ms} ms"
