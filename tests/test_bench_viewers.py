"""Viewers of a live page whom a bench plays: their frames are counted, and one who is sent away is missed."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bench import console_people
from bench.checks import FalseFigure
from bench.console_people import Operator, Viewers
from tests.support.benches import Ticking

OPERATOR = cast("Operator", SimpleNamespace(port=4711, cookie="console=x"))


class Looking:
    """Stand in for the process of viewers, and for the module that makes it and the two numbers that it shares."""

    def __init__(self, come: int) -> None:
        self.frames = SimpleNamespace(value=0)
        self.lookers = SimpleNamespace(value=0)
        self.done: list[object] = []
        self.alive = True
        self._come = come
        self._values = iter([self.frames, self.lookers])

    def get_context(self, kind: str) -> SimpleNamespace:
        assert kind == "spawn"
        return SimpleNamespace(Value=self._value, Process=self._process)

    def _value(self, kind: str, number: int) -> SimpleNamespace:
        assert (kind, number) == ("q", 0)
        return next(self._values)

    def _process(self, *, target: object, args: tuple[object, ...], daemon: bool) -> "Looking":
        assert (target, daemon) == (console_people._look, True)
        self.done.append(args[:3])
        assert args[3:] == (self.frames, self.lookers)
        return self

    def start(self) -> None:
        self.done.append("started")
        self.lookers.value = self._come

    def terminate(self) -> None:
        self.done.append("terminated")

    def join(self, timeout: float) -> None:
        self.done.append(timeout)

    def is_alive(self) -> bool:
        return self.alive


@pytest.fixture
def looking(monkeypatch: pytest.MonkeyPatch) -> Looking:
    """Three viewers; a look whether something is so brings one more frame."""
    looking = Looking(3)

    def soon(what: str, holds: Any, seconds: float, *, poll: float) -> None:
        looking.done.append((what, seconds, poll))
        while not holds():
            assert looking.frames.value < 20, what
            looking.frames.value += 1

    monkeypatch.setattr(console_people, "multiprocessing", looking)
    monkeypatch.setattr(console_people, "require_soon", soon)
    return looking


def test_viewers_are_awaited_and_ended(looking: Looking) -> None:
    with Viewers(OPERATOR, 3) as viewers:
        assert isinstance(viewers, Viewers)
        assert looking.done == [(4711, "console=x", 3), "started", ("3 viewers", 30, 0.02)]

    assert looking.done[3:] == ["terminated", 15]


def test_so_many_more_frames_are_awaited_and_timed(looking: Looking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console_people, "time", Ticking(5.0, 7.5))
    looking.frames.value = 4
    with Viewers(OPERATOR, 3) as viewers:
        assert viewers.wait(3) == 2.5

        assert looking.frames.value == 7
        assert looking.done[-1] == ("3 frames", 60, 0.005)


def test_all_viewers_must_still_look_after_one_more_frame(looking: Looking) -> None:
    with Viewers(OPERATOR, 3) as viewers:
        viewers.require_looking()
        assert looking.frames.value == 1
        looking.lookers.value = 2
        with pytest.raises(FalseFigure, match=r"^No figure: 2 of 3 viewers were still looking\.$"):
            viewers.require_looking()
        looking.lookers.value, looking.alive = 3, False
        with pytest.raises(FalseFigure, match=r"^No figure: 3 of 3 viewers were still looking\.$"):
            viewers.require_looking()


class Enough(Exception):
    """The script is over."""


class Lookers:
    """The number of those who look; each telling of it takes the next step of a script."""

    def __init__(self, script: Iterator[None]) -> None:
        self.told: list[int] = []
        self._script = script

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "value":
            self.told.append(value)
            if next(self._script, Enough) is Enough:
                raise Enough
        else:
            super().__setattr__(name, value)


@contextmanager
def live_page(connections: list[socket.socket], count: int) -> Iterator[tuple[int, list[bytes]]]:
    """Listen as the console does; take as many connections as viewers come, and read what each asks."""
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)

        def take() -> None:
            for _ in range(count):
                connection, _ = listener.accept()
                connections.append(connection)
                asked.append(connection.recv(10_000))
            connections[0].sendall(b"HTTP/1.1 200 OK\r\n\r\n")

        taking = Thread(target=take)
        taking.start()
        yield listener.getsockname()[1], asked
        taking.join()
    for connection in connections:
        connection.close()


@pytest.mark.seconds_max(20)
def test_who_got_a_whole_event_looks_until_the_console_hangs_up_and_the_first_ones_frames_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[socket.socket] = []

    def connect(address: tuple[str, int]) -> socket.socket:
        made.append(socket.create_connection(address))
        return made[-1]

    monkeypatch.setattr(console_people, "socket", SimpleNamespace(create_connection=connect))
    connections: list[socket.socket] = []
    frames = SimpleNamespace(value=0)
    # After each look: how many look, and how many frames the first has had.
    seen: list[tuple[int, int]] = []

    def script() -> Iterator[None]:
        for which, data in ((0, b"event: a\n\n"), (1, b"event: a\n\n"), (0, b"event: half"), (0, b"\n\n"), (1, b"")):
            seen.append((lookers.told[-1], frames.value))
            if data:
                connections[which].sendall(data)
            else:
                connections[which].close()
            yield
        seen.append((lookers.told[-1], frames.value))

    lookers = Lookers(script())
    with live_page(connections, 2) as (port, asked), pytest.raises(Enough):
        console_people._look(port, "console=x", 2, frames, lookers)

    for each in made:
        each.close()
    # The head, the first of each, half an event, its end, and the second who is sent away.
    assert seen == [(0, 0), (1, 1), (2, 1), (2, 1), (2, 2), (1, 2)]
    request = f"GET /live?page=overview HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncookie: console=x\r\n\r\n"
    assert asked == [request.encode()] * 2
