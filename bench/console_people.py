"""People at the console: a browser that asks for pages, and any number who look at a live one."""

import gzip
import multiprocessing
import os
import re
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from html import unescape
from http.client import HTTPConnection
from selectors import EVENT_READ, DefaultSelector
from typing import Any
from urllib.parse import urlencode

import psutil

from bench.checks import FalseFigure, require_soon
from bench.commands import HOST, READY_SECONDS_MAX, TREE, WORK_FOLDER
from consumer.cli.addresses import free_port
from consumer.console.base import base_of
from consumer.console.door import Signer, SignInLink
from consumer.console.routes import STEPS

# A page that takes longer is no page.
ANSWER_SECONDS_MAX = 30
# Ten frames come within twenty seconds.
FRAMES_SECONDS_MAX = 60
FRAME_END = b"\n\n"
# A frame is a tenth of it.
READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Operator:
    """A browser with an operator's cookie."""

    port: int
    cookie: str
    process: psutil.Process  # the console's

    def ask(self, method: str, path: str, body: str = "") -> tuple[int, bytes, str]:
        """Return status, the body as it came over the wire, and where it leads."""
        connection = HTTPConnection(HOST, self.port, timeout=ANSWER_SECONDS_MAX)
        headers = {"cookie": self.cookie, "accept-encoding": "gzip", "sec-fetch-site": "same-origin"}
        if body:
            headers["content-type"] = "application/x-www-form-urlencoded"
        try:
            connection.request(method, path, body or None, headers)
            answer = connection.getresponse()
            return answer.status, answer.read(), answer.getheader("location", "")
        finally:
            connection.close()

    def page(self, path: str) -> bytes:
        """Return a page; raise FalseFigure if it is none."""
        status, body, _ = self.ask("GET", path)
        if status != 200:
            raise FalseFigure(f"No figure: {path} was answered {status}.")
        return body

    def form(self, page: str) -> dict[str, str]:
        """Return the fields of a confirmation."""
        return {
            unescape(name): unescape(value)
            for name, value in re.findall(r'<input type="hidden" form="order" name="([^"]+)" value="([^"]*)">', page)
        } | {"number": re.findall(r'name="seen_count" value="(\d+)"', page)[0]}


@contextmanager
def console(url: str) -> Iterator[Operator]:
    """Run `consumer console` until the block ends."""
    secret, port = secrets.token_hex(32), free_port(HOST)
    environment = {
        **os.environ,
        "DATABASE_URL": url,
        "PYTHONPATH": str(TREE),
        "CONSOLE_SECRET": secret,
        "CONSOLE_PORT": str(port),
    }
    signer = Signer(secret, base_of(None, port, STEPS), lambda: datetime.now(UTC))
    value = signer.cookie(SignInLink("", "bench", "operator", 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "consumer", "console"], env=environment, cwd=WORK_FOLDER, stderr=subprocess.DEVNULL
    )
    try:
        require_soon("the console ready", lambda: _is_there(port), READY_SECONDS_MAX, poll=0.02)
        yield Operator(port, f"console-{port}={value}", psutil.Process(process.pid))
    finally:
        process.terminate()
        process.wait(timeout=15)


def _is_there(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


class Viewers:
    """So many who look at the overview, in a process of their own; *frames* counts what the first of them got."""

    def __init__(self, operator: Operator, count: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._frames: Any = context.Value("q", 0)
        self._lookers: Any = context.Value("q", 0)
        self._count = count
        arguments = (operator.port, operator.cookie, count, self._frames, self._lookers)
        self._process = context.Process(target=_look, args=arguments, daemon=True)

    def __enter__(self) -> "Viewers":
        self._process.start()
        require_soon(f"{self._count} viewers", lambda: self._lookers.value == self._count, 30, poll=0.02)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.join(timeout=15)

    def wait(self, frames: int) -> float:
        """Wait for so many more frames; return the seconds that they took."""
        goal, began = self._frames.value + frames, time.perf_counter()
        require_soon(f"{frames} frames", lambda: self._frames.value >= goal, FRAMES_SECONDS_MAX, poll=0.005)
        return time.perf_counter() - began

    def require_looking(self) -> None:
        """Raise FalseFigure unless all of them still get frames."""
        self.wait(1)
        if not self._process.is_alive() or self._lookers.value != self._count:
            raise FalseFigure(f"No figure: {self._lookers.value} of {self._count} viewers were still looking.")


def _look(port: int, cookie: str, count: int, frames: Any, lookers: Any) -> None:
    selector, looking = DefaultSelector(), set()
    request = f"GET /live?page=overview HTTP/1.1\r\nhost: {HOST}:{port}\r\ncookie: {cookie}\r\n\r\n".encode()
    for number in range(count):
        connection = socket.create_connection((HOST, port))
        connection.sendall(request)
        selector.register(connection, EVENT_READ, number)
    while True:
        for key, _ in selector.select():
            received = key.fileobj.recv(READ_BYTES)  # type: ignore[union-attr]
            if not received:
                looking.discard(key.data)
                selector.unregister(key.fileobj)
            # The head alone says nothing: an event has come once its end has.
            elif FRAME_END in received:
                looking.add(key.data)
                frames.value += key.data == 0
        lookers.value = len(looking)


def order(operator: Operator, path: str) -> tuple[float, str]:
    """Confirm what a page asks; return the seconds until the answer, and the id of the action."""
    status, page, _ = _plain(operator, path)
    if status != 200:
        raise FalseFigure(f"No figure: {path} was answered {status}.")
    body = urlencode(operator.form(page.decode()))
    began = time.perf_counter()
    status, _, location = operator.ask("POST", path, body)
    seconds = time.perf_counter() - began
    if status != 303:
        raise FalseFigure(f"No figure: the order to {path} was answered {status}.")
    return seconds, location.rpartition("/")[2]


def _plain(operator: Operator, path: str) -> tuple[int, bytes, str]:
    status, body, location = operator.ask("GET", path)
    return status, gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body, location
