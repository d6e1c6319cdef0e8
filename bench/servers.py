"""The servers that the ingest benchmark measures, each in a process of its own."""

import asyncio
import multiprocessing
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from multiprocessing.connection import Connection as Pipe

import psutil
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from bench.checks import FalseFigure
from bench.support import unfollowed
from consumer.events.registry import EVENT_TYPES
from consumer.metrics import Metrics
from consumer.outbox import storage
from consumer.outbox.storage import Delivery
from consumer.postgres.connections import open_pool, receiver_access, transaction
from consumer.providers.standard_webhooks import Verifier
from consumer.receiver.app import receiver_app
from consumer.receiver.endpoint import Put, Store
from consumer.receiver.intake import COMMITS_MAX, open_intake
from consumer.receiver.refusal_log import RefusalLog
from consumer.web.connection_limits import Limits
from consumer.web.listen import listen
from consumer.web.server import serve

KINDS = ("bare", "ceiling", "verify", "one insert", "ours")
STORING = ("one insert", "ours")
ACCESS = receiver_access("consumer")
# The best of 8, 16 and 32 here: more only queue for the same disk.
ONE_INSERT_CONNECTIONS = 16
START_SECONDS_MAX = 30


class running:  # noqa: N801  # Read as a statement: with running(…)
    """A server of one kind in a process of its own, for the duration."""

    def __init__(self, url: str, kind: str, key: bytes) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(url, kind, key, theirs), daemon=True)

    def __enter__(self) -> tuple[int, psutil.Process]:
        self._process.start()
        if not self._pipe.poll(START_SECONDS_MAX):
            raise FalseFigure(f"No figure: the server did not start within {START_SECONDS_MAX} s.")
        return self._pipe.recv(), psutil.Process(self._process.pid)

    def __exit__(self, *_: object) -> None:
        self._pipe.send("stop")
        self._process.join(timeout=15)


def _serve(url: str, kind: str, key: bytes, pipe: Pipe) -> None:
    async def run() -> None:
        async with (
            _app(url, kind, key) as app,
            serve(app, listen("127.0.0.1", 0, "PORT"), Limits(), _forget_refusal) as port,
        ):
            pipe.send(port)
            await asyncio.to_thread(pipe.recv)

    uvloop.run(run())


@asynccontextmanager
async def _app(url: str, kind: str, key: bytes) -> AsyncIterator[ASGIApp]:
    metrics = Metrics(EVENT_TYPES)
    verifier = Verifier([b64encode(key).decode()], timedelta(hours=1))

    def app(put: Put) -> ASGIApp:
        return receiver_app({"stack": verifier}, Store(put, unfollowed), _ready, RefusalLog(metrics))

    if kind == "bare":
        yield _answer_at_once
    elif kind == "ceiling":
        yield Starlette(routes=[Route("/webhooks/stack", _answer_by_starlette, methods=["POST"])])
    elif kind == "verify":
        yield app(_forget)
    elif kind == "one insert":
        async with open_pool(url, ACCESS, size=ONE_INSERT_CONNECTIONS, wait_timeout=timedelta(seconds=5)) as pool:
            pool.max_waiting = 0

            async def insert(delivery: Delivery) -> None:
                async with pool.connection() as conn, transaction(conn, ACCESS):
                    await storage.put(conn, [delivery])

            yield app(insert)
    else:
        async with (
            open_pool(url, ACCESS, size=COMMITS_MAX + 1, wait_timeout=timedelta(seconds=2)) as pool,
            open_intake(pool, ACCESS, metrics.received) as intake,
        ):
            yield app(intake.put)


async def _answer_at_once(_: Scope, receive: Receive, send: Send) -> None:
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def _answer_by_starlette(request: Request) -> Response:
    await request.body()
    return Response(status_code=204)


async def _forget(_: Delivery) -> None:
    """Store nothing."""


def _forget_refusal(_: str) -> None:
    """Count nothing."""


def forget_attempt(_: Exception | None) -> None:
    """Say nothing."""


async def _ready() -> None:
    """Be ready."""
