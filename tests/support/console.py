"""A running console over real HTTP, and a browser's manners when asking it."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from http.client import HTTPConnection, HTTPResponse
from threading import Thread
from typing import Literal
from urllib.parse import urlencode

import pytest
import uvloop

from consumer.cli import console_process
from consumer.cli.console_process import serve_console
from consumer.console import static
from consumer.console.base import base_of
from consumer.console.door import Signer, SignInLink
from consumer.console.routes import STEPS
from consumer.settings.settings import Settings
from consumer.web.listen import listen
from tests.support.settings import load

SECRET = "0123456789abcdef" * 4
FORM = {"content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-origin"}
# No other test uses it: what they stored may still be there.
UNKNOWN_ID = "c7a1d0de-5b1e-4f0a-9e57-1d2c3b4a5f60"
# What stands for the parts of a path in braces.
EXAMPLES = {
    "{token}": "not-ours",
    "{version}/{name}": f"{static.VERSION}/console.css",
    "{seq:seq}": "999999999",
    "{id}": UNKNOWN_ID,
    "{user_id:uuid}": UNKNOWN_ID,
    "{company_id:uuid}": UNKNOWN_ID,
    "{run_id:uuid}": UNKNOWN_ID,
}
# Far above what any answer takes, so that a hanging test fails instead of hanging.
ANSWER_TIMEOUT = 15.0


@dataclass(frozen=True)
class Page:
    """One answer."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def cookie(self) -> str:
        """The cookie that it sets, as a browser sends it back."""
        return self.headers["set-cookie"].partition(";")[0]


@dataclass
class Desk:
    """A console on this machine, and the cookie with which it is asked."""

    port: int
    settings: Settings
    cookie: str = ""
    path: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def get(self, path: str = "/", **headers: str) -> Page:
        """Ask for a page."""
        return self.ask("GET", path, "", headers)

    def post(self, path: str, fields: Mapping[str, object] | None = None, **headers: str) -> Page:
        """Send a form as one of the console's own pages does."""
        return self.ask("POST", path, urlencode(fields or {}, doseq=True), FORM | headers)

    def ask(self, method: str, path: str, body: str, headers: Mapping[str, str]) -> Page:
        """Send one request over a connection of its own; underscores in a header's name are dashes."""
        with self.open(method, path, body, headers) as answer:
            text = answer.read().decode()
            return Page(answer.status, {name.lower(): value for name, value in answer.getheaders()}, text)

    @contextmanager
    def open(self, method: str, path: str, body: str, headers: Mapping[str, str]) -> Iterator[HTTPResponse]:
        """Send one request and leave the answer's body to be read."""
        named = {name.replace("_", "-"): value for name, value in (self.headers | dict(headers)).items()}
        cookie = {"cookie": self.cookie} if self.cookie else {}
        connection = HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_TIMEOUT)
        try:
            connection.request(method, self.path + path, body or None, cookie | named)
            yield connection.getresponse()
        finally:
            connection.close()

    def signer(self, secret: str = SECRET, clock: Callable[[], datetime] = console_process._now) -> Signer:
        """Return what signs this console's links and cookies."""
        return Signer(secret, base_of(self.settings.console_url, self.port, STEPS), clock)

    def as_(self, role: Literal["nobody", "viewer", "operator"], name: str = "kim") -> "Desk":
        """Return the same console as it is asked by somebody with this role."""
        if role == "nobody":
            return Desk(self.port, self.settings, "", self.path, self.headers)
        value = self.signer().cookie(SignInLink("", name, role, 0))
        return Desk(self.port, self.settings, f"{cookie_name(self)}={value}", self.path, self.headers)


def cookie_name(desk: Desk) -> str:
    """Return the name that a browser knows the cookie by."""
    url = desk.settings.console_url or ""
    if url.startswith("https://"):
        return "__Secure-console" if url.count("/") > 2 else "__Host-console"
    return f"console-{desk.port}"


def address(path: str, examples: Mapping[str, str] = EXAMPLES) -> str:
    """Return an address for a path of the router's list."""
    for part, example in (EXAMPLES | dict(examples)).items():
        path = path.replace(part, example)
    assert "{" not in path, f"{path}: give its parts an example"
    return path


@contextmanager
def running(database_url: str, **environment: str) -> Iterator[Desk]:
    """Run a console until the block ends, which waits for its orderly end."""
    settings = load({"DATABASE_URL": database_url, "CONSOLE_SECRET": SECRET, **environment})
    listeners = listen(settings.console_host, 0, "CONSOLE_PORT")
    started: Future[asyncio.AbstractEventLoop] = Future()
    stop = asyncio.Event()

    async def serve() -> None:
        started.set_result(asyncio.get_running_loop())
        await serve_console(settings, database_url, listeners, stop)

    thread = Thread(target=partial(uvloop.run, serve()), name="console", daemon=True)
    thread.start()
    loop = started.result(ANSWER_TIMEOUT)
    try:
        yield Desk(listeners[0].getsockname()[1], settings)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(ANSWER_TIMEOUT)
        assert not thread.is_alive(), "the console does not end"


@pytest.fixture
def desk(emptied: str) -> Iterator[Desk]:
    """An operator's, in front of emptied tables."""
    with running(emptied) as desk:
        yield desk.as_("operator")
