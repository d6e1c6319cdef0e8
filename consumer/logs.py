"""Facts as lines on stderr: JSON for machines, text for a terminal.

A line holds no payload and no message of an exception, because PostgreSQL's quote e-mail addresses and whole rows.
"""

import errno
import json
import logging
import re
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Literal
from uuid import UUID

import orjson

LogFormat = Literal["json", "text"]
Fields = dict[str, object]
# One applied delivery: message id, event type, user, outcome and number of the attempt.
Outcome = tuple[str, str, UUID | None, str, int]
Render = Callable[[datetime, str, list[Fields]], bytes]

# Every event; docs/LOGS.md describes when each is logged and its fields.
BATCH_ROLLED_BACK = "batch_rolled_back"
CONSOLE_STARTED = "console_started"
CONSOLE_STOPPED = "console_stopped"
DATABASE_BACK = "database_back"
DATABASE_LOST = "database_lost"
DATABASE_REFUSED = "database_refused"
DATABASE_NOT_READY = "database_not_ready"
DELIVERY_APPLIED = "delivery_applied"
DELIVERY_BURIED = "delivery_buried"
DELIVERY_NOT_STORED = "delivery_not_stored"
DELIVERY_REDUCED = "delivery_reduced"
DELIVERY_REFUSED = "delivery_refused"
DELIVERY_RETRIED = "delivery_retried"
DELIVERY_STORED_DEAD = "delivery_stored_dead"
DISK_FULL = "disk_full"
LIBRARY_LOGGED = "library_logged"
LOCK_HELD = "lock_held"
MAINTENANCE_DONE = "maintenance_done"
MAINTENANCE_FAILED = "maintenance_failed"
MIGRATIONS_APPLIED = "migrations_applied"
MIGRATION_HELD_UP = "migration_held_up"
MIGRATION_WAITED = "migration_waited"
NOTIFICATION_SENT = "notification_sent"
NOTIFY_BY_WATCH = "notify_by_watch"
NOTIFY_FAILED = "notify_failed"
OPS_STARTED = "ops_started"
PROCESS_CRASHED = "process_crashed"
PROCESS_DIED = "process_died"
REHOMING_POSTPONED = "rehoming_postponed"
REBUILD_POSTPONED = "rebuild_postponed"
RECEIVER_STARTED = "receiver_started"
RECEIVER_STOPPED = "receiver_stopped"
REFUSALS_MUTED = "refusals_muted"
RIGHTS_MENDED = "rights_mended"
SETTINGS_WARNED = "settings_warned"
STOP_REQUESTED = "stop_requested"
TASK_FAILED = "task_failed"
THREAD_CRASHED = "thread_crashed"
WORKER_DRAINED = "worker_drained"
WORKER_PAUSED = "worker_paused"
WORKER_STARTED = "worker_started"
WORKER_STOPPED = "worker_stopped"

# psycopg_pool logs these for each attempt and connection during an outage, which `database_lost` covers.
LOST_CONNECTION = (
    "error connecting in",
    "reconnection attempt in pool",
    "discarding closed connection",
    "discarding broken connection",
)
# The attributes of every record: all others came by `extra`.
RECORD_ATTRIBUTES = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"})
# A library's message is cut here: long enough for a sentence, too short for a body.
LIBRARY_TEXT_CHARACTERS = 200
# The innermost frames show where it failed; a recursion error has a thousand.
FRAMES_MAX = 20
# Printable ASCII without space, quote, equals sign and backslash: a text line shows it without quotes.
PLAIN_WORD = re.compile(r"[!#-<>-\[\]-~]+")
DELETE = b"\x7f"
# A dataclass is only named, like any unknown type: its fields may hold personal data.
JSON_OPTIONS = orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z | orjson.OPT_PASSTHROUGH_DATACLASS

log = logging.getLogger(__name__)


def configure(log_format: LogFormat | None, level: str) -> None:
    """Send this process's logging to stderr, by default as text on a terminal; a second call replaces the first.

    Libraries log from `warning` up. Run uvicorn with ``log_config=None``, or it replaces its loggers.
    """
    is_text = log_format == "text" or (log_format is None and sys.stderr.isatty())
    root = logging.getLogger()
    root.handlers = [handler for handler in root.handlers if not isinstance(handler, LineHandler)]
    root.addHandler(LineHandler(_text_lines if is_text else _json_lines))
    root.setLevel(max(logging.WARNING, logging.getLevelNamesMapping()[level.upper()]))
    logging.getLogger("consumer").setLevel(level.upper())
    logging.getLogger("uvicorn.access").disabled = True
    logging.getLogger("psycopg.pool").addFilter(lambda record: not str(record.msg).startswith(LOST_CONNECTION))
    # No line shows thread, process and place, and looking them up is a quarter of a record's cost
    # (https://docs.python.org/3/howto/logging.html#optimization).
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None
    logging.captureWarnings(capture=True)
    sys.excepthook = _log_crash
    threading.excepthook = _log_thread_crash


def log_outcomes(outcomes: Sequence[Outcome]) -> None:
    """Log `delivery_applied` for each delivery of a batch, in one write: 1,000 lines take half a millisecond."""
    if outcomes:
        log.info(DELIVERY_APPLIED, extra={"outcomes": outcomes})


class LineHandler(logging.Handler):
    """Writes each record to the current stderr, in one piece."""

    def __init__(self, render: Render) -> None:
        super().__init__()
        self.render = render

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record's lines; a closed stderr must not stop the process."""
        time = datetime.fromtimestamp(record.created, UTC)
        text = self.render(time, record.levelname.lower(), _facts(record))
        try:
            sys.stderr.buffer.write(text)
            sys.stderr.buffer.flush()
        except (OSError, ValueError):  # ValueError: the stream is closed.
            return


def _facts(record: logging.LogRecord) -> list[Fields]:
    """Return the fields of each of the record's lines, besides time and level."""
    fields = {name: value for name, value in record.__dict__.items() if name not in RECORD_ATTRIBUTES}
    if record.exc_info and record.exc_info[1]:
        fields |= _error_fields(record.exc_info[1])
    if not record.name.startswith("consumer"):
        return [{"event": LIBRARY_LOGGED, "logger": record.name, "text": _library_text(record), **fields}]
    outcomes = fields.pop("outcomes", None)
    if outcomes is None:
        return [{"event": record.msg, **fields}]
    return [
        {
            "event": record.msg,
            "message_id": message_id,
            "type": event_type,
            "user_id": user_id,
            "outcome": outcome,
            "attempt": attempt,
        }
        for message_id, event_type, user_id, outcome, attempt in outcomes
    ]


def _library_text(record: logging.LogRecord) -> str:
    """Return the first line of a library's message: asyncio and warnings put values on the next lines."""
    arguments = record.args if isinstance(record.args, tuple) else ()
    named = tuple(_type_name(argument) if isinstance(argument, BaseException) else argument for argument in arguments)
    try:
        text = str(record.msg) % named if named else str(record.msg)
    except (TypeError, ValueError):  # The library's mistake must not become an error of ours.
        text = str(record.msg)
    return text.partition("\n")[0][:LIBRARY_TEXT_CHARACTERS]


def _error_fields(error: BaseException) -> Fields:
    """Return the error's type and place; of its message only codes and the constraint's name."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    cause = error.__cause__ or error.__context__
    frames = list(traceback.walk_tb(error.__traceback__))[-FRAMES_MAX:]
    fields: Fields = {
        "error": _type_name(error),
        "cause": _type_name(cause) if cause else None,
        "sqlstate": getattr(error, "sqlstate", None),
        "constraint": getattr(getattr(error, "diag", None), "constraint_name", None),
        "errno": errno.errorcode.get(error.errno or 0) if isinstance(error, OSError) else None,
        "frames": [f"{frame.f_code.co_filename}:{line} {frame.f_code.co_qualname}" for frame, line in frames],
    }
    return {name: value for name, value in fields.items() if value is not None}


def _type_name(error: BaseException) -> str:
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _json_lines(time: datetime, level: str, facts: list[Fields]) -> bytes:
    prefix = orjson.dumps({"time": time, "level": level}, option=orjson.OPT_UTC_Z)[:-1] + b","
    try:
        text = b"".join([prefix + orjson.dumps(fact, default=_plain, option=JSON_OPTIONS)[1:] for fact in facts])
    except TypeError:  # A lone surrogate or an integer over 64 bits: orjson refuses both.
        text = None
    # Other characters could control a terminal or change the direction of its line, so they are escaped.
    if text is None or not text.isascii() or DELETE in text:
        text = "".join(f"{prefix.decode()}{_escaped(fact)[1:]}\n" for fact in facts).encode()
    return text


def _text_lines(time: datetime, level: str, facts: list[Fields]) -> bytes:
    start = f"{time.astimezone():%H:%M:%S} {level:7}"
    return "".join(f"{start} {' '.join(_words(fact))}\n" for fact in facts).encode()


def _words(fact: Fields) -> Iterator[str]:
    for name, value in fact.items():
        text = _escaped(value)
        word = text[1:-1] if PLAIN_WORD.fullmatch(text[1:-1]) and text.startswith('"') else text
        yield word if name == "event" else f"{name}={word}"


def _escaped(value: object) -> str:
    return json.dumps(value, default=_plain, skipkeys=True).replace("\x7f", "\\u007f")


def _plain(value: object) -> str | float:
    """Return a JSON value for other types; an unknown type is only named, because it may hold personal data."""
    match value:
        case datetime():
            return value.isoformat()
        case UUID() | Path():
            return str(value)
        case timedelta():
            return value.total_seconds()
        case _:
            return f"<{type(value).__qualname__}>"


def _log_crash(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Log an uncaught exception, because Python would print its message."""
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        log.critical(PROCESS_CRASHED, exc_info=error)


def _log_thread_crash(failure: threading.ExceptHookArgs) -> None:
    if failure.exc_value and not isinstance(failure.exc_value, SystemExit):
        log.critical(THREAD_CRASHED, exc_info=failure.exc_value)
