"""A request that waits behind another one and is refused meanwhile never reaches its application."""

import asyncio

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tests.test_http_limit_values import Connection, chunk

FIRST = b"GET /first HTTP/1.1\r\nhost: x\r\n\r\n"
SECOND = b"POST /second HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"


class Slow:
    """An application that answers when it is let, and remembers what it was asked for."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.is_let = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.paths.append(scope["path"])
        await self.is_let.wait()
        await Response(b"x")(scope, receive, send)


async def finished(connection: Connection, app: Slow) -> None:
    app.is_let.set()
    async with asyncio.timeout(5):
        while connection.protocol.tasks:
            await asyncio.gather(*connection.protocol.tasks)
            await asyncio.sleep(0)


async def test_a_body_that_is_refused_while_it_waits_is_answered_after_the_request_before_it() -> None:
    app = Slow()
    connection = Connection(app=app)
    connection.feed(FIRST, SECOND, chunk(10))
    await asyncio.sleep(0)
    waiting = [cycle.scope["path"] for cycle, _ in connection.protocol.pipeline]

    connection.clock.fire()
    left, written = len(connection.protocol.pipeline), connection.transport.written
    await finished(connection, app)

    assert (waiting, left, written, connection.refused) == (["/second"], 0, b"", ["body_too_slow"])
    assert app.paths == ["/first"]
    first, second = (connection.transport.written.index(status) for status in (b"HTTP/1.1 200 ", b"HTTP/1.1 408 "))
    assert first < second


async def test_a_body_that_is_refused_while_it_is_read_leaves_nothing_waiting() -> None:
    app = Slow()
    connection = Connection(app=app)
    connection.feed(SECOND, chunk(10))
    await asyncio.sleep(0)

    connection.clock.fire()
    await finished(connection, app)

    assert (app.paths, connection.refused) == (["/second"], ["body_too_slow"])
    assert connection.transport.written.startswith(b"HTTP/1.1 408 ")
    assert connection.transport.written.count(b"HTTP/1.1 ") == 1


async def test_an_answer_leaves_what_has_come_of_the_next_body_as_it_is() -> None:
    answered = asyncio.Queue[bytes]()
    is_let = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/first":
            await is_let.wait()
        pieces, more = [], True
        while more:
            message = await receive()
            pieces.append(message["body"])
            more = message["more_body"]
        await Response(b"x")(scope, receive, send)
        answered.put_nowait(b"".join(pieces))

    connection = Connection(app=app)
    connection.feed(FIRST, SECOND, chunk(10))
    is_let.set()
    first = await asyncio.wait_for(answered.get(), 5)
    connection.feed(chunk(5), b"0\r\n\r\n")
    second = await asyncio.wait_for(answered.get(), 5)

    assert (first, second, connection.refused) == (b"", b"x" * 15, [])
