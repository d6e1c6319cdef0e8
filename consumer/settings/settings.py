"""Settings from the environment: read once at the start, all problems reported together."""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

from consumer.logs import LogFormat
from consumer.settings import app_statement, door, env_file, near_names, signing_secrets, urls
from consumer.settings.aliases import ALIASES
from consumer.settings.environment import Reader, integer, number, one_of

DeletePolicy = Literal["soft", "anonymise", "hard"]

# Below a kilobyte no user object fits; beyond 64 MB a few requests would fill a small machine's memory.
BODY_BYTES_MIN = 1024
BODY_BYTES_MAX = 64 * 1024 * 1024
# Larger values are typing errors: retries over weeks, an hour between polls, a century of deliveries.
ATTEMPTS_MAX = 1000
POLL_SECONDS_MAX = 3600.0
RETENTION_DAYS_MAX = 36_500
# A call every hundred seconds lists 80,000 teams in half a year; over a thousand a second, no limit is left.
API_RPS_MIN = 0.01
API_RPS_MAX = 1000.0
# A year: a longer silence than that is no alarm.
SILENCE_HOURS_MAX = 8760
# An idle worker that polls more often than this keeps a core busy for nothing.
POLL_SECONDS_MIN = 0.02
PORT_MAX = 65_535
# An OPS_PORT that is none.
OFF = "off"
# The widest tolerance that is allowed: an unsigned 32-bit number of seconds.
TOLERANCE_SECONDS_MAX = 4_294_967_295
# PostgreSQL limits a role name to 63 bytes, and 50 leave room for the longest suffix, "_receiver". It reserves "pg_".
ROLE_PREFIX_PATTERN = re.compile(r"(?!pg_)[a-z_][a-z0-9_]{0,49}")
# A recorded request can be sent again for so long. An hour covers the clock and the queue of any sender.
TOLERANCE_SECONDS_USUAL = 3600
# Svix sends bodies of up to about 350 kB; what a proxy or your own backend adds should fit too.
BODY_BYTES_USUAL = 512 * 1024
# They are read before any env file, or without one.
ENVIRONMENT_ONLY = frozenset({env_file.ENV_FILE, "CONSUMER_PG_BIN"})


def _role_prefix(text: str) -> str:
    if not ROLE_PREFIX_PATTERN.fullmatch(text):
        raise ValueError(
            "must begin with a letter or underscore and have at most 50 lower-case letters, digits and underscores,"
            " without pg_ in front"
        )
    return text


def _port_or_off(text: str) -> int | Literal["off"]:
    if text.lower() == OFF:
        return "off"
    if not text.lstrip("-").isdecimal():
        raise ValueError("must be a whole number or off")
    return integer(text, least=0, most=PORT_MAX)


def _company_id(text: str) -> UUID | None:
    if text.lower() == "none":
        return None
    try:
        return UUID(text)
    except ValueError:
        raise ValueError("must be a UUID or none") from None


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
    # None: the process finds a free one.
    ops_port: int | Literal["off"] | None = _setting(_parse(_port_or_off))
    console_host: str = _setting(Reader.text, "127.0.0.1")
    # None: 8003, and `up` runs no console if another process has that.
    console_port: int | Literal["off"] | None = _setting(_parse(_port_or_off))
    console_url: str | None = _setting(_parse(door.console_url))
    console_secret: str | None = _setting(_parse(door.console_secret, is_shown=False), is_secret=True)
    console_trust_user_header: door.UserHeader | None = _setting(_parse(door.user_header))
    path_prefix: str = _setting(_parse(urls.path_prefix), "")
    max_body_bytes: int = _setting(_integer(BODY_BYTES_MIN, BODY_BYTES_MAX), 2 * 1024 * 1024)
    tolerance_seconds: int = _setting(_integer(0, TOLERANCE_SECONDS_MAX), 300)
    max_attempts: int = _setting(_integer(1, ATTEMPTS_MAX), 12)
    poll_max_seconds: float = _setting(_number(POLL_SECONDS_MIN, POLL_SECONDS_MAX), 1.0)
    silence_hours: int = _setting(_integer(0, SILENCE_HOURS_MAX), 24)
    retention_days: int | None = _setting(_integer(1, RETENTION_DAYS_MAX))
    audit_retention_days: int | None = _setting(_integer(1, RETENTION_DAYS_MAX))
    role_prefix: str = _setting(_parse(_role_prefix), "consumer")
    projection_sql: bytes | None = _setting(
        _parse(app_statement.read, is_shown=False), variable="CONSUMER_PROJECTION_SQL", is_secret=True
    )
    stack_api_url: str = _setting(_parse(urls.http_url), "https://api.stack-auth.com")
    stack_project_id: str | None = _setting(Reader.text)
    stack_secret_server_key: str | None = _setting(Reader.text, is_secret=True)
    stack_super_secret_admin_key: str | None = _setting(Reader.text, is_secret=True)
    svix_server_url: str | None = _setting(_parse(urls.http_url))
    stack_api_rps: float = _setting(_number(API_RPS_MIN, API_RPS_MAX), 10.0)
    log_format: LogFormat | None = _setting(_choice("json", "text"))
    log_level: str = _setting(_choice("debug", "info", "warning", "error"), "info")
    shaping: ShapingSettings = field(default_factory=ShapingSettings)
    warnings: tuple[str, ...] = ()
    # The variable that sets each setting: its name, an alias, or either with _FILE.
    variables: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)


def read(*sources: Mapping[str, str], places: Mapping[str, str] | None = None) -> tuple[Settings, list[str]]:
    """Read every variable, and return all problems too; with a problem the settings must not be used.

    The first source that sets a setting hides the others. *places* says where an env file sets each variable.
    """
    reader = Reader(sources, ALIASES, places or {})
    values, shaping = _values(reader, Settings), ShapingSettings(**_values(reader, ShapingSettings))
    settings = Settings(**values, shaping=shaping, variables=reader.variables)
    if signing_secrets.keys(settings.stack_webhook_secrets) & signing_secrets.keys(settings.app_webhook_secrets):
        stack, app = (reader.variables[f"{source}_WEBHOOK_SECRETS"] for source in ("STACK", "APP"))
        reader.problems.append(
            f"{stack} and {app} hold the same key: your backend could forge Stack's events. Make another for {app}."
        )
    return replace(settings, warnings=(*reader.warnings, *_unusual(settings))), reader.problems


def _unusual(settings: Settings) -> Iterator[str]:
    if settings.tolerance_seconds > TOLERANCE_SECONDS_USUAL:
        yield "TOLERANCE_SECONDS is over an hour: for that long, a recorded request can be sent again."
    if settings.max_body_bytes < BODY_BYTES_USUAL:
        yield f"MAX_BODY_BYTES is under {BODY_BYTES_USUAL // 1024} kB: events with much metadata are refused with 413."


def _values(reader: Reader, settings_class: type[Settings | ShapingSettings]) -> dict[str, Any]:
    readable = [setting for setting in fields(settings_class) if "read" in setting.metadata]
    return {
        each.name: each.metadata["read"](reader, each.metadata["variable"] or each.name.upper(), each.default)
        for each in readable
    }


def _variables(settings_class: type[Settings | ShapingSettings]) -> Iterator[str]:
    for each in fields(settings_class):
        if "read" in each.metadata:
            yield each.metadata["variable"] or each.name.upper()


def _names() -> frozenset[str]:
    """Return every name under which a setting is looked up."""
    variables = [*_variables(Settings), *_variables(ShapingSettings)]
    names = [*variables, *(alias for aliases in ALIASES.values() for alias in aliases)]
    return frozenset(names) | {f"{name}_FILE" for name in names}


NAMES = _names()


def from_process(directory: Path) -> tuple[Settings, list[str]]:
    """Read an env file, and this process's environment, which wins over it; return all problems too.

    The file is the one that CONSUMER_ENV_FILE names, else the ``.env`` beside `./run` or in *directory*.
    """
    found = env_file.read(directory, os.environ, NAMES)
    # A blank variable of the environment unsets the one in the file.
    others = {name: value for name, value in found.values.items() if name not in os.environ}
    places = {name: place for name, place in found.places.items() if name in others}
    settings, problems = read(os.environ, others, places=places)
    warnings = (*found.warnings, *_misnamed(found), *settings.warnings)
    return replace(settings, warnings=warnings), found.problems + problems


def _misnamed(found: env_file.EnvFile) -> Iterator[str]:
    """Yield a warning for each name that looks like a setting's and is none, and for one that an env file can't set."""
    known = NAMES | ENVIRONMENT_ONLY
    for name, setting in near_names.near(found.places, known):
        yield f"{found.places[name]} sets {name}, which is no setting; did you mean {setting}?"
    for name, setting in near_names.in_environment(os.environ.keys() - {env_file.RUN}, known):
        yield f"{name} is set, which is no setting; did you mean {setting}?"
    for name in sorted(ENVIRONMENT_ONLY & found.places.keys()):
        yield f"{found.places[name]} has no effect: {name} is read from the environment only."
