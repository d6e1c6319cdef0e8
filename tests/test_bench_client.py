"""The load client of the benches: what it sends, when, and what it says of the answers."""

import asyncio
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import cast
from uuid import UUID

import orjson
import pytest

from bench import client
from bench.client import Outcome, Queue, _Seen, at_full_load, at_rate, signed_requests
from bench.path import parsed
from consumer.providers.standard_webhooks import Verifier
from tests.support.polling import until
from tests.support.still_clock import Clock

KEY = bytes(range(24))
GOOD, BAD = b"HTTP/1.1 204 No Content\r\n\r\n", b"HTTP/1.1 500 Internal Server Error\r\n\r\n"


class Watch(Clock):
    """A clock that only the server moves; processor time goes twice as fast."""

    def process_time(self) -> float:
        return 2 * float(self.now)


class Answerer:
    """A server that answers each request in its turn, after *seconds* of the watch; None hangs up."""

    def __init__(self, answers: Iterable[bytes | None], watch: Watch, seconds: float = 0.5) -> None:
        self.port = 0
        self.requests: list[bytes] = []
        self.came_at: list[float] = []
        self.connections = 0
        self.ended = 0
        self._answers = iter(answers)
        self._watch = watch
        self._seconds = seconds

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while request := await reader.read(10_000):
            self.requests.append(request)
            self.came_at.append(asyncio.get_running_loop().time())
            self._watch.now += self._seconds
            if (answer := next(self._answers)) is None:
                break
            writer.write(answer)
        self.ended += 1
        writer.close()


@asynccontextmanager
async def answering(answerer: Answerer) -> AsyncIterator[Answerer]:
    async with await asyncio.start_server(answerer.serve, "127.0.0.1", 0) as listening, asyncio.timeout(20):
        answerer.port = listening.sockets[0].getsockname()[1]
        yield answerer


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    watch = Watch(100.0)
    monkeypatch.setattr(client, "time", watch)
    return watch


async def test_each_answer_is_timed_and_only_204_counts(watch: Watch) -> None:
    async with answering(Answerer([GOOD, BAD, GOOD, GOOD], watch)) as server:
        seen = await at_full_load(server.port, [b"a", b"b", b"c", b"d"], 1)
        await until(lambda: server.ended == 1)

    assert server.requests == [b"a", b"b", b"c", b"d"]
    assert seen == Outcome(
        sent=4, answered=3, seconds=2.0, cpu_seconds=4.0, percentiles_ms={50: 500.0, 99: 500.0, 99.9: 500.0}
    )


async def test_connections_share_the_requests_and_end_with_them(watch: Watch) -> None:
    async with answering(Answerer([GOOD] * 10, watch)) as server:
        seen = await at_full_load(server.port, [b"x"] * 10, 3)
        await until(lambda: server.ended == 3)

    assert (seen.sent, seen.answered, server.connections) == (10, 10, 3)


async def test_a_request_waits_for_its_moment_and_is_timed_from_it(watch: Watch) -> None:
    """The clock stands still while a request waits."""
    begun = asyncio.get_running_loop().time()
    async with answering(Answerer([GOOD, GOOD], watch)) as server:
        seen = await client._run(server.port, iter([(100.1, b"a"), (100.25, b"b")]), 1)

    assert server.came_at[0] - begun >= 0.09
    # The second was due before the first was answered: the wait is charged.
    assert [round(1000 * seconds) for seconds in (seen.seconds,)] == [1000]
    assert seen.percentiles_ms == {50: pytest.approx(750), 99: pytest.approx(750), 99.9: pytest.approx(750)}


@pytest.mark.parametrize("requests", [iter([b"a", b"b", b"c"]), [b"a", b"b", b"c"]], ids=["made on the way", "made"])
async def test_a_rate_has_fixed_moments_from_a_moment_after_the_start(
    watch: Watch, monkeypatch: pytest.MonkeyPatch, requests: Iterable[bytes]
) -> None:
    ran: list[tuple[int, list[tuple[float, bytes]], int]] = []

    async def run(port: int, queue: Queue, connections: int) -> Outcome:
        ran.append((port, list(queue), connections))
        return Outcome(3, 3, 1.0, 1.0, {})

    monkeypatch.setattr(client, "_run", run)

    await at_rate(8, requests, 5, 4)
    await at_full_load(9, [b"z"], 7)

    assert ran[0] == (8, [(100.05, b"a"), (100.3, b"b"), (100.55, b"c")], 5)
    assert ran[1] == (9, [(0.0, b"z")], 7)
    assert watch.now == 100


class Line:
    """A connection's other end, as the client sees it."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.is_closed = False

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def close(self) -> None:
        self.is_closed = True


@pytest.mark.parametrize("error", [None, OSError("reset")], ids=["hung up", "reset"])
async def test_a_server_that_hangs_up_ends_the_run(error: OSError | None) -> None:
    line, done = Line(), asyncio.get_running_loop().create_future()
    connection = client._Connection(iter([(0.0, b"a")]), done, _Seen())
    connection.connection_made(cast("asyncio.Transport", line))
    assert (line.written, done.done()) == ([b"a"], False)

    connection.connection_lost(error)

    with pytest.raises(OSError, match="^reset$" if error else "^the server hung up$"):
        await done


async def test_a_connection_that_is_done_closes_and_its_end_is_no_error() -> None:
    line, done = Line(), asyncio.get_running_loop().create_future()
    connection = client._Connection(iter([]), done, _Seen())
    connection.connection_made(cast("asyncio.Transport", line))

    connection.connection_lost(None)

    assert (line.is_closed, line.written, await done) == (True, [], None)


async def test_a_server_that_is_silent_ends_the_run(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[client._Connection] = []

    class Opened(client._Connection):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            opened.append(self)
            super().connection_made(transport)

    monkeypatch.setattr(client, "_Connection", Opened)
    monkeypatch.setattr(client, "SECONDS_MAX", 0.05)
    async with answering(Answerer([b""], watch)) as server:
        with pytest.raises(TimeoutError):
            await at_full_load(server.port, [b"a"], 1)
        opened[0]._transport.abort()
        await until(lambda: server.ended == 1)


@pytest.mark.parametrize(
    ("share", "milliseconds"), [(0, 1000), (24, 1000), (25, 2000), (50, 3000), (99, 4000), (100, 4000)]
)
def test_a_percentile_is_the_latency_that_so_many_did_not_exceed(share: float, milliseconds: float) -> None:
    assert _Seen(latencies=[4, 2, 1, 3]).percentile_ms(share) == milliseconds


def test_requests_are_signed_each_about_the_next_user_and_the_users_come_again() -> None:
    verifier = Verifier([b64encode(KEY).decode()], timedelta(minutes=5))
    requests = list(signed_requests(3, 19_998, KEY))
    users = []
    for number, request in enumerate(requests, 19_998):
        headers, body = parsed(request)
        verifier.verify(headers, body, datetime.now(UTC))
        named = {name.decode(): value.decode() for name, value in headers}
        assert named["svix-id"] == f"msg_{number:027}"
        assert abs(int(named["svix-timestamp"]) - time.time()) < 60
        assert int(named["content-length"]) == len(body) == 1300
        assert request.startswith(b"POST /webhooks/stack HTTP/1.1\r\n")
        data = orjson.loads(body)["data"]
        assert data["display_name"] == f"User {number}"
        users.append(UUID(data["id"]))

    assert users == [UUID(int=n, version=4) for n in (19_999, 20_000, 1)]
    assert [user.version for user in users] == [4, 4, 4]
