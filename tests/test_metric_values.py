"""One known event, and the exact value of every metric after it, by way of a real receiver, worker or database."""

import asyncio
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from itertools import count
from types import SimpleNamespace
from uuid import UUID, uuid4

import psycopg
import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from consumer.errors import StoreUnavailable, WorkerPaused
from consumer.events.registry import EVENT_TYPES
from consumer.metrics import Metrics
from consumer.outbox.storage import Delivery
from consumer.postgres.connections import Connection, open_pool, receiver_access, worker_access
from consumer.providers.standard_webhooks import Verifier
from consumer.receiver import endpoint
from consumer.receiver.app import receiver_app
from consumer.receiver.endpoint import Put, Store
from consumer.receiver.intake import open_intake
from consumer.receiver.refusal_log import RefusalLog
from consumer.web.connection_limits import Limits
from consumer.web.listen import listen
from consumer.web.server import serve
from consumer.worker import batch as batch_module
from consumer.worker import loop as loop_module
from consumer.worker.batch import Batch, BatchRunner
from consumer.worker.loop import Worker
from tests.support.databases import schema_change
from tests.support.factories import delivery, user_deleted, user_updated
from tests.support.outbox import arrive
from tests.support.samples import USER_ID, body, payload
from tests.support.web import BODY, NOW, SECRET, START, TOLERANCE, head, post, request
from tests.support.worker import run_once

LIMITS = Limits(body_bytes=10_000, read_timeout_seconds=0.3, linger_seconds=0.3, connections=2)
# What each request and each batch takes by the clock that is handed in.
SECONDS = 0.25
UNCOUNTED = ("_bucket", "_info", "_delivery_seconds_sum")
Values = dict[str, float]
Wrap = Callable[[ASGIApp], ASGIApp]


def counted(metrics: Metrics) -> dict[str, float]:
    """Return every count and sum that is not zero, by its name and its labels' values.

    But the ages of deliveries, which no clock of ours measures; `test_metric_recovery.py` has them.
    """
    return {
        f"{sample.name}{{{','.join(sample.labels.values())}}}" if sample.labels else sample.name: sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name.startswith("consumer_") and not sample.name.endswith(UNCOUNTED) and sample.value
    }


def stepping_clock() -> SimpleNamespace:
    """Return what stands for `time` where durations are measured: each reading is SECONDS after the last."""
    readings = count()
    return SimpleNamespace(perf_counter=lambda: SECONDS * next(readings), monotonic=lambda: 0.0)


async def exchange(port: int, requests: Sequence[bytes]) -> None:
    """Send each request over a connection of its own, kept open, once the one before is answered or hung up on."""
    writers = []
    for data in requests:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writers.append(writer)
        writer.write(data)
        # What is counted is counted before the head of the answer is here.
        with suppress(asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
    for writer in writers:
        writer.close()


async def unavailable(_: Delivery) -> None:
    raise StoreUnavailable


def out_of_memory(app: ASGIApp) -> ASGIApp:
    async def receive() -> Message:
        raise MemoryError

    async def short_of_memory(scope: Scope, _: Receive, send: Send) -> None:
        await app(scope, receive, send)

    return short_of_memory


async def received(
    url: str, *requests: bytes, put: Put | None = None, wrap: Callable[[ASGIApp], ASGIApp] = lambda app: app
) -> Values:
    """Return what a receiver counts that gets the requests."""
    metrics, access = Metrics(EVENT_TYPES), receiver_access("consumer")

    async def run() -> None:
        async with (
            open_pool(url, access, size=1, wait_timeout=timedelta(seconds=5)) as pool,
            open_intake(pool, access, metrics.received) as intake,
        ):
            store = Store(put or intake.put, lambda *_: asyncio.sleep(0))
            refusals = RefusalLog(metrics, lambda: NOW)
            app = receiver_app({"stack": Verifier([SECRET], TOLERANCE)}, store, unready, refusals)
            async with serve(wrap(app), listen("127.0.0.1", 0, "PORT"), LIMITS, refusals.record) as port:
                await exchange(port, requests)

    await run()
    return counted(metrics)


async def unready() -> str | None:
    return None


def answered(requests: int, **outcomes: int) -> Values:
    """Return the values of deliveries that came to be judged: each takes as long by the clock."""
    stored: Values = {f"consumer_deliveries_received_total{{{outcome}}}": n for outcome, n in outcomes.items()}
    return {"consumer_receive_seconds_count": requests, "consumer_receive_seconds_sum": SECONDS * requests, **stored}


NAMELESS = body("user.updated", payload("user.updated", primary_email=None, display_name=None))
ODD = body(
    "user.updated", payload("user.updated", display_name="Ada", teams=None, risk_scores=0.5, client_metadata="\0")
)
EARLY, LATE = (post(at=NOW + sign * (TOLERANCE + timedelta(seconds=1))) for sign in (-1, 1))
RECEIVED = {
    "stored": ([post()], answered(1, stored=1)),
    "repeated": ([post(), post()], answered(2, stored=1, duplicate=1)),
    "dead": ([post(b"{")], answered(1, dead=1)),
    "dead, repeated": ([post(b"{"), post(b"{")], answered(2, dead=1, duplicate=1)),
    "nameless": (
        [post(NAMELESS)],
        answered(1, stored=1)
        | {f"consumer_delivery_warnings_total{{missing_{name}}}": 1 for name in ("email", "name")},
    ),
    "odd": (
        [post(ODD)],
        answered(1, stored=1)
        | {"consumer_changed_fields_total{risk_scores}": 1, "consumer_left_out_fields_total{client_metadata}": 1},
    ),
}


def unsigned(name: str, value: str) -> bytes:
    return re.sub(rf"{name}: [^\r]*".encode(), f"{name}: {value}".encode(), post())


# By the reason: the request, and whether it came to be judged, which is what is timed.
REFUSED = {
    "ambiguous_headers": ([post(more={"webhook-id": "msg_2"})], 0),
    "bad_message_id": ([post(message_id="m" * 257)], 0),
    "bad_timestamp": ([unsigned("svix-timestamp", "soon")], 0),
    "body_too_large": ([head({"content-length": "10001"})], 0),
    "body_too_slow": ([post()[:-1]], 0),
    "encoded_body": ([post(more={"content-encoding": "gzip"})], 0),
    "head_too_slow": ([START], 0),
    "headers_too_large": ([head({"x": "y" * 20_000})], 0),
    "malformed_request": ([b"garbage\r\n\r\n"], 0),
    "method_not_allowed": ([request(method="PUT")], 0),
    "missing_header": ([request(BODY)], 0),
    "not_found": ([request(path="/nowhere")], 0),
    "no_match": ([unsigned("svix-signature", "v1,x")], 1),
    "too_many_pipelined": ([request(method="GET", path="/livez") * 100], 0),
    "too_new": ([LATE], 0),
    "too_old": ([EARLY], 0),
    "tunnel_refused": ([b"CONNECT example.com:443 HTTP/1.1\r\nhost: x\r\n\r\n"], 0),
    # The first, which waits for another request, gives way to the third.
    "too_many_connections": ([request(method="GET", path="/livez")] * 3, 0),
}
OUR_FAULT = ("store_unavailable", "out_of_memory")


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "time", stepping_clock())
    monkeypatch.setattr(batch_module, "time", stepping_clock())


@pytest.mark.usefixtures("timed")
@pytest.mark.parametrize(("requests", "values"), RECEIVED.values(), ids=RECEIVED.keys())
async def test_a_delivery_is_counted_and_timed_once(requests: list[bytes], values: Values, emptied: str) -> None:
    assert (await received(emptied, *requests)) == values


@pytest.mark.usefixtures("timed")
@pytest.mark.parametrize(("reason", "requests", "judged"), [(reason, *case) for reason, case in REFUSED.items()])
async def test_a_refusal_is_counted_once_by_its_reason(
    reason: str, requests: list[bytes], judged: int, emptied: str
) -> None:
    expected = {f"consumer_deliveries_refused_total{{{reason}}}": 1.0} | (answered(judged) if judged else {})

    assert (await received(emptied, *requests)) == expected


@pytest.mark.usefixtures("timed")
async def test_a_refusal_that_is_our_fault_is_counted_once_by_its_reason(emptied: str) -> None:
    unstored, unread = (f"consumer_deliveries_refused_total{{{reason}}}" for reason in OUR_FAULT)

    assert (await received(emptied, post(), put=unavailable)) == answered(1) | {unstored: 1}
    assert (await received(emptied, post(), wrap=out_of_memory)) == {unread: 1}


def batches(*sizes: int) -> Values:
    """Return the values of committed batches of these sizes."""
    return {
        "consumer_apply_seconds_count": len(sizes),
        "consumer_apply_seconds_sum": SECONDS * len(sizes),
        "consumer_batch_deliveries_count": len(sizes),
        "consumer_batch_deliveries_sum": sum(sizes),
    }


def applied(event_type: str = "user.updated", *, fresh: int = 1, **outcomes: int) -> Values:
    """Return the values of deliveries done, in so many batches that had one of these at its first attempt."""
    timed: Values = {"consumer_delivery_seconds_count": fresh}
    return timed | {
        f"consumer_deliveries_applied_total{{{event_type},{outcome}}}": n for outcome, n in outcomes.items()
    }


OLD, SAME, NEW = (user_updated(UUID(USER_ID)) for _ in range(3))
GONE, GONE_AGAIN = user_deleted(UUID(USER_ID)), user_deleted(UUID(USER_ID))
PING = delivery("stack.test", uuid4())._replace(user_id=None)
TWINS = [user_updated(display_name="Mallory") for _ in range(2)]
# By what comes of it: a constraint of the application, batches of deliveries, and what the worker counts in the end.
WORKED: dict[str, tuple[str, list[list[Delivery]], Values]] = {
    "nothing due": ("", [[]], {}),
    "applied": ("", [[OLD]], batches(1) | applied(applied=1)),
    "unchanged": ("", [[GONE], [GONE_AGAIN]], batches(1, 1) | applied("user.deleted", fresh=2, applied=1, unchanged=1)),
    "stale": ("", [[NEW], [OLD, SAME]], batches(1, 2) | applied(fresh=2, applied=1, stale=2)),
    "ignored": ("", [[PING]], batches(1) | applied("stack.test", ignored=1)),
    "retried": (
        "UNIQUE (full_name)",
        [TWINS[:1], TWINS[1:]],
        batches(1, 1) | applied(applied=1) | {"consumer_deliveries_retried_total": 1},
    ),
    "buried": ("CHECK (full_name <> 'Mallory')", [TWINS], batches(2) | {"consumer_deliveries_buried_total": 2}),
}


@pytest.mark.usefixtures("timed")
@pytest.mark.parametrize(("constraint", "batched", "values"), WORKED.values(), ids=WORKED.keys())
async def test_a_batch_is_counted_and_timed_once(
    constraint: str, batched: list[list[Delivery]], values: Values, emptied: str
) -> None:
    metrics = Metrics(EVENT_TYPES)
    runner = BatchRunner(worker_access("consumer"), metrics, attempts_max=12)
    added = f"ALTER TABLE identity.profiles ADD CONSTRAINT strict {constraint}" if constraint else ""

    with schema_change(emptied, added, "ALTER TABLE identity.profiles DROP CONSTRAINT IF EXISTS strict"):
        for deliveries in batched:
            await arrive(emptied, *deliveries)
            await run_once(emptied, runner)

    assert counted(metrics) == values


class FailingOnce(BatchRunner):
    """A runner whose first batch fails, and whose second stops its worker."""

    errors: Iterator[Exception]
    worker: Worker

    async def run_once(self, _: Connection) -> Batch:
        for error in self.errors:
            raise error
        self.worker.stop()
        return Batch()


@pytest.mark.parametrize(
    ("error_class", "error"),
    [
        ("transient", OSError()),
        ("busy", psycopg.errors.LockNotAvailable()),
        ("ours", WorkerPaused("x")),
        ("constraint", psycopg.errors.UniqueViolation()),
        ("poison", psycopg.errors.NotNullViolation()),
    ],
)
async def test_a_batch_that_is_rolled_back_is_counted_once_by_the_class_of_its_error(
    error_class: str, error: Exception, emptied: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop_module, "_pause", lambda _: 0.0)
    runner = FailingOnce(worker_access("consumer"), Metrics(EVENT_TYPES), attempts_max=12)
    runner.errors, runner.worker = iter([error]), Worker(emptied, runner, lambda _: None, poll_max=timedelta(0))

    async def run() -> None:
        async with asyncio.timeout(15):
            await runner.worker.run()

    await run()

    assert counted(runner.metrics) == {f"consumer_batch_failures_total{{{error_class}}}": 1}
