"""Servers: uvicorn with our protocol, several in one event loop; the command line handles signals."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import cast

import uvicorn
from starlette.types import ASGIApp

from consumer.web.connection_limits import ConnectionLimiter, Limits
from consumer.web.listen import BACKLOG
from consumer.web.protocol import LimitedProtocol

# A slow body is cut after 5 s and the intake answers within 4 s of the last byte; both at once are rare, and a
# process has 10 s to end (promise P8).
SHUTDOWN_SECONDS = 8


@asynccontextmanager
async def serve(
    app: ASGIApp, listeners: list[socket.socket], limits: Limits, refused: Callable[[str], None]
) -> AsyncIterator[int]:
    """Serve *app* while the block runs, then refuse new requests and finish those in flight; yield the port.

    *refused* gets the code of each request that the protocol refuses.
    """
    host, port = listeners[0].getsockname()[:2]
    server = _Server(_config(app, ConnectionLimiter(limits, refused)))
    serving = asyncio.create_task(server.serve(sockets=listeners), name=f"server on {host}:{port}")
    try:
        yield port
    finally:
        server.should_exit = True
        await serving


class _Server(uvicorn.Server):
    """A server that leaves the process's signals alone."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _config(app: ASGIApp, limiter: ConnectionLimiter) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=cast("type[asyncio.Protocol]", partial(LimitedProtocol, limiter=limiter)),
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=limiter.limits.idle_seconds,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
