"""Settings from the environment: read once at the start, all problems reported together."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit
from uuid import UUID

from dotenv import dotenv_values
from dotenv.parser import parse_stream

from consumer.errors import BadSettings
from consumer.logs import LogFormat
from consumer.settings import app_statement
from consumer.settings.environment import Reader, integer, number, one_of

DeletePolicy = Literal["soft", "anonymise", "hard"]

# Below a kilobyte no user object fits; beyond 64 MB a few requests would fill a small machine's memory.
BODY_BYTES_MIN = 1024
BODY_BYTES_MAX = 64 * 1024 * 1024
# Larger values are typing errors: retries over weeks, an hour between polls, a century of deliveries.
ATTEMPTS_MAX = 1000
POLL_SECONDS_MAX = 3600.0
RETENTION_DAYS_MAX = 36_500
# A year: a longer silence than that is no alarm.
SILENCE_HOURS_MAX = 8760
# An idle worker that polls more often than this keeps a core busy for nothing.
POLL_SECONDS_MIN = 0.02
PORT_MAX = 65_535
# The widest tolerance that is allowed: an unsigned 32-bit number of seconds.
TOLERANCE_SECONDS_MAX = 4_294_967_295
# PostgreSQL limits a role name to 63 bytes, and 50 leave room for the longest suffix, "_receiver". It reserves "pg_".
ROLE_PREFIX_PATTERN = re.compile(r"(?!pg_)[a-z_][a-z0-9_]{0,49}")
# The variable that names the file to read instead of ``.env``.
ENV_FILE = "CONSUMER_ENV_FILE"
ALIASES = {
    "STACK_WEBHOOK_SECRETS": ("STACK_WEBHOOK_SECRET",),
    "APP_WEBHOOK_SECRETS": ("APP_WEBHOOK_SECRET",),
    "STACK_API_URL": ("HEXCLAVE_API_URL",),
    "STACK_PROJECT_ID": ("HEXCLAVE_PROJECT_ID", "NEXT_PUBLIC_STACK_PROJECT_ID"),
    "STACK_SECRET_SERVER_KEY": ("HEXCLAVE_SECRET_SERVER_KEY",),
}


def _role_prefix(text: str) -> str:
    if not ROLE_PREFIX_PATTERN.fullmatch(text):
        raise ValueError(
            "must begin with a letter or underscore and have at most 50 lower-case letters, digits and underscores,"
            " without pg_ in front"
        )
    return text


def _company_id(text: str) -> UUID | None:
    if text.lower() == "none":
        return None
    try:
        return UUID(text)
    except ValueError:
        raise ValueError("must be a UUID or none") from None


def _http_url(text: str) -> str:
    if urlsplit(text).scheme not in {"http", "https"}:
        raise ValueError("must be an http:// or https:// URL")
    return text.rstrip("/")


def _folder(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise ValueError("must name the home directory of a known user") from None


Read = Callable[[Reader, str, Any], Any]


def _setting(read: Read, default: Any = None, *, variable: str = "", is_secret: bool = False) -> Any:
    """Return a field that *read* reads; its variable is the field's name in capitals unless *variable* names it."""
    return field(default=default, repr=not is_secret, metadata={"read": read, "variable": variable})


def _parse(convert: Callable[[str], object], *, is_shown: bool = True) -> Read:
    return lambda reader, name, default: reader.parse(name, convert, default, is_shown=is_shown)


def _integer(least: int, most: int) -> Read:
    return _parse(partial(integer, least=least, most=most))


def _number(least: float, most: float) -> Read:
    return _parse(partial(number, least=least, most=most))


def _choice(*choices: str) -> Read:
    return _parse(partial(one_of, choices=choices))


@dataclass(frozen=True, slots=True)
class ShapingSettings:
    """The settings that shape rows; `migrate` records them in the database."""

    default_company_id: UUID | None = _setting(_parse(_company_id))
    default_role: str = _setting(Reader.text, "member")
    default_department: str = _setting(Reader.text, "General")
    role_key: str = _setting(Reader.text, "role")
    department_key: str = _setting(Reader.text, "department")
    company_key: str = _setting(Reader.text, "company_id")
    delete_policy: DeletePolicy = _setting(_choice("soft", "anonymise", "hard"), "soft")


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one process; its repr shows no secret."""

    database_url: str | None = _setting(Reader.database_url, is_secret=True)
    receiver_database_url: str | None = _setting(Reader.database_url, is_secret=True)
    worker_database_url: str | None = _setting(Reader.database_url, is_secret=True)
    migrate_database_url: str | None = _setting(Reader.database_url, is_secret=True)
    data_dir: Path | None = _setting(_parse(_folder), variable="CONSUMER_DATA_DIR")
    stack_webhook_secrets: tuple[str, ...] = _setting(Reader.secrets, (), is_secret=True)
    app_webhook_secrets: tuple[str, ...] = _setting(Reader.secrets, (), is_secret=True)
    host: str = _setting(Reader.text, "127.0.0.1")
    port: int = _setting(_integer(0, PORT_MAX), 8000)
    ops_host: str = _setting(Reader.text, "127.0.0.1")
    ops_port: int | None = _setting(_integer(0, PORT_MAX))
    max_body_bytes: int = _setting(_integer(BODY_BYTES_MIN, BODY_BYTES_MAX), 2 * 1024 * 1024)
    tolerance_seconds: int = _setting(_integer(0, TOLERANCE_SECONDS_MAX), 300)
    max_attempts: int = _setting(_integer(1, ATTEMPTS_MAX), 12)
    poll_max_seconds: float = _setting(_number(POLL_SECONDS_MIN, POLL_SECONDS_MAX), 1.0)
    silence_hours: int = _setting(_integer(1, SILENCE_HOURS_MAX), 24)
    retention_days: int | None = _setting(_integer(1, RETENTION_DAYS_MAX))
    audit_retention_days: int | None = _setting(_integer(1, RETENTION_DAYS_MAX))
    role_prefix: str = _setting(_parse(_role_prefix), "consumer")
    projection_sql: bytes | None = _setting(
        _parse(app_statement.read, is_shown=False), variable="CONSUMER_PROJECTION_SQL", is_secret=True
    )
    stack_api_url: str = _setting(_parse(_http_url), "https://api.stack-auth.com")
    stack_project_id: str | None = _setting(Reader.text)
    stack_secret_server_key: str | None = _setting(Reader.text, is_secret=True)
    log_format: LogFormat | None = _setting(_choice("json", "text"))
    log_level: str = _setting(_choice("debug", "info", "warning", "error"), "info")
    shaping: ShapingSettings = field(default_factory=ShapingSettings)
    warnings: tuple[str, ...] = ()


def read(*sources: Mapping[str, str], lines: Mapping[str, int] | None = None) -> tuple[Settings, list[str]]:
    """Read every variable, and return all problems too; with a problem the settings must not be used.

    The first source that sets a setting hides the others. *lines* holds the line of each variable that ``.env`` sets.
    """
    reader = Reader(sources, ALIASES, lines or {})
    values, shaping = _values(reader, Settings), ShapingSettings(**_values(reader, ShapingSettings))
    return Settings(**values, shaping=shaping, warnings=tuple(reader.warnings)), reader.problems


def _values(reader: Reader, settings_class: type[Settings | ShapingSettings]) -> dict[str, Any]:
    readable = [setting for setting in fields(settings_class) if "read" in setting.metadata]
    return {
        each.name: each.metadata["read"](reader, each.metadata["variable"] or each.name.upper(), each.default)
        for each in readable
    }


@dataclass(frozen=True, slots=True)
class EnvFile:
    """The variables of an env file, the line of each, and a problem for each line that sets none."""

    values: dict[str, str] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def dotenv(path: Path, *, is_named: bool = False) -> EnvFile:
    """Read an env file, which may be missing unless CONSUMER_ENV_FILE names it; BadSettings if it can't be read."""
    try:
        text = path.read_text(encoding="utf-8") if is_named or path.is_file() else ""
    except FileNotFoundError as error:
        raise BadSettings([f"{ENV_FILE} names {path}, which does not exist."]) from error
    except (OSError, UnicodeDecodeError) as error:
        raise BadSettings([f"{path} cannot be read ({type(error).__name__})."]) from error
    found, assignments = EnvFile(), []
    for binding in parse_stream(StringIO(text)):
        original = binding.original.string
        line = binding.original.line + original[: -len(original.lstrip())].count("\n")
        if binding.key and binding.value is not None:
            found.lines[binding.key] = line
            assignments.append(original)
        elif binding.key or binding.error:
            found.problems.append(f"{path.name} line {line} is not NAME=value.")
    # Of any other line dotenv_values would print a warning of its own.
    values = dotenv_values(stream=StringIO("".join(assignments)))
    found.values.update({name: value for name, value in values.items() if value is not None})
    return found


def from_process(directory: Path) -> tuple[Settings, list[str]]:
    """Read an env file, and this process's environment, which wins over it.

    The file is the one that CONSUMER_ENV_FILE names, else the ``.env`` in *directory*, if there is one.
    """
    named = os.environ.get(ENV_FILE, "").strip()
    path = directory / (named or ".env")
    found = dotenv(path, is_named=bool(named))
    # A blank variable of the environment unsets the one in the file.
    others = {name: value for name, value in found.values.items() if name not in os.environ}
    # A problem with a value names the line as one of ``.env``.
    lines = {name: line for name, line in found.lines.items() if name in others and path.name == ".env"}
    settings, problems = read(os.environ, others, lines=lines)
    return settings, found.problems + problems
