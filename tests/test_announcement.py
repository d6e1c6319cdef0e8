"""The announcement of `up`: one write, so that no line of a log comes between its lines."""

import sys
from io import StringIO

import pytest

from consumer.cli import announcement
from consumer.cli.announcement import announce
from consumer.settings.settings import Settings


class Counted(StringIO):
    """A stream that keeps each write."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[str] = []

    def write(self, text: str) -> int:
        self.writes.append(text)
        return len(text)


async def test_the_announcement_is_printed_in_one_write(monkeypatch: pytest.MonkeyPatch) -> None:
    async def at_once(*_: object) -> None:
        pass

    stream = Counted()
    monkeypatch.setattr(announcement, "until_listening", at_once)
    monkeypatch.setattr(sys, "stdout", stream)

    await announce(Settings(), ops_ports=(8001, 8002), conninfo="postgresql:///app", secret_files={})

    assert [text.count("\n") for text in stream.writes if text] == [6]
