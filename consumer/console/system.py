"""The system: processes, database, migrations, jobs, sizes, and the settings without secrets."""

import time
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row
from starlette.responses import Response

from consumer.console.visit import Endpoint, Visit
from consumer.doctor.server import Server, server
from consumer.postgres import session
from consumer.postgres.connections import Connection
from consumer.postgres.first_rows import FirstRows, first_rows
from consumer.postgres.queries import names, rows

# The tables that may grow without end are fewer.
TABLES = 12
# More than anybody mends in a day.
STATEMENTS = 10
# Since this version a role inherits what it is granted only if the grant says so.
INHERITING_GRANTS = 160_000


@dataclass(frozen=True, slots=True)
class TableSize:
    """A table of ours with its indexes, and about how many rows it has; -1: nobody has counted them yet."""

    name: str
    bytes: int
    rows: int


@dataclass(frozen=True, slots=True)
class AppliedMigration:
    """A migration that the database has."""

    id: str
    applied_at: datetime


@dataclass(frozen=True, slots=True)
class Statement:
    """A query of ours by its name, and how long it took, in seconds."""

    name: str
    calls: int
    total: float
    longest: float
    mean: float


@dataclass(frozen=True, slots=True)
class StatementsAccess:
    """What there is of that which the statements need; *reader* is the role that reads them, *schema* theirs."""

    is_loaded: bool
    is_installed: bool
    is_current: bool
    may_enter_schema: bool
    may_select: bool
    may_read: bool
    reader: str
    schema: str | None
    server_version: int

    def problem(self) -> str | None:
        """Return in a sentence what is missing, with the cure; None: nothing."""
        grant = f"GRANT pg_read_all_stats TO {self.reader}"
        if self.server_version >= INHERITING_GRANTS:
            grant += " WITH INHERIT TRUE"
        else:
            grant += f"; ALTER ROLE {self.reader} INHERIT"
        named = f"{self.schema}.pg_stat_statements TO {self.reader}"
        library = "ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'"
        cures = (
            (
                self.is_loaded,
                f"The server does not load `pg_stat_statements`. As a superuser run `{library}`, together with the "
                "libraries that stand there already, and restart the server.",
            ),
            (
                self.is_installed,
                "This database lacks `pg_stat_statements`. As its administrator run "
                "`CREATE EXTENSION pg_stat_statements` in it.",
            ),
            (
                self.is_current,
                "The extension is older than its library. As its owner run "
                "`ALTER EXTENSION pg_stat_statements UPDATE`.",
            ),
            (
                self.may_enter_schema,
                f"The role that reads them may not enter their schema. As its owner run "
                f"`GRANT USAGE ON SCHEMA {self.schema} TO {self.reader}`.",
            ),
            (
                self.may_select,
                "The role that reads them may not. As their owner run "
                f"`GRANT SELECT ON {named}; GRANT EXECUTE ON FUNCTION {named}`.",
            ),
            (self.may_read, f"They are hidden from the role that reads them. As an administrator run `{grant}`."),
        )
        return next((cure for is_there, cure in cures if not is_there), None)


@dataclass(frozen=True, slots=True)
class SystemFacts:
    """What the database says of itself; *latency_seconds*: of one question and its answer.

    *statements* are the slowest, none if *statements_problem* says why.
    """

    server: Server
    latency_seconds: float
    sizes: FirstRows[TableSize]
    migrations: list[AppliedMigration]
    statements: list[Statement]
    statements_problem: str | None


async def show(visit: Visit) -> Response:
    """Show the system; while the database is away, what the sampler knows and the settings."""
    facts = await visit.read(_read) if visit.console.sampler.view.is_there else None
    return visit.page("system.html", title="System", here="/system", facts=facts, settings=visit.console.settings)


async def _read(conn: Connection) -> SystemFacts:
    found = await server(conn)
    began = time.perf_counter()
    await session.now(conn)
    latency_seconds = time.perf_counter() - began
    sizes = await first_rows(conn, class_row(TableSize), "system/sizes", {}, size=TABLES)
    migrations = await rows(conn, class_row(AppliedMigration), "system/migrations")
    [access] = await rows(conn, class_row(StatementsAccess), "system/statements_access")
    if not (problem := access.problem()):
        statements = await rows(conn, class_row(Statement), "system/statements", {"names": names(), "size": STATEMENTS})
    return SystemFacts(found, latency_seconds, sizes, migrations, [] if problem else statements, problem)


ENDPOINTS = (Endpoint("GET", "/system", "viewer", show),)
