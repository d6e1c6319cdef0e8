"""A log of a test's own: what a process would write to its stderr."""

import gc
import json
import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import pytest

from consumer import logs

ROOT = Path(__file__).parents[2]
EMAIL = "jane@example.com"
# PostgreSQL's message about a violated constraint names the key, and for a CHECK the whole row.
LEAK = f"duplicate key value\nDETAIL: Key (email)=({EMAIL}) already exists."


class Terminal:
    """A stderr that remembers each write."""

    def __init__(self, *, is_terminal: bool = False) -> None:
        self.buffer = self
        self.writes: list[bytes] = []
        self._is_terminal = is_terminal

    def write(self, data: bytes) -> None:
        self.writes.append(data)

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return self._is_terminal

    @property
    def text(self) -> str:
        return b"".join(self.writes).decode()

    @property
    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.text.splitlines()]


class Start(Protocol):
    def __call__(self, log_format: logs.LogFormat | None, level: str, stderr: Terminal | None = None) -> Terminal: ...


@contextmanager
def logging_as_before() -> Iterator[None]:
    """Undo what a command does to logging, which belongs to the process that the tests share."""
    root, server = logging.getLogger(), logging.getLogger("uvicorn.error")
    server_level = server.level
    handlers, level, hooks = root.handlers[:], root.level, (sys.excepthook, threading.excepthook)
    switches = {
        name: getattr(logging, name) for name in ("logThreads", "logProcesses", "logMultiprocessing", "_srcfile")
    }
    try:
        yield
    finally:
        root.handlers, root.level = handlers, level
        sys.excepthook, threading.excepthook = hooks
        for name, value in switches.items():
            setattr(logging, name, value)
        logging.getLogger("consumer").setLevel(logging.NOTSET)
        server.setLevel(server_level)
        logging.getLogger("uvicorn.access").disabled = False
        logging.captureWarnings(capture=False)


@pytest.fixture
def undone() -> Iterator[None]:
    """Undo after the test what it does to logging."""
    with logging_as_before():
        yield


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch, undone: None) -> Start:
    """Configure logging on a stderr of the test's own: pytest puts its own there before each test's body."""

    def configure(log_format: logs.LogFormat | None, level: str, stderr: Terminal | None = None) -> Terminal:
        stderr = stderr or Terminal()
        monkeypatch.setattr(sys, "stderr", stderr)
        logging.getLogger().handlers = []
        # As in a process of its own: another test's server has set its level, and what other tests have left
        # is told when it is collected.
        logging.getLogger("uvicorn.error").setLevel(logging.NOTSET)
        gc.collect()
        logs.configure(log_format, level)
        return stderr

    return configure
