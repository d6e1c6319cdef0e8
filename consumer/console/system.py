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
from consumer.postgres.queries import rows

# The tables that may grow without end are fewer.
TABLES = 12


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
class SystemFacts:
    """What the database says of itself; *latency_seconds*: of one question and its answer."""

    server: Server
    latency_seconds: float
    sizes: list[TableSize]
    migrations: list[AppliedMigration]


async def show(visit: Visit) -> Response:
    """Show the system; while the database is away, what the sampler knows and the settings."""
    facts = await visit.read(_read) if visit.console.sampler.view.is_there else None
    return visit.page("system.html", title="System", here="/system", facts=facts, settings=visit.console.settings)


async def _read(conn: Connection) -> SystemFacts:
    found = await server(conn)
    began = time.perf_counter()
    await session.now(conn)
    latency_seconds = time.perf_counter() - began
    sizes = await rows(conn, class_row(TableSize), "system/sizes", {"size": TABLES})
    migrations = await rows(conn, class_row(AppliedMigration), "system/migrations")
    return SystemFacts(found, latency_seconds, sizes, migrations)


ENDPOINTS = (Endpoint("GET", "/system", "viewer", show),)
