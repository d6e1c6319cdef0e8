"""A receiver as a Python user would write it: Starlette, svix and one insert and commit a request."""

import os
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import asyncpg
import psycopg
import psycopg_pool
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from svix.webhooks import Webhook, WebhookVerificationError

from bench.peers.workers.shared import sql

# The best of 8, 16 and 32 here: more only queue for the same disk.
CONNECTIONS = 16
Insert = Callable[[str, bytes], Awaitable[object]]


@asynccontextmanager
async def _psycopg() -> AsyncIterator[Insert]:
    statement = sql("receive")
    options = {"autocommit": True, "cursor_factory": psycopg.AsyncRawCursor, "prepare_threshold": 0}
    async with psycopg_pool.AsyncConnectionPool(
        "", kwargs=options, min_size=CONNECTIONS, max_size=CONNECTIONS, open=False
    ) as pool:

        async def insert(message_id: str, body: bytes) -> None:
            async with pool.connection() as conn:
                await conn.execute(statement, [message_id, body], prepare=True)

        yield insert


@asynccontextmanager
async def _asyncpg() -> AsyncIterator[Insert]:
    statement = sql("receive")
    async with asyncpg.create_pool(min_size=CONNECTIONS, max_size=CONNECTIONS, reset=_keep) as pool:
        yield lambda message_id, body: pool.execute(statement, message_id, body)


async def _keep(_: object) -> None:
    """Spare the round trip by which asyncpg resets a connection after each use: nothing here changes its state."""


def _app(driver: str, secret: str) -> Starlette:
    webhook = Webhook(secret)
    inserts: list[Insert] = []

    async def receive(request: Request) -> Response:
        body = await request.body()
        try:
            webhook.verify(body, dict(request.headers))
        except WebhookVerificationError:
            return Response(status_code=401)
        await inserts[0](request.headers["svix-id"], body)
        return Response(status_code=204)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with {"psycopg": _psycopg, "asyncpg": _asyncpg}[driver]() as insert:
            inserts.append(insert)
            yield

    return Starlette(routes=[Route("/webhooks/stack", receive, methods=["POST"])], lifespan=lifespan)


class _Server(uvicorn.Server):
    """Says where it listens."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        print(f"ready {self.servers[0].sockets[0].getsockname()[1]}", flush=True)


if __name__ == "__main__":
    config = uvicorn.Config(
        _app(sys.argv[1], os.environ["PEERS_SECRET"]),
        host="127.0.0.1",
        port=0,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="error",
    )
    _Server(config).run()
