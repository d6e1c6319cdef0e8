"""What an answer changes for its connection, and for those that wait beside it."""

import asyncio
from dataclasses import replace

import pytest
from starlette.responses import Response

from consumer.web.connection_limits import ConnectionLimiter
from tests.test_http_limit_values import CHUNKED, GET, LIMITS, Connection, chunk

EARLY = Response(b"x")


async def answered(connection: Connection) -> None:
    """Return once each request that has begun is answered."""
    async with asyncio.timeout(5):
        await asyncio.gather(*connection.protocol.tasks)


async def test_a_sender_that_is_answered_early_can_read_the_answer_although_the_server_ends() -> None:
    connection = Connection(app=EARLY)
    connection.feed(CHUNKED)
    await answered(connection)
    assert connection.transport.ends == []

    connection.protocol.shutdown()

    assert connection.transport.ends == ["half-closed"]


async def test_what_follows_a_request_that_was_answered_early_is_judged_as_any_other() -> None:
    connection = Connection(app=EARLY)
    connection.feed(CHUNKED)
    await answered(connection)

    connection.feed(b"0\r\n\r\n", b"garbage\r\n\r\n")

    assert connection.refused == ["malformed_request"]
    assert connection.transport.written.count(b"HTTP/1.1 400 ") == 1


async def test_a_body_too_slow_for_an_answer_that_was_sent_is_no_refusal() -> None:
    connection = Connection(app=EARLY)
    connection.feed(CHUNKED)
    await answered(connection)

    [patience] = [timer for timer in connection.clock.timers if timer.seconds == 5 and not timer.is_cancelled]
    patience.fire()

    assert (connection.refused, connection.transport.ends) == ([], ["half-closed"])
    assert connection.transport.written.count(b"HTTP/1.1 ") == 1


async def test_an_answer_releases_what_has_arrived_of_the_body_and_takes_no_more() -> None:
    connection = Connection(app=EARLY)
    connection.feed(CHUNKED, chunk(1_000))
    assert connection.limiter.bodies.held_bytes == 1_000
    await answered(connection)
    connection.feed(chunk(1_000))

    assert (connection.limiter.bodies.held_bytes, bytes(connection.protocol.cycle.body)) == (0, b"")


async def test_a_sender_that_shut_its_side_is_answered_and_closed() -> None:
    connection = Connection()
    connection.feed(GET)
    assert connection.protocol.eof_received()

    await answered(connection)

    assert connection.transport.written.startswith(b"HTTP/1.1 200 ")
    assert connection.transport.ends == ["closed"]


async def test_a_body_is_as_fast_as_its_bytes_since_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = Connection()
    for at in (100, 110):
        monkeypatch.setattr(connection.clock, "time", lambda at=at: float(at), raising=False)
        connection.feed(*([CHUNKED] if at == 100 else []), chunk(1_000))

    assert connection.protocol.bytes_per_second() == 200


async def test_a_body_that_came_all_at_once_took_a_millisecond(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = Connection()
    monkeypatch.setattr(connection.clock, "time", lambda: 100.0, raising=False)

    connection.feed(CHUNKED, chunk(1_000))

    assert connection.protocol.bytes_per_second() == 1_000_000


async def test_the_budget_counts_each_byte_of_a_body_once_and_none_of_a_connection_without_one() -> None:
    connection, silent = Connection(), Connection()
    silent.protocol.connection_lost(None)
    held = []

    for pieces in ((CHUNKED,), (chunk(1_000),), (chunk(300), chunk(30)), (b"0\r\n\r\n",)):
        connection.feed(*pieces)
        held.append((connection.limiter.bodies.held_bytes, connection.protocol.held_bytes))

    assert silent.limiter.bodies.held_bytes == 0
    assert held == [(0, 0), (1_000, 1_000), (1_330, 1_330), (0, 0)]
    await answered(connection)


async def test_of_those_that_wait_the_one_answered_longest_ago_gives_way() -> None:
    limiter = ConnectionLimiter(replace(LIMITS, connections=2), lambda _: None)
    first, second = Connection(limiter=limiter), Connection(limiter=limiter)
    first.feed(GET)
    await answered(first)

    Connection(limiter=limiter)

    assert (first.transport.ends, second.transport.ends) == ([], ["closed"])


async def test_a_body_that_is_refused_is_dropped_and_its_application_is_told() -> None:
    connection = Connection()
    connection.feed(CHUNKED, chunk(1_000))
    cycle = connection.protocol.cycle

    [patience] = [timer for timer in connection.clock.timers if timer.seconds == 5 and not timer.is_cancelled]
    patience.fire()

    assert connection.refused == ["body_too_slow"]
    assert (connection.limiter.bodies.held_bytes, bytes(cycle.body), cycle.disconnected) == (0, b"", True)
    assert cycle.message_event.is_set()
    await answered(connection)


async def test_a_connection_that_is_lost_is_forgotten_with_its_timer_and_its_body() -> None:
    connection = Connection()
    connection.feed(CHUNKED, chunk(1_000))

    connection.protocol.connection_lost(None)

    assert [timer for timer in connection.clock.timers if not timer.is_cancelled] == []
    assert list(connection.limiter.connections) == []
    assert connection.limiter.bodies.held_bytes == 0
    await answered(connection)


async def test_each_request_is_counted_until_its_answer() -> None:
    connection = Connection()
    protocol = connection.protocol
    assert protocol.is_waiting
    connection.feed(GET, GET, GET)
    assert (protocol.unanswered, protocol.is_waiting) == (3, False)

    async with asyncio.timeout(5):
        while protocol.unanswered:
            await asyncio.gather(*protocol.tasks)

    assert connection.transport.written.count(b"HTTP/1.1 200 ") == 3
    assert (protocol.unanswered, protocol.is_waiting) == (0, True)
    # One that was answered before its body had come was never counted.
    connection.protocol.on_response_complete()
    assert protocol.unanswered == 0


async def test_a_request_that_begins_ends_the_idle_time() -> None:
    connection = Connection()
    connection.feed(GET)
    await answered(connection)
    [idle] = [timer for timer in connection.clock.timers if not timer.is_cancelled]

    connection.feed(GET[:5])

    assert idle.is_cancelled
    assert [timer.seconds for timer in connection.clock.timers if not timer.is_cancelled] == [5]
