"""OpenTelemetry, if an endpoint for spans is set; else nothing of it is imported."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module

from starlette.types import ASGIApp

from consumer.errors import BadSettings
from consumer.outbox.queue import Claimed
from consumer.receiver.endpoint import Put

# OpenTelemetry's own name; its library reads this and all others from the environment.
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


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
    """Send spans while the block runs, if ENDPOINT is set; raise BadSettings if the extra `otel` is not installed."""
    if not os.environ.get(ENDPOINT):
        yield Tracing()
        return
    try:
        spans = import_module("consumer.process.spans")
    except ImportError as error:
        raise BadSettings([f"{ENDPOINT} is set: pip install 'stack-auth-consumer[otel]', or unset it."]) from error
    with spans.sending() as tracing:
        yield tracing
