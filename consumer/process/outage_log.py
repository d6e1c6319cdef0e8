"""The log of a database outage: one line when it begins, one when it ends."""

import logging
import re
import time
from collections.abc import Iterator, Mapping

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Conninfo

from consumer import logs
from consumer.postgres.error_classes import code
from consumer.settings.conninfo import ENCODING_HINT

# libpq quotes text that it could not read: a piece of the password, if the URL is mistyped.
QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
# A failed connect has no SQLSTATE (28… and 3D000), only these words. If the server speaks another language, a refusal
# is called an outage; only the event's name in the log depends on it.
REFUSED = re.compile(
    r"FATAL: .*(authentication failed|does not exist|no pg_hba\.conf entry|not permitted to log in|no such user"
    r"|no such database)|no password supplied"
)
# The session began but could not take its role: the role does not exist, or the login is not a member of it.
ROLE_REFUSED = ("22023", "42501")
# Hosts with ports, and name. If a password holds an unescaped @ or /, pieces of it end up in any of the three. libpq
# takes a whole connection string for a name.
PLAIN_ADDRESS = re.compile(r"([\w./-]+|\[[\w.:]+\]):\d+(,([\w./-]+|\[[\w.:]+\]):\d+)*/[^@=:/]*")
# psycopg's list of the attempts, one for each host: the last error alone, its first line, may be the least telling.
ATTEMPT = re.compile(r"^- host: .*?, port: .*?, hostaddr: \S+: (.*)$", re.MULTILINE)
DEFAULT_PORT = "5432"
PLAIN_WORD = re.compile(r"[\w.-]+")
UNREADABLE = "..."
# What libpq takes from PGHOST and the like where a connection string leaves it out.
ADDRESS = ("host", "hostaddr", "port", "dbname", "user")
REASONS = {
    logs.DATABASE_REFUSED: "the server refuses this login, its role or database",
    logs.DATABASE_LOST: "the database is away",
}

log = logging.getLogger(__name__)


class Outage:
    """The outages of one process's database; logs only the changes between reachable and unreachable."""

    def __init__(self, program: str, conninfo: str) -> None:
        self._fields = {"program": program, "database": address(conninfo)}
        self._conninfo = conninfo
        self._lost_at = 0.0
        self._event: str | None = None
        # The last attempt's error, for people; None after a success.
        self.reason: str | None = None

    def record(self, error: Exception | None) -> None:
        """Record the error of an attempt to connect, or None for a success."""
        event = logs.DATABASE_REFUSED if error and is_refused(error) else logs.DATABASE_LOST
        before, self._event = self._event, event if error else None
        text = error_text(error, self._conninfo) if error else ""
        self.reason = f"{REASONS[self._event]}: {text}" if self._event else None
        if self._event == before:
            return
        if error and self._event:
            self._lost_at = self._lost_at if before else time.monotonic()
            log.error(self._event, extra={**self._fields, "error_code": code(error), "error": text})
        else:
            seconds = round(time.monotonic() - self._lost_at, 3)
            log.info(logs.DATABASE_BACK, extra={**self._fields, "seconds": seconds})


def is_refused(error: Exception) -> bool:
    """Tell whether the server answered but refused this login, role or database."""
    if isinstance(error, psycopg.Error) and error.sqlstate in ROLE_REFUSED:
        return True
    return bool(REFUSED.search(str(error)))


def error_text(error: Exception, conninfo: str = "") -> str:
    """Return an error's first line and the login of *conninfo*; of the values it quotes, host, login and name stay.

    If *conninfo* names several hosts, the line has the error of each.
    """
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    parts = _parts(conninfo)
    if len(_places(parts)) > 1:
        first = "; ".join(dict.fromkeys(ATTEMPT.findall(str(error)))) or first
    is_readable = bool(conninfo) and address(conninfo) != UNREADABLE
    shown = set(_quotable(parts)) if is_readable else set()
    text = QUOTED.sub(lambda quoted: quoted[0] if quoted[0][1:-1] in shown else UNREADABLE, first)
    if "://" in conninfo and not is_readable:
        return f"{text} ({ENCODING_HINT})"
    login = parts.get("user") if is_readable else None
    return f"{text} (login {login})" if login and f'user "{login}"' not in text else text


def address(conninfo: str) -> str:
    """Return hosts, ports and name of the database and nothing else; dots for a mistyped connection string."""
    parts = _parts(conninfo)
    if service := parts.get("service"):
        return f"service {service}" if PLAIN_WORD.fullmatch(service) else UNREADABLE
    hosts = ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in _places(parts))
    place = f"{hosts}/{parts.get('dbname') or ''}"
    return place if PLAIN_ADDRESS.fullmatch(place) else UNREADABLE


def _places(parts: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return each host with its port; none if their numbers differ, which libpq refuses."""
    hosts = (parts.get("host") or parts.get("hostaddr") or "localhost").split(",")
    ports = (parts.get("port") or DEFAULT_PORT).split(",")
    ports = ports * len(hosts) if len(ports) == 1 else ports
    if len(hosts) != len(ports):
        return []
    return [(host or "localhost", port or DEFAULT_PORT) for host, port in zip(hosts, ports, strict=True)]


def _quotable(parts: Mapping[str, str]) -> Iterator[str]:
    """Yield what an error may quote: login, name, hosts and the files by which libpq names sockets."""
    yield from (parts.get("user", ""), parts.get("dbname", ""))
    for host, port in _places(parts):
        yield from (host, f"{host}/.s.PGSQL.{port}")


def _parts(conninfo: str) -> dict[str, str]:
    """Return what the connection string says, and for the rest what libpq takes from the environment."""
    given = {name: str(value) for name, value in conninfo_to_dict(conninfo).items() if value}
    if "service" in given:
        return given
    options = ((option.keyword.decode(), option.val) for option in Conninfo.get_defaults())
    return {name: value.decode() for name, value in options if value and name in ADDRESS} | given
