"""`consumer serve`: the receiver, one process that verifies and stores deliveries."""

import asyncio
import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import click

from consumer import logs
from consumer.cli.context import embedded_option, examples, pass_settings
from consumer.cli.database import database
from consumer.cli.secret import example_problems
from consumer.deadline import first_of
from consumer.events.registry import EVENT_TYPES
from consumer.metrics import Metrics
from consumer.postgres.connections import open_pool, receiver_access
from consumer.process.ops import serve_ops
from consumer.process.outage_log import Outage
from consumer.process.readiness import Readiness
from consumer.process.reports import Reporter, report_seconds, reporting
from consumer.process.signals import run, supervised_option
from consumer.process.tracing import Tracing, open_tracing
from consumer.providers.standard_webhooks import Verifier
from consumer.receiver.app import receiver_app
from consumer.receiver.endpoint import Store
from consumer.receiver.intake import COMMITS_MAX, open_intake
from consumer.receiver.refusal_log import RefusalLog
from consumer.receiver.waits import open_waits
from consumer.settings.settings import Settings
from consumer.verdict.findings import findings
from consumer.verdict.observation import Observation
from consumer.web.connection_limits import Limits
from consumer.web.listen import listen
from consumer.web.server import serve

# One connection for each writer and one for reads: the health check must not wait for a batch.
CONNECTIONS = COMMITS_MAX + 1
# How long a writer waits for a connection; with the commit it stays below the 5 s in which overload is answered.
CONNECTION_TIMEOUT = timedelta(seconds=2)

log = logging.getLogger(__name__)


def _problems(settings: Settings, *, host: str | None, **_: object) -> list[str]:
    if not settings.stack_webhook_secrets:
        return ["STACK_WEBHOOK_SECRETS is not set: nothing could be verified."]
    return example_problems(settings, host or settings.host)


@click.command(name="serve", epilog=examples("serve", "serve --host 0.0.0.0 --port 9000", "serve --host ::"))
@click.option("--host", help="The addresses to listen on. Default: HOST, else 127.0.0.1.")
@click.option("--port", type=click.IntRange(0, 65535), help="The port; 0: a free one. Default: PORT, else 8000.")
@embedded_option
@supervised_option
@pass_settings("receiver", _problems)
def command(settings: Settings, *, host: str | None, port: int | None, is_embedded: bool, is_supervised: bool) -> None:
    """Run the receiver.

    It verifies, stores and acknowledges deliveries. Without its database it starts too, and answers 503.
    """
    settings = replace(settings, host=host or settings.host, port=settings.port if port is None else port)
    with database(settings, "receiver", is_embedded=is_embedded) as conninfo, open_tracing() as tracing:
        run(partial(_receive, settings, conninfo, tracing), is_supervised=is_supervised)


async def _receive(settings: Settings, conninfo: str, tracing: Tracing, stop: asyncio.Event) -> None:
    """Serve until *stop* is set; then accept nothing new, answer the requests in flight and return."""
    senders = _senders(settings)
    access = receiver_access(settings.role_prefix)
    metrics = Metrics(EVENT_TYPES)
    refusals = RefusalLog(metrics)
    outage = Outage("receiver", conninfo)
    readiness = Readiness(outage)
    reporter = Reporter(conninfo, access, "receiver", metrics, lambda: readiness.answer, report_seconds(settings))

    async def probe() -> str | None:
        seen = Observation(at=datetime.now(UTC), since_disk_full=intake.since_disk_full())
        found = next((f"{finding.code}: {finding.sentence}" for finding in findings(seen)), None)
        reason = readiness.reason or found or await intake.not_ready_reason()
        # The pool does not know why it has no connection; the last attempt to connect does.
        return reason and (outage.reason or reason)

    async with (
        open_pool(conninfo, access, size=CONNECTIONS, wait_timeout=CONNECTION_TIMEOUT, attempted=outage.record) as pool,
        open_intake(pool, access, metrics.received) as intake,
        open_waits(pool, access) as waits,
        serve(
            tracing.app(
                receiver_app(
                    senders, Store(tracing.put(intake.put), waits.wait_for), probe, refusals, settings.path_prefix
                )
            ),
            listen(settings.host, settings.port, "PORT"),
            Limits(body_bytes=settings.max_body_bytes),
            refusals.record,
        ) as port,
        serve_ops(settings, probe, metrics),
        reporting(reporter),
    ):
        metrics.store = intake.state
        log.info(logs.RECEIVER_STARTED, extra={"host": settings.host, "port": port, "sources": sorted(senders)})
        await first_of(stop, readiness.wait(conninfo, access, settings.shaping))
        await stop.wait()
        waits.end()
    log.info(logs.RECEIVER_STOPPED)


def _senders(settings: Settings) -> dict[str, Verifier]:
    tolerance = timedelta(seconds=settings.tolerance_seconds)
    secrets = {"stack": settings.stack_webhook_secrets, "app": settings.app_webhook_secrets}
    return {source: Verifier(texts, tolerance) for source, texts in secrets.items() if texts}
