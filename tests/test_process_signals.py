"""What stops a process: a signal, once, and the end of the parent that supervises it."""

import asyncio
import logging
import os
import signal
import subprocess
import sys
import threading

import pytest

from consumer import logs
from consumer.process import signals
from consumer.process.signals import run
from tests.support.processes import EXIT_SECONDS, ROOT

SUPERVISED = """
import sys
from consumer.process import signals

async def work(stop):
    print("working", flush=True)
    await stop.wait()
    print("stopped", flush=True)
    return 3

print(signals.run(work, is_supervised=sys.argv[1] == "yes"), flush=True)
"""


class Timer:
    """Stand in for a timer: it tells what it would do."""

    made: list["Timer"]

    def __init__(self, seconds: float, function: object, values: tuple[int, ...]) -> None:
        self.facts, self.daemon, self.is_started = (seconds, function, values), False, False
        Timer.made.append(self)

    def start(self) -> None:
        self.is_started = self.daemon


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_asks_for_the_stop_and_sets_the_deadline(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, number: signal.Signals
) -> None:
    Timer.made = []
    monkeypatch.setattr(threading, "Timer", Timer)

    async def work(stop: asyncio.Event) -> str:
        for _ in range(2):
            os.kill(os.getpid(), number)
            await stop.wait()
            await asyncio.sleep(0.01)
        return "done"

    with caplog.at_level(logging.INFO, "consumer"):
        assert run(work) == "done"

    assert [(each.getMessage(), vars(each)["signal"]) for each in caplog.records] == [
        (logs.STOP_REQUESTED, number.name)
    ]
    [timer] = Timer.made
    assert timer.facts == (signals.EXIT_SECONDS_MAX, os._exit, (0,))
    # Otherwise it would keep a process that has ended its work from ending.
    assert timer.is_started


@pytest.mark.parametrize("is_supervised", [True, False])
def test_only_a_supervised_process_ends_with_what_holds_its_input(is_supervised: bool) -> None:
    command = [sys.executable, "-c", SUPERVISED, "yes" if is_supervised else "no"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == b"working\n"
        # Whatever it is given is no end.
        process.stdin.write(b"x" * 100)
        process.stdin.flush()
        process.stdin.close()
        if not is_supervised:
            process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == b"stopped\n3\n"
        assert process.wait(EXIT_SECONDS) == 0


def test_the_parent_s_end_is_read_to_its_last_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    given, asked, killed = [b"a", b"b", b""], list[tuple[int, int]](), list[tuple[int, int]]()

    def read(file: int, count: int) -> bytes:
        asked.append((file, count))
        return given.pop(0)

    monkeypatch.setattr(os, "read", read)
    monkeypatch.setattr(os, "kill", lambda *values: killed.append(values))
    signals._end_with_parent()

    assert {file for file, _ in asked} == {0}
    assert (given, killed) == ([], [(os.getpid(), signal.SIGTERM)])
