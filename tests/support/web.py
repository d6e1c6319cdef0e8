"""A receiver on a real port in a thread of its own, and the other end of the wire, byte by byte."""

import asyncio
import json
import logging
import socket
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Thread
from types import TracebackType
from typing import Self

import pytest
import uvloop
from starlette.types import ASGIApp, Receive, Scope, Send

from consumer.events.registry import EVENT_TYPES
from consumer.logs import DELIVERY_REFUSED, REFUSALS_MUTED
from consumer.metrics import Metrics
from consumer.postgres.connections import open_pool, receiver_access
from consumer.providers.standard_webhooks import Verifier, sign
from consumer.receiver.app import receiver_app
from consumer.receiver.endpoint import Store
from consumer.receiver.intake import Intake, open_intake
from consumer.receiver.refusal_log import RefusalLog
from consumer.receiver.waits import Waits, open_waits
from consumer.web.connection_limits import Limits
from consumer.web.listen import listen
from consumer.web.server import serve
from tests.support.databases import rows

SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
APP_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
TOLERANCE = timedelta(seconds=300)
BODY = b'{"type":"stack.test","data":{"message":"hello","endpointUrl":"https://example.com"}}'
START = b"POST /webhooks/stack HTTP/1.1\r\nhost: x\r\n"
# Patience for tests: everything that waits in earnest waits a fraction of a second here.
SHORT = Limits(body_bytes=100_000, read_timeout_seconds=0.3, idle_seconds=1, linger_seconds=0.3, connections=800)
Started = Future[tuple["Site", Callable[[], object]]]
# Far above what any answer takes, so that a hanging test fails instead of hanging.
ANSWER_TIMEOUT = 15.0


@dataclass
class Site:
    """A running receiver; a test may replace the application on its port."""

    intake: Intake
    waits: Waits
    metrics: Metrics
    app: ASGIApp
    port: int = 0
    refused: list[str] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)

    def receiver(self, verifiers: Mapping[str, Verifier], now: datetime = NOW, path_prefix: str = "") -> ASGIApp:
        """Return the real application over this site's intake, at a moment that stands still."""
        return receiver_app(
            verifiers,
            Store(self.intake.put, self.waits.wait_for),
            self.intake.not_ready_reason,
            RefusalLog(self.metrics, lambda: now),
            path_prefix,
        )

    def connect(self) -> "Wire":
        """Open a connection."""
        return Wire(socket.create_connection(("127.0.0.1", self.port), timeout=ANSWER_TIMEOUT))

    def ask(self, request: bytes) -> "Reply":
        """Send one request over a connection of its own and read the answer."""
        with self.connect() as wire:
            wire.send(request)
            return wire.read()


@dataclass(frozen=True)
class Reply:
    """One answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def error(self) -> str:
        """The code of an error answer, which has the contract's form."""
        assert self.headers["content-type"] == "application/json"
        answer = json.loads(self.body)
        assert answer.keys() == {"error", "message"}
        assert answer["message"].endswith(".")
        code: str = answer["error"]
        return code


class Wire:
    """One connection, written and read without a client's good manners."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.reader = connection.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.reader.close()
        self.connection.close()

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def shut(self) -> None:
        """Send no more, and go on reading."""
        self.connection.shutdown(socket.SHUT_WR)

    def read(self) -> Reply:
        """Read one answer; EOFError when the other side hung up instead."""
        status_line = self.reader.readline()
        if not status_line:
            raise EOFError
        headers: dict[str, str] = {}
        while line := self.reader.readline().strip():
            name, _, value = line.decode().partition(": ")
            headers[name] = value
        return Reply(int(status_line.split()[1]), headers, self.reader.read(int(headers.get("content-length", 0))))

    def is_closed(self) -> bool:
        """Wait until the other side hangs up, and tell whether it said nothing more."""
        return self.reader.read() == b""


def post(
    body: bytes = BODY,
    *,
    path: str = "/webhooks/stack",
    secret: str = SECRET,
    message_id: str = "msg_1",
    at: datetime = NOW,
    more: Mapping[str, str] | None = None,
) -> bytes:
    """Return a signed delivery as bytes on the wire."""
    return request(body, path=path, headers={**sign(secret, message_id, at, body), **(more or {})})


def request(
    body: bytes = b"", *, method: str = "POST", path: str = "/webhooks/stack", headers: Mapping[str, str] | None = None
) -> bytes:
    """Return a request with a length as bytes on the wire."""
    return head({"content-length": str(len(body)), **(headers or {})}, method=method, path=path) + body


def head(headers: Mapping[str, str], *, method: str = "POST", path: str = "/webhooks/stack") -> bytes:
    """Return a request's head."""
    lines = [f"{method} {path} HTTP/1.1", "host: localhost", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()


def stored_ids(database_url: str) -> list[object]:
    """Return the ids in the outbox, oldest first."""
    return [row["message_id"] for row in rows(database_url, "SELECT message_id FROM consumer.outbox ORDER BY seq")]


@contextmanager
def undisturbed(site: Site, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Whatever a test does to a site meanwhile, it serves on and has said no more than that it refused."""
    caplog.set_level(logging.DEBUG)
    app = site.app
    site.refused.clear()
    yield
    site.app = app
    assert site.ask(post(message_id="msg_good")).status == 204
    said = {record.getMessage() for record in caplog.get_records("call") if record.name != "asyncio"}
    assert said <= {DELIVERY_REFUSED, REFUSALS_MUTED}


@contextmanager
def running(database_url: str, limits: Limits) -> Iterator[Site]:
    """Run a receiver until the block ends, which waits for its orderly end."""
    started: Started = Future()
    thread = Thread(target=lambda: uvloop.run(_run(database_url, limits, started)), name="receiver", daemon=True)
    thread.start()
    site, stop = started.result(ANSWER_TIMEOUT)
    try:
        yield site
    finally:
        stop()
        thread.join(ANSWER_TIMEOUT)
        assert not thread.is_alive(), "the receiver does not end"


async def _run(database_url: str, limits: Limits, started: Started) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    access = receiver_access("consumer")
    async with (
        open_pool(database_url, access, size=2, wait_timeout=timedelta(seconds=1)) as pool,
        open_intake(pool, access, lambda _outcome, _number: None) as intake,
        open_waits(pool, access) as waits,
    ):
        site = Site(intake, waits, Metrics(EVENT_TYPES), _nothing)
        site.app = site.receiver({"stack": Verifier([SECRET], TOLERANCE), "app": Verifier([APP_SECRET], TOLERANCE)})
        async with serve(site, listen("127.0.0.1", 0, "PORT"), limits, site.refused.append) as port:
            site.port = port
            started.set_result((site, lambda: loop.call_soon_threadsafe(stopping.set)))
            await stopping.wait()


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    raise NotImplementedError
