"""One budget of memory for the bodies of all connections: above it, reading pauses, and the slowest body gives way."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from uvicorn.protocols.http.flow_control import FlowControl

# Sixteen of the largest bodies, or tens of thousands of the usual 1.3 kB: with 800 connections the process stays below
# 200 MB (bench/hostile.py).
BODIES_BYTES_MAX = 32 * 1024 * 1024
# Above this multiple of the budget the slowest body is refused at once. The one body that may go on stays below.
OVERDRAFT = 1.5
# A budget holds so many of the largest bodies at least, however large MAX_BODY_BYTES is.
LARGEST_BODIES_MIN = 4
# How long the others wait for the fastest body: at 16 MB/s, the largest has arrived twice.
PATIENCE_SECONDS = 0.25
# Bodies up to this are neither held back nor refused, so that the usual delivery passes even then. The number of
# connections bounds them.
SMALL_BODY_BYTES = 64 * 1024


class Flow(FlowControl):
    """A connection's flow control that reads nothing while the budget holds it back."""

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__(transport)
        self.is_held_back = False

    def hold_back(self) -> None:
        """Read nothing until `let_go`."""
        self.is_held_back = True
        self.pause_reading()

    def let_go(self) -> None:
        """Read again."""
        if self.is_held_back:
            self.is_held_back = False
            self.resume_reading()

    def resume_reading(self) -> None:
        """Read again, unless the budget holds the connection back: the application asks for each piece."""
        # Twice for each request: asking here too whether it is paused saves the call.
        if self.read_paused and not self.is_held_back:
            super().resume_reading()


class ArrivingBody(Protocol):
    """The part of a connection that the budget needs."""

    flow: Flow
    held_bytes: int

    @property
    def is_body_arriving(self) -> bool:
        """Whether a part of a body that will be used is still to come."""

    def bytes_per_second(self) -> float:
        """Return how fast the body has arrived so far."""

    def refuse(self, code: str) -> None:
        """Refuse the request, and release its body."""


@dataclass(slots=True)
class BodyBudget:
    """The bytes of all bodies that have begun to arrive and are not complete."""

    connections: Iterable[ArrivingBody]
    bytes_max: int
    held_bytes: int = 0
    timer: asyncio.TimerHandle | None = None
    fastest: ArrivingBody | None = None

    def take(self, connection: ArrivingBody, size: int) -> None:
        """Count a piece of a body; may refuse large bodies, this one too."""
        connection.held_bytes += size
        self.held_bytes += size
        if self.held_bytes > self.bytes_max:
            self._squeeze(connection)

    def release(self, connection: ArrivingBody) -> None:
        """Forget all that a connection holds, and let the others go on if there is room."""
        self.held_bytes -= connection.held_bytes
        connection.held_bytes = 0
        connection.flow.let_go()
        if self.timer is not None and self.held_bytes <= self.bytes_max:
            self.timer.cancel()
            self.timer = self.fastest = None
            for other in self.connections:
                other.flow.let_go()

    def _squeeze(self, newest: ArrivingBody) -> None:
        while self.held_bytes > OVERDRAFT * self.bytes_max and self._refuse_slowest():
            pass
        if self.held_bytes <= self.bytes_max:
            return
        if self.timer is None:
            self._wait_for_fastest()
        elif newest is not self.fastest and newest.held_bytes > SMALL_BODY_BYTES:
            newest.flow.hold_back()

    def _wait_for_fastest(self) -> None:
        """Of the large bodies read only the fastest; in this way bodies that come all at once take turns."""
        large = self._large()
        self.fastest = max(large, key=lambda body: body.bytes_per_second(), default=None)
        for body in large:
            if body is self.fastest:
                body.flow.let_go()
            else:
                body.flow.hold_back()
        self.timer = asyncio.get_running_loop().call_later(PATIENCE_SECONDS, self._lose_patience)

    def _lose_patience(self) -> None:
        self.timer = self.fastest = None
        self._refuse_slowest()
        if self.held_bytes > self.bytes_max:
            self._wait_for_fastest()
        else:
            for connection in self.connections:
                connection.flow.let_go()

    def _refuse_slowest(self) -> bool:
        """Refuse the slowest large body; return False if there is none."""
        if large := self._large():
            min(large, key=lambda body: body.bytes_per_second()).refuse("body_too_slow")
        return bool(large)

    def _large(self) -> list[ArrivingBody]:
        return [body for body in self.connections if body.is_body_arriving and body.held_bytes > SMALL_BODY_BYTES]
