"""The spans' ids, names, states and attributes, request by request and batch by batch."""

import asyncio
import atexit
import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from consumer.gauges import running_version
from consumer.process.spans import DerivedIds, SpanTracing, sending, trace_id
from tests.support.factories import user_updated


@pytest.fixture
def memory() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracing(memory: InMemorySpanExporter) -> Iterator[SpanTracing]:
    with sending(SimpleSpanProcessor(memory)) as found:
        yield found


def asked(tracing: SpanTracing, path: str, *headers: tuple[bytes, bytes], status: int = 204) -> list[dict[str, Any]]:
    """Let one request pass, as the server does; return what is sent."""
    sent: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"x"})

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "path": path, "headers": list(headers)}
    asyncio.run(tracing.app(app)(scope, None, send))  # type: ignore[arg-type]  # Nobody receives here.
    return sent


def trace_of(span: ReadableSpan) -> int:
    assert span.context
    return int(span.context.trace_id)


def test_the_id_of_a_trace_is_derived_from_source_and_message() -> None:
    digest = hashlib.sha256(b"stack msg_1").digest()

    assert trace_id("stack", "msg_1") == int.from_bytes(digest[:16], "big")


def test_without_a_request_ids_are_random() -> None:
    ids = DerivedIds()

    assert len({ids.generate_trace_id() for _ in range(3)}) == 3


@pytest.mark.parametrize(
    ("path", "source"),
    [("/webhooks/stack", "stack"), ("/webhooks/app/", "app"), ("/prefix/webhooks/app", "app")],
)
@pytest.mark.parametrize("name", [b"svix-id", b"webhook-id"])
def test_a_webhook_s_request_is_a_server_s_span_of_its_message(
    memory: InMemorySpanExporter, tracing: SpanTracing, path: str, source: str, name: bytes
) -> None:
    sent = asked(tracing, path, (b"host", b"x"), (name, b"msg_\xe9"), (b"svix-id", b"later"))

    [span] = memory.get_finished_spans()
    assert (span.name, span.kind, span.parent) == (f"webhook {source}", SpanKind.SERVER, None)
    assert trace_of(span) == trace_id(source, "msg_é")
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]


def test_a_request_without_an_id_has_the_trace_of_none(memory: InMemorySpanExporter, tracing: SpanTracing) -> None:
    asked(tracing, "/webhooks/stack")

    [span] = memory.get_finished_spans()
    assert trace_of(span) == trace_id("stack", "")


@pytest.mark.parametrize("path", ["/livez", "/webhooks/other", "/webhooks/", "/stack", "/webhooks/stack/more"])
def test_any_other_request_passes_without_a_span(memory: InMemorySpanExporter, tracing: SpanTracing, path: str) -> None:
    assert len(asked(tracing, path)) == 2
    assert list(memory.get_finished_spans()) == []


@pytest.mark.parametrize(
    ("status", "code"),
    [(204, StatusCode.UNSET), (499, StatusCode.UNSET), (500, StatusCode.ERROR), (503, StatusCode.ERROR)],
)
def test_a_status_of_ours_is_an_error(
    memory: InMemorySpanExporter, tracing: SpanTracing, status: int, code: StatusCode
) -> None:
    asked(tracing, "/webhooks/stack", status=status)

    [span] = memory.get_finished_spans()
    assert dict(span.attributes or {}) == {"http.response.status_code": status}
    assert span.status.status_code is code


async def test_a_delivery_without_a_type_is_stored_with_an_empty_one(
    memory: InMemorySpanExporter, tracing: SpanTracing
) -> None:
    stored = []

    async def put(delivery: Any) -> None:
        stored.append(delivery)

    delivery = user_updated()._replace(event_type=None)
    await tracing.put(put)(delivery)

    [span] = memory.get_finished_spans()
    assert stored == [delivery]
    assert dict(span.attributes or {}) == {
        "messaging.message.id": delivery.message_id,
        "consumer.event_type": "",
    }


@dataclass(frozen=True)
class Taken:
    """A delivery as a worker has claimed it."""

    message_id: str
    source: str = "stack"
    age_seconds: float | None = 1.0


def test_a_batch_links_to_fresh_webhooks_and_counts_its_outcomes(
    memory: InMemorySpanExporter, tracing: SpanTracing
) -> None:
    claimed = [
        Taken("a"),
        Taken("b", "app"),
        Taken("c", "import"),
        Taken("d", age_seconds=None),
        Taken("e", "app", 0.0),
    ]

    tracing.committed(claimed, {1: "applied", 2: "stale", 3: "applied"}, 0.25)  # type: ignore[arg-type]  # As claimed.

    [span] = memory.get_finished_spans()
    ids = [trace_id("stack", "a"), trace_id("app", "b"), trace_id("app", "e")]
    assert [(link.context.trace_id, link.context.span_id) for link in span.links] == [(i, i >> 64) for i in ids]
    assert all(link.context.is_remote for link in span.links)
    assert dict(span.attributes or {}) == {"consumer.deliveries": 5, "consumer.applied": 2, "consumer.stale": 1}
    assert (span.parent, span.start_time is None) == (None, False)


def resource() -> dict[str, Any]:
    """Return what a span says of its process."""
    kept = InMemorySpanExporter()
    with sending(SimpleSpanProcessor(kept)) as tracing:
        tracing.committed([], {}, 0.0)
    [span] = kept.get_finished_spans()
    return dict(span.resource.attributes)


def test_the_process_is_named_unless_the_environment_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = resource()
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.name=shop,region=eu")
    named = resource()

    version = running_version()
    assert [named[name] for name in ("service.name", "service.version", "region")] == ["shop", version, "eu"]
    assert [plain[name] for name in ("service.name", "service.version")] == ["stack-auth-consumer", version]


def test_the_end_of_the_block_ends_the_sending_and_the_interpreter_s_end_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at_exit: list[object] = []
    ended: list[bool] = []

    class Processor(SimpleSpanProcessor):
        def shutdown(self) -> None:
            ended.append(threading.current_thread().daemon)

    monkeypatch.setattr(atexit, "register", lambda function, *_: at_exit.append(function))
    with sending(Processor(InMemorySpanExporter())):
        assert ended == []

    # In a thread that keeps no process from its end.
    assert (ended, at_exit) == ([True], [])
