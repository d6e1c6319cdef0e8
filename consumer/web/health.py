"""Health: whether this process runs, and whether it can do its work."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from consumer.deadline import within
from consumer.web.answers import refusal

# As long as a request waits for a database connection: a probe holds one of the connections that senders need.
PROBE_TIMEOUT = timedelta(seconds=3)
# HAProxy and some platforms probe by OPTIONS; GET includes HEAD.
METHODS = ("GET", "OPTIONS")
# Returns why this process can't do its work now, or None.
Probe = Callable[[], Coroutine[None, None, str | None]]


class Health:
    """The two health endpoints; only the ops port returns the reason."""

    def __init__(self, probe: Probe, *, with_reasons: bool) -> None:
        self._probe = probe
        self._with_reasons = with_reasons
        self._probing: asyncio.Task[str | None] | None = None

    def routes(self, prefix: str = "") -> list[Route]:
        """Return the routes, each with and without a trailing slash, and once more below *prefix*."""
        # A balancer that was not told otherwise asks for the root.
        endpoints = {"": self.livez, "/livez": self.livez, "/readyz": self.readyz}
        paths = {start + path + slash: path for start in ("", prefix) for path in endpoints for slash in ("", "/")}
        return [Route(path, endpoints[name], methods=METHODS) for path, name in paths.items() if path]

    async def livez(self, _: Request) -> Response:
        """Answer 200: the answer itself proves that the event loop runs."""
        return JSONResponse({"status": "alive"})

    async def readyz(self, _: Request) -> Response:
        """Answer 200, or 503 while this process can't do its work."""
        reason = await self.not_ready_reason()
        if reason is None:
            return JSONResponse({"status": "ready"})
        return refusal(503, "not_ready", reason if self._with_reasons else "This process can't do its work now.")

    async def not_ready_reason(self) -> str | None:
        """Return why this process can't do its work now, or None, within PROBE_TIMEOUT.

        Simultaneous requests share one probe, so that they do not take all of the database's connections.
        """
        if self._probing is None or self._probing.done():
            self._probing = asyncio.create_task(within(PROBE_TIMEOUT, self._probe()))
        try:
            return await asyncio.shield(self._probing)
        except TimeoutError:
            return "what this process depends on does not answer"
