"""The announcement of `up`: one write, so that no line of a log comes between its lines."""

import re
import sys
from io import StringIO
from pathlib import Path
from typing import Literal

import pytest

from consumer.cli import announcement
from consumer.cli.announcement import announce
from consumer.settings.settings import Settings
from tests.support.settings import HIDDEN, load


class Counted(StringIO):
    """A stream that keeps each write."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[str] = []

    def write(self, text: str) -> int:
        self.writes.append(text)
        return len(text)


@pytest.fixture(autouse=True)
def receiver(monkeypatch: pytest.MonkeyPatch) -> None:
    """Need no receiver that listens."""

    async def at_once(*_: object) -> None:
        pass

    monkeypatch.setattr(announcement, "until_listening", at_once)


async def test_the_announcement_is_printed_in_one_write(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Counted()
    monkeypatch.setattr(sys, "stdout", stream)

    await announce(Settings(ops_port=8001), ops_ports=(8001, 8002), conninfo="postgresql:///app", secret_files={})

    assert [text.count("\n") for text in stream.writes if text] == [6]


async def test_the_line_to_try_names_run_if_the_caller_typed_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONSUMER_RUN", str(tmp_path / "run"))

    await announce(Settings(ops_port=8001), ops_ports=(8001, 8002), conninfo="postgresql:///app", secret_files={})

    assert re.findall("^Try it +(.*)$", capsys.readouterr().out, re.MULTILINE) == [
        "./run send user.created --url http://127.0.0.1:8000/webhooks/stack"
    ]


@pytest.mark.parametrize(
    ("ops_port", "ports", "lines"),
    [
        (None, (), ["Metrics         on the ports that the log names in ops_started"]),
        ("off", (), []),
        (
            8001,
            (8001, 8002),
            ["Receiver's ops  http://127.0.0.1:8001/metrics", "Worker's ops    http://127.0.0.1:8002/metrics"],
        ),
    ],
)
async def test_the_announcement_names_the_ops_ports_or_where_they_are_named(
    ops_port: int | Literal["off"] | None, ports: tuple[int, ...], lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    await announce(Settings(ops_port=ops_port), ops_ports=ports, conninfo="postgresql:///app", secret_files={})

    assert re.findall("^(?:Metrics|.*ops  ).*$", capsys.readouterr().out, re.MULTILINE) == lines


@pytest.mark.parametrize("name", ["STACK_WEBHOOK_SECRETS", "HEXCLAVE_WEBHOOK_SECRET", "STACK_WEBHOOK_SECRET_FILE"])
async def test_the_announcement_names_the_variable_that_holds_the_secret(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "secret").write_text(HIDDEN)
    loaded = load({name: str(tmp_path / "secret") if name.endswith("_FILE") else HIDDEN})

    await announce(loaded, ops_ports=(), conninfo="postgresql:///app", secret_files={})

    assert f"Secret          from {name}\n" in capsys.readouterr().out
