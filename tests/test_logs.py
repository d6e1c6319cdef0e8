"""What a log line says, what it never says, and that docs/LOGS.md names every event."""

import ast
import logging
import re
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from consumer import logs
from tests.support.logs import EMAIL, ROOT, Start, Terminal

USER_ID = uuid.UUID("6f1c5d2e-0000-4000-8000-000000000001")
FORMATS: tuple[logs.LogFormat, ...] = ("json", "text")
HOSTILE = {
    "crlf": "a\r\nlevel=error b",
    "escape": "\x1b[2J\x1b[31m",
    "c1 control": "\x9b31m",
    "delete": "\x7f",
    "bidi": "\u202egnp.exe",
    "line separator": "a\u2028b",
    "nul": "\x00",
    "quote": '" level="error',
    "surrogate": "\ud800",
    "emoji": "\N{PILE OF POO}",
}

log = logging.getLogger("consumer.test")


def test_a_line_is_one_json_object_with_time_level_event_and_fields(start: Start) -> None:
    stderr = start("json", "info")

    log.warning(logs.DELIVERY_RETRIED, extra={"message_id": "msg_1", "user_id": USER_ID, "attempt": 2})

    (line,) = stderr.lines
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", str(line.pop("time")))
    assert line == {
        "level": "warning",
        "event": "delivery_retried",
        "message_id": "msg_1",
        "user_id": str(USER_ID),
        "attempt": 2,
    }


def test_a_text_line_is_for_a_reader(start: Start) -> None:
    stderr = start("text", "info")

    log.info(logs.RECEIVER_STARTED, extra={"host": "127.0.0.1", "port": 8000, "note": "two words", "user_id": USER_ID})

    assert re.fullmatch(
        rf'\d\d:\d\d:\d\d info    receiver_started host=127.0.0.1 port=8000 note="two words" user_id={USER_ID}\n',
        stderr.text,
    )


@pytest.mark.parametrize("is_terminal", [True, False], ids=["terminal", "file"])
def test_unless_told_a_terminal_gets_text_and_a_file_json(start: Start, is_terminal: bool) -> None:
    stderr = start(None, "info", Terminal(is_terminal=is_terminal))

    log.info(logs.WORKER_STARTED)

    assert stderr.text.startswith("{") is not is_terminal


def test_the_level_holds_for_single_lines_and_for_a_batch(start: Start) -> None:
    stderr = start("json", "warning")

    log.info(logs.WORKER_STARTED)
    logs.log_outcomes([("msg_1", "user.created", USER_ID, "applied", 0)])
    log.error(logs.WORKER_STOPPED)

    assert [line["event"] for line in stderr.lines] == ["worker_stopped"]


def test_a_second_call_replaces_the_first(start: Start) -> None:
    stderr = start("text", "error")
    logs.configure("json", "info")

    log.info(logs.WORKER_STARTED)

    assert len(stderr.lines) == 1


def test_a_batch_is_a_line_a_delivery_in_one_write(start: Start) -> None:
    stderr = start("json", "info")

    logs.log_outcomes([(f"msg_{n}", "user.created", USER_ID, "applied", n % 2) for n in range(1000)])

    assert len(stderr.writes) == 1
    assert len({str(line["message_id"]) for line in stderr.lines}) == 1000
    assert {name: value for name, value in stderr.lines[1].items() if name != "time"} == {
        "level": "info",
        "event": "delivery_applied",
        "message_id": "msg_1",
        "type": "user.created",
        "user_id": str(USER_ID),
        "outcome": "applied",
        "attempt": 1,
    }


def test_a_batch_in_text_is_a_line_a_delivery_too(start: Start) -> None:
    stderr = start("text", "info")

    logs.log_outcomes([("msg_1", "team.deleted", None, "ignored", 1), ("msg_2", "user.created", USER_ID, "applied", 3)])

    first, second = stderr.text.splitlines()
    assert first.endswith("message_id=msg_1 type=team.deleted user_id=null outcome=ignored attempt=1")
    assert second.endswith(f"user_id={USER_ID} outcome=applied attempt=3")


def test_an_empty_batch_writes_nothing(start: Start) -> None:
    stderr = start("json", "info")

    logs.log_outcomes([])

    assert stderr.writes == []


@pytest.mark.parametrize("log_format", FORMATS)
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_a_stranger_sends_neither_breaks_a_line_nor_steers_a_terminal(
    start: Start, log_format: logs.LogFormat, text: str
) -> None:
    stderr = start(log_format, "info")

    log.info(logs.DELIVERY_REFUSED, extra={"reason": text})
    logs.log_outcomes([(text, text, None, "applied", 0)])

    assert re.fullmatch(r"(?:[ -~]+\n){2}", stderr.text)
    if log_format == "json":
        assert [stderr.lines[0]["reason"], stderr.lines[1]["message_id"]] == [text, text]


@pytest.mark.parametrize("log_format", FORMATS)
def test_a_text_value_cannot_pass_for_another_field(start: Start, log_format: logs.LogFormat) -> None:
    stderr = start(log_format, "info")

    log.info(logs.DELIVERY_REFUSED, extra={"reason": "x level=error"})

    assert '"x level=error"' in stderr.text


@dataclass(frozen=True)
class Person:
    email: str


@pytest.mark.parametrize("log_format", FORMATS)
@pytest.mark.parametrize(
    "value", [Person(EMAIL), EMAIL.encode(), {EMAIL}, psycopg.DataError(EMAIL), [Person(EMAIL)]], ids=repr
)
def test_a_value_of_an_unknown_type_is_only_named(start: Start, log_format: logs.LogFormat, value: object) -> None:
    stderr = start(log_format, "info")

    log.info(logs.DELIVERY_REFUSED, extra={"reason": value})

    assert "<" in stderr.text
    assert EMAIL not in stderr.text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (timedelta(minutes=1.5), 90.0),
        (Path("/data"), "/data"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00Z"),
        (2**70, 2**70),
    ],
    ids=["timedelta", "path", "datetime", "large integer"],
)
def test_plain_values_are_shown(start: Start, value: object, shown: object) -> None:
    stderr = start("json", "info")

    log.info(logs.WORKER_DRAINED, extra={"value": value})

    assert stderr.lines[0]["value"] == shown


def events() -> set[str]:
    return {value for name, value in vars(logs).items() if name.isupper() and value == name.lower()}


def test_every_event_is_in_the_docs_and_no_other() -> None:
    text = (ROOT / "docs" / "LOGS.md").read_text()

    documented = {
        name
        for row in text.splitlines()
        if row.startswith("| `")
        for name in re.findall(r"`([a-z_]+)`", row.split("|")[1])
    }

    assert documented == events()


def test_every_event_is_logged_somewhere() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "consumer").rglob("*.py"))
    # Its definition is one mention of the constant and one of the text.
    mentions = {event: len(re.findall(rf'\b{event.upper()}\b|"{event}"', sources)) for event in events()}

    assert {event for event, count in mentions.items() if count <= 2} == set()


def test_no_module_logs_an_event_that_is_not_listed() -> None:
    logged = {
        (path.name, constant.value)
        for path in (ROOT / "consumer").rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.args
        if isinstance(call.func.value, ast.Name) and call.func.value.id == "log"
        for constant in ast.walk(call.args[0])
        if isinstance(constant, ast.Constant) and isinstance(constant.value, str)
    }

    assert {(module, event) for module, event in logged if event not in events()} == set()
