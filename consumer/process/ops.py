"""The operator's port of one process, which must not be public: metrics, and health with reasons."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import NamedTuple

import psycopg
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from consumer import logs
from consumer.gauges import JobTimes, Tables
from consumer.metrics import Metrics
from consumer.outbox import deliveries, rebuild_queue
from consumer.postgres import session
from consumer.postgres.connections import Access, connect, transaction
from consumer.process.ops_port import listen_ops
from consumer.process.outage_log import error_text
from consumer.settings.settings import OFF, Settings
from consumer.verdict.findings import findings, open_findings
from consumer.verdict.observation import Observation
from consumer.verdict.observe import Expectations, observe
from consumer.web.answers import pages
from consumer.web.connection_limits import Limits
from consumer.web.health import Health, Probe
from consumer.web.server import serve
from consumer.worker import rehome

# A few scrapers and probes; the receiver's senders need the open files.
LIMITS = Limits(connections=32)

log = logging.getLogger(__name__)


class Scrape(NamedTuple):
    """What a scrape shows of the database: the gauges' values, None if they can't be read, and the findings."""

    tables: Tables | None
    findings: Mapping[tuple[str, str], bool]


# Reads a scrape.
ReadScrape = Callable[[], Awaitable[Scrape]]


def ops_app(probe: Probe, metrics: Metrics, read: ReadScrape | None) -> ASGIApp:
    """Return the operator's application: metrics, with what *read* returns, and health with reasons."""

    health = Health(probe, with_reasons=True)

    async def show(_: Request) -> Response:
        metrics.is_ready = await health.not_ready_reason() is None
        if read:
            metrics.tables, metrics.findings = await read()
        return Response(metrics.exposition(), media_type=metrics.content_type)

    return pages([Route("/metrics", show), Route("/metrics/", show), *health.routes()])


@asynccontextmanager
async def serve_ops(
    settings: Settings, probe: Probe, metrics: Metrics, read: ReadScrape | None = None
) -> AsyncIterator[None]:
    """Serve the operator's application, unless OPS_PORT is off, while the block runs; a receiver may *read* nothing."""
    if settings.ops_port == OFF:
        yield
        return
    # The metrics of refused requests are about the senders of deliveries.
    async with serve(ops_app(probe, metrics, read), listen_ops(settings), LIMITS, lambda _: None) as port:
        log.info(logs.OPS_STARTED, extra={"host": settings.ops_host, "port": port})
        yield


async def read_scrape(conninfo: str, access: Access, expected: Expectations) -> Scrape:
    """Read the gauges' values and the findings over a new connection; a database that is away is the only finding."""
    try:
        async with await connect(conninfo, access) as conn:
            now = await session.now(conn)
            skew = datetime.now(UTC) - now
            seen = await observe(conn, access, expected)
            async with transaction(conn, access):
                stats = await deliveries.stats(conn)
                waiting = await rebuild_queue.waiting(conn), await rehome.waiting(conn)
                oldest_received = await deliveries.oldest_received(conn)
    except psycopg.OperationalError as error:
        away = Observation(datetime.now(UTC), away_reason=error_text(error, conninfo))
        return Scrape(None, open_findings(findings(away)))
    except psycopg.Error:
        return Scrape(None, {})
    tables = Tables(
        deliveries={"pending": stats.pending, "retrying": stats.retrying, "dead": stats.dead},
        last_received=seen.last_received,
        oldest_due_seconds=stats.oldest_due_seconds,
        oldest_xmin_seconds=seen.oldest_xmin_seconds,
        clock_skew_seconds=skew.total_seconds(),
        rebuild_waiting_subjects=waiting[0],
        rehome_waiting_companies=waiting[1],
        oldest_received=oldest_received,
        migrations_pending=len(seen.missing_migrations),
        jobs={run.job: JobTimes(run.ended_at, run.due_at, run.error is not None) for run in seen.last_runs.values()},
    )
    return Scrape(tables, open_findings(findings(seen)))
