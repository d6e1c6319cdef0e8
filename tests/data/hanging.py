"""Tests that hang, each at the line with the remark, and one that does not; tests/test_time_limit.py runs them."""

import asyncio
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator

import click
import pytest
import uvloop
from click.testing import CliRunner

pytestmark = pytest.mark.seconds_max(0.3)
SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]


@pytest.fixture
def late() -> None:
    threading.Event().wait()  # hangs


@pytest.fixture
def lasting() -> Iterator[None]:
    yield
    threading.Event().wait()  # hangs


def test_loop() -> None:
    while True:  # hangs
        pass


def test_queue() -> None:
    queue.Queue[int]().get()  # hangs


def test_thread() -> None:
    thread = threading.Thread(target=threading.Event().wait, daemon=True)
    thread.start()
    thread.join()  # hangs


def test_process() -> None:
    subprocess.run(SLEEPER, check=True)  # hangs


def test_line_of_a_process() -> None:
    with subprocess.Popen(SLEEPER, stdout=subprocess.PIPE) as process:
        assert process.stdout
        try:
            process.stdout.readline()  # hangs
        finally:
            process.kill()


async def wait() -> None:
    await asyncio.Event().wait()  # hangs


async def test_event() -> None:
    await wait()


async def test_polling() -> None:
    while not queue.Queue[int]().qsize():  # noqa: ASYNC110  As who waits for another process does. # hangs
        await asyncio.sleep(0.01)  # hangs


async def test_other_task() -> None:
    await asyncio.gather(asyncio.sleep(0), wait())


def test_other_loop() -> None:
    uvloop.run(wait())


def test_command_that_is_expected_to_fail() -> None:
    assert CliRunner().invoke(click.command()(lambda: uvloop.run(wait()))).exit_code == 1  # hangs


@pytest.mark.usefixtures("late")
def test_fixture() -> None:
    pass


@pytest.mark.usefixtures("lasting")
def test_end_of_a_fixture() -> None:
    pass


def test_next() -> None:
    pass
