"""`consumer demo --watch`: what it starts, what it waits for, and at which pace it sends."""

import asyncio
import io
import socket
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from consumer.cli import announcement, console, demo_watch
from consumer.process.supervision import Program
from consumer.settings.settings import Settings
from tests.support.loops import Clock


async def test_a_port_is_asked_until_it_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    pauses: list[float] = []
    servers: list[asyncio.Server] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            servers.append(await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", port))

    stand_in = SimpleNamespace(sleep=sleep, open_connection=asyncio.open_connection)
    monkeypatch.setattr(announcement, "asyncio", stand_in)
    await announcement.until_listening("127.0.0.1", port)

    assert pauses == [announcement.ASK_SECONDS] * 2
    servers[0].close()


async def test_a_watched_demo_starts_a_console_and_maintenance_and_sends_at_a_pace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, stop = Clock(monkeypatch, demo_watch), asyncio.Event()
    supervised: list[Any] = []
    asked: list[tuple[str, int]] = []
    sent: list[int] = []

    async def supervise(programs: Sequence[Program], until: asyncio.Event) -> None:
        supervised.extend(programs)
        await until.wait()
        supervised.append("ended")

    async def until_listening(host: str, port: int) -> None:
        asked.append((host, port))

    class Printed(io.StringIO):
        def write(self, text: str) -> int:
            if "All are sent" in text:
                stop.set()
            return super().write(text)

    out = Console(file=Printed(), width=200)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        monkeypatch.setattr(console, "listen_console", lambda _: [listening])
        monkeypatch.setattr(console, "first_link", lambda *_: "http://link")
        monkeypatch.setattr(demo_watch, "supervise", supervise)
        monkeypatch.setattr(demo_watch, "until_listening", until_listening)
        first = Program("receiver", ["serve"], {"A": "b"})
        posts: list[Callable[[], object]] = [lambda: sent.append(1), lambda: sent.append(2)]
        settings = Settings(host="127.0.0.1", port=1, console_host="127.0.0.2")
        await demo_watch.watch(settings, [first], posts, out, stop)
        numbers = str(listening.fileno())

    receiver, shown, kept, ended = supervised
    assert (receiver, ended) == (first, "ended")
    assert (shown.name, shown.arguments, shown.environment) == (
        "console",
        ["console", "--listeners", numbers],
        {"A": "b"},
    )
    assert (shown.sockets, kept.sockets) == ([listening], first.sockets)
    assert (kept.name, kept.arguments, kept.environment) == ("maintenance", ["maintain", "--watch"], {"A": "b"})
    assert (asked, sent, clock.slept) == ([("127.0.0.1", 1), ("127.0.0.2", port)], [1, 2], [0.25, 0.25])
    text = out.file
    assert isinstance(text, io.StringIO)
    assert text.getvalue().splitlines() == [
        "Open http://link",
        "2 requests follow, 4 a second. Ctrl-C ends it.",
        "All are sent. The console stays until Ctrl-C.",
    ]
