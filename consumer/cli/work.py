"""`consumer work`: the worker, one process that applies stored deliveries."""

import asyncio
import logging
import time
from datetime import timedelta
from functools import partial

import click

from consumer import logs
from consumer.cli.context import embedded_option, examples, pass_settings
from consumer.cli.database import database
from consumer.cli.sources import expectations
from consumer.deadline import first_of
from consumer.errors import ConsumerError, WrongRelease
from consumer.events.registry import EVENT_TYPES
from consumer.metrics import Metrics
from consumer.postgres.connections import connect, worker_access
from consumer.process.ops import Scrape, read_scrape, serve_ops
from consumer.process.outage_log import Outage
from consumer.process.readiness import Readiness, not_ready_reason
from consumer.process.reports import Reporter, report_seconds, reporting
from consumer.process.signals import run, supervised_option
from consumer.process.tracing import open_tracing
from consumer.settings.settings import Settings
from consumer.worker.batch import BatchRunner, drain
from consumer.worker.loop import Worker

# How much longer than its longest idle pause a loop's turn may take: a full batch on a slow disk stays below, a lost
# database does not.
TURN_SECONDS_MAX = 15.0

log = logging.getLogger(__name__)


@click.command(name="work", epilog=examples("work", "work --drain"))
@click.option("--drain", "is_draining", is_flag=True, help="Return as soon as no delivery is due.")
@embedded_option
@supervised_option
@pass_settings("worker")
def command(settings: Settings, *, is_draining: bool, is_embedded: bool, is_supervised: bool) -> None:
    """Run the worker.

    It applies stored deliveries. It waits while the database is away, a migration is missing, or a newer release has
    migrated and lets this one not work.
    """
    metrics = Metrics(EVENT_TYPES)
    runner = BatchRunner(
        worker_access(settings.role_prefix),
        metrics,
        attempts_max=settings.max_attempts,
        projection_sql=settings.projection_sql,
    )
    work = partial(_drain, settings) if is_draining else partial(_work, settings, metrics)
    with database(settings, "worker", is_embedded=is_embedded) as conninfo, open_tracing() as tracing:
        runner.committed = tracing.committed
        run(partial(work, conninfo, runner), is_supervised=is_supervised)


async def _work(settings: Settings, metrics: Metrics, conninfo: str, runner: BatchRunner, stop: asyncio.Event) -> None:
    outage = Outage("worker", conninfo)
    worker = Worker(conninfo, runner, outage.record, poll_max=timedelta(seconds=settings.poll_max_seconds))
    readiness = Readiness(outage, applies=True)

    async def probe() -> str | None:
        seconds_max = settings.poll_max_seconds + TURN_SECONDS_MAX
        is_stalled = time.monotonic() - worker.turned_at > seconds_max
        stalled = "the worker's loop does not turn: see its log" if is_stalled else None
        return readiness.reason or outage.reason or worker.trouble or stalled

    async def scrape() -> Scrape:
        return await read_scrape(conninfo, runner.access, expectations(settings))

    def paused_by() -> str | None:
        return readiness.answer or worker.paused_by

    reporter = Reporter(conninfo, runner.access, "worker", metrics, paused_by, report_seconds(settings))
    async with serve_ops(settings, probe, metrics, scrape), reporting(reporter):
        while not stop.is_set():
            await first_of(stop, readiness.wait(conninfo, runner.access, settings.shaping))
            if not stop.is_set():
                readiness.reason = await _apply_until_stopped(worker, stop)


async def _apply_until_stopped(worker: Worker, stop: asyncio.Event) -> str | None:
    """Run the worker until *stop* is set; return early, with the reason, once its release may not work any more."""
    log.info(logs.WORKER_STARTED)
    stopping = asyncio.create_task(_pass_on(stop, worker))
    try:
        await worker.run()
    except WrongRelease as error:
        return error.reason
    finally:
        stopping.cancel()
        log.info(logs.WORKER_STOPPED)
    return None


async def _drain(settings: Settings, conninfo: str, runner: BatchRunner, stop: asyncio.Event) -> None:
    """Apply until no delivery is due; unlike the loop, stop at the first error."""
    if reason := await not_ready_reason(conninfo, runner.access, settings.shaping, applies=True):
        raise ConsumerError(f"Nothing was applied: {reason}.")
    async with await connect(conninfo, runner.access) as conn:
        deliveries = await first_of(stop, drain(conn, runner))
    if deliveries is not None:
        log.info(logs.WORKER_DRAINED, extra={"deliveries": deliveries})


async def _pass_on(stop: asyncio.Event, worker: Worker) -> None:
    await stop.wait()
    worker.stop()
