"""The log of a database outage: one line when it begins, one when it ends."""

import logging
import re
import time

import psycopg
from psycopg.conninfo import conninfo_to_dict

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
# Host, port and name. If a password holds an unescaped @ or /, pieces of the password end up in any of the three, and
# libpq takes a whole connection string for a name.
PLAIN_ADDRESS = re.compile(r"[\w.,:/-]+:[\d,]*/[^@=:/]*")
UNREADABLE = "..."
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
    """Return the first line of an error; of the values that it quotes, only host, login and name of *conninfo* stay."""
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    shown: set[str] = set()
    if address(conninfo) != UNREADABLE:
        parts = conninfo_to_dict(conninfo)
        hosts, port = str(parts.get("host")).split(","), parts.get("port") or 5432
        # libpq names a socket by its file.
        sockets = [f"{host}/.s.PGSQL.{port}" for host in hosts]
        shown = {str(parts.get("user")), str(parts.get("dbname")), *hosts, *sockets}
    text = QUOTED.sub(lambda quoted: quoted[0] if quoted[0][1:-1] in shown else UNREADABLE, first)
    is_mistyped_url = "://" in conninfo and not shown
    return f"{text} ({ENCODING_HINT})" if is_mistyped_url else text


def address(conninfo: str) -> str:
    """Return host, port and name of the database and nothing else; dots for a mistyped connection string."""
    parts = conninfo_to_dict(conninfo)
    host = parts.get("host") or parts.get("hostaddr") or "localhost"
    place = f"{host}:{parts.get('port') or 5432}/{parts.get('dbname') or ''}"
    return place if PLAIN_ADDRESS.fullmatch(place) else UNREADABLE
