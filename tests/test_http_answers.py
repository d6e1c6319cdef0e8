"""What an answer changes for its connection, and for those that wait beside it."""

import asyncio
from dataclasses import replace

from starlette.responses import Response

from consumer.web.connection_limits import ConnectionLimiter
from tests.test_http_limit_values import CHUNKED, GET, LIMITS, Connection

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


async def test_of_those_that_wait_the_one_answered_longest_ago_gives_way() -> None:
    limiter = ConnectionLimiter(replace(LIMITS, connections=2), lambda _: None)
    first, second = Connection(limiter=limiter), Connection(limiter=limiter)
    first.feed(GET)
    await answered(first)

    Connection(limiter=limiter)

    assert (first.transport.ends, second.transport.ends) == ([], ["closed"])
