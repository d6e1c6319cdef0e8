"""Heads that one program reads otherwise than the next: what could be read in two ways is refused."""

import pytest

from consumer.providers.standard_webhooks import sign
from consumer.web.protocol import BLANK_BYTES_MAX
from tests.support.web import BODY, NOW, SECRET, Site, post, request, stored_ids

SIGNED = "".join(f"{name}: {value}\r\n" for name, value in sign(SECRET, "msg_1", NOW, BODY).items()).encode()
LENGTH = b"content-length: %d\r\n" % len(BODY)
CHUNKS = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
DELIVERY = b"POST /webhooks/stack HTTP/1.1\r\n"


@pytest.fixture
def site(short_site: Site) -> Site:
    return short_site


def by_length(start: bytes, headers: bytes) -> bytes:
    return start + headers + SIGNED + LENGTH + b"\r\n" + BODY


def by_chunks(headers: bytes, start: bytes = DELIVERY + b"host: x\r\n") -> bytes:
    return start + headers + SIGNED + b"\r\n" + CHUNKS


AMBIGUOUS = {
    "no Host": by_length(DELIVERY, b""),
    "no Host in absolute form": by_length(b"POST http://x/webhooks/stack HTTP/1.1\r\n", b""),
    "two Hosts": by_length(DELIVERY, b"host: x\r\nhost: y\r\n"),
    "the same Host twice": by_length(DELIVERY, b"host: x\r\nHost: x\r\n"),
    "two Hosts in HTTP/1.0": by_length(DELIVERY.replace(b"1.1", b"1.0"), b"host: x\r\nhost: x\r\n"),
    "joined Hosts": by_length(DELIVERY, b"host: x, x\r\n"),
    "Host with a path": by_length(DELIVERY, b"host: x/y\r\n"),
    "Host with a user": by_length(DELIVERY, b"host: a@x\r\n"),
    "Host with a space": by_length(DELIVERY, b"host: x y\r\n"),
    "Host beyond ASCII": by_length(DELIVERY, b"host: \xff\r\n"),
    "coding in HTTP/1.0": by_chunks(
        b"transfer-encoding: chunked\r\n", DELIVERY.replace(b"1.1", b"1.0") + b"host: x\r\n"
    ),
    "coding in HTTP/1.0 without Host": by_chunks(b"transfer-encoding: chunked\r\n", DELIVERY.replace(b"1.1", b"1.0")),
    "two codings": by_chunks(b"transfer-encoding: gzip, chunked\r\n"),
    "chunked twice": by_chunks(b"transfer-encoding: chunked, chunked\r\n"),
    "chunked in two headers": by_chunks(b"transfer-encoding: chunked\r\n" * 2),
    "identity": by_chunks(b"transfer-encoding: identity\r\n"),
    "identity, then chunked": by_chunks(b"transfer-encoding: identity\r\ntransfer-encoding: chunked\r\n"),
    "an empty coding first": by_chunks(b"transfer-encoding: , chunked\r\n"),
    "an empty coding last": by_chunks(b"transfer-encoding: chunked,\r\n"),
    "no coding": by_chunks(b"transfer-encoding: \r\n"),
    "coding with a parameter": by_chunks(b"transfer-encoding: chunked;q=1\r\n"),
    "quoted coding": by_chunks(b'transfer-encoding: "chunked"\r\n'),
    "another coding": by_chunks(b"transfer-encoding: xchunked\r\n"),
    "a coding in capitals": by_chunks(b"transfer-encoding: CHUNKED\r\n"),
    "coding after a tab and a space": by_chunks(b"transfer-encoding: \x0bchunked\r\n"),
    "space before the colon": by_chunks(b"transfer-encoding : chunked\r\n"),
    "folded coding": by_chunks(b"transfer-encoding:\r\n chunked\r\n"),
    "signed length": DELIVERY + b"host: x\r\n" + SIGNED + b"content-length: +%d\r\n\r\n" % len(BODY) + BODY,
    "empty length": DELIVERY + b"host: x\r\ncontent-length: \r\n\r\n",
    "hexadecimal length": DELIVERY + b"host: x\r\ncontent-length: 0x5\r\n\r\nhello",
    "version 0.9": b"POST /webhooks/stack HTTP/0.9\r\nhost: x\r\n" + SIGNED + LENGTH + b"\r\n" + BODY,
    "version 2.0": b"POST /webhooks/stack HTTP/2.0\r\nhost: x\r\n" + SIGNED + LENGTH + b"\r\n" + BODY,
    "no version": b"GET /livez\r\n\r\n",
    "lower-case method": b"post /webhooks/stack HTTP/1.1\r\nhost: x\r\n\r\n",
    "lower-case protocol": b"GET /livez http/1.1\r\nhost: x\r\n\r\n",
    "asterisk": b"GET * HTTP/1.1\r\nhost: x\r\n\r\n",
    "fragment": b"GET /livez#x HTTP/1.1\r\nhost: x\r\n\r\n",
    "carriage return alone": DELIVERY + b"host: x\rx: y\r\n\r\n",
    "line feed alone": DELIVERY + b"host: x\nx: y\r\n\r\n",
    "chunk size with a sign": by_chunks(b"transfer-encoding: chunked\r\n").replace(b"\r\n\r\n", b"\r\n\r\n+", 1),
    "chunk size after 0x": by_chunks(b"transfer-encoding: chunked\r\n").replace(b"\r\n\r\n", b"\r\n\r\n0x", 1),
    "chunk longer than its size": by_chunks(b"transfer-encoding: chunked\r\n").replace(BODY, BODY + b"x", 1),
    "chunk size and line feed": by_chunks(b"transfer-encoding: chunked\r\n").replace(b"54\r\n{", b"54\n{", 1),
    "a length among the trailers": by_chunks(b"transfer-encoding: chunked\r\n")[:-2] + b"content-length: 9\r\n\r\n",
}


@pytest.mark.parametrize("data", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
def test_what_could_be_read_in_two_ways_is_a_bad_request(data: bytes, site: Site, emptied: str) -> None:
    with site.connect() as wire:
        wire.send(data + post(message_id="msg_smuggled"))
        reply = wire.read()

        assert (reply.status, reply.error, reply.headers["connection"]) == (400, "malformed_request", "close")
        assert wire.is_closed()
    assert (site.refused, stored_ids(emptied)) == (["malformed_request"], [])


PLAIN = {
    "port": by_length(DELIVERY, b"host: hooks.example.com:8000\r\n"),
    "IPv6": by_length(DELIVERY, b"host: [::1]:8000\r\n"),
    "zone": by_length(DELIVERY, b"host: [fe80::1%25eth0]\r\n"),
    "underscore": by_length(DELIVERY, b"host: my_receiver\r\n"),
    "empty Host": by_length(DELIVERY, b"Host: \r\n"),
    "HTTP/1.0": by_length(DELIVERY.replace(b"1.1", b"1.0"), b""),
    "HTTP/1.0 that would be kept": by_length(DELIVERY.replace(b"1.1", b"1.0"), b"connection: keep-alive\r\n"),
    "HTTP/1.0 that waits for no go-ahead": by_length(DELIVERY.replace(b"1.1", b"1.0"), b"expect: 100-continue\r\n"),
    "absolute form": by_length(b"POST http://other/webhooks/stack HTTP/1.1\r\n", b"host: x\r\n"),
    "absolute form with a user": by_length(b"POST http://a:b@x:1/webhooks/stack?c HTTP/1.1\r\n", b"host: x\r\n"),
    "names in capitals": by_length(DELIVERY, b"HOST: x\r\n").replace(b"svix-id", b"SVIX-ID"),
    "chunks": by_chunks(b"transfer-encoding: chunked\r\n"),
    "chunks after a tab": by_chunks(b"Transfer-Encoding:\t chunked \r\n"),
    "chunk extension": by_chunks(b"transfer-encoding: chunked\r\n").replace(b"54\r\n{", b'54;a=b;c="d"\r\n{', 1),
    "chunk size with zeros": by_chunks(b"transfer-encoding: chunked\r\n").replace(b"54\r\n{", b"00054\r\n{", 1),
    "trailers": by_chunks(b"transfer-encoding: chunked\r\n")[:-2] + b"svix-id: msg_2\r\nhost: y\r\n\r\n",
    "empty lines first": b"\r\n\r\n" + by_length(DELIVERY, b"host: x\r\n"),
    "no type": by_length(DELIVERY, b"host: x\r\ncontent_length: 3\r\ntransfer_encoding: chunked\r\n"),
}


@pytest.mark.parametrize("data", PLAIN.values(), ids=PLAIN.keys())
def test_what_can_be_read_in_one_way_is_taken(data: bytes, site: Site, emptied: str) -> None:
    assert site.ask(data).status == 204
    assert (site.refused, stored_ids(emptied)) == ([], ["msg_1"])


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
@pytest.mark.parametrize("path", ["/", "/livez", "/readyz/"])
def test_a_balancer_that_probes_gets_200(path: str, method: str, version: str, site: Site) -> None:
    host = "host: x\r\n" if version == "1.1" else ""
    with site.connect() as wire:
        wire.send(f"{method} {path} HTTP/{version}\r\n{host}connection: close\r\n\r\n".encode())
        status_line, _, rest = wire.reader.read().partition(b"\r\n")

    assert status_line == b"HTTP/1.1 200 OK"
    assert rest.endswith(b"\r\n\r\n") == (method == "HEAD")


def test_the_server_as_a_whole_is_asked_by_an_asterisk(site: Site) -> None:
    assert site.ask(request(method="OPTIONS", path="*")).status == 200
    assert site.ask(request(method="GET", path="http://x")).status == 200
    assert site.ask(request(path="/")).error == "method_not_allowed"


def test_a_sender_that_has_shut_its_side_is_answered(site: Site, emptied: str) -> None:
    with site.connect() as wire:
        wire.send(post(message_id="msg_1") + post(message_id="msg_2"))
        wire.shut()

        assert [wire.read().status for _ in range(2)] == [204, 204]
        assert wire.is_closed()
    assert stored_ids(emptied) == ["msg_1", "msg_2"]


@pytest.mark.parametrize("length", [0, 1, 100, -1], ids=["nothing", "line", "head", "body"])
def test_a_sender_that_has_shut_its_side_too_early_is_hung_up_on(length: int, site: Site, emptied: str) -> None:
    with site.connect() as wire:
        wire.send(post()[:length])
        wire.shut()

        assert wire.is_closed()
    assert (site.refused, stored_ids(emptied)) == ([], [])


def test_what_comes_between_two_requests_is_limited(site: Site) -> None:
    with site.connect() as wire:
        for _ in range(3):
            wire.send(post())
            assert wire.read().status == 204
            wire.send(b"\r\n" * (BLANK_BYTES_MAX // 2))
        wire.send(b"\r\n")

        assert wire.read().error == "malformed_request"
        assert wire.is_closed()
    assert site.refused == ["malformed_request"]
