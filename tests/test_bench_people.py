"""The people at the console whom the benches play: what they ask, what they confirm, and how many still look."""

import gzip
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from email.message import Message
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from types import SimpleNamespace
from typing import Any, cast

import psutil
import pytest

from bench import console_people
from bench.checks import FalseFigure
from bench.console_people import Operator, order
from consumer.cli.addresses import free_port
from tests.support.benches import Ticking

ME = psutil.Process()
CONFIRMATION = (
    '<input type="hidden" form="order" name="a&amp;b" value="1 &lt; 2">'
    '<input type="hidden" form="order" name="by" value=""><input type="hidden" name="other" value="x">'
    '<input name="seen_count" value="12"><input name="seen_count" value="13">'
)


class Desk(HTTPServer):
    """A console that answers what a test says, and keeps what it was asked."""

    status, location, body = 200, "", b"a page"

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.asked: list[tuple[str, str, Message, bytes]] = []


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        desk = cast("Desk", self.server)
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        desk.asked.append((self.command, self.path, self.headers, body))
        self.send_response(desk.status)
        if desk.location:
            self.send_header("location", desk.location)
        self.end_headers()
        self.wfile.write(desk.body)

    do_POST = do_GET  # noqa: N815  So are they called.

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def desk() -> Iterator[Desk]:
    with Desk() as desk:
        serving = Thread(target=desk.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        yield desk
        desk.shutdown()
        serving.join()


class Ask:
    """An operator by the answers that the console gives in turn."""

    def __init__(self, *answers: tuple[int, bytes, str]) -> None:
        self.asked: list[tuple[str, ...]] = []
        self._answers = iter(answers)

    def ask(self, *arguments: str) -> tuple[int, bytes, str]:
        self.asked.append(arguments)
        return next(self._answers)

    def form(self, page: str) -> dict[str, str]:
        return {"page": page}


def test_an_operator_asks_as_a_browser_does(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[object, ...]] = []

    class Kept(HTTPConnection):
        def __init__(self, host: str, port: int, *, timeout: float | None = None) -> None:
            made.append((host, port, timeout))
            super().__init__(host, port, timeout=timeout)

        def close(self) -> None:
            super().close()
            made.append(("closed",))

    monkeypatch.setattr(console_people, "HTTPConnection", Kept)
    operator = Operator(desk.server_port, "console=x", ME)
    desk.status, desk.location = 303, "/actions/7"

    assert operator.ask("GET", "/dead") == (303, b"a page", "/actions/7")
    assert operator.ask("POST", "/dead/retry", "a=1") == (303, b"a page", "/actions/7")
    desk.location = ""
    assert operator.ask("GET", "/")[2] == ""

    got, posted, _ = desk.asked
    for method, path, headers, body in (got, posted):
        assert {name: headers[name] for name in ("cookie", "accept-encoding", "sec-fetch-site")} == {
            "cookie": "console=x",
            "accept-encoding": "gzip",
            "sec-fetch-site": "same-origin",
        }
        form = {"GET": (None, None, b""), "POST": ("application/x-www-form-urlencoded", "3", b"a=1")}[method]
        assert (path, headers["content-type"], headers["content-length"], body) == (
            "/dead" if method == "GET" else "/dead/retry",
            *form,
        )
    assert [method for method, *_ in desk.asked] == ["GET", "POST", "GET"]
    assert made.count(("127.0.0.1", desk.server_port, 30)) == 3
    assert made[-1] == ("closed",)
    assert made.count(("closed",)) >= 3


def test_a_page_is_one_that_was_answered_200(desk: Desk) -> None:
    operator = Operator(desk.server_port, "console=x", ME)
    assert operator.page("/dead") == b"a page"
    assert desk.asked[0][:2] == ("GET", "/dead")
    desk.status = 404

    with pytest.raises(FalseFigure, match=r"^No figure: /dead was answered 404\.$"):
        operator.page("/dead")


def test_a_form_has_the_hidden_fields_of_the_order_and_the_number_that_was_seen() -> None:
    assert Operator(1, "", ME).form(CONFIRMATION) == {"a&b": "1 < 2", "by": "", "number": "12"}


@pytest.mark.parametrize("packed", [b"a page", gzip.compress(b"a page")], ids=["plain", "gzip"])
def test_an_order_is_timed_from_the_click_to_the_answer(packed: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console_people, "time", Ticking(10.0, 10.25))
    operator = Ask((200, packed, ""), (303, b"", "/actions/an-id"))

    assert order(cast("Operator", operator), "/dead/retry") == (0.25, "an-id")
    assert operator.asked == [("GET", "/dead/retry"), ("POST", "/dead/retry", "page=a+page")]


def test_an_order_that_is_not_shown_or_not_taken_is_no_figure() -> None:
    with pytest.raises(FalseFigure, match=r"^No figure: /dead/retry was answered 500\.$"):
        order(cast("Operator", Ask((500, b"", ""))), "/dead/retry")
    with pytest.raises(FalseFigure, match=r"^No figure: the order to /dead/retry was answered 200\.$"):
        order(cast("Operator", Ask((200, b"", ""), (200, b"", ""))), "/dead/retry")


def test_a_console_is_there_once_somebody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert console_people._is_there(listener.getsockname()[1])
    assert not console_people._is_there(free_port("127.0.0.1"))


def test_a_console_runs_from_its_readiness_until_the_block_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[object] = []

    class Started(SimpleNamespace):
        pid = os.getpid()

        def terminate(self) -> None:
            done.append("terminated")

        def wait(self, timeout: float) -> None:
            done.append(("awaited", timeout))

    def popen(command: list[str], **named: object) -> Started:
        done.append((command, named))
        return Started()

    def soon(*arguments: Any, poll: float) -> None:
        done.append((arguments[0], arguments[2], poll))

    monkeypatch.setattr(subprocess, "Popen", popen)
    monkeypatch.setattr(console_people, "require_soon", soon)
    monkeypatch.setattr(console_people, "free_port", lambda _: 4711)

    with console_people.console("postgresql://here") as operator:
        assert len(done) == 2
        assert (operator.port, operator.process.pid) == (4711, os.getpid())
        assert operator.cookie.startswith("console-4711=")

    (command, named), ready = cast("tuple[Any, Any]", done[0]), done[1]
    assert command == [sys.executable, "-m", "consumer", "console"]
    assert (named["cwd"], named["stderr"]) == ("/", subprocess.DEVNULL)
    environment = named["env"]
    assert environment["DATABASE_URL"] == "postgresql://here"
    assert (environment["CONSOLE_PORT"], len(environment["CONSOLE_SECRET"])) == ("4711", 64)
    assert ready == ("the console ready", 30, 0.02)
    assert done[2:] == ["terminated", ("awaited", 15)]
