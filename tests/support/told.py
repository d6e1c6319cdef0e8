"""Who is told: a real HTTP server that answers as a test wants, and a real command."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson
import pytest

from consumer.process.channels import SendLimits
from tests.support.processes import HOST

# Without pauses; a busy machine may take its time.
PATIENT = SendLimits(backoff_seconds=0)
# For what a test waits for in earnest.
SHORT = SendLimits(seconds=2, backoff_seconds=0)
SECRET_PATH = "/services/T0/s3cr3t?key=s3cr3t"

# A status to answer with, or what becomes of the connection.
Behaviour = int | str


@dataclass(frozen=True)
class Heard:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


@dataclass
class Listener:
    """A server; it behaves once as each of *behaviours* says, and then answers 200."""

    url: str
    behaviours: list[Behaviour] = field(default_factory=list)
    heard: list[Heard] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def said(self) -> list[tuple[str, str]]:
        """Return type and code of each notification."""
        return [(each.json["type"], each.json["data"]["code"]) for each in self.heard if each.method == "POST"]


@contextmanager
def listening() -> Iterator[Listener]:
    listener = Listener("")

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            listener.heard.append(Heard(self.command, self.path, headers, body))
            behave(self, listener)

        do_GET = do_POST = answer  # noqa: N815  # The library's names.

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer((HOST, 0), Handler)
    server.daemon_threads = True
    listener.url = f"http://{HOST}:{server.server_port}{SECRET_PATH}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield listener
    finally:
        listener.over.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    with listening() as found:
        yield found


def behave(handler: BaseHTTPRequestHandler, listener: Listener) -> None:
    """Answer, or do not."""
    behaviour = listener.behaviours.pop(0) if listener.behaviours else 200
    if behaviour == "close":
        handler.connection.close()
        handler.wfile = handler.rfile = open("/dev/null", "r+b")  # noqa: SIM115, PTH123
        return
    if behaviour == "hang":
        listener.over.wait()
        return
    if behaviour == "slow":
        # Each byte comes within the time of a read, but the whole head never within that of an attempt.
        for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 100:
            if listener.over.is_set():
                return
            handler.wfile.write(bytes([byte]))
            time.sleep(SHORT.seconds / 10)
        return
    assert isinstance(behaviour, int)
    handler.send_response(behaviour)
    if 300 <= behaviour < 400:
        handler.send_header("location", listener.url)
    handler.send_header("content-length", "0")
    handler.end_headers()
