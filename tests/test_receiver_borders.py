"""What an endpoint answers, counts and logs at each border, without a server."""

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from psycopg.errors import DiskFull, OutOfMemory
from starlette.types import Message

from consumer.errors import StoreUnavailable
from consumer.events.registry import EVENT_TYPES
from consumer.metrics import Metrics
from consumer.outbox.storage import Delivery
from consumer.providers.standard_webhooks import Verifier, sign
from consumer.receiver.endpoint import Receiver, Store
from consumer.receiver.refusal_log import RefusalLog
from consumer.receiver.waits import Progress, answer, wait_asked_for
from tests.support.factories import snapshot

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
TICK = timedelta(microseconds=1)
SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
USER = UUID("6f1c2f0e-9d3b-4a57-8c21-0b7d5e9a4f10")
SIGN_IN = b'{"type":"user.signed_in","data":{"id":"%s"}}' % str(USER).encode()
DELETED = b'{"type":"user.deleted","data":{"id":"%s"}}' % str(USER).encode()
DONE = Progress(USER, "done", False, None, None, {"user_id": str(USER)})


async def answered(progress: Progress | None, asked: int = 3) -> tuple[int, object, str, timedelta]:
    """Return status, body and preference of an answer, and how long it waited."""
    waited = []

    async def wait_for(message_id: str, request_id: UUID, duration: timedelta) -> Progress | None:
        assert (message_id, request_id) == ("msg", USER)
        waited.append(duration)
        return progress

    response = await answer(wait_for, "msg", USER, asked)
    body = json.loads(bytes(response.body)) if response.body else None
    return response.status_code, body, response.headers["preference-applied"], waited[0]


@pytest.mark.parametrize(
    ("progress", "status", "body"),
    [
        (DONE, 200, {"user_id": str(USER)}),
        (DONE._replace(profile=None), 204, None),
        (None, 202, {"message_id": "msg", "state": "pending"}),
        (DONE._replace(is_repeat=True), 202, {"message_id": "msg", "state": "done", "repeat": True}),
        (
            DONE._replace(is_repeat=True, state="dead", error_code="x"),
            202,
            {"message_id": "msg", "state": "dead", "repeat": True},
        ),
        (DONE._replace(state="retrying"), 202, {"message_id": "msg", "state": "retrying"}),
        (
            DONE._replace(state="dead", error_code="23514", error="a: b: c"),
            202,
            {"message_id": "msg", "state": "dead", "error_code": "23514", "path": None, "reason": "a: b: c"},
        ),
        (
            DONE._replace(state="dead", error_code="bad_shape", error="$.data.id: no: id"),
            202,
            {
                "message_id": "msg",
                "state": "dead",
                "error_code": "bad_shape",
                "path": "$.data.id",
                "reason": "no: id",
            },
        ),
        (
            DONE._replace(state="dead", error_code="x", error=None),
            202,
            {"message_id": "msg", "state": "dead", "error_code": "x", "path": None, "reason": ""},
        ),
    ],
    ids=str,
)
async def test_who_waits_is_told_how_far_the_delivery_is(progress: Progress | None, status: int, body: object) -> None:
    assert await answered(progress) == (status, body, "wait=3", timedelta(seconds=3))


@pytest.mark.parametrize(("asked", "seconds"), [(1, 1), (5, 5), (6, 5)])
async def test_nobody_waits_longer_than_five_seconds(asked: int, seconds: int) -> None:
    assert (await answered(DONE, asked))[2:] == (f"wait={seconds}", timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("state", "is_repeat", "is_settled"),
    [("done", False, True), ("dead", False, True), ("pending", False, False), ("retrying", True, True)],
)
def test_what_is_done_dead_or_a_repeat_is_settled(state: str, is_repeat: bool, is_settled: bool) -> None:
    assert DONE._replace(state=state, is_repeat=is_repeat).is_settled is is_settled


def test_other_headers_ask_for_no_wait() -> None:
    assert wait_asked_for([(b"x-prefer", b"wait=3"), (b"accept", b"wait=4")]) == 0
    assert wait_asked_for([(b"accept", b"wait=4"), (b"prefer", b"wait=3")]) == 3


class Sent:
    """One request to an endpoint, which stores nothing: what it answers, puts, and waits for."""

    def __init__(self, source: str, failure: BaseException | None = None) -> None:
        self.put_ones: list[Delivery] = []
        self.waited: list[tuple[str, UUID, timedelta]] = []
        self.failure = failure
        self.metrics = Metrics(EVENT_TYPES)
        verifier = Verifier([SECRET], timedelta(seconds=300))
        refusals = RefusalLog(self.metrics, lambda: NOW)
        self.receiver = Receiver(source, verifier, Store(self.put, self.wait_for), self.metrics, lambda: NOW, refusals)

    async def put(self, delivery: Delivery) -> None:
        self.put_ones.append(delivery)
        if self.failure:
            raise self.failure

    async def wait_for(self, *asked: Any) -> Progress | None:
        self.waited.append(asked)
        return None

    async def ask(self, body: bytes, *, method: str = "POST", more: Mapping[str, str] | None = None) -> int:
        headers = {**sign(SECRET, "msg_1", NOW, body), **(more or {})}
        raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        pieces = [body[:5], body[5:]]
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

        async def send(message: Message) -> None:
            sent.append(message)

        await self.receiver({"type": "http", "method": method, "headers": raw}, receive, send)
        assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
        return int(sent[0]["status"])

    def counted(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"consumer_{name}", labels) or 0.0


@pytest.mark.parametrize(
    ("source", "body", "prefer", "seconds"),
    [
        ("app", SIGN_IN, "wait=1", 1),
        ("app", SIGN_IN, "wait=0", None),
        ("app", SIGN_IN, None, None),
        ("app", b"{", "wait=2", 2),
        ("app", b"{", None, None),
        ("stack", DELETED, "wait=2", None),
        ("stack", b"{", "wait=2", None),
        ("stack", b"{", None, None),
    ],
)
async def test_only_your_backend_waits_and_for_its_own_types_or_an_error(
    source: str, body: bytes, prefer: str | None, seconds: int | None
) -> None:
    asked = Sent(source)

    status = await asked.ask(body, more={"prefer": prefer} if prefer else {})

    [stored] = asked.put_ones
    assert status == (202 if seconds else 204)
    assert (stored.request_id is not None) == (seconds is not None)
    assert asked.waited == ([("msg_1", stored.request_id, timedelta(seconds=seconds))] if seconds else [])
    assert asked.counted("receive_seconds_count") == 1
    assert asked.counted("receive_seconds_sum") < 60


@pytest.mark.parametrize(
    ("value", "status"),
    [("gzip", 415), ("identity", 204), ("IDENTITY", 204), ("", 204), ("br", 415)],
)
async def test_a_body_that_is_encoded_is_refused(value: str, status: int) -> None:
    asked = Sent("stack")

    assert await asked.ask(DELETED, more={"content-encoding": value, "accept-encoding": "gzip"}) == status
    assert asked.counted("deliveries_refused_total", reason="encoded_body") == (status == 415)


async def test_another_method_is_counted_and_a_body_is_stored_whole() -> None:
    asked = Sent("stack")

    assert [await asked.ask(DELETED, method=method) for method in ("PUT", "POST")] == [405, 204]
    assert asked.counted("deliveries_refused_total", reason="method_not_allowed") == 1
    [stored] = asked.put_ones
    assert (stored.body, stored.event_type, stored.user_id, stored.error_code) == (DELETED, "user.deleted", USER, None)


@pytest.mark.parametrize(
    ("cause", "events", "code"),
    [
        (None, ["delivery_refused", "delivery_not_stored"], "StoreUnavailable"),
        (OutOfMemory(), ["delivery_refused", "delivery_not_stored"], "53200"),
        (DiskFull(), ["delivery_refused"], None),
    ],
    ids=["no cause", "an error of PostgreSQL", "a full disk"],
)
async def test_what_could_not_be_stored_is_logged_with_its_cause_but_for_a_full_disk(
    caplog: pytest.LogCaptureFixture, cause: Exception | None, events: list[str], code: str | None
) -> None:
    asked = Sent("app", StoreUnavailable(cause) if cause else StoreUnavailable())

    assert await asked.ask(SIGN_IN) == 503
    assert [record.msg for record in caplog.records] == events
    assert asked.counted("deliveries_refused_total", reason="store_unavailable") == 1
    if code:
        said = vars(caplog.records[-1])
        assert (said["source"], said["message_id"], said["type"], said["user_id"], said["error_code"]) == (
            "app",
            "msg_1",
            "user.signed_in",
            USER,
            code,
        )


@pytest.mark.parametrize(("body", "code"), [(DELETED, None), (b"{", "not_json")])
async def test_a_delivery_that_is_dead_from_the_start_is_logged_with_its_code(
    caplog: pytest.LogCaptureFixture, body: bytes, code: str | None
) -> None:
    assert await Sent("stack").ask(body) == 204

    assert [(record.msg, vars(record)["error_code"]) for record in caplog.records] == (
        [("delivery_stored_dead", code)] if code else []
    )


@pytest.mark.parametrize(
    ("later", "lines"),
    [(timedelta(minutes=1) - TICK, 0), (timedelta(minutes=1), 1), (timedelta(0), 0), (-TICK, 1)],
    ids=["the last moment", "a minute on", "at once", "set back"],
)
def test_a_kind_is_muted_from_its_first_moment_to_its_last(
    caplog: pytest.LogCaptureFixture, later: timedelta, lines: int
) -> None:
    now = [NOW]
    refusals = RefusalLog(Metrics(EVENT_TYPES), lambda: now[0])
    for _ in range(6):
        refusals.record("no_match", "stack")
    assert [record.msg for record in caplog.records] == ["delivery_refused"] * 5 + ["refusals_muted"]
    caplog.clear()

    now[0] += later
    refusals.record("no_match", "stack")

    assert len(caplog.records) == lines


@pytest.mark.parametrize(
    ("error", "reason"),
    [(MemoryError(), "out_of_memory"), (asyncio.CancelledError(), "store_unavailable")],
    ids=["no memory", "the end of the process"],
)
async def test_what_ends_a_request_is_counted_and_the_delivery_is_to_come_again(
    caplog: pytest.LogCaptureFixture, error: BaseException, reason: str
) -> None:
    asked = Sent("app", error)

    assert await asked.ask(SIGN_IN) == 503
    assert asked.counted("deliveries_refused_total", reason=reason) == 1
    assert [(record.msg, vars(record)["source"], vars(record)["reason"]) for record in caplog.records] == [
        ("delivery_refused", "app", reason)
    ]


async def test_what_a_body_lacks_or_has_changed_is_counted_by_field() -> None:
    asked = Sent("stack")
    data = {"id": str(USER), **snapshot(display_name=None), "has_password": "yes", "last_active_at_millis": "x"}

    assert await asked.ask(json.dumps({"type": "user.updated", "data": data}).encode()) == 204

    samples = [each for metric in asked.metrics.registry.collect() for each in metric.samples if each.value == 1]
    named = {(each.name, *each.labels.values()) for each in samples}
    assert {each for each in named if each[0].endswith(("_fields_total", "_warnings_total"))} == {
        ("consumer_left_out_fields_total", "last_active_at_millis"),
        ("consumer_changed_fields_total", "has_password"),
        ("consumer_delivery_warnings_total", "missing_name"),
    }
