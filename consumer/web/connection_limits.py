"""Limits of one server's connections: when there are too many, the one idle longest is closed."""

import asyncio
import resource
import sys
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from consumer.web.body_budget import BODIES_BYTES_MAX, LARGEST_BODIES_MIN, ArrivingBody, BodyBudget

# Open files that are no connections of senders: the database's connections, the ops port's, the log, the loop's own.
RESERVED_FILES = 64


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one server's connections, the same for every caller."""

    body_bytes: int = 2 * 1024 * 1024
    # For a head, for a body, and for a reader that stands still: an honest caller needs a fraction of it.
    read_timeout_seconds: float = 5.0
    # Above the usual 60 s of a proxy's pool, so that the proxy hangs up first and loses no request to the race.
    idle_seconds: int = 75
    # How long a refused sender may keep sending before it reads why.
    linger_seconds: float = 2.0
    # Below the usual limit of 1,024 open files, with room for the database's connections.
    connections: int = 800
    # For the bodies of all connections together.
    bodies_bytes: int = BODIES_BYTES_MAX


class LimitedConnection(ArrivingBody, Protocol):
    """The part of a connection that the limiter needs."""

    transport: asyncio.Transport

    @property
    def is_waiting(self) -> bool:
        """Whether closing it now would lose no request that has arrived in full."""


@dataclass(slots=True)
class ConnectionLimiter:
    """One server's limits and connections; a connection moves to the end with each answer."""

    limits: Limits
    refused: Callable[[str], None]
    connections: OrderedDict[LimitedConnection, None] = field(default_factory=OrderedDict)
    bodies: BodyBudget = field(init=False)
    connections_max: int = field(init=False)

    def __post_init__(self) -> None:
        limits = self.limits
        bytes_max = max(limits.bodies_bytes, LARGEST_BODIES_MIN * limits.body_bytes)
        self.bodies = BodyBudget(self.connections, bytes_max)
        self.connections_max = min(limits.connections, connections_of_open_files())

    def admit(self, newcomer: LimitedConnection) -> None:
        """Register a connection; above the limit, close the one idle longest."""
        self.connections[newcomer] = None
        if len(self.connections) > self.connections_max:
            idlest = next(connection for connection in self.connections if connection.is_waiting)
            idlest.transport.close()
            self.refused("too_many_connections")


def connections_of_open_files() -> int:
    """Return how many connections the process's limit of open files leaves room for."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(1, files - RESERVED_FILES) if files != resource.RLIM_INFINITY else sys.maxsize
