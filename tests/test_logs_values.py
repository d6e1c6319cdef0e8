"""What a line shows of a value, of the error before an error, and of libraries at each level."""

import logging
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from consumer import logs
from tests.support.logs import Start, Terminal

log = logging.getLogger("consumer.test")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (timedelta(minutes=1.5), "90.0"),
        (Path("/data"), "/data"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
        (7, "7"),
        (None, "null"),
        ("x", "x"),
        (" x", '" x"'),
        ("x ", '"x "'),
        ("a=b", '"a=b"'),
        ("", '""'),
    ],
)
def test_a_text_line_shows_plain_values_too(start: Start, value: object, shown: str) -> None:
    stderr = start("text", "info")

    log.info(logs.WORKER_DRAINED, extra={"value": value})

    assert stderr.text.endswith(f" worker_drained value={shown}\n")


def test_the_error_that_was_being_handled_is_the_cause_unless_another_is_named(start: Start) -> None:
    stderr = start("json", "info")

    with suppress(ValueError):
        try:
            raise KeyError
        except KeyError:
            try:
                raise ValueError
            except ValueError:
                log.exception(logs.TASK_FAILED)
                raise
    named = ValueError()
    named.__cause__ = LookupError()
    log.error(logs.TASK_FAILED, exc_info=named)

    assert [line["cause"] for line in stderr.lines] == ["KeyError", "LookupError"]


@pytest.mark.parametrize(("level", "heard"), [("debug", ["a", "b"]), ("warning", ["a", "b"]), ("error", ["b"])])
def test_a_library_is_heard_from_the_level_that_is_set(start: Start, level: str, heard: list[str]) -> None:
    stderr = start("json", level)
    library = logging.getLogger("a.library")

    library.info("no")
    library.warning("a")
    library.error("b")

    assert [line["text"] for line in stderr.lines] == heard


class Flushed(Terminal):
    """A stderr that hands on what it was given when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.kept.append(data)

    def flush(self) -> None:
        self.writes, self.kept = [*self.writes, *self.kept], []


def test_a_line_is_handed_on_at_once(start: Start) -> None:
    stderr = start("json", "info", Flushed())

    log.info(logs.WORKER_STARTED)

    assert [line["event"] for line in stderr.lines] == ["worker_started"]


@pytest.mark.parametrize("error", [ValueError(), BrokenPipeError()])
def test_a_stderr_that_is_closed_stops_nothing(start: Start, error: Exception) -> None:
    class Closed(Terminal):
        def flush(self) -> None:
            raise error

    stderr = start("json", "info", Closed())

    log.info(logs.WORKER_STARTED)

    assert len(stderr.writes) == 1


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_json_or_text_that_was_asked_for_is_it_on_a_terminal_and_in_a_file(start: Start, log_format: Any) -> None:
    for is_terminal in (True, False):
        stderr = start(log_format, "info", Terminal(is_terminal=is_terminal))

        log.info(logs.WORKER_STARTED)

        assert stderr.text.startswith("{") == (log_format == "json")


def test_a_record_looks_up_neither_thread_nor_process_nor_place(start: Start) -> None:
    start("json", "info")
    found: list[logging.LogRecord] = []

    def keep(record: logging.LogRecord) -> bool:
        found.append(record)
        return True

    log.addFilter(keep)
    log.info(logs.WORKER_STARTED)
    log.removeFilter(keep)

    [record] = found
    assert (record.thread, record.process, record.processName, record.lineno) == (None, None, None, 0)


@pytest.mark.parametrize(
    ("error", "code"),
    [(OSError("x"), None), (OSError(0, "x"), None), (OSError(1, "x"), "EPERM"), (OSError(2, "x"), "ENOENT")],
)
def test_the_system_s_code_of_an_error_is_told_if_it_has_one(start: Start, error: OSError, code: str | None) -> None:
    stderr = start("json", "info")

    log.error(logs.TASK_FAILED, exc_info=error)

    assert stderr.lines[0].get("errno") == code


def test_an_error_that_is_none_of_the_system_s_has_no_code(start: Start) -> None:
    stderr = start("json", "info")
    error = ValueError()
    error.errno = 2  # type: ignore[attr-defined]  # As some libraries give theirs.

    log.error(logs.TASK_FAILED, exc_info=error, extra={"task": "x"})

    [line] = stderr.lines
    assert {name: value for name, value in line.items() if name not in {"time", "frames"}} == {
        "level": "error",
        "event": "task_failed",
        "task": "x",
        "error": "ValueError",
    }


def test_of_an_error_the_last_twenty_places_are_told_the_innermost_last(start: Start) -> None:
    stderr = start("json", "info")

    def descend(depth: int) -> None:
        if not depth:
            raise KeyError
        descend(depth - 1)

    with suppress(KeyError):
        try:
            descend(30)
        except KeyError:
            log.exception(logs.TASK_FAILED)
            raise

    frames = stderr.lines[0]["frames"]
    assert isinstance(frames, list)
    assert len(frames) == 20
    [raised] = {str(frame).split()[0] for frame in frames[-1:]}
    assert {str(frame).split()[0] for frame in frames[:-1]}.isdisjoint({raised})
    assert all(str(frame).endswith("descend") for frame in frames)


def test_a_thread_that_ends_itself_has_not_crashed(start: Start) -> None:
    stderr = start("json", "info")
    for error in (SystemExit(), None, ValueError()):
        kind = ValueError if error is None else type(error)
        threading.excepthook(threading.ExceptHookArgs((kind, error, None, None)))

    assert [(line["event"], line["error"]) for line in stderr.lines] == [("thread_crashed", "ValueError")]


@pytest.mark.parametrize(("log_format", "shown"), [("json", '"value":{"b": 2}'), ("text", 'value={"b": 2}')])
def test_of_a_mapping_names_alone_are_shown(start: Start, log_format: Any, shown: str) -> None:
    stderr = start(log_format, "info")

    log.info(logs.WORKER_DRAINED, extra={"value": {("a",): 1, "b": 2}})

    assert shown.replace(" ", "") in stderr.text.replace(" ", "")
    assert stderr.text.count("\n") == 1


@pytest.mark.parametrize(
    ("message", "arguments", "text"),
    [
        ("only %s", ({"name": "x"},), "only %s"),
        ("%s of %s", (1, "x"), "1 of x"),
        ("100%", (), "100%"),
        ("%s", ("two\nlines",), "two"),
        ("", (), ""),
        (7, (), "7"),
    ],
)
def test_of_a_library_s_message_the_first_line_is_told(
    start: Start, message: Any, arguments: tuple[object, ...], text: str
) -> None:
    stderr = start("json", "info")

    logging.getLogger("library").warning(message, *arguments)

    assert (stderr.lines[0]["text"], stderr.lines[0]["logger"]) == (text, "library")


def test_a_library_s_fields_and_its_error_stand_beside_its_text(start: Start) -> None:
    stderr = start("json", "info")

    logging.getLogger("library").error("x", exc_info=LookupError("secret"), extra={"n": 1})

    [line] = stderr.lines
    assert [line[name] for name in ("level", "event", "text", "error", "n")] == [
        "error",
        "library_logged",
        "x",
        "LookupError",
        1,
    ]
