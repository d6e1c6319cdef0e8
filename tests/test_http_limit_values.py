"""The limits of a connection as numbers, fed byte by byte to the protocol, whose timers are handed in."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.server import ServerState

from consumer.web import server
from consumer.web.connection_limits import ConnectionLimiter, Limits
from consumer.web.protocol import LimitedProtocol

LIMITS = Limits()
START = b"POST / HTTP/1.1\r\nhost: x\r\n"
# What counts of START: the path, the name and the value.
START_BYTES = 6
CHUNKED = START + b"transfer-encoding: chunked\r\n\r\n"
GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


@dataclass
class Timer:
    """A callback that waits for its time, which only the test brings."""

    seconds: float
    callback: Callable[..., object]
    arguments: tuple[Any, ...]
    is_cancelled: bool = False

    def cancel(self) -> None:
        self.is_cancelled = True

    def fire(self) -> None:
        self.is_cancelled = True
        self.callback(*self.arguments)


@dataclass
class Clock:
    """The running loop, but for its timers."""

    timers: list[Timer] = field(default_factory=list)

    def call_later(self, seconds: float, callback: Callable[..., object], *arguments: Any) -> Timer:
        self.timers.append(Timer(seconds, callback, arguments))
        return self.timers[-1]

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio.get_running_loop(), name)

    @property
    def waiting(self) -> list[float]:
        return [timer.seconds for timer in self.timers if not timer.is_cancelled]

    def fire(self) -> None:
        """Let the one timer that waits go off."""
        [timer] = [timer for timer in self.timers if not timer.is_cancelled]
        timer.fire()


class FakeTransport(asyncio.Transport):
    """Takes what is written, and what becomes of the connection."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.ends: list[str] = []
        self.is_read = True

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def writelines(self, list_of_data: Any) -> None:
        self.written += b"".join(list_of_data)

    def write_eof(self) -> None:
        self.ends.append("half-closed")

    def close(self) -> None:
        self.ends.append("closed")

    def abort(self) -> None:
        self.ends.append("aborted")

    def is_closing(self) -> bool:
        return bool({"closed", "aborted"} & set(self.ends))

    def pause_reading(self) -> None:
        self.is_read = False

    def resume_reading(self) -> None:
        self.is_read = True


class Connection:
    """One connection of a server; what it refuses, and how it waits."""

    def __init__(
        self, limits: Limits = LIMITS, limiter: ConnectionLimiter | None = None, app: ASGIApp | None = None
    ) -> None:
        self.refused: list[str] = []
        self.limiter = limiter or ConnectionLimiter(limits, self.refused.append)
        self.clock, self.transport = Clock(), FakeTransport()
        config = server._config(app or answer, self.limiter)
        config.load()
        self.protocol = LimitedProtocol(config, ServerState(), {}, self.clock, limiter=self.limiter)  # type: ignore[arg-type]
        self.protocol.connection_made(self.transport)

    def feed(self, *pieces: bytes) -> list[str]:
        for piece in pieces:
            self.protocol.data_received(piece)
        return self.refused


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    while (await receive()).get("more_body"):
        pass
    await Response(b"x")(scope, receive, send)


def refused(*pieces: bytes, limits: Limits = LIMITS) -> list[str]:
    """Return what is refused of the pieces, each of which is one read."""

    async def run() -> list[str]:
        return Connection(limits).feed(*pieces)

    return asyncio.run(run())


def padded(size: int) -> bytes:
    """Return a head whose path, names and values have that many bytes."""
    return START + b"x: " + b"y" * (size - START_BYTES - 1) + b"\r\n\r\n"


def chunk(size: int) -> bytes:
    return b"%x\r\n%b\r\n" % (size, b"x" * size)


FRAMING_MAX = 16_384 + 2 * 1_000
SMALL = replace(LIMITS, body_bytes=1_000)
# By name: the reads of a request of a size, the last size that is taken, and how one more is refused.
SIZES: dict[str, tuple[Callable[[int], tuple[bytes, ...]], int, str]] = {
    "head": (lambda n: (padded(n),), 16_384, "headers_too_large"),
    "path": (lambda n: (b"POST /" + b"y" * (n - 6) + b" HTTP/1.1\r\nhost: x\r\n\r\n",), 16_384, "headers_too_large"),
    "head that does not end": (lambda n: (START, b"x: " + b"y" * (n - 3)), 16_384, "headers_too_large"),
    "headers": (lambda n: (START + b"x: y\r\n" * (n - 1) + b"\r\n",), 100, "headers_too_large"),
    "headers that do not end": (lambda n: (START, b"x: y\r\n" * n), 100, "headers_too_large"),
    "requests ahead": (lambda n: (GET * (n + 1),), 64, "too_many_pipelined"),
    "length": (lambda n: (START + b"content-length: %d\r\n\r\n" % n,), 1_000, "body_too_large"),
    "chunk": (lambda n: (CHUNKED + chunk(n),), 1_000, "body_too_large"),
    "chunks": (lambda n: (CHUNKED, chunk(600), chunk(n - 600)), 1_000, "body_too_large"),
    "blank lines": (lambda n: ((b"\r\n" * n)[:n],), 1_024, "malformed_request"),
    "framing": (lambda n: (CHUNKED, b"1;" + b"x" * (n - 2)), FRAMING_MAX, "body_too_large"),
}


@pytest.mark.parametrize(("pieces", "last", "code"), SIZES.values(), ids=SIZES.keys())
def test_the_last_size_is_taken_and_one_more_is_not(
    pieces: Callable[[int], tuple[bytes, ...]], last: int, code: str
) -> None:
    assert refused(*pieces(last), limits=SMALL) == []
    assert refused(*pieces(last + 1), limits=SMALL) == [code]


@pytest.mark.parametrize("connections", [1, 3])
def test_the_last_connection_is_taken_and_for_one_more_the_first_gives_way(connections: int) -> None:
    codes: list[str] = []
    limiter = ConnectionLimiter(replace(LIMITS, connections=connections), codes.append)

    async def run() -> None:
        opened = [Connection(limiter=limiter) for _ in range(connections)]
        assert (codes, [each.transport.ends for each in opened]) == ([], [[]] * connections)
        opened.append(Connection(limiter=limiter))
        assert (codes, [each.transport.ends for each in opened]) == (
            ["too_many_connections"],
            [["closed"], *[[]] * connections],
        )
        # One that is closing already gives no place.
        opened.append(Connection(limiter=limiter))
        assert [each.transport.ends for each in opened] == [["closed"], ["closed"], *[[]] * connections]

    asyncio.run(run())


def test_a_connection_s_limits_are_these() -> None:
    assert (
        Limits(
            body_bytes=2_097_152,
            read_timeout_seconds=5.0,
            idle_seconds=75,
            linger_seconds=2.0,
            connections=800,
            bodies_bytes=33_554_432,
        )
        == LIMITS
    )
    config = server._config(answer, ConnectionLimiter(LIMITS, lambda _: None))
    assert (config.backlog, config.timeout_keep_alive, config.timeout_graceful_shutdown) == (2_048, 75, 8)
    assert not config.server_header


# By name: what arrives, each a read, and what the one timer that waits does after how long.
PATIENCE: dict[str, tuple[tuple[bytes, ...], float, list[str], list[str]]] = {
    "nothing": ((), 5.0, [], ["closed"]),
    "a line": ((b"\r\n",), 5.0, [], ["closed"]),
    "a head begun": ((START,), 5.0, ["head_too_slow"], ["half-closed"]),
    "a head that trickles": ((START, b"x: ", b"y"), 5.0, ["head_too_slow"], ["half-closed"]),
    "a body begun": ((CHUNKED, b"1\r\n"), 5.0, ["body_too_slow"], ["half-closed"]),
    "a body to come": ((CHUNKED,), 5.0, ["body_too_slow"], ["half-closed"]),
    "a refusal": ((b"garbage\r\n\r\n",), 2.0, ["malformed_request"], ["half-closed", "aborted"]),
}


@pytest.mark.parametrize(("pieces", "seconds", "codes", "ends"), PATIENCE.values(), ids=PATIENCE.keys())
def test_each_wait_has_its_time_and_its_end(
    pieces: tuple[bytes, ...], seconds: float, codes: list[str], ends: list[str]
) -> None:
    async def run() -> None:
        connection = Connection()
        connection.feed(*pieces)
        assert connection.clock.waiting == [seconds]
        connection.clock.fire()
        assert (connection.refused, connection.transport.ends) == (codes, ends)

    asyncio.run(run())


def test_a_timer_of_the_head_ends_with_it_and_of_the_body_with_the_request_and_then_idleness_has_its_own() -> None:
    async def run() -> None:
        connection = Connection()
        [head_timer] = connection.clock.timers
        connection.feed(CHUNKED)
        _, body_timer = connection.clock.timers
        assert (head_timer.is_cancelled, body_timer.is_cancelled) == (True, False)
        connection.feed(b"0\r\n\r\n")
        assert connection.clock.waiting == []
        async with asyncio.timeout(5):
            await asyncio.gather(*connection.protocol.tasks)
        assert connection.clock.waiting == [75]
        connection.clock.fire()
        assert connection.transport.ends == ["closed"]

    asyncio.run(run())


def test_a_refused_sender_lingers_two_seconds() -> None:
    async def run() -> None:
        connection = Connection()
        connection.feed(START)
        connection.clock.fire()
        assert connection.transport.written.startswith(b"HTTP/1.1 408 ")
        assert connection.clock.waiting == [2.0]
        connection.clock.fire()
        assert connection.transport.ends == ["half-closed", "aborted"]

    asyncio.run(run())


def test_a_refused_sender_is_read_to_its_end_even_if_nobody_read_it_before() -> None:
    async def run() -> None:
        connection = Connection()
        connection.feed(CHUNKED, chunk(100_000))
        assert not connection.transport.is_read
        connection.clock.fire()
        assert (connection.refused, connection.transport.is_read) == (["body_too_slow"], True)

    asyncio.run(run())


def test_a_reader_that_stands_still_is_cut_after_five_seconds_and_one_that_goes_on_is_not() -> None:
    async def run() -> None:
        slow, steady = Connection(), Connection()
        for connection in (slow, steady):
            connection.feed(GET)
            connection.protocol.pause_writing()
            assert connection.clock.waiting == [5.0]
        slow.clock.fire()
        steady.protocol.resume_writing()
        assert (slow.transport.ends, steady.transport.ends, steady.clock.waiting) == (["aborted"], [], [])
        for connection in (slow, steady):
            for task in connection.protocol.tasks:
                task.cancel()

    asyncio.run(run())
