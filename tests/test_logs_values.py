"""What a line shows of a value, of the error before an error, and of libraries at each level."""

import logging
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from consumer import logs
from tests.support.logs import Start

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
