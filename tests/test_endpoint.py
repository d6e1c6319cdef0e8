"""What a delivery is answered over real HTTP, and what is stored of it."""

import asyncio
import base64
import hashlib
import json
import logging
from datetime import UTC, datetime, timedelta

import pytest
from starlette.types import Message, Receive, Scope, Send

from consumer.errors import BadSettings
from consumer.providers.standard_webhooks import Verifier, sign
from consumer.web.connection_limits import Limits
from tests.support.databases import rows
from tests.support.endpoint import stored
from tests.support.vectors import NAMES, VECTORS, Vector
from tests.support.web import APP_SECRET, BODY, NOW, SECRET, TOLERANCE, Site, post, request, running

REFUSED = "consumer_deliveries_refused_total"
NOWHERE = "host=127.0.0.1 port=1 dbname=x user=x"


@pytest.mark.parametrize("vector", VECTORS, ids=NAMES)
def test_every_vector_gets_its_verdict_over_http(vector: Vector, site: Site, emptied: str) -> None:
    try:
        verifiers = {"stack": Verifier(vector.secrets, vector.tolerance)}
    except BadSettings:
        assert vector.refusal == "bad_secret"
        return
    site.app = site.receiver(verifiers, vector.now)
    lines = b"".join(b"%b: %b\r\n" % header for header in vector.headers)

    reply = site.ask(
        b"POST /webhooks/stack HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n%b\r\n" % (len(vector.body), lines)
        + vector.body
    )

    if len(vector.body) > Limits().body_bytes:
        assert (reply.status, reply.error, stored(emptied)) == (413, "body_too_large", [])
    elif vector.refusal is None:
        assert (reply.status, [row["body"] for row in stored(emptied)]) == (204, [vector.body])
    else:
        assert (reply.status, reply.error, stored(emptied)) == (401, vector.refusal, [])


def test_a_delivery_is_stored_as_it_was_signed(site: Site, emptied: str) -> None:
    body = b' {"type": "user.deleted", "data": {"id": "6F1C2F0E-9D3B-4A57-8C21-0B7D5E9A4F10"}}\n'
    message_id = "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk"

    reply = site.ask(post(body, message_id=message_id))

    assert (reply.status, reply.body) == (204, b"")
    assert not reply.headers.keys() & {"content-length", "content-type", "transfer-encoding", "server"}
    [row] = rows(emptied, "SELECT * FROM consumer.outbox")
    assert row["source"] == "stack"
    assert row["message_id"] == message_id
    assert row["event_type"] == "user.deleted"
    assert str(row["user_id"]) == "6f1c2f0e-9d3b-4a57-8c21-0b7d5e9a4f10"
    assert row["occurred_at"] == datetime(2022, 4, 7, 21, 39, 13, 200_000, UTC)
    assert row["verified_by"] == hashlib.sha256(base64.b64decode(SECRET.removeprefix("whsec_"))).hexdigest()[:8]
    assert row["body"] == body


def test_a_repeated_id_is_acknowledged_and_stored_once(site: Site, emptied: str) -> None:
    replies = [site.ask(post(at=NOW + timedelta(seconds=second))) for second in range(3)]

    assert [reply.status for reply in replies] == [204, 204, 204]
    assert len(stored(emptied)) == 1


def test_the_same_id_from_two_sources_is_two_deliveries(site: Site, emptied: str) -> None:
    site.ask(post())
    site.ask(post(path="/webhooks/app", secret=APP_SECRET))

    assert [row["source"] for row in stored(emptied)] == ["stack", "app"]


def test_one_sources_secret_opens_no_other_sources_endpoint(site: Site, emptied: str) -> None:
    assert site.ask(post(path="/webhooks/app")).error == "no_match"
    assert site.ask(post(secret=APP_SECRET)).error == "no_match"
    assert stored(emptied) == []


def test_a_source_without_secrets_has_no_endpoint(site: Site, emptied: str) -> None:
    site.app = site.receiver({"stack": Verifier([SECRET], TOLERANCE)})

    reply = site.ask(post(path="/webhooks/app", secret=APP_SECRET))

    assert (reply.status, reply.error, stored(emptied)) == (404, "not_found", [])


@pytest.mark.parametrize("path", ["/webhooks/stack/", "/webhooks/stack?x=1", "http://x/webhooks/stack"])
def test_a_path_written_otherwise_is_answered_alike(path: str, site: Site, emptied: str) -> None:
    assert site.ask(post(path=path)).status == 204
    assert len(stored(emptied)) == 1


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_another_method_is_refused_by_name(method: str, site: Site, emptied: str) -> None:
    reply = site.ask(request(BODY, method=method, headers=sign(SECRET, "msg_1", NOW, BODY)))

    assert (reply.status, reply.error, reply.headers["allow"]) == (405, "method_not_allowed", "POST")
    assert stored(emptied) == []


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/webhooks",
            "/webhooks/",
            "/webhooks/stack//",
            "//webhooks/stack",
            "/./webhooks/stack",
            "/x/../webhooks/stack",
        ),
        *(
            "/webhooks%2fstack",
            "/webhooks/st%61ck",
            "/webhooks/stack%00",
            "/webhooks/stack;x",
            "/WEBHOOKS/STACK",
            "/metrics",
        ),
    ],
)
def test_there_is_nothing_elsewhere(path: str, site: Site, emptied: str) -> None:
    reply = site.ask(post(path=path))

    assert (reply.status, reply.error, stored(emptied)) == (404, "not_found", [])


@pytest.mark.parametrize("path", ["/livez", "/livez/", "/readyz", "/readyz/"])
def test_health_is_told_with_and_without_a_slash(path: str, site: Site) -> None:
    assert site.ask(request(method="GET", path=path)).status == 200
    assert site.ask(request(method="POST", path=path)).error == "method_not_allowed"


@pytest.mark.parametrize("message_id", ["m" * 257, "msg_é", "msg_\u202e"], ids=["long", "accent", "bidi"])
def test_an_unusable_message_id_is_a_bad_request(message_id: str, site: Site, emptied: str) -> None:
    body = BODY
    headers = {**sign(SECRET, message_id, NOW, body), "content-length": str(len(body))}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())

    reply = site.ask(f"POST /webhooks/stack HTTP/1.1\r\nhost: x\r\n{lines}\r\n".encode() + body)

    assert (reply.status, reply.error, stored(emptied)) == (400, "bad_message_id", [])


def test_a_database_that_is_away_means_unavailable_and_not_ready(caplog: pytest.LogCaptureFixture) -> None:
    with running(NOWHERE, Limits()) as site:
        reply = site.ask(post())
        unsigned = site.ask(post(secret=APP_SECRET))
        ready = site.ask(request(method="GET", path="/readyz"))
        alive = site.ask(request(method="GET", path="/livez"))

    assert (reply.status, reply.error) == (503, "store_unavailable")
    assert reply.headers["retry-after"] == "5"
    assert unsigned.status == 401
    assert (ready.status, ready.error, json.loads(ready.body)["message"]) == (
        503,
        "not_ready",
        "This process can't do its work now.",
    )
    assert alive.status == 200
    assert [record.msg for record in caplog.records if record.name.startswith("consumer.receiver")] == [
        "delivery_refused",
        "delivery_not_stored",
        "delivery_refused",
    ]


def test_a_delivery_that_there_is_no_memory_for_is_to_come_again(site: Site, emptied: str) -> None:
    receiver = site.app

    async def no_memory() -> Message:
        raise MemoryError

    async def short_of_memory(scope: Scope, _: Receive, send: Send) -> None:
        await receiver(scope, no_memory, send)

    site.app = short_of_memory
    reply = site.ask(post())

    assert (reply.status, reply.error, stored(emptied)) == (503, "out_of_memory", [])
    assert reply.headers["retry-after"] == "5"


async def test_a_request_that_the_end_of_the_process_cancels_is_to_come_again(site: Site) -> None:
    sent: list[Message] = []

    async def cancelled() -> Message:
        raise asyncio.CancelledError

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(name.encode(), value.encode()) for name, value in sign(SECRET, "msg_1", NOW, BODY).items()]
    await site.app({"type": "http", "method": "POST", "path": "/webhooks/stack", "headers": headers}, cancelled, send)

    assert sent[0]["status"] == 503


def test_who_hangs_up_before_the_end_leaves_no_trace(
    site: Site, emptied: str, caplog: pytest.LogCaptureFixture
) -> None:
    delivery = post()

    for length in (0, 1, 40, delivery.index(b"\r\n\r\n") + 4, len(delivery) - 1):
        with site.connect() as wire:
            wire.send(delivery[:length])

    assert site.ask(post(message_id="msg_2")).status == 204
    assert [row["message_id"] for row in stored(emptied)] == ["msg_2"]
    assert caplog.records == []


def test_who_hangs_up_before_the_answer_is_stored_without_a_fuss(
    site: Site, emptied: str, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(20):
        with site.connect() as wire:
            wire.send(post(message_id=f"msg_{number}"))

    assert site.ask(post(message_id="msg_last")).status == 204
    assert all(site.ask(post(message_id=f"msg_{number}")).status == 204 for number in range(20))
    assert len(stored(emptied)) == 21
    assert caplog.records == []


def test_a_stranger_s_flood_is_counted_in_full_and_logged_in_part(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.app = site.receiver({"stack": Verifier([SECRET], TOLERANCE)})
    before = site.metrics.registry.get_sample_value(REFUSED, {"reason": "missing_header"}) or 0

    for _ in range(30):
        assert site.ask(request(BODY, path="/webhooks/stack")).status == 401

    assert site.metrics.registry.get_sample_value(REFUSED, {"reason": "missing_header"}) == before + 30
    assert [record.msg for record in caplog.records][-1] == "refusals_muted"
    assert len(caplog.records) < 30


def test_no_log_line_and_no_answer_holds_what_a_sender_sent(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    body = b'{"type":"user.updated","data":{"primary_email":"ada@example.com","display_name":"Ada\x1b[2J\xe2\x80\xae"}}'
    signature = sign(SECRET, "msg_1", NOW, body)["svix-signature"]
    forged = {**sign(SECRET, "msg_1", NOW, body + b" "), "x-mail": "ada@example.com", "svix-id": "msg_ada"}

    replies = [
        site.ask(post(body)),
        site.ask(request(body, headers=forged)),
        site.ask(post(body, path="/ada@example.com%0d%0aada")),
        site.ask(post(body, more={"content-encoding": "ada"})),
        site.ask(b"POST /ada HTTP/1.1\r\nhost: ada\r\nada\x1b[2J\r\n\r\n"),
    ]

    assert [reply.status for reply in replies] == [204, 401, 404, 415, 400]
    said = b"".join(reply.body + str(reply.headers).encode() for reply in replies).decode()
    written = "".join(str({**vars(record), "msg": record.getMessage()}) for record in caplog.records)
    for secret in ("ada", "Ada", SECRET, signature, signature.removeprefix("v1,"), "\x1b", "\u202e"):
        assert secret not in said
        assert secret not in written
    assert not any(record.exc_info for record in caplog.records)


def test_a_wrong_clock_refuses_until_it_is_right_again(site: Site, emptied: str) -> None:
    verifiers = {"stack": Verifier([SECRET], TOLERANCE)}

    for now, status in ((NOW + timedelta(seconds=310), 401), (NOW - timedelta(days=1), 401), (NOW, 204)):
        site.app = site.receiver(verifiers, now)
        assert site.ask(post()).status == status

    assert len(stored(emptied)) == 1


def test_no_valid_delivery_is_refused_while_a_secret_is_rotated(site: Site) -> None:
    for secrets in ([APP_SECRET], [SECRET, APP_SECRET], [SECRET]):
        site.app = site.receiver({"stack": Verifier(secrets, TOLERANCE)})
        assert all(site.ask(post(secret=secret)).status == 204 for secret in secrets)

    assert site.ask(post(secret=APP_SECRET)).error == "no_match"
