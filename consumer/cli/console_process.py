"""The console as a process, and its links; imported only where the libraries of the extra are."""

import asyncio
import logging
import socket
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from functools import partial
from typing import Literal

from consumer import logs
from consumer.cli.addresses import webhook_url
from consumer.cli.console_outside import destination, outside
from consumer.cli.database import has_urls
from consumer.cli.output import program
from consumer.cli.secret import keep_console
from consumer.cli.sources import expectations
from consumer.console import form, live, sample
from consumer.console.app import console_app
from consumer.console.background import IDLE_SECONDS, Background, going_on
from consumer.console.base import base_of
from consumer.console.door import Door, Signer, is_name
from consumer.console.reading import open_database
from consumer.console.render import Renderer
from consumer.console.routes import STEPS
from consumer.console.sampler import Sampler, sampling
from consumer.console.visit import Console
from consumer.errors import ConsumerError
from consumer.operations.background_work import works
from consumer.postgres.connections import operator_access, viewer_access
from consumer.process.outage_log import Outage, address
from consumer.process.reports import Reporter, report_seconds, reporting
from consumer.settings import notifications
from consumer.settings.settings import Settings
from consumer.web.connection_limits import Limits
from consumer.web.server import serve

# Far more than people who look, and enough for a browser's six connections each.
LIMITS = Limits(body_bytes=form.BODY_BYTES_MAX, connections=800)

log = logging.getLogger(__name__)


def link(settings: Settings, secret: str, name: str, role: Literal["viewer", "operator"], port: int) -> str:
    """Return the URL of a new link; raises ConsumerError if nobody may have this name."""
    if not is_name(name):
        raise ConsumerError("A name has 1 to 64 printable characters, without a space at an end.")
    base = base_of(settings.console_url, port, STEPS)
    return f"{base.origin}{base.url('/open/')}{Signer(secret, base, _now).link(name, role)}"


async def serve_console(
    settings: Settings,
    conninfo: str,
    listeners: Sequence[socket.socket],
    stop: asyncio.Event,
    *,
    worker_conninfo: str | None = None,
) -> None:
    """Serve the pages until *stop* is set; then end the streams, answer the requests in flight and return.

    A check against a rebuild, and the dry run of a retry, use *worker_conninfo*, by default the operator's.
    """
    outage = Outage("console", conninfo)
    base = base_of(settings.console_url, listeners[0].getsockname()[1], STEPS)
    label = address(conninfo).rpartition("/")[2] if has_urls(settings) else "embedded"
    renderer = Renderer(base, label, webhook_url(settings, "stack"), program())
    door = Door(Signer(keep_console(settings), base, _now), base, settings.console_trust_user_header)
    viewer, operator = viewer_access(settings.role_prefix), operator_access(settings.role_prefix)
    async with open_database(conninfo, viewer, operator, outage.record) as database:
        ask = partial(sample.take, database, lambda: expectations(settings))
        sampler = Sampler(ask, partial(live.frames, renderer), _now)
        idle = max(IDLE_SECONDS, settings.poll_max_seconds)
        reach, target = outside(settings, worker_conninfo or conninfo), partial(destination, settings)
        background = Background(database, works(reach), idle)
        shown = _shown(settings)
        console = Console(
            base, door, database, sampler, renderer, background, target, reach, settings.projection_sql, shown
        )
        reporter = Reporter(conninfo, operator, "console", period_seconds=report_seconds(settings))
        async with (
            reporting(reporter),
            serve(console_app(console), list(listeners), LIMITS, lambda _: None),
            sampling(sampler),
            going_on(background),
        ):
            log.info(logs.CONSOLE_STARTED, extra={"url": f"{base.origin}{base.url()}"})
            await stop.wait()
    log.info(logs.CONSOLE_STOPPED)


def _shown(settings: Settings) -> Mapping[str, str]:
    """Return the settings for a page, by variable; of a secret only whether it is set."""
    found: dict[str, str] = {}
    for each in (*fields(settings), *fields(settings.shaping)):
        if "read" in each.metadata:
            value = getattr(settings if hasattr(settings, each.name) else settings.shaping, each.name)
            name = each.metadata["variable"] or each.name.upper()
            is_shown = each.repr and value is not None
            found[name] = str(value) if is_shown else "set" if value else "not set"
    # An address or an argument may be a secret too.
    found |= {name: "set" if name in settings.variables else "not set" for name in notifications.VARIABLES}
    header = settings.console_trust_user_header
    return found | {"CONSOLE_TRUST_USER_HEADER": header.name if header else "not set"}


def _now() -> datetime:
    return datetime.now(UTC)
