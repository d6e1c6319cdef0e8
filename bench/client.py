"""A load client that costs little: one event loop, raw keep-alive connections, requests signed beforehand."""

import asyncio
import base64
import hashlib
import hmac
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import cast
from uuid import UUID

from bench.support import user_event

USERS = 20_000

# When to send, and what; a moment that has passed is now.
Queue = Iterator[tuple[float, bytes]]


@dataclass(slots=True)
class Outcome:
    """What one run of requests came to."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    refused: int = 0

    def percentile_ms(self, share: float) -> float:
        """Return the latency that this share of the requests did not exceed."""
        ordered = sorted(self.latencies)
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def signed_requests(count: int, first: int, key: bytes) -> list[bytes]:
    """Return whole HTTP requests, each with an id of its own and a fresh signature."""
    timestamp = str(int(time.time()))
    return [_request(number, timestamp, key) for number in range(first, first + count)]


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


async def at_full_load(port: int, requests: Sequence[bytes], connections: int) -> Outcome:
    """Send as fast as the answers come."""
    return await _run(port, iter([(0.0, request) for request in requests]), connections)


async def at_rate(port: int, requests: Sequence[bytes], connections: int, per_second: float) -> Outcome:
    """Send at fixed moments, and measure from them: a server that stalls is charged for what it kept waiting."""
    start = time.perf_counter() + 0.05
    return await _run(
        port, iter([(start + n / per_second, request) for n, request in enumerate(requests)]), connections
    )


async def _run(port: int, queue: Queue, connections: int) -> Outcome:
    """Share the queue among the connections until it is empty."""
    outcome = Outcome()
    loop = asyncio.get_running_loop()
    finished = [loop.create_future() for _ in range(connections)]
    started = time.perf_counter()
    for done in finished:
        await loop.create_connection(partial(_Connection, queue, done, outcome), "127.0.0.1", port)
    await asyncio.gather(*finished)
    outcome.seconds = time.perf_counter() - started
    return outcome


class _Connection(asyncio.Protocol):
    """One request at a time, the next when the answer is there and its moment has come."""

    def __init__(self, queue: Queue, done: "asyncio.Future[None]", outcome: Outcome) -> None:
        self._queue = queue
        self._done = done
        self._outcome = outcome
        self._due = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are asyncio's by behaviour, not by class.
        self._transport = cast("asyncio.Transport", transport)
        self._next()

    def data_received(self, data: bytes) -> None:
        self._outcome.latencies.append(time.perf_counter() - self._due)
        if not data.startswith(b"HTTP/1.1 204"):
            self._outcome.refused += 1
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
