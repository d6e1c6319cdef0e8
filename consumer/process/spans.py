"""The spans of requests, of what they store, and of batches, without personal data, bodies and texts of exceptions.

A batch links to the traces of its deliveries. Nothing is stored for that: the trace's id is derived from the message's.
"""

import hashlib
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import Link, SpanContext, SpanKind, StatusCode, Tracer
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from consumer.gauges import PACKAGE, running_version
from consumer.outbox.queue import Claimed
from consumer.outbox.storage import Delivery
from consumer.process.tracing import Tracing
from consumer.receiver.endpoint import Put

SOURCES = ("stack", "app")
# As many as the library keeps of a span.
LINKS_MAX = 128
# A process ends within 10 s of SIGTERM (promise P8); the library alone would wait for 30.
FLUSH_SECONDS = 2.0

_trace_id: ContextVar[int | None] = ContextVar("trace_id", default=None)


class DerivedIds(RandomIdGenerator):
    """Random ids, but for the trace of a request."""

    def generate_trace_id(self) -> int:
        """Return the id that the request asks for, else a random one."""
        return _trace_id.get() or super().generate_trace_id()


class SpanTracing(Tracing):
    """Makes the spans of one process."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def app(self, app: ASGIApp) -> ASGIApp:
        """Return the application with a span for each request to a webhook; repeats of a message share a trace."""

        async def traced(scope: Scope, receive: Receive, send: Send) -> None:
            source = scope["path"].rstrip("/").rpartition("/webhooks/")[2]
            if source not in SOURCES:
                await app(scope, receive, send)
                return
            message_id = next((value for name, value in scope["headers"] if name in {b"svix-id", b"webhook-id"}), b"")
            _trace_id.set(trace_id(source, message_id.decode("latin-1")))
            name, kind = f"webhook {source}", SpanKind.SERVER
            with self._tracer.start_as_current_span(name, Context(), kind, record_exception=False) as span:

                async def note(message: Message) -> None:
                    if message["type"] == "http.response.start":
                        span.set_attribute("http.response.status_code", message["status"])
                        span.set_status(StatusCode.ERROR if message["status"] >= 500 else StatusCode.UNSET)
                    await send(message)

                await app(scope, receive, note)

        return traced

    def put(self, put: Put) -> Put:
        """Return `put` with a span until the commit; only here the message's id is no stranger's text."""

        async def traced(delivery: Delivery) -> None:
            with self._tracer.start_as_current_span("store", record_exception=False) as span:
                span.set_attribute("messaging.message.id", delivery.message_id)
                span.set_attribute("consumer.event_type", delivery.event_type or "")
                await put(delivery)

        return traced

    def committed(self, claimed: Sequence[Claimed], outcomes: Mapping[int, str], seconds: float) -> None:
        """Make a span of a batch, with links to the traces of those that came by a webhook and are fresh."""
        fresh = [each for each in claimed if each.age_seconds is not None and each.source in SOURCES]
        ids = [trace_id(each.source, each.message_id) for each in fresh[:LINKS_MAX]]
        # A link needs a span's id too; no span of the trace has this one.
        links = [Link(SpanContext(each, each >> 64, is_remote=True)) for each in ids]
        began = time.time_ns() - int(seconds * 1e9)
        span = self._tracer.start_span("batch", Context(), links=links, start_time=began)
        span.set_attribute("consumer.deliveries", len(claimed))
        for outcome, deliveries in Counter(outcomes.values()).items():
            span.set_attribute(f"consumer.{outcome}", deliveries)
        span.end()


def trace_id(source: str, message_id: str) -> int:
    """Return the id of the trace of a message's requests."""
    return int.from_bytes(hashlib.sha256(f"{source} {message_id}".encode()).digest()[:16])


@contextmanager
def sending(processor: SpanProcessor | None = None) -> Iterator[SpanTracing]:
    """Hand spans to a processor, by default one that sends them; at the end of the block wait FLUSH_SECONDS for it."""
    named = Resource({"service.name": PACKAGE, "service.version": running_version()})
    # The environment's attributes win.
    resource = named.merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=resource, id_generator=DerivedIds(), shutdown_on_exit=False)
    provider.add_span_processor(processor or BatchSpanProcessor(OTLPSpanExporter()))
    try:
        yield SpanTracing(provider.get_tracer(PACKAGE))
    finally:
        flushing = threading.Thread(target=provider.shutdown, daemon=True)
        flushing.start()
        flushing.join(FLUSH_SECONDS)
