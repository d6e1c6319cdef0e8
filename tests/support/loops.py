"""A clock that only a pause moves, and a bar that keeps what it is told: for loops of commands."""

import asyncio
import sys
from types import SimpleNamespace
from typing import Any, Self

import pytest


class Clock:
    """Stands in place of `time` and of `asyncio.sleep` in one module."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, module: object) -> None:
        self.now = 1000.0
        self.slept: list[float] = []
        names = {name: getattr(asyncio, name) for name in ("wait_for", "TaskGroup", "create_task", "to_thread")}
        monkeypatch.setattr(module, "asyncio", SimpleNamespace(**names, sleep=self.sleep))
        if hasattr(module, "time"):
            monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: self.now))

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


class Bar:
    """Stands in place of rich's `Progress`; *told* are its tasks and its updates, *made* is how it is made."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        self.made: dict[str, Any] = {}

    def __call__(self, *_: object, **made: object) -> Self:
        self.made = made
        return self

    @property
    def is_passing(self) -> bool:
        """It is drawn beside the results, and leaves nothing behind."""
        return self.made["console"].file is sys.stderr and bool(self.made["transient"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def add_task(self, description: str, **facts: Any) -> int:
        self.told.append({"task": description, **facts})
        return 7

    def update(self, task: int, **facts: Any) -> None:
        assert task == 7
        self.told.append(facts)
