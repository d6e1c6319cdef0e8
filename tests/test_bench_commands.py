"""How the benches run the product's processes, and how long they wait for what must come."""

import os
import subprocess
import sys
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from bench import checks, commands
from bench.checks import FalseFigure, require_soon
from bench.commands import TREE
from consumer.cli.addresses import free_port
from tests.support.benches import Clock, Started, returning

OTHER = Path("/other")


@pytest.mark.parametrize(("seconds", "asked"), [(3, 3), (4, 4), (5, 4)])
def test_what_must_come_is_asked_for_until_the_time_is_over(
    monkeypatch: pytest.MonkeyPatch, seconds: float, asked: int
) -> None:
    """Each 2 s from the start on, until a question comes later than allowed."""
    clock, questions = Clock(), list[float]()
    monkeypatch.setattr(checks, "time", clock)

    def holds() -> bool:
        questions.append(clock.now)
        return False

    with pytest.raises(FalseFigure, match=rf"^No figure: it was not so after {seconds} s\.$"):
        require_soon("it", holds, seconds, poll=2)

    assert questions == [100.0 + 2 * n for n in range(asked)]
    assert set(clock.slept) == {2}


@pytest.mark.parametrize("settings", [None, {"RETENTION_DAYS": "30", "DATABASE_URL": "another"}])
def test_a_command_runs_to_its_end_in_no_tree_s_folder(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str] | None
) -> None:
    ran: list[Any] = []

    def call(command: list[str], **named: Any) -> int:
        ran.append((command, named))
        return 0

    monkeypatch.setattr(subprocess, "call", call)

    commands.run("url", "work", "--drain", tree=OTHER, settings=settings)

    [(command, named)] = ran
    assert command == [sys.executable, "-m", "consumer", "work", "--drain"]
    environment = {**os.environ, "DATABASE_URL": "url", "PYTHONPATH": "/other", **(settings or {})}
    null = subprocess.DEVNULL
    assert named == {"env": environment, "cwd": "/", "stdout": null, "stderr": null, "timeout": 1800}


def test_a_command_that_fails_or_never_ends_is_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "call", lambda *_, **__: 3)
    with pytest.raises(FalseFigure, match=r"^No figure: `consumer work --drain` of /other ended with 3\.$"):
        commands.run("url", "work", "--drain", tree=OTHER)

    def call(command: list[str], **named: Any) -> int:
        raise subprocess.TimeoutExpired("the command", 1800)

    monkeypatch.setattr(subprocess, "call", call)
    with pytest.raises(FalseFigure, match=r"^No figure: Command 'the command' timed out after 1800 seconds\.$"):
        commands.run("url", "work", tree=OTHER)


def test_a_process_runs_from_its_readiness_until_the_block_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    started, asked = Started(None, None, None), list[Any]()
    ports = returning(False, True)

    def soon(what: str, holds: Any, seconds: float, *, poll: float) -> None:
        asked.append((what, seconds, poll))
        assert [holds(), holds()] == [False, True]

    monkeypatch.setattr(subprocess, "Popen", started)
    monkeypatch.setattr(commands, "require_soon", soon)
    monkeypatch.setattr(commands, "free_port", lambda host: {"127.0.0.1": 4712}[host])
    monkeypatch.setattr(commands, "_is_ready", lambda port: port == 4712 and ports())

    with commands.running("serve", "url", b"kkk", port=4711, tree=OTHER) as process:
        assert process.pid == started.pid
        [(command, named)] = started.done

    assert command == [sys.executable, "-m", "consumer", "serve"]
    given = {"DATABASE_URL": "url", "PYTHONPATH": "/other", "PORT": "4711", "OPS_PORT": "4712"}
    environment = {**os.environ, **given, "STACK_WEBHOOK_SECRETS": "whsec_a2tr"}
    assert named == {"env": environment, "cwd": "/", "stderr": subprocess.DEVNULL}
    assert asked == [("`consumer serve` ready", 30, 0.005)]
    assert started.done[1:] == ["terminated", 15]


def test_a_process_that_ended_is_not_waited_for_and_is_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    started = Started(4, 4)
    monkeypatch.setattr(subprocess, "Popen", started)
    monkeypatch.setattr(commands, "_is_ready", lambda _: False)

    with (
        pytest.raises(FalseFigure, match=r"^No figure: `consumer work` of /other ended with 4\.$"),
        commands.running("work", "url", b"kkk", tree=OTHER),
    ):
        raise AssertionError

    assert started.done[0][1]["env"]["PORT"] == "0"
    assert started.done[1:] == ["terminated", 15]


def test_a_tree_has_the_python_of_its_own_environment(tmp_path: Path) -> None:
    assert commands.python_of(tmp_path) == sys.executable
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()

    assert commands.python_of(tmp_path) == str(python)
    assert commands.python_of(TREE) == sys.executable


@pytest.mark.parametrize(("status", "is_ready"), [(200, True), (503, False)])
def test_a_process_is_ready_when_it_says_so(monkeypatch: pytest.MonkeyPatch, status: int, is_ready: bool) -> None:
    asked: list[Any] = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Kept(HTTPConnection):
        def __init__(self, host: str, port: int, *, timeout: float | None = None) -> None:
            asked.append(timeout)
            super().__init__(host, port, timeout=timeout)

    monkeypatch.setattr(commands, "HTTPConnection", Kept)
    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        answering = Thread(target=server.handle_request)
        answering.start()
        assert commands._is_ready(server.server_port) == is_ready
        answering.join()

    assert asked == [5, "/readyz"]
    assert not commands._is_ready(free_port("127.0.0.1"))
