"""A load client that costs little: one event loop, raw keep-alive connections, requests signed beforehand."""

import asyncio
import base64
import hashlib
import hmac
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import cast
from uuid import UUID

from bench.support import user_event

USERS = 20_000
PERCENTILES = (50, 99, 99.9)
# A million requests take two minutes.
SECONDS_MAX = 600

# When to send, and what; a moment that has passed is now.
Queue = Iterator[tuple[float, bytes]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a client saw of one run of requests, and what the client itself cost."""

    sent: int
    # With 204.
    answered: int
    seconds: float
    cpu_seconds: float
    percentiles_ms: Mapping[float, float]


@dataclass(slots=True)
class _Seen:
    latencies: list[float] = field(default_factory=list)
    answered: int = 0

    def percentile_ms(self, share: float) -> float:
        """Return the latency that this share of a hundred requests did not exceed."""
        ordered = sorted(self.latencies)
        return 1000 * ordered[min(len(ordered) - 1, int(share / 100 * len(ordered)))]


def signed_requests(count: int, first: int, key: bytes) -> Iterator[bytes]:
    """Yield whole HTTP requests of one length, each with an id of its own and a fresh signature."""
    timestamp = str(int(time.time()))
    return (_request(number, timestamp, key) for number in range(first, first + count))


def _request(number: int, timestamp: str, key: bytes) -> bytes:
    body = user_event(UUID(int=number % USERS + 1, version=4), number)
    message_id = f"msg_{number:027}"
    content = f"{message_id}.{timestamp}.".encode() + body
    signature = base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()
    head = (
        "POST /webhooks/stack HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        f"svix-id: {message_id}\r\nsvix-timestamp: {timestamp}\r\nsvix-signature: v1,{signature}\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def at_full_load(port: int, requests: Iterable[bytes], connections: int) -> Outcome:
    """Send as fast as the answers come."""
    return await _run(port, iter([(0.0, request) for request in requests]), connections)


async def at_rate(port: int, requests: Iterable[bytes], connections: int, per_second: float) -> Outcome:
    """Send at fixed moments, and measure from them: a server that stalls is charged for what it kept waiting."""
    made = list(requests)
    start = time.perf_counter() + 0.05
    return await _run(port, iter([(start + n / per_second, request) for n, request in enumerate(made)]), connections)


async def _run(port: int, queue: Queue, connections: int) -> Outcome:
    """Share the queue among the connections until it is empty."""
    seen = _Seen()
    loop = asyncio.get_running_loop()
    finished = [loop.create_future() for _ in range(connections)]
    started, cpu_before = time.perf_counter(), time.process_time()
    for done in finished:
        await loop.create_connection(partial(_Connection, queue, done, seen), "127.0.0.1", port)
    async with asyncio.timeout(SECONDS_MAX):
        await asyncio.gather(*finished)
    return Outcome(
        sent=len(seen.latencies),
        answered=seen.answered,
        seconds=time.perf_counter() - started,
        cpu_seconds=time.process_time() - cpu_before,
        percentiles_ms={share: seen.percentile_ms(share) for share in PERCENTILES},
    )


class _Connection(asyncio.Protocol):
    """One request at a time, the next when the answer is there and its moment has come."""

    def __init__(self, queue: Queue, done: "asyncio.Future[None]", seen: _Seen) -> None:
        self._queue = queue
        self._done = done
        self._seen = seen
        self._due = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are asyncio's by behaviour, not by class.
        self._transport = cast("asyncio.Transport", transport)
        self._next()

    def data_received(self, data: bytes) -> None:
        self._seen.latencies.append(time.perf_counter() - self._due)
        self._seen.answered += data.startswith(b"HTTP/1.1 204")
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done.done():
            self._done.set_exception(exc or ConnectionError("the server hung up"))

    def _next(self) -> None:
        due, request = next(self._queue, (0.0, b""))
        if not request:
            self._done.set_result(None)
            self._transport.close()
            return
        wait = due - time.perf_counter()
        if wait > 0:
            asyncio.get_running_loop().call_later(wait, self._send, due, request)
        else:
            self._send(due, request)

    def _send(self, due: float, request: bytes) -> None:
        self._due = due or time.perf_counter()
        self._transport.write(request)
