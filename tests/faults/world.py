"""What a fault happens to: a server of its own, processes of ours behind wires, and the storm."""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg

from consumer.embedded import server as embedded
from consumer.postgres import migrations
from tests.faults.proxy import Wire, wire
from tests.faults.storm import Storm
from tests.support.databases import deadlocks, record_settings, rows
from tests.support.processes import EXIT_SECONDS, Running, is_ready, on, ports, running, until

WORKERS = 2
# How long a fault waits for the sign that it struck.
SIGHT_SECONDS = 4.0
# A backlog and rows that were locked by others are worked off by then.
DRAIN_SECONDS_MAX = 40.0
POLL_SECONDS = 0.02
DUE_UP_TO = """
SELECT (SELECT seq FROM consumer.pending WHERE seq <= {0} LIMIT 1) IS NULL
    AND (SELECT seq FROM consumer.failures WHERE state = 'retrying' AND seq <= {0} LIMIT 1) IS NULL AS is_drained
"""
WAITING = """
SELECT pid FROM pg_stat_activity
WHERE application_name = 'consumer {}' AND wait_event_type = 'Lock'
"""


@dataclass
class Member:
    """One process of ours, which may die and start again."""

    folder: Path
    settings: Mapping[str, str]
    command: str
    port: int | None = None
    _life: ExitStack = field(default_factory=ExitStack)

    def start(self) -> None:
        """Start, and return when a receiver can store."""
        self._life.close()
        self.now: Running = self._life.enter_context(running(self.folder, self.settings, self.command))
        if self.port is not None:
            port = self.port
            until(lambda: is_ready(port))

    def signal(self, number: int) -> None:
        """Send a signal."""
        self.now.process.send_signal(number)

    def kill(self) -> None:
        """End at once, without a word."""
        kill(self.now)

    def stop(self) -> None:
        """Hold the process to its promise about SIGTERM, which was sent."""
        assert self.now.process.wait(EXIT_SECONDS + 1) == 0, f"{self.command} did not end well after SIGTERM"

    def end(self) -> None:
        """Leave nothing running, stopped or not."""
        self._life.close()


@dataclass
class World:
    """Everything that a fault may touch."""

    url: str
    data_dir: Path
    folder: Path
    receivers: list[Member]
    workers: list[Member]
    to_receivers: Wire
    to_workers: Wire
    weather: Storm
    chance: random.Random

    def sees(self, sign: Callable[[], object], seconds: float = SIGHT_SECONDS) -> bool:
        """Tell whether the sign that a fault struck is seen in time."""
        with suppress(AssertionError):
            return bool(until(sign, seconds))
        return False

    def waiting(self, name: str) -> int:
        """Count the connections of receivers or of workers that wait for a lock."""
        return len(rows(self.url, WAITING.format(name)))

    def said(self, text: str) -> int:
        """Count a text in what the processes logged."""
        return sum(file.read_text(errors="replace").count(text) for file in self.folder.glob("*.log"))

    def deadlocks(self) -> int:
        """Count deadlocks since the server's last crash."""
        return deadlocks(self.url)

    def outcomes(self) -> int:
        """Count the deliveries that are done."""
        return int(rows(self.url, "SELECT count(*) AS n FROM consumer.outcomes")[0]["n"])

    def crash(self, number: int) -> int:
        """Send the postmaster a signal that ends it; return its id when another one is there and answers."""
        pid = until(lambda: postmaster(self.data_dir))
        os.kill(pid, number)
        until(lambda: postmaster(self.data_dir) not in (pid, None))
        self.is_back()
        return pid

    def is_back(self) -> None:
        """Return when the server answers."""
        until(lambda: answers(self.url))

    def drained(self) -> float:
        """Return how many seconds it takes until nothing that is stored by now is due."""
        began = time.monotonic()
        (row,) = rows(self.url, "SELECT coalesce(max(seq), 0) AS last FROM consumer.outbox")
        until(lambda: rows(self.url, DUE_UP_TO.format(row["last"]))[0]["is_drained"], DRAIN_SECONDS_MAX)
        return time.monotonic() - began


@contextmanager
def world(chance: random.Random) -> Iterator[World]:
    """Make a world in a folder of its own; when it ends, the storm is over and the processes still run."""
    with ExitStack() as last:
        folder = Path(last.enter_context(TemporaryDirectory(ignore_cleanup_errors=True)))
        data_dir = opened(folder)
        url = last.enter_context(embedded.server(data_dir, create=True))
        prepare(url)
        to_receivers, to_workers = last.enter_context(wire(url)), last.enter_context(wire(url))
        listening = ports(chance.choice((1, 2)))
        receivers = [Member(folder, on(to_receivers.url, PORT=port), "serve", port) for port in listening]
        workers = [Member(folder, on(to_workers.url), "work") for _ in range(WORKERS)]
        for member in (*receivers, *workers):
            last.callback(member.end)
            member.start()
        weather = Storm(listening)
        yield World(url, data_dir, folder, receivers, workers, to_receivers, to_workers, weather, chance)


def prepare(url: str) -> None:
    """Make the schema and record the default settings."""
    migrations.apply(url, "consumer")
    record_settings(url)


def opened(folder: Path) -> Path:
    """Return a data folder that the server's own user can reach."""
    folder.chmod(0o755)
    return folder / "postgres"


def kill(process: Running) -> None:
    """End a process at once, and wait until it has."""
    process.process.send_signal(signal.SIGKILL)
    process.process.wait()


def postmaster(data_dir: Path) -> int | None:
    """Return the server's process id, None while it is starting."""
    file = data_dir / "cluster" / "postmaster.pid"
    with suppress(FileNotFoundError, IndexError):
        return int(file.read_text().split()[0])
    return None


def answers(url: str) -> bool:
    """Tell whether the server lets us in."""
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True
