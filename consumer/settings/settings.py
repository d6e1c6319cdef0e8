"""Settings from the environment: read once at the start, all problems reported together."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit
from uuid import UUID

from dotenv import dotenv_values

from consumer.errors import BadSettings
from consumer.logs import LogFormat
from consumer.settings import app_statement
from consumer.settings.environment import Reader

DeletePolicy = Literal["soft", "anonymise", "hard"]
DELETE_POLICIES: tuple[DeletePolicy, ...] = ("soft", "anonymise", "hard")
LOG_FORMATS: tuple[LogFormat, ...] = ("json", "text")
LOG_LEVELS = ("debug", "info", "warning", "error")

# Below a kilobyte no user object fits; beyond 64 MB a few requests would fill a small machine's memory.
BODY_BYTES_MIN = 1024
BODY_BYTES_MAX = 64 * 1024 * 1024
# Larger values are typing errors: retries over weeks, an hour between polls, a century of deliveries.
ATTEMPTS_MAX = 1000
POLL_SECONDS_MAX = 3600.0
RETENTION_DAYS_MAX = 36_500
# An idle worker that polls more often than this keeps a core busy for nothing.
POLL_SECONDS_MIN = 0.02
PORT_MAX = 65_535
# The widest tolerance the contract allows: an unsigned 32-bit number of seconds.
TOLERANCE_SECONDS_MAX = 4_294_967_295
# PostgreSQL limits a role name to 63 bytes and reserves "pg_"; the longest suffix is "_receiver".
ROLE_PREFIX_PATTERN = re.compile(r"(?!pg_)[a-z_][a-z0-9_]{0,49}")
# A variable in a ``.env`` file.
ASSIGNMENT = re.compile(r"\s*(?:export\s+)?([A-Z_]+)\s*=")
ALIASES = {
    "STACK_WEBHOOK_SECRETS": ("STACK_WEBHOOK_SECRET",),
    "APP_WEBHOOK_SECRETS": ("APP_WEBHOOK_SECRET",),
    "STACK_API_URL": ("HEXCLAVE_API_URL",),
    "STACK_PROJECT_ID": ("HEXCLAVE_PROJECT_ID", "NEXT_PUBLIC_STACK_PROJECT_ID"),
    "STACK_SECRET_SERVER_KEY": ("HEXCLAVE_SECRET_SERVER_KEY",),
}


@dataclass(frozen=True, slots=True)
class ShapingSettings:
    """The settings that shape rows; `migrate` records them in the database."""

    default_company_id: UUID | None = None
    default_role: str = "member"
    default_department: str = "General"
    role_key: str = "role"
    department_key: str = "department"
    company_key: str = "company_id"
    delete_policy: DeletePolicy = "soft"


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one process; its repr shows no secret."""

    database_url: str | None = field(default=None, repr=False)
    receiver_database_url: str | None = field(default=None, repr=False)
    worker_database_url: str | None = field(default=None, repr=False)
    migrate_database_url: str | None = field(default=None, repr=False)
    data_dir: Path | None = None
    stack_webhook_secrets: tuple[str, ...] = field(default=(), repr=False)
    app_webhook_secrets: tuple[str, ...] = field(default=(), repr=False)
    host: str = "127.0.0.1"
    port: int = 8000
    ops_host: str = "127.0.0.1"
    ops_port: int | None = None
    max_body_bytes: int = 2 * 1024 * 1024
    tolerance_seconds: int = 300
    max_attempts: int = 12
    poll_max_seconds: float = 1.0
    retention_days: int | None = None
    audit_retention_days: int | None = None
    role_prefix: str = "consumer"
    projection_sql: bytes | None = field(default=None, repr=False)
    stack_api_url: str = "https://api.stack-auth.com"
    stack_project_id: str | None = None
    stack_secret_server_key: str | None = field(default=None, repr=False)
    log_format: LogFormat | None = None
    log_level: str = "info"
    shaping: ShapingSettings = field(default_factory=ShapingSettings)
    warnings: tuple[str, ...] = ()


def load(environment: Mapping[str, str]) -> Settings:
    """Read every variable; raise BadSettings that lists all problems, not only the first."""
    settings, problems = read(environment)
    if problems:
        raise BadSettings(problems)
    return settings


def read(environment: Mapping[str, str], lines: Mapping[str, int] | None = None) -> tuple[Settings, list[str]]:
    """Read every variable, and return all problems too; with a problem the settings must not be used.

    *lines* holds the line of each variable that ``.env`` sets.
    """
    reader = Reader(environment, ALIASES, lines or {})
    default = Settings()
    settings = Settings(
        database_url=reader.database_url("DATABASE_URL"),
        receiver_database_url=reader.database_url("RECEIVER_DATABASE_URL"),
        worker_database_url=reader.database_url("WORKER_DATABASE_URL"),
        migrate_database_url=reader.database_url("MIGRATE_DATABASE_URL"),
        data_dir=reader.parse("CONSUMER_DATA_DIR", _folder, None),
        stack_webhook_secrets=reader.signing_secrets("STACK_WEBHOOK_SECRETS"),
        app_webhook_secrets=reader.signing_secrets("APP_WEBHOOK_SECRETS"),
        host=reader.text("HOST", default.host),
        port=reader.integer("PORT", default.port, 0, PORT_MAX),
        ops_host=reader.text("OPS_HOST", default.ops_host),
        ops_port=reader.integer("OPS_PORT", default.ops_port, 0, PORT_MAX),
        max_body_bytes=reader.integer("MAX_BODY_BYTES", default.max_body_bytes, BODY_BYTES_MIN, BODY_BYTES_MAX),
        tolerance_seconds=reader.integer("TOLERANCE_SECONDS", default.tolerance_seconds, 0, TOLERANCE_SECONDS_MAX),
        max_attempts=reader.integer("MAX_ATTEMPTS", default.max_attempts, 1, ATTEMPTS_MAX),
        poll_max_seconds=reader.number(
            "POLL_MAX_SECONDS", default.poll_max_seconds, POLL_SECONDS_MIN, POLL_SECONDS_MAX
        ),
        retention_days=reader.integer("RETENTION_DAYS", default.retention_days, 1, RETENTION_DAYS_MAX),
        audit_retention_days=reader.integer("AUDIT_RETENTION_DAYS", None, 1, RETENTION_DAYS_MAX),
        role_prefix=reader.parse("ROLE_PREFIX", _role_prefix, default.role_prefix),
        projection_sql=reader.parse("CONSUMER_PROJECTION_SQL", app_statement.read, None, is_shown=False),
        stack_api_url=reader.parse("STACK_API_URL", _http_url, default.stack_api_url),
        stack_project_id=reader.value("STACK_PROJECT_ID"),
        stack_secret_server_key=reader.value("STACK_SECRET_SERVER_KEY"),
        log_format=reader.choice("LOG_FORMAT", LOG_FORMATS, default.log_format),
        log_level=reader.choice("LOG_LEVEL", LOG_LEVELS, default.log_level),
        shaping=_shaping(reader),
        warnings=tuple(reader.warnings),
    )
    return settings, reader.problems


def _shaping(reader: Reader) -> ShapingSettings:
    default = ShapingSettings()
    return ShapingSettings(
        default_company_id=reader.parse("DEFAULT_COMPANY_ID", _company_id, default.default_company_id),
        default_role=reader.text("DEFAULT_ROLE", default.default_role),
        default_department=reader.text("DEFAULT_DEPARTMENT", default.default_department),
        role_key=reader.text("ROLE_KEY", default.role_key),
        department_key=reader.text("DEPARTMENT_KEY", default.department_key),
        company_key=reader.text("COMPANY_KEY", default.company_key),
        delete_policy=reader.choice("DELETE_POLICY", DELETE_POLICIES, default.delete_policy),
    )


def _role_prefix(text: str) -> str:
    if not ROLE_PREFIX_PATTERN.fullmatch(text):
        raise ValueError("must be at most 50 lower-case letters, digits and underscores without pg_ in front")
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


def dotenv(path: Path) -> dict[str, str]:
    """Return the variables of a ``.env`` file, none if it does not exist; BadSettings if it can't be read."""
    try:
        found = dotenv_values(path) if path.is_file() else {}
        return {name: value for name, value in found.items() if value is not None}
    except (OSError, UnicodeDecodeError) as error:
        raise BadSettings([f"{path} cannot be read ({type(error).__name__})."]) from error


def from_process(directory: Path) -> tuple[Settings, list[str]]:
    """Read the ``.env`` in *directory*, and this process's environment, which wins over it."""
    path = directory / ".env"
    values = dotenv(path)
    text = path.read_text(encoding="utf-8").splitlines() if values else []
    lines = {found[1]: number for number, line in enumerate(text, start=1) if (found := ASSIGNMENT.match(line))}
    return read({**values, **os.environ}, {name: line for name, line in lines.items() if name not in os.environ})
