"""What a stranger can write to the port: malformed, ambiguous, too large, too much."""

import re
import resource
import time
from contextlib import suppress
from dataclasses import replace
from threading import Thread

import pytest

from consumer.providers.standard_webhooks import sign
from consumer.web import body_budget
from consumer.web.connection_limits import ConnectionLimiter, Limits
from consumer.web.heads import HEAD_BYTES_MAX, HEADERS_MAX
from tests.support.web import BODY, NOW, SECRET, SHORT, START, Site, head, post, stored_ids

SIGNED = "".join(f"{name}: {value}\r\n" for name, value in sign(SECRET, "msg_1", NOW, BODY).items()).encode()
# As good as a sender's until its body has arrived: any other is answered by its head.
STREAM = START + SIGNED + b"transfer-encoding: chunked\r\n\r\n"
CHUNKED_BODY = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)


@pytest.fixture
def site(short_site: Site) -> Site:
    return short_site


@pytest.mark.parametrize(
    "data",
    [
        START + SIGNED + b"content-length: %d\r\ntransfer-encoding: chunked\r\n\r\n" % len(BODY) + CHUNKED_BODY,
        START + SIGNED + b"transfer-encoding: chunked\r\ncontent-length: %d\r\n\r\n" % len(BODY) + CHUNKED_BODY,
        START + SIGNED + b"content-length: %d\r\ncontent-length: %d\r\n\r\n" % (len(BODY), len(BODY)) + BODY,
        START + SIGNED + b"content-length: %d, %d\r\n\r\n" % (len(BODY), len(BODY)) + BODY,
        START + b"content-length: -1\r\n\r\n",
        START + b"content-length: 99999999999999999999\r\n\r\n",
        START + b"transfer-encoding: gzip\r\n\r\n",
        START + b"transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        START + b"transfer-encoding: chunked\r\n\r\nxyz\r\n",
        START.replace(b"\r\n", b"\n") + b"\n",
        START + b"svix-id: msg_1\r\n folded\r\n\r\n",
        START + b"svix-id : msg_1\r\n\r\n",
        START + b"svix-id: msg\x00_1\r\n\r\n",
        START + b"svix-id: msg\x1b[2J\r\n\r\n",
        START + b": nameless\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"NOSUCHMETHOD / HTTP/1.1\r\n\r\n",
        b"POST /webhooks/stack HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST /caf\xc3\xa9 HTTP/1.1\r\n\r\n",
        b"GET localhost HTTP/1.1\r\n\r\n",
    ],
    ids=[
        "length and chunked",
        "chunked and length",
        "two lengths",
        "list of lengths",
        "negative length",
        "overflowing length",
        "not chunked",
        "chunked not last",
        "no chunk size",
        "bare LF",
        "folded header",
        "space before colon",
        "NUL",
        "ESC",
        "no name",
        "TLS",
        "method",
        "version",
        "HTTP/2",
        "non-ASCII path",
        "no path",
    ],
)
def test_what_is_not_well_formed_is_a_bad_request(data: bytes, site: Site, emptied: str) -> None:
    with site.connect() as wire:
        wire.send(data)

        reply = wire.read()
        assert (reply.status, reply.error) == (400, "malformed_request")
        assert reply.headers["connection"] == "close"
        assert wire.is_closed()
    assert site.refused == ["malformed_request"]
    assert stored_ids(emptied) == []


@pytest.mark.parametrize(
    "data",
    [
        head({"x": "y" * HEAD_BYTES_MAX}),
        head({f"x{number}": "y" for number in range(HEADERS_MAX)}),
        head({}, path="/" + "y" * HEAD_BYTES_MAX),
        START + b"svix-signature: " + b"v1,AAAA " * 8_000 + b"\r\n\r\n",
        START + b"x: " + b"y" * 20_000_000,
        START + b"x: y\r\n" * 10_000,
        b"POST /" + b"y" * 200_000,
        START + b"x" * 1_000_000,
    ],
    ids=["value", "number", "path", "signatures", "endless value", "endless number", "endless path", "endless name"],
)
def test_a_head_too_large_is_refused_before_its_end(data: bytes, site: Site) -> None:
    with site.connect() as wire:
        with suppress(BrokenPipeError, ConnectionResetError):
            wire.send(data)

        reply = wire.read()
        assert (reply.status, reply.error) == (431, "headers_too_large")
    assert site.refused == ["headers_too_large"]


def test_the_largest_head_is_taken(site: Site) -> None:
    padding = HEAD_BYTES_MAX - 600

    assert site.ask(post(more={"x": "y" * padding})).status == 204
    assert site.ask(post(more={f"x{number}": "y" for number in range(HEADERS_MAX - 5)})).status == 204


def test_large_bodies_in_one_stream_are_judged_one_by_one(site: Site) -> None:
    large = post(large_body(SHORT.body_bytes))
    with site.connect() as wire:
        sender = Thread(target=wire.send, args=(large * 5,), daemon=True)
        sender.start()

        assert [wire.read().status for _ in range(5)] == [204] * 5
        sender.join()


def test_a_body_of_the_limit_is_taken_and_one_byte_more_is_not(site: Site) -> None:
    assert site.ask(post(large_body(SHORT.body_bytes))).status == 204
    assert site.ask(post(large_body(SHORT.body_bytes + 1))).error == "body_too_large"


def test_a_body_in_one_chunk_is_judged_by_the_same_limit(site: Site) -> None:
    assert site.ask(chunked(post(large_body(SHORT.body_bytes)))).status == 204
    assert site.ask(chunked(post(large_body(SHORT.body_bytes + 1)))).error == "body_too_large"


def chunked(delivery: bytes) -> bytes:
    """Return the same request with its body in one chunk."""
    start, _, body = delivery.partition(b"\r\n\r\n")
    start = re.sub(rb"(?i)content-length: \d+", b"transfer-encoding: chunked", start)
    return b"%b\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (start, len(body), body)


def test_a_body_that_says_it_is_too_large_is_refused_before_it_is_sent(site: Site) -> None:
    with site.connect() as wire:
        wire.send(head({"content-length": str(SHORT.body_bytes + 1), "expect": "100-continue"}))

        reply = wire.read()
        assert (reply.status, reply.error, reply.headers["connection"]) == (413, "body_too_large", "close")


def test_a_sender_that_waits_for_the_go_ahead_gets_it(site: Site) -> None:
    delivery = post(more={"expect": "100-continue"})
    split = delivery.index(b"\r\n\r\n") + 4
    with site.connect() as wire:
        wire.send(delivery[:split])
        assert wire.read().status == 100

        wire.send(delivery[split:])
        assert wire.read().status == 204


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (STREAM, b"10000\r\n" + b"x" * 0x10000 + b"\r\n"),
        (STREAM, b"1\r\nx\r\n" * 10_000),
        (STREAM, b"1;" + b"x" * 60_000 + b"\r\nx\r\n"),
        (STREAM + b"0\r\n", b"x: " + b"y" * 60_000 + b"\r\n"),
        (STREAM + b"0\r\nx: ", b"y" * 60_000),
        (head({"content-length": "50000000"}), b"x" * 60_000),
        (head({"content-length": "50000000"}, path="/nowhere"), b"x" * 60_000),
    ],
    ids=["chunks", "tiny chunks", "chunk extensions", "trailers", "one trailer", "length", "elsewhere"],
)
def test_an_endless_body_is_refused_while_it_streams_in_flat_memory(start: bytes, piece: bytes, site: Site) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    with site.connect() as wire:
        sent = 0
        wire.send(start)
        with suppress(BrokenPipeError, ConnectionResetError):
            while sent < 50_000_000:
                wire.send(piece)
                sent += len(piece)
        reply = wire.read()

    assert (reply.status, reply.error) == (413, "body_too_large")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 8_000


def test_a_body_that_comes_after_its_answer_is_passed_over(site: Site) -> None:
    with site.connect() as wire:
        wire.send(head({"content-length": str(len(BODY))}, path="/nowhere"))
        assert wire.read().status == 404
        wire.send(BODY + post())

        assert wire.read().status == 204


def test_a_refused_sender_can_finish_sending_and_then_read_why(site: Site) -> None:
    with site.connect() as wire:
        wire.send(head({"content-length": str(SHORT.body_bytes * 10)}))
        wire.send(b"x" * SHORT.body_bytes * 10)

        assert wire.read().error == "body_too_large"


def test_a_refused_sender_that_never_ends_is_cut_off(site: Site) -> None:
    began = time.monotonic()
    with site.connect() as wire, suppress(BrokenPipeError, ConnectionResetError):
        wire.send(head({"content-length": "5000000000"}))
        while True:
            wire.send(b"x" * 65_536)

    assert time.monotonic() - began < SHORT.linger_seconds + 1


@pytest.mark.parametrize(
    ("files", "connections"), [(64, 1), (65, 1), (256, 192), (864, 800), (863, 799), (1_024, 800), (-1, 800)]
)
def test_64_open_files_are_left_for_all_but_the_senders(
    files: int, connections: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, -1))

    assert ConnectionLimiter(Limits(), lambda _: None).connections_max == connections


@pytest.mark.parametrize(("body_mib", "bodies_mib"), [(2, 32), (8, 32), (9, 36), (64, 256)])
def test_the_budget_holds_four_of_the_largest_bodies_at_least(body_mib: int, bodies_mib: int) -> None:
    limiter = ConnectionLimiter(replace(Limits(), body_bytes=body_mib * 1024**2), lambda _: None)

    assert limiter.bodies.bytes_max == bodies_mib * 1024**2
    assert (body_budget.OVERDRAFT, body_budget.PATIENCE_SECONDS, body_budget.SMALL_BODY_BYTES) == (1.5, 0.25, 65_536)


def large_body(length: int) -> bytes:
    start = b'{"type":"moon.landed","data":"'
    return start + b"x" * (length - len(start) - 2) + b'"}'
