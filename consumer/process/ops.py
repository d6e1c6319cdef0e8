"""The operator's port of one process, which must not be public: metrics, and health with reasons."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import psycopg
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from consumer import logs
from consumer.metrics import Metrics, Tables
from consumer.outbox import deliveries, rebuild_queue
from consumer.postgres import ledger, session
from consumer.postgres.connections import Access, as_login, connect, transaction
from consumer.process.ops_port import listen_ops
from consumer.settings.settings import OFF, Settings
from consumer.web.answers import pages
from consumer.web.connection_limits import Limits
from consumer.web.health import Health, Probe
from consumer.web.server import serve
from consumer.worker import rehome

# A few scrapers and probes; the receiver's senders need the open files.
LIMITS = Limits(connections=32)

log = logging.getLogger(__name__)


def ops_app(probe: Probe, metrics: Metrics, tables: Callable[[], Awaitable[Tables | None]] | None) -> ASGIApp:
    """Return the operator's application: metrics, whose gauges come from *tables*, and health with reasons."""

    health = Health(probe, with_reasons=True)

    async def show(_: Request) -> Response:
        metrics.is_ready = await health.not_ready_reason() is None
        metrics.tables = await tables() if tables else None
        return Response(metrics.exposition(), media_type=metrics.content_type)

    return pages([Route("/metrics", show), Route("/metrics/", show), *health.routes()])


@asynccontextmanager
async def serve_ops(
    settings: Settings, probe: Probe, metrics: Metrics, tables: Callable[[], Awaitable[Tables | None]] | None = None
) -> AsyncIterator[None]:
    """Serve the operator's application, unless OPS_PORT is off, while the block runs; a receiver has no *tables*."""
    if settings.ops_port == OFF:
        yield
        return
    # The metrics of refused requests are about the senders of deliveries.
    async with serve(ops_app(probe, metrics, tables), listen_ops(settings), LIMITS, lambda _: None) as port:
        log.info(logs.OPS_STARTED, extra={"host": settings.ops_host, "port": port})
        yield


async def read_tables(conninfo: str, access: Access) -> Tables | None:
    """Read the gauges' values over a new connection; None while the database can't be read."""
    try:
        async with await connect(conninfo, access) as conn:
            # Without the role, because PostgreSQL shows each login only its own sessions.
            async with as_login(conn, access):
                oldest_xmin_seconds, now = await session.oldest_xmin(conn)
                skew = datetime.now(UTC) - now
            async with transaction(conn, access):
                stats = await deliveries.stats(conn)
                return Tables(
                    deliveries={"pending": stats.pending, "retrying": stats.retrying, "dead": stats.dead},
                    last_received=await deliveries.last_received(conn),
                    oldest_due_seconds=stats.oldest_due_seconds,
                    oldest_xmin_seconds=oldest_xmin_seconds,
                    clock_skew_seconds=skew.total_seconds(),
                    rebuild_waiting_subjects=await rebuild_queue.waiting(conn),
                    rehome_waiting_companies=await rehome.waiting(conn),
                    oldest_received=await deliveries.oldest_received(conn),
                    migrations_pending=len(await ledger.missing_ids(conn)),
                )
    except psycopg.Error:
        return None
