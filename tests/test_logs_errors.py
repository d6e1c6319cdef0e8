"""What a log line says of an error: its type and place, never its message; libraries and crashes too."""

import asyncio
import gc
import json
import logging
import re
import subprocess
import sys
import warnings

import psycopg
import pytest

from consumer import logs
from tests.support.logs import EMAIL, LEAK, ROOT, Start, Terminal

log = logging.getLogger("consumer.test")


def test_a_database_error_is_its_code_constraint_and_place_never_its_message(start: Start, server_url: str) -> None:
    stderr = start("json", "info")

    with psycopg.connect(server_url) as conn:
        conn.execute("CREATE TEMPORARY TABLE person (email text CONSTRAINT person_email UNIQUE)")
        conn.execute("INSERT INTO person VALUES (%s)", [EMAIL])
        try:
            conn.execute("INSERT INTO person VALUES (%s)", [EMAIL])
        except psycopg.Error:
            log.exception(logs.DATABASE_LOST)

    (line,) = stderr.lines
    assert line["error"] == "psycopg.errors.UniqueViolation"
    assert (line["sqlstate"], line["constraint"]) == ("23505", "person_email")
    assert re.search(r"\.py:\d+ \S+", str(line["frames"]))
    assert EMAIL not in stderr.text


def test_an_error_names_its_cause_and_the_systems_code(start: Start) -> None:
    stderr = start("json", "info")

    try:
        try:
            raise ValueError(EMAIL)
        except ValueError as error:
            raise FileNotFoundError(2, "No such file", f"/home/{EMAIL}") from error
    except OSError:
        log.exception(logs.DATABASE_LOST)

    (line,) = stderr.lines
    assert (line["error"], line["cause"], line["errno"]) == ("FileNotFoundError", "ValueError", "ENOENT")
    assert EMAIL not in stderr.text


def test_an_error_without_a_cause_has_no_cause(start: Start) -> None:
    stderr = start("json", "info")

    log.error(logs.DATABASE_LOST, exc_info=KeyError(EMAIL))

    assert "cause" not in stderr.lines[0]


def test_of_a_group_of_errors_the_first_is_told(start: Start) -> None:
    stderr = start("json", "info")

    log.error(logs.DATABASE_LOST, exc_info=ExceptionGroup("unhandled", [ExceptionGroup("inner", [KeyError(EMAIL)])]))

    assert stderr.lines[0]["error"] == "KeyError"
    assert EMAIL not in stderr.text


def test_a_deep_recursion_is_told_in_few_frames(start: Start) -> None:
    stderr = start("json", "info")

    def forever() -> None:
        forever()

    try:
        forever()
    except RecursionError:
        log.exception(logs.WORKER_STOPPED)

    frames = stderr.lines[0]["frames"]
    assert isinstance(frames, list)
    assert len(frames) == logs.FRAMES_MAX


async def test_an_exception_that_no_task_awaits_is_a_line_without_its_message(start: Start) -> None:
    # What earlier tests left is told before.
    gc.collect()
    stderr = start("json", "info")

    async def fail() -> None:
        raise psycopg.errors.UniqueViolation(LEAK)

    task = asyncio.create_task(fail())
    await asyncio.wait({task})
    del task
    gc.collect()

    (line,) = stderr.lines
    assert (line["event"], line["logger"]) == ("library_logged", "asyncio")
    assert line["text"] == "Task exception was never retrieved"
    assert (line["error"], line["sqlstate"]) == ("psycopg.errors.UniqueViolation", "23505")
    assert EMAIL not in stderr.text


def test_a_library_that_logs_an_error_is_cut_to_its_type(start: Start) -> None:
    stderr = start("json", "info")

    logging.getLogger("psycopg.pool").warning("error resetting connection: %s", psycopg.OperationalError(LEAK))

    assert stderr.lines[0]["text"] == "error resetting connection: psycopg.OperationalError"


def test_a_pool_s_attempts_during_an_outage_are_no_lines_of_their_own(start: Start) -> None:
    stderr = start("json", "info")

    logging.getLogger("psycopg.pool").warning("error connecting in %r: %s", "pool-1", psycopg.OperationalError(LEAK))
    logging.getLogger("psycopg.pool").warning("rolling back returned connection: %s", "<connection>")

    assert [line["text"] for line in stderr.lines] == ["rolling back returned connection: <connection>"]


def test_a_library_is_heard_from_warning_up_and_never_line_after_line(start: Start) -> None:
    stderr = start("json", "debug")

    logging.getLogger("psycopg").info("chatter")
    logging.getLogger("uvicorn.access").warning('"GET / HTTP/1.1" 404')
    logging.getLogger("uvicorn.error").error("x" * 1000 + "\n" + LEAK)

    (line,) = stderr.lines
    assert line["text"] == "x" * logs.LIBRARY_TEXT_CHARACTERS


@pytest.mark.parametrize("arguments", [(1, 2), ({"name": EMAIL},)], ids=["too many", "by name"])
def test_a_librarys_faulty_call_raises_nothing(start: Start, arguments: tuple[object, ...]) -> None:
    stderr = start("json", "info")

    logging.getLogger("library").warning("only %d", *arguments)

    assert stderr.lines[0]["text"] == "only %d"


def test_a_warning_is_a_line(start: Start) -> None:
    stderr = start("json", "info")

    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.warn("soon gone", DeprecationWarning, stacklevel=1)

    (line,) = stderr.lines
    assert line["logger"] == "py.warnings"
    assert "DeprecationWarning: soon gone" in str(line["text"])


def test_a_stderr_that_nobody_reads_stops_nothing(start: Start) -> None:
    class Closed(Terminal):
        def write(self, data: bytes) -> None:
            raise BrokenPipeError

    start("json", "info", Closed())

    log.info(logs.WORKER_STARTED)


@pytest.mark.parametrize(
    ("failing", "event", "exit_code"),
    [
        ("fail()", "process_crashed", 1),
        ("threading.Thread(target=fail).start()", "thread_crashed", 0),
    ],
    ids=["process", "thread"],
)
def test_a_crash_is_a_line_without_its_message(failing: str, event: str, exit_code: int) -> None:
    program = f"""
import threading, psycopg
from consumer import logs
def fail(): raise psycopg.errors.UniqueViolation({LEAK!r})
logs.configure("json", "error")
{failing}
"""
    finished = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)

    line = json.loads(finished.stderr)
    assert (finished.returncode, line["event"], line["sqlstate"]) == (exit_code, event, "23505")
    assert EMAIL not in finished.stderr


def test_an_interrupt_is_no_crash(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[object] = []
    monkeypatch.setattr(sys, "__excepthook__", lambda kind, *_: shown.append(kind))
    stderr = start("json", "info")

    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)

    assert (shown, stderr.writes) == ([KeyboardInterrupt], [])
