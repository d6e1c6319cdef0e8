"""Which bodies a receiver takes over HTTP, and what it stores of each."""

import re
from pathlib import Path

import pytest

from consumer.providers.standard_webhooks import Verifier, sign
from tests.support.databases import rows
from tests.support.endpoint import states, stored
from tests.support.samples import INVALID
from tests.support.web import APP_SECRET, BODY, NOW, SECRET, TOLERANCE, Site, head, post, request

SAMPLES = Path(__file__).parent / "data" / "samples"


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "br", "identity, gzip"])
def test_an_encoded_body_is_refused(encoding: str, site: Site, emptied: str) -> None:
    reply = site.ask(post(more={"content-encoding": encoding}))

    assert (reply.status, reply.error, stored(emptied)) == (415, "encoded_body", [])


@pytest.mark.parametrize("encoding", ["identity", "Identity", ""])
def test_a_body_that_says_it_is_not_encoded_is_taken(encoding: str, site: Site) -> None:
    assert site.ask(post(more={"content-encoding": encoding})).status == 204


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "not_json"),
        (b"hello", "not_json"),
        (b"\xff\xfe{}", "not_json"),
        (b'\xef\xbb\xbf{"type":"x"}', "not_json"),
        (b'{"type":"user.deleted","data":{"id":"\\ud800"}}', "not_json"),
        (b"1", "not_an_object"),
        (b"[]", "not_an_object"),
        (b'{"type":null}', "bad_type"),
        (b'{"type":"a\\u0000b"}', "bad_type"),
        (b'{"type":"user.updated","data":{}}', "bad_shape"),
        (b'{"type":"user.deleted","data":{"id":"6f1c2f0e9d3b4a578c210b7d5e9a4f10"}}', "bad_shape"),
        (b'{"type":"user.deleted","data":{"id":"6f1c2f0e-9d3b-4a57-8c21-0b7d5e9a4f1\\u0000"}}', "nul"),
        (b'{"type":"stack.test","data":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "too_deep"),
        (b'{"type":"user.deleted","data":{"id":1e-131071}}', "number_out_of_range"),
        (
            b'{"type":"user.signed_in","data":{"id":"6f1c2f0e-9d3b-4a57-8c21-0b7d5e9a4f10",'
            b'"signed_in_at_millis":253402300800000}}',
            "bad_shape",
        ),
    ],
    ids=lambda value: None if isinstance(value, bytes) else value,
)
def test_a_signed_body_that_cannot_be_used_is_stored_as_dead(body: bytes, code: str, site: Site, emptied: str) -> None:
    signed = site.ask(post(body))
    unsigned = site.ask(request(body, headers={**sign(SECRET, "msg_2", NOW, body), "svix-signature": "v1,AAAA"}))

    assert (signed.status, unsigned.status) == (204, 401)
    assert [row["body"] for row in stored(emptied)] == [body]
    assert states(emptied) == [("dead", code)]


@pytest.mark.parametrize("name", INVALID)
def test_every_invalid_sample_is_dead_with_path_and_reason(name: str, site: Site, emptied: str) -> None:
    assert site.ask(post(INVALID[name])).status == 204

    [row] = rows(emptied, "SELECT state, error FROM consumer.deliveries")
    assert row["state"] == "dead"
    assert re.match(r"\$(\.\w+)*: .", str(row["error"]))


def test_an_unknown_type_is_stored_to_be_ignored_later(site: Site, emptied: str) -> None:
    assert site.ask(post(b'{"type":"moon.landed"}')).status == 204

    assert states(emptied) == [("pending", None)]


@pytest.mark.parametrize(
    ("source", "edit", "state", "error"),
    [
        pytest.param("app", '{"id":"%s","role_type":"owner","company_id":null}', "pending", None, id="an edit"),
        pytest.param(
            "app",
            '{"id":"%s","role_type":" "}',
            "dead",
            "$.data.role_type: Expected a `str` that is not blank",
            id="a blank",
        ),
        pytest.param("stack", '{"id":"%s","role_type":" "}', "pending", None, id="an unknown type of Stack's"),
    ],
)
def test_an_edit_comes_from_the_application_alone(
    site: Site, emptied: str, source: str, edit: str, state: str, error: str | None
) -> None:
    site.app = site.receiver({"stack": Verifier([SECRET], TOLERANCE), "app": Verifier([APP_SECRET], TOLERANCE)})
    body = '{"type":"profile.edited","data":%s}' % (edit % "6f1c2f0e-9d3b-4a57-8c21-0b7d5e9a4f10")
    secret = {"stack": SECRET, "app": APP_SECRET}[source]

    assert site.ask(post(body.encode(), path=f"/webhooks/{source}", secret=secret)).status == 204

    [row] = rows(emptied, "SELECT source, state, error FROM consumer.deliveries")
    assert row == {"source": source, "state": state, "error": error}


def test_a_dead_delivery_tells_whom_it_concerned(site: Site, emptied: str) -> None:
    site.ask(post(b'{"type":"user.updated","data":{"id":"6f1c2f0e-9d3b-4a57-8c21-0b7d5e9a4f10"}}'))

    [row] = rows(emptied, "SELECT event_type, user_id::text FROM consumer.outbox")
    assert row == {"event_type": "user.updated", "user_id": "6f1c2f0e-9d3b-4a57-8c21-0b7d5e9a4f10"}


def test_a_user_without_an_email_is_taken_and_counted(site: Site, emptied: str) -> None:
    counter = b'consumer_delivery_warnings_total{kind="missing_email"} '
    before = site.metrics.exposition().partition(counter)[2].split()[0]

    assert site.ask(post((SAMPLES / "user.created" / "edge-nulls-no-email.json").read_bytes())).status == 204

    assert states(emptied) == [("pending", None)]
    assert float(site.metrics.exposition().partition(counter)[2].split()[0]) == float(before) + 1


def test_a_body_in_chunks_is_put_together(site: Site, emptied: str) -> None:
    start = head({**sign(SECRET, "msg_1", NOW, BODY), "transfer-encoding": "chunked"})
    with site.connect() as wire:
        for piece in (start, *(b"1\r\n%c\r\n" % byte for byte in BODY), b"0\r\n\r\n"):
            wire.send(piece)

        assert wire.read().status == 204
    assert [row["body"] for row in stored(emptied)] == [BODY]


@pytest.mark.parametrize("name", ["svix-id", "webhook-id", "content-encoding"])
def test_a_trailer_is_no_header(name: str, site: Site, emptied: str) -> None:
    start = head({**sign(SECRET, "msg_1", NOW, BODY), "transfer-encoding": "chunked"})
    with site.connect() as wire:
        wire.send(start)
        wire.send(b"%x\r\n%b\r\n0\r\n%b: msg_forged\r\n\r\n" % (len(BODY), BODY, name.encode()))

        assert wire.read().status == 204
    assert [row["message_id"] for row in stored(emptied)] == ["msg_1"]


def test_signature_headers_in_a_trailer_sign_nothing(site: Site, emptied: str) -> None:
    trailers = "".join(f"{name}: {value}\r\n" for name, value in sign(SECRET, "msg_1", NOW, BODY).items())
    chunks = b"%x\r\n%b\r\n0\r\n%b\r\n" % (len(BODY), BODY, trailers.encode())

    reply = site.ask(head({"transfer-encoding": "chunked"}) + chunks)

    assert (reply.status, reply.error, stored(emptied)) == (401, "missing_header", [])
