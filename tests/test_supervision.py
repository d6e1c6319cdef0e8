"""A group of processes: how soon each is started again, what it is given, and how all end."""

import asyncio
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from consumer import logs
from consumer.errors import BadSettings
from consumer.process import signals, supervision
from consumer.process.supervision import Program, supervise
from tests.support.polling import until
from tests.support.processes import EXIT_SECONDS, ROOT

# In place of `python -m consumer`: it does what its only argument says.
PROGRAM = """
import os, pathlib, signal, sys, time
kind, directory = sys.argv[1], pathlib.Path(__file__).parents[1]
with (directory / f"{kind}.started").open("a") as file:
    file.write(f"{os.getpid()}\\n")
if kind in ("dies", "refuses"):
    raise SystemExit({"dies": 7, "refuses": 2}[kind])
if kind == "tells":
    facts = sys.argv[2:], os.getsid(0) == os.getpid(), os.environ.get("TOLD"), sys.stdin.isatty()
    (directory / "telling").write_text(repr(facts))
    (directory / "telling").rename(directory / "told")
if kind == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    (directory / "is_deaf").touch()
sys.stdin.read() if kind != "deaf" else time.sleep(15)
"""
WORK = """
import asyncio, sys
from consumer.process import signals

async def work(stop):
    print("working", flush=True)
    await stop.wait()
    await asyncio.sleep(60)

signals.EXIT_SECONDS_MAX = float(sys.argv[1])
signals.run(work)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "consumer").mkdir()
    (tmp_path / "consumer" / "__init__.py").touch()
    (tmp_path / "consumer" / "__main__.py").write_text(PROGRAM)
    return tmp_path


def program(folder: Path, kind: str, environment: Mapping[str, str] | None = None) -> Program:
    # A group imports nothing from its working directory.
    return Program(kind, [kind], {"PYTHONPATH": str(folder), **(environment or {})}, folder)


def starts(folder: Path, kind: str) -> list[int]:
    file = folder / f"{kind}.started"
    return [int(line) for line in file.read_text().split()] if file.exists() else []


def is_gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


async def restarts(folder: Path, count: int, caplog: pytest.LogCaptureFixture) -> list[float]:
    """Return how long the group waited before each restart of a program that dies at once."""
    stop = asyncio.Event()
    with caplog.at_level(logging.ERROR, "consumer"):
        supervising = asyncio.create_task(supervise([program(folder, "dies")], stop))
        await until(lambda: len(caplog.records) >= count)
        stop.set()
        await supervising
    died = [vars(record) for record in caplog.records]
    assert {(each["msg"], each["program"], each["exit_code"]) for each in died} == {(logs.PROCESS_DIED, "dies", 7)}
    return [each["restart_seconds"] for each in died][:count]


async def test_what_keeps_dying_is_started_again_ever_more_slowly(
    folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervision, "RESTART_SECONDS_MIN", 0.01)
    monkeypatch.setattr(supervision, "RESTART_SECONDS_MAX", 0.05)

    assert await restarts(folder, 5, caplog) == [0.01, 0.02, 0.04, 0.05, 0.05]


async def test_what_lived_for_a_while_is_started_again_at_once(
    folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervision, "RESTART_SECONDS_MIN", 0.01)
    monkeypatch.setattr(supervision, "SOUND_SECONDS", 0.0)

    assert await restarts(folder, 3, caplog) == [0.01, 0.01, 0.01]


async def test_each_is_told_to_end_with_its_group_and_has_a_session_of_its_own(folder: Path) -> None:
    stop = asyncio.Event()
    supervising = asyncio.create_task(supervise([program(folder, "tells", {"TOLD": "this"})], stop))
    await until((folder / "told").exists)
    stop.set()
    await supervising

    assert (folder / "told").read_text() == repr((["--supervised"], True, "this", False))
    assert len(starts(folder, "tells")) == 1


async def test_one_that_refuses_its_settings_ends_the_others_and_is_not_started_again(folder: Path) -> None:
    group = [program(folder, "refuses"), program(folder, "waits")]

    with pytest.raises(BadSettings, match="The refuses refused to start; its reason is above"):
        await supervise(group, asyncio.Event())

    assert len(starts(folder, "refuses")) == 1
    assert all(is_gone(pid) for pid in starts(folder, "waits"))


async def test_one_that_does_not_end_in_time_is_killed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "STOP_SECONDS_MAX", 0.3)
    stop = asyncio.Event()
    supervising = asyncio.create_task(supervise([program(folder, "deaf")], stop))
    await until((folder / "is_deaf").exists)
    began = time.monotonic()
    stop.set()
    await supervising

    assert 0.3 <= time.monotonic() - began < EXIT_SECONDS
    assert all(is_gone(pid) for pid in starts(folder, "deaf"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_process_that_cannot_finish_ends_well_at_its_deadline(number: signal.Signals) -> None:
    command = [sys.executable, "-c", WORK, "0.2"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout
        assert process.stdout.readline() == b"working\n"
        os.kill(process.pid, number)
        assert process.wait(EXIT_SECONDS) == 0


def test_the_times_of_a_group_and_of_a_process_fit_into_each_other() -> None:
    assert (supervision.RESTART_SECONDS_MIN, supervision.RESTART_SECONDS_MAX, supervision.SOUND_SECONDS) == (
        0.1,
        1.6,
        10,
    )
    # A process has ended by itself before its group would kill it.
    assert (signals.EXIT_SECONDS_MAX, EXIT_SECONDS, supervision.STOP_SECONDS_MAX) == (9.5, 10, 10.5)
