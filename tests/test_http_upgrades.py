"""An offer of another protocol changes nothing: the request is read as HTTP/1.1, and so is the next one."""

from collections.abc import Sequence

import pytest

from consumer.providers.standard_webhooks import sign
from consumer.web.heads import HEAD_BYTES_MAX
from consumer.web.protocol import PIPELINED_MAX
from tests.support.web import BODY, NOW, SECRET, Site, head, post, request, stored_ids

# As the JDK's client and `curl --http2` write it, and others that a sender may offer.
H2C = {
    "connection": "Upgrade, HTTP2-Settings",
    "upgrade": "h2c",
    "http2-settings": "AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA",
}
OFFERS = {
    "h2c": H2C,
    "websocket": {"connection": "Upgrade", "upgrade": "websocket", "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ=="},
    "TLS": {"connection": "keep-alive, upgrade", "upgrade": "TLS/1.0"},
    "several": {"connection": "UPGRADE", "upgrade": "h2c, foo/2, websocket"},
    "without Connection": {"upgrade": "h2c"},
    "without Upgrade": {"connection": "upgrade"},
    "empty": {"connection": "upgrade", "upgrade": ""},
}


@pytest.fixture
def site(short_site: Site) -> Site:
    return short_site


def chunked(message_id: str, pieces: Sequence[bytes]) -> bytes:
    """Return a signed delivery that offers h2c, in chunks."""
    headers = {**sign(SECRET, message_id, NOW, b"".join(pieces)), **H2C, "transfer-encoding": "chunked"}
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return head(headers) + chunks + b"0\r\n\r\n"


@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS.keys())
def test_an_offer_is_ignored_and_the_connection_goes_on(offer: dict[str, str], site: Site, emptied: str) -> None:
    with site.connect() as wire:
        for number in range(3):
            wire.send(post(message_id=f"msg_{number}", more=offer))
            reply = wire.read()
            assert (reply.status, reply.headers.get("upgrade")) == (204, None)
        wire.send(request(method="GET", path="/livez"))
        assert wire.read().status == 200
    assert stored_ids(emptied) == ["msg_0", "msg_1", "msg_2"]
    assert site.refused == []


@pytest.mark.parametrize("step", [1, 7, 100, 10_000])
@pytest.mark.parametrize(
    "delivery",
    [post(more=H2C), chunked("msg_1", [BODY[:10], BODY[10:]]), post(more={**H2C, "expect": "100-continue"})],
    ids=["length", "chunks", "go-ahead"],
)
def test_a_body_after_an_offer_is_read_however_it_is_split(
    delivery: bytes, step: int, site: Site, emptied: str
) -> None:
    stream = delivery + post(message_id="msg_2", more=H2C) + request(method="GET", path="/livez", headers=H2C)
    with site.connect() as wire:
        for start in range(0, len(stream), step):
            wire.send(stream[start : start + step])

        statuses = [wire.read().status for _ in range(3 + (b"expect" in delivery))]
        assert [status for status in statuses if status != 100] == [204, 204, 200]
    assert stored_ids(emptied) == ["msg_1", "msg_2"]


def test_the_body_of_an_offer_is_never_the_next_request(site: Site, emptied: str) -> None:
    smuggled = post(message_id="msg_smuggled")

    with site.connect() as wire:
        wire.send(head({**H2C, "content-length": str(len(smuggled))}) + smuggled + post(message_id="msg_1"))
        assert [wire.read().status for _ in range(2)] == [401, 204]
    assert stored_ids(emptied) == ["msg_1"]


def test_an_offer_to_close_is_kept(site: Site) -> None:
    with site.connect() as wire:
        wire.send(post(more={**H2C, "connection": "close, Upgrade"}))
        reply = wire.read()

        assert (reply.status, reply.headers["connection"]) == (204, "close")
        assert wire.is_closed()


def test_an_offer_in_http_1_0_is_ignored(site: Site) -> None:
    with site.connect() as wire:
        wire.send(post(more=H2C).replace(b"HTTP/1.1", b"HTTP/1.0"))

        assert wire.read().status == 204
        assert wire.is_closed()


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (head({**H2C, "content-length": "5, 5"}), "malformed_request"),
        (head({**H2C, "content-length": "5", "transfer-encoding": "chunked"}), "malformed_request"),
        (head({**H2C, "transfer-encoding": "gzip, chunked"}), "malformed_request"),
        (head({**H2C, "content-length": "50000000"}), "body_too_large"),
        (head({**H2C, "x": "y" * HEAD_BYTES_MAX}), "headers_too_large"),
        (head({**H2C}, method="CONNECT", path="example.com:443"), "tunnel_refused"),
        (b"CONNECT example.com:443 HTTP/1.1\r\nhost: example.com:443\r\n\r\n", "tunnel_refused"),
    ],
    ids=["two lengths", "length and chunked", "coding", "large body", "large head", "tunnel", "plain tunnel"],
)
def test_an_offer_excuses_nothing(data: bytes, code: str, site: Site) -> None:
    with site.connect() as wire:
        wire.send(data)

        assert wire.read().error == code
        assert wire.is_closed()
    assert site.refused == [code]


def test_offers_sent_far_ahead_are_limited_like_other_requests(site: Site) -> None:
    with site.connect() as wire:
        wire.send(request(method="GET", path="/livez", headers=H2C) * 1_000)

        assert [wire.read().status for _ in range(PIPELINED_MAX + 1)] == [200] * (PIPELINED_MAX + 1)
        assert wire.read().error == "too_many_pipelined"
