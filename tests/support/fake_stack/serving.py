"""The fake on a real port, in a thread of its own."""

import socket
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from threading import Thread

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.support.fake_stack import routes, svix_routes, writes
from tests.support.fake_stack.answers import TEXT
from tests.support.fake_stack.project import Project
from tests.support.fake_stack.shapes import Age
from tests.support.fake_stack.svix import Svix
from tests.support.fake_stack.versions import Replica

PROJECT_ID = "c0ffee00-1234-4abc-8def-001122334455"
SERVER_KEY = "ssk_made_up"
ADMIN_KEY = "sak_made_up"
# Far above what it takes.
END_SECONDS = 15.0


@dataclass
class Asked:
    """One request that came in."""

    method: str
    path: str
    query: str
    headers: Headers


@dataclass
class FakeStack:
    """Stack of some age and its Svix.

    *replicas* answer in turn, so reads go backwards if they lag differently. Each request takes the first of *troubles*
    in place of an answer, while there are any.
    """

    age: Age = "new"
    project: Project = field(default_factory=Project)
    svix: Svix = field(default_factory=Svix)
    project_id: str = PROJECT_ID
    keys: dict[str, str] = field(default_factory=lambda: {"server": SERVER_KEY, "admin": ADMIN_KEY})
    replicas: Sequence[Replica] = (Replica(),)
    troubles: deque[ASGIApp] = field(default_factory=deque)
    asked: list[Asked] = field(default_factory=list)
    url: str = ""

    def __post_init__(self) -> None:
        self._reads = count()
        self.app: ASGIApp = Starlette(
            routes=[*routes.routes(self), *writes.routes(self), *svix_routes.routes(self)],
            exception_handlers={404: _no_page, 405: _no_page},
        )

    def next_replica(self) -> Replica:
        """Return the replica that answers the next read."""
        return self.replicas[next(self._reads) % len(self.replicas)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        query = scope["query_string"].decode()
        self.asked.append(Asked(scope["method"], scope["path"], query, Headers(scope=scope)))
        await (self.troubles.popleft() if self.troubles else self.app)(scope, receive, send)


@dataclass
class Port:
    """Where a fake is served; a test may put another one in its place."""

    url: str
    fake: FakeStack

    def serve(self, fake: FakeStack) -> FakeStack:
        """Serve this fake from now on, and tell it its address."""
        self.fake, fake.url = fake, self.url
        return fake

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.fake(scope, receive, send)


@contextmanager
def serving(fake: FakeStack | None = None) -> Iterator[Port]:
    """Serve a fake until the block ends."""
    listening = socket.create_server(("127.0.0.1", 0))
    port = Port(f"http://127.0.0.1:{listening.getsockname()[1]}", FakeStack())
    port.serve(fake or port.fake)
    config = uvicorn.Config(
        port, log_config=None, log_level="critical", lifespan="off", access_log=False, date_header=False
    )
    server = uvicorn.Server(config)
    thread = Thread(target=server.run, kwargs={"sockets": [listening]}, name="fake Stack", daemon=True)
    thread.start()
    try:
        yield port
    finally:
        server.should_exit = server.force_exit = True
        thread.join(END_SECONDS)
        listening.close()
        assert not thread.is_alive(), "the fake does not end"


async def _no_page(_request: object, _error: Exception) -> Response:
    return Response("<page does not exist>", 404, media_type=TEXT)
