"""OpenTelemetry, if an endpoint for spans is set; else nothing of it is imported."""

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib import import_module

from starlette.types import ASGIApp

from consumer import logs
from consumer.outbox.queue import Claimed
from consumer.receiver.endpoint import Put

# OpenTelemetry's own name; its library reads this and all others from the environment.
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
NOT_INSTALLED = "`pip install 'stack-auth-consumer[otel]'` brings what it needs"
UNUSABLE = "one of OpenTelemetry's own variables has a value that its library refuses"

log = logging.getLogger(__name__)


class Tracing:
    """What a process does for its spans: nothing, unless an endpoint is set."""

    def app(self, app: ASGIApp) -> ASGIApp:
        """Return the receiver's application with a span for each request."""
        return app

    def put(self, put: Put) -> Put:
        """Return the intake's `put` with a span for each delivery."""
        return put

    def committed(self, claimed: Sequence[Claimed], outcomes: Mapping[int, str], seconds: float) -> None:
        """Make a span of a committed batch, whose transaction took *seconds*."""


@contextmanager
def open_tracing() -> Iterator[Tracing]:
    """Send spans while the block runs, if ENDPOINT is set and spans can be sent.

    Platforms put the variables into every container, so one that can't be used is a warning: deliveries come first.
    """
    with ExitStack() as opened:
        tracing = Tracing()
        if os.environ.get(ENDPOINT):
            try:
                tracing = opened.enter_context(import_module("consumer.process.spans").sending())
            except (ImportError, RuntimeError, ValueError) as error:
                reason = NOT_INSTALLED if isinstance(error, ImportError) else UNUSABLE
                warning = f"{ENDPOINT} is set, but no spans are sent: {reason}."
                log.warning(logs.SETTINGS_WARNED, extra={"warning": warning})
        yield tracing
