"""What a log line says, what it never says, and that docs/LOGS.md names every event."""

import ast
import asyncio
import gc
import json
import logging
import re
import subprocess
import sys
import threading
import uuid
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

import psycopg
import pytest

from consumer import logs

ROOT = Path(__file__).parent.parent
USER_ID = uuid.UUID("6f1c5d2e-0000-4000-8000-000000000001")
EMAIL = "jane@example.com"
# PostgreSQL's message about a violated constraint names the key, and for a CHECK the whole row.
LEAK = f"duplicate key value\nDETAIL: Key (email)=({EMAIL}) already exists."
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


class Terminal:
    """A stderr that remembers each write."""

    def __init__(self, *, is_terminal: bool = False) -> None:
        self.buffer = self
        self.writes: list[bytes] = []
        self._is_terminal = is_terminal

    def write(self, data: bytes) -> None:
        self.writes.append(data)

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return self._is_terminal

    @property
    def text(self) -> str:
        return b"".join(self.writes).decode()

    @property
    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.text.splitlines()]


class Start(Protocol):
    def __call__(self, log_format: logs.LogFormat | None, level: str, stderr: Terminal | None = None) -> Terminal: ...


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Start:
    """Configure logging on a stderr of the test's own: pytest puts its own there before each test's body."""

    def configure(log_format: logs.LogFormat | None, level: str, stderr: Terminal | None = None) -> Terminal:
        stderr = stderr or Terminal()
        monkeypatch.setattr(sys, "stderr", stderr)
        logging.getLogger().handlers = []
        logs.configure(log_format, level)
        return stderr

    return configure


@pytest.fixture(autouse=True)
def _logging_as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    root = logging.getLogger()
    for switch in ("logThreads", "logProcesses", "logMultiprocessing", "_srcfile"):
        monkeypatch.setattr(logging, switch, getattr(logging, switch))
    for module in (sys, threading):
        monkeypatch.setattr(module, "excepthook", module.excepthook)
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    logging.getLogger("consumer").setLevel(logging.NOTSET)
    logging.getLogger("uvicorn.access").disabled = False
    logging.captureWarnings(capture=False)


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
