"""A bench whose measuring is handed in: what it then computes and prints is exact."""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from itertools import count
from types import ModuleType, SimpleNamespace
from typing import Any

import psutil
import psycopg
import pytest

from consumer.effects import recorded_settings
from consumer.settings.settings import ShapingSettings

SERVER = "postgresql://the-server"


@dataclass
class Shown:
    """What a bench had printed, call by call, and the databases that it made."""

    titles: list[str] = field(default_factory=list)
    rows: list[list[dict[str, Any]]] = field(default_factory=list)
    facts: list[dict[str, Any]] = field(default_factory=list)
    as_json: list[bool] = field(default_factory=list)
    servers: list[str | None] = field(default_factory=list)
    databases: list[tuple[str, str]] = field(default_factory=list)
    progress: list[str] = field(default_factory=list)


class Ticking:
    """Stand in for the module `time`: each clock says what a test sets, or the next of its readings."""

    def __init__(self, *readings: float, cpu: Iterable[float] = ()) -> None:
        self.slept: list[float] = []
        self._readings: Iterator[float] = iter(readings) if readings else map(float, count())
        self._cpu = iter(cpu)

    def perf_counter(self) -> float:
        return next(self._readings)

    monotonic = perf_counter

    def process_time(self) -> float:
        return next(self._cpu)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


def silent(monkeypatch: pytest.MonkeyPatch, bench: ModuleType) -> Shown:
    """Let a bench print into what is returned, on a server that is none."""
    shown = Shown()

    def show(title: str, rows: Sequence[Any], facts: Mapping[str, Any], *, as_json: bool) -> None:
        shown.titles.append(title)
        shown.rows.append([dict(row) for row in rows])
        shown.facts.append(dict(facts))
        shown.as_json.append(as_json)

    @contextmanager
    def server(url: str | None) -> Iterator[str]:
        shown.servers.append(url)
        yield SERVER

    @contextmanager
    def database(server_url: str, name: str) -> Iterator[str]:
        shown.databases.append((server_url, name))
        yield f"{server_url}/{name}"

    for name, stand_in in {"show": show, "server": server, "database": database}.items():
        if hasattr(bench, name):
            monkeypatch.setattr(bench, name, stand_in)
    if hasattr(bench, "progress"):
        monkeypatch.setattr(bench, "progress", shown.progress.append)
    return shown


def call_main(monkeypatch: pytest.MonkeyPatch, bench: ModuleType, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", [bench.__name__, *arguments])
    bench.main()


def returning(*values: Any) -> Callable[..., Any]:
    """Return a function that returns one value after the other, whatever it is asked."""
    left = iter(values)
    return lambda *_, **__: next(left)


def during(value: object) -> Callable[..., AbstractContextManager[Any]]:
    """Return a function that makes a context manager for this value."""

    @contextmanager
    def manager(*_: object, **__: object) -> Iterator[object]:
        yield value

    return manager


def autocommitting(conn: object) -> Callable[..., AbstractContextManager[Any]]:
    """Return a function that connects, and refuses to open a transaction: in one the server's views stand still."""

    @contextmanager
    def connect(_: str, *, autocommit: bool) -> Iterator[object]:
        assert autocommit
        yield conn

    return connect


def kept_runners(monkeypatch: pytest.MonkeyPatch, bench: ModuleType) -> list[dict[str, object]]:
    """Return what the runners that a bench makes are told by name."""
    told: list[dict[str, object]] = []
    make = bench.BatchRunner

    def runner(*given: object, **named: object) -> object:
        told.append(named)
        return make(*given, **named)

    monkeypatch.setattr(bench, "BatchRunner", runner)
    return told


def kept_records(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """Return which settings are recorded, for which role, and whether by force."""
    kept: list[tuple[object, ...]] = []
    record = recorded_settings.record

    async def keep(conn: Any, access: Any, settings: ShapingSettings, *, worker_role: str, is_forced: bool) -> Any:
        kept.append((settings, worker_role, is_forced))
        return await record(conn, access, settings, worker_role=worker_role, is_forced=is_forced)

    monkeypatch.setattr(recorded_settings, "record", keep)
    return kept


def written(url: str) -> str:
    """Return how far the server's log is written."""
    with psycopg.connect(url) as conn:
        return str(conn.execute("SELECT pg_current_wal_lsn()").fetchall()[0][0])


def is_checkpointed(url: str, since: str) -> bool:
    """Tell whether a checkpoint began since the log was written so far."""
    with psycopg.connect(url) as conn:
        [(is_later,)] = conn.execute("SELECT redo_lsn > %s::pg_lsn FROM pg_control_checkpoint()", [since]).fetchall()
    return bool(is_later)


RECORDED = (ShapingSettings(), "consumer_worker", False)


def answering(*answers: list[tuple[Any, ...]]) -> SimpleNamespace:
    """Return a connection whose statements find one answer after the other."""
    left, asked = iter(answers), list[tuple[Any, ...]]()

    def execute(*arguments: Any) -> SimpleNamespace:
        asked.append(arguments)
        found = next(left)
        return SimpleNamespace(fetchall=lambda: found)

    return SimpleNamespace(execute=execute, asked=asked)


class Clock(Ticking):
    """A clock that only sleep moves."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        self.now += seconds


class Started:
    """A process whose exit code a test says, look by look."""

    def __init__(self, *codes: int | None) -> None:
        self.pid = psutil.Process().pid
        self.returncode: int | None = None
        self.done: list[Any] = []
        self._codes = iter(codes)

    def __call__(self, command: list[str], **named: Any) -> "Started":
        self.done.append((command, named))
        return self

    def poll(self) -> int | None:
        self.returncode = next(self._codes)
        return self.returncode

    def terminate(self) -> None:
        self.done.append("terminated")

    def kill(self) -> None:
        self.done.append("killed")

    def wait(self, timeout: float | None = None) -> None:
        self.done.append(timeout)
