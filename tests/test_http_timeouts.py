"""How long the port waits for a stranger, and that nobody waits for a stranger with it."""

import resource
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from threading import Thread

import pytest
from starlette.responses import Response

from consumer.providers.standard_webhooks import sign
from consumer.web.heads import HEAD_BYTES_MAX
from consumer.web.protocol import PIPELINED_MAX
from tests.support.web import NOW, SECRET, SHORT, START, Site, head, post, request, running, stored_ids


@pytest.fixture
def site(short_site: Site) -> Site:
    return short_site


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"P", "head_too_slow"),
        (START, "head_too_slow"),
        (post()[:-1], "body_too_slow"),
        (head({**sign(SECRET, "msg_1", NOW, b"ab"), "transfer-encoding": "chunked"}) + b"5\r\nab", "body_too_slow"),
        (head({"content-length": "9"}, path="/nowhere"), None),
    ],
    ids=["line", "headers", "body", "chunk", "answered already"],
)
def test_a_request_that_stops_half_way_is_cut_in_time(data: bytes, code: str | None, site: Site, emptied: str) -> None:
    began = time.monotonic()
    with site.connect() as wire:
        wire.send(data)
        reply = wire.read()

        if code:
            assert (reply.status, reply.error) == (408, code)
        else:
            assert (reply.status, reply.error) == (404, "not_found")
        assert wire.is_closed()
    assert time.monotonic() - began < SHORT.read_timeout_seconds + 0.5
    assert site.refused == ([code] if code else [])
    assert stored_ids(emptied) == []


@pytest.mark.parametrize("start", [0, post().index(b"\r\n\r\n") + 4], ids=["head", "body"])
def test_a_request_that_trickles_is_cut_in_time(start: int, site: Site) -> None:
    delivery = post()
    began = time.monotonic()
    with site.connect() as wire:
        wire.send(delivery[:start])
        wire.connection.settimeout(0.02)
        for byte in delivery[start:]:
            wire.send(bytes([byte]))
            try:
                answer = wire.connection.recv(1_000)
            except TimeoutError:
                continue
            break

    assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    # A timer may fire a millisecond early, as loops count them.
    assert SHORT.read_timeout_seconds - 0.01 < time.monotonic() - began < SHORT.read_timeout_seconds + 0.5


def test_who_connects_and_says_nothing_is_hung_up_on_in_silence(site: Site) -> None:
    with site.connect() as silent, site.connect() as blank:
        blank.send(b"\r\n\r\n")

        assert silent.is_closed()
        assert blank.is_closed()
    assert site.refused == []


def test_a_kept_connection_outlives_the_time_for_one_request_but_not_idleness(site: Site) -> None:
    with site.connect() as wire:
        for number in range(3):
            wire.send(post(message_id=f"msg_{number}"))
            assert wire.read().status == 204
        time.sleep(SHORT.read_timeout_seconds * 2)
        wire.send(post())
        assert wire.read().status == 204

        assert wire.is_closed()


def test_a_request_in_two_halves_within_the_time_is_taken(site: Site) -> None:
    delivery = post()
    with site.connect() as wire:
        for start in range(0, len(delivery), 100):
            wire.send(delivery[start : start + 100])

        assert wire.read().status == 204


def test_pipelined_requests_are_answered_in_order(site: Site, emptied: str) -> None:
    with site.connect() as wire:
        wire.send(
            post(message_id="msg_1")
            + request(method="GET", path="/livez")
            + request()
            + post(message_id="msg_2")
            + post(message_id="msg_3")[:-5]
        )
        assert [wire.read().status for _ in range(4)] == [204, 200, 401, 204]

        wire.send(post(message_id="msg_3")[-5:])
        assert wire.read().status == 204
    assert stored_ids(emptied) == ["msg_1", "msg_2", "msg_3"]


@pytest.mark.parametrize(
    ("second", "status"),
    [
        (b"garbage\r\n\r\n" + post(), 400),
        (START + b"transfer-encoding: chunked\r\n\r\nxyz\r\n" + post(), 400),
        (START + b"transfer-encoding: gzip\r\n\r\n" + post(), 400),
        (head({"content-length": "50000000"}) + post(), 413),
        (head({"x": "y" * HEAD_BYTES_MAX}), 431),
        (START, 408),
        (post(message_id="msg_2")[:-1], 408),
    ],
    ids=["garbage", "broken chunk", "not chunked", "large", "large head", "slow head", "slow body"],
)
def test_a_refused_request_does_not_take_the_one_before_it_along(
    second: bytes, status: int, site: Site, emptied: str
) -> None:
    with site.connect() as wire:
        wire.send(post(message_id="msg_0") + post(message_id="msg_1") + second)

        assert [wire.read().status for _ in range(3)] == [204, 204, status]
        assert wire.is_closed()
    assert stored_ids(emptied) == ["msg_0", "msg_1"]


def test_who_sends_too_many_requests_ahead_gets_those_answered_that_were_taken(site: Site) -> None:
    with site.connect() as wire:
        wire.send(request(method="GET", path="/livez") * 10_000)

        taken = PIPELINED_MAX + 1
        assert [wire.read().status for _ in range(taken)] == [200] * taken
        assert wire.read().error == "too_many_pipelined"
        assert wire.is_closed()


def test_who_does_not_read_its_answer_is_cut_off(site: Site) -> None:
    site.app = Response(b"x" * 20_000_000)
    with site.connect() as wire:
        wire.send(request())
        time.sleep(SHORT.read_timeout_seconds * 2)

        assert len(wire.read().body) < 20_000_000


def test_who_neither_ends_its_request_nor_reads_the_answer_is_cut_off(site: Site) -> None:
    site.app = Response(b"x" * 20_000_000)
    with site.connect() as wire:
        wire.send(head({"content-length": "9", "connection": "close"}))
        time.sleep(SHORT.read_timeout_seconds * 2)

        assert len(wire.read().body) < 20_000_000


def test_a_large_answer_is_sent_whole(site: Site) -> None:
    site.app = Response(b"x" * 20_000_000)

    assert len(site.ask(request()).body) == 20_000_000


def test_a_long_pipeline_is_read_no_faster_than_it_is_answered(site: Site) -> None:
    ahead = 500
    with site.connect() as wire:
        sender = Thread(target=wire.send, args=(request(headers={"x": "y" * 8_000}) * ahead,), daemon=True)
        sender.start()

        assert [wire.read().status for _ in range(ahead)] == [401] * ahead
        sender.join()
    assert site.refused == []


def test_http_1_0_is_answered_and_hung_up_on(site: Site) -> None:
    with site.connect() as wire:
        wire.send(post().replace(b"HTTP/1.1", b"HTTP/1.0"))

        assert wire.read().status == 204
        assert wire.is_closed()


@pytest.fixture
def many_files() -> Iterator[None]:
    """Room for both ends of 600 connections: the usual limit is 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4_096)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_files")
def test_six_hundred_held_connections_hold_nobody_else_up(site: Site) -> None:
    slow = [b"", START, post()[:-1]]
    with ExitStack() as held:
        for number in range(600):
            held.enter_context(site.connect()).send(slow[number % 3])
        began = time.monotonic()

        assert site.ask(post(message_id="msg_1")).status == 204
        assert time.monotonic() - began < SHORT.read_timeout_seconds


def test_with_too_many_connections_the_one_that_waited_longest_gives_way(emptied: str) -> None:
    limits = replace(SHORT, connections=3, read_timeout_seconds=10, idle_seconds=10)
    with running(emptied, limits) as site, site.connect() as silent, site.connect() as slow, site.connect() as kept:
        slow.send(post()[:-1])
        kept.send(post(message_id="msg_1"))
        assert kept.read().status == 204

        assert site.ask(post(message_id="msg_2")).status == 204
        assert silent.is_closed()
        with site.connect() as another:
            another.send(post(message_id="msg_3"))
            assert another.read().status == 204
            kept.send(post(message_id="msg_4"))
            assert kept.read().status == 204
        assert site.refused[0] == "too_many_connections"
