"""Spans of a request, of its delivery and of the batch, through a real receiver and a real worker."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from consumer import logs
from consumer.errors import StoreUnavailable
from consumer.events.registry import EVENT_TYPES
from consumer.metrics import Metrics
from consumer.outbox.storage import Delivery
from consumer.postgres.connections import open_pool, receiver_access
from consumer.process import spans
from consumer.process.spans import LINKS_MAX, SpanTracing, sending, trace_id
from consumer.process.tracing import ENDPOINT, Tracing, open_tracing
from consumer.providers.standard_webhooks import Verifier
from consumer.receiver.app import receiver_app
from consumer.receiver.endpoint import Put, Store
from consumer.receiver.intake import open_intake
from consumer.receiver.refusal_log import RefusalLog
from consumer.web.connection_limits import Limits
from consumer.web.listen import listen
from consumer.web.server import serve
from tests.support.databases import change
from tests.support.factories import user_updated
from tests.support.outbox import arrive
from tests.support.processes import ROOT, deliver, deliveries, is_ready, on, ports, running, until
from tests.support.samples import body, payload
from tests.support.web import BODY, NOW, SECRET, TOLERANCE, post, request
from tests.support.worker import run_once, worker
from tests.test_metric_values import exchange, unready

EMAIL = "canary@example.com"
CANARY = body("user.updated", payload("user.updated", primary_email=EMAIL, display_name="Canary Name"))


@pytest.fixture
def memory() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracing(memory: InMemorySpanExporter) -> Iterator[SpanTracing]:
    with sending(SimpleSpanProcessor(memory)) as found:
        yield found


async def received(url: str, tracing: Tracing, *requests: bytes, put: Put | None = None) -> None:
    """Send requests to a receiver with spans."""
    access, metrics = receiver_access("consumer"), Metrics(EVENT_TYPES)
    async with (
        open_pool(url, access, size=1, wait_timeout=timedelta(seconds=5)) as pool,
        open_intake(pool, access, metrics.received) as intake,
    ):
        store = Store(tracing.put(put or intake.put), None)  # type: ignore[arg-type]  # Nobody waits here.
        refusals = RefusalLog(metrics, lambda: NOW)
        app = receiver_app({"stack": Verifier([SECRET], TOLERANCE)}, store, unready, refusals)
        async with serve(tracing.app(app), listen("127.0.0.1", 0, "PORT"), Limits(), refusals.record) as port:
            await exchange(port, requests)


def named(memory: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    return [span for span in memory.get_finished_spans() if span.name == name]


def trace_of(span: ReadableSpan) -> int:
    assert span.context
    return int(span.context.trace_id)


def parents(found: Sequence[ReadableSpan]) -> list[int | None]:
    return [span.parent.span_id if span.parent else None for span in found]


async def test_a_request_holds_its_store_and_the_batch_links_to_it(
    memory: InMemorySpanExporter, tracing: SpanTracing, emptied: str
) -> None:
    subject = worker()
    subject.committed = tracing.committed

    await received(emptied, tracing, post(CANARY))
    await run_once(emptied, subject)

    [webhook], [store], [batch] = (named(memory, name) for name in ("webhook stack", "store", "batch"))
    assert webhook.context
    assert parents([webhook, store, batch]) == [None, webhook.context.span_id, None]
    assert trace_of(webhook) == trace_of(store) == trace_id("stack", "msg_1") != trace_of(batch)
    assert [each.context.trace_id for each in batch.links] == [trace_of(webhook)]
    assert dict(webhook.attributes or {}) == {"http.response.status_code": 204}
    assert dict(store.attributes or {}) == {"messaging.message.id": "msg_1", "consumer.event_type": "user.updated"}
    assert dict(batch.attributes or {}) == {"consumer.deliveries": 1, "consumer.applied": 1}
    assert len(memory.get_finished_spans()) == 3


async def test_no_span_holds_a_person_s_data(memory: InMemorySpanExporter, tracing: SpanTracing, emptied: str) -> None:
    async def failing(_: Delivery) -> None:
        raise StoreUnavailable from ValueError(EMAIL)

    await received(emptied, tracing, post(CANARY, more={"x-name": "Canary Name"}))
    await received(emptied, tracing, post(CANARY, message_id="msg_2"), put=failing)

    texts = [span.to_json() or "" for span in memory.get_finished_spans()]
    assert len(texts) == 4
    assert not [text for text in texts if EMAIL in text or "Canary" in text]


async def test_a_failed_store_is_an_error_without_the_exception(
    memory: InMemorySpanExporter, tracing: SpanTracing, emptied: str
) -> None:
    async def failing(_: Delivery) -> None:
        raise StoreUnavailable

    await received(emptied, tracing, post(), put=failing)

    spans_of = [*named(memory, "webhook stack"), *named(memory, "store")]
    assert [span.status.status_code for span in spans_of] == [StatusCode.ERROR, StatusCode.ERROR]
    assert [list(span.events) for span in spans_of] == [[], []]
    assert (spans_of[0].attributes or {})["http.response.status_code"] == 503


async def test_repeats_of_a_message_share_a_trace_and_no_span(
    memory: InMemorySpanExporter, tracing: SpanTracing, emptied: str
) -> None:
    await received(emptied, tracing, post(), post(), post(message_id="msg_2"))

    webhooks = named(memory, "webhook stack")
    assert [trace_of(span) for span in webhooks] == [trace_id("stack", f"msg_{n}") for n in (1, 1, 2)]
    assert len({span.context.span_id for span in webhooks if span.context}) == 3


async def test_a_stranger_s_text_is_in_no_span(
    memory: InMemorySpanExporter, tracing: SpanTracing, emptied: str
) -> None:
    stranger = {"webhook-id": "stranger", "webhook-timestamp": "soon", "webhook-signature": "stranger"}

    await received(emptied, tracing, request(BODY, headers=stranger), request(method="GET", path="/livez"))

    [span] = memory.get_finished_spans()
    assert dict(span.attributes or {}) == {"http.response.status_code": 401}
    assert span.status.status_code is StatusCode.UNSET
    assert "stranger" not in (span.to_json() or "")


async def test_a_batch_links_to_at_most_as_many_as_are_kept_and_to_no_replayed_one(
    memory: InMemorySpanExporter, tracing: SpanTracing, emptied: str
) -> None:
    subject = worker()
    subject.committed = tracing.committed
    await arrive(emptied, *(user_updated() for _ in range(LINKS_MAX + 1)))
    await run_once(emptied, subject)
    await arrive(emptied, user_updated())
    # Another transaction than the one that stored it.
    change(emptied, "UPDATE consumer.pending SET has_failed = FALSE")
    await run_once(emptied, subject)

    first, replayed = named(memory, "batch")
    assert len(first.links) == LINKS_MAX == 128
    assert (first.attributes or {})["consumer.deliveries"] == LINKS_MAX + 1
    assert list(replayed.links) == []


def test_a_batch_lasts_as_long_as_its_transaction(memory: InMemorySpanExporter, tracing: SpanTracing) -> None:
    tracing.committed([], {}, 1.5)

    [batch] = memory.get_finished_spans()
    assert batch.start_time
    assert batch.end_time
    assert 1.5 <= (batch.end_time - batch.start_time) / 1e9 < 2.5


def test_without_an_endpoint_nothing_of_opentelemetry_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ENDPOINT, raising=False)
    script = (
        "import sys; import consumer.cli.serve, consumer.cli.work\n"
        "from consumer.process.tracing import open_tracing\n"
        "with open_tracing() as tracing: print(type(tracing).__name__, tracing.app(1), tracing.put(2))\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout.split("\n")[:2] == ["Tracing 1 2", "[]"]


@pytest.mark.parametrize(
    ("variables", "is_installed", "reason"),
    [
        ({}, False, "`pip install 'stack-auth-consumer[otel]'` brings what it needs"),
        ({"OTEL_BSP_MAX_QUEUE_SIZE": "-1"}, True, "one of OpenTelemetry's own variables has a value"),
        ({"OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER": "none"}, True, "one of OpenTelemetry's own variables"),
    ],
    ids=["without the extra", "a value out of range", "an unknown plug-in"],
)
def test_an_inherited_endpoint_that_cannot_be_used_is_a_warning_with_the_cure(
    variables: dict[str, str],
    is_installed: bool,
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name, value in {ENDPOINT: "http://127.0.0.1:1", **variables}.items():
        monkeypatch.setenv(name, value)
    if not is_installed:
        monkeypatch.setitem(sys.modules, "consumer.process.spans", None)

    with open_tracing() as tracing:
        tracing.committed([], {}, 0.0)

    [record] = [each for each in caplog.records if each.getMessage() == logs.SETTINGS_WARNED]
    assert type(tracing) is Tracing
    assert getattr(record, "warning").startswith(f"{ENDPOINT} is set, but no spans are sent: {reason}")  # noqa: B009


def test_an_error_of_the_process_is_none_of_its_tracing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:1")

    with pytest.raises(ValueError, match="of the process"), open_tracing():
        raise ValueError("of the process")


@pytest.mark.parametrize("command", ["serve", "work"])
def test_a_process_starts_without_the_extra_wherever_the_platform_sets_an_endpoint(
    command: str, emptied: str, tmp_path: Path
) -> None:
    """The library is missing, as in `pip install stack-auth-consumer`."""
    (tmp_path / "opentelemetry.py").write_text("raise ImportError")
    port, ops_port = ports(2)
    settings = {
        **on(emptied, PORT=port, OPS_PORT=ops_port),
        ENDPOINT: "http://127.0.0.1:1",
        "PYTHONPATH": f"{tmp_path}:{ROOT}",
    }

    with running(tmp_path, settings, command) as process:
        is_up = until(lambda: is_ready(ops_port))
        ended = process.stop()

    assert (is_up, ended) == (True, 0)
    assert "stack-auth-consumer[otel]" in process.text


@contextmanager
def collector() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """Run what takes spans over OTLP; yield its address and what was posted to it."""
    posted: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", posted
        server.shutdown()
        thread.join()


def test_spans_reach_a_collector_at_the_latest_when_the_process_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    with collector() as (url, posted):
        monkeypatch.setenv(ENDPOINT, url)
        monkeypatch.setenv("OTEL_SERVICE_NAME", "shop-users")
        with open_tracing() as tracing:
            tracing.committed([], {}, 0.0)

    [(path, sent)] = posted
    assert path == "/v1/traces"
    assert b"batch" in sent
    assert b"shop-users" in sent


@pytest.mark.slow
def test_serve_and_work_send_their_spans(emptied: str, tmp_path: Path) -> None:
    port, *ops_ports = ports(3)
    with collector() as (url, posted):
        settings = {**on(emptied), ENDPOINT: url}
        with (
            running(tmp_path, {**settings, "OPS_PORT": str(ops_ports[0])}, "serve", "--port", str(port)) as receiver,
            running(tmp_path, {**settings, "OPS_PORT": str(ops_ports[1])}, "work") as doing,
        ):
            until(lambda: is_ready(port))
            deliver(port)
            until(lambda: deliveries(emptied, "done"))
            assert (receiver.stop(), doing.stop()) == (0, 0)

    sent = b"".join(span for _, span in posted)
    assert [name in sent for name in (b"webhook stack", b"store", b"batch")] == [True] * 3


class SilentProcessor(SimpleSpanProcessor):
    """A processor whose collector does not answer."""

    def shutdown(self) -> None:
        time.sleep(5)


def test_a_collector_that_is_silent_holds_the_end_of_a_process_up_no_longer_than_its_limit(
    memory: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert spans.FLUSH_SECONDS == 2
    monkeypatch.setattr(spans, "FLUSH_SECONDS", 0.1)
    began = time.monotonic()

    with sending(SilentProcessor(memory)):
        pass

    assert time.monotonic() - began < 2
