"""A database that does not answer, said twice: when that begins and when it is over."""

import logging
import re
import time

import psycopg
from psycopg.conninfo import conninfo_to_dict

from consumer import logs
from consumer.postgres.error_classes import code

# libpq quotes what it could not read: of a mistyped URL, a piece of the password.
QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
# A failed connect has no SQLSTATE (28… and 3D000), only these words; where the server speaks another language a refusal
# is called an outage. Nothing but a name in the log depends on it.
REFUSED = re.compile(
    r"FATAL: .*(authentication failed|does not exist|no pg_hba\.conf entry|not permitted to log in|no such user"
    r"|no such database)|no password supplied"
)
# The session was begun but may not enter its role: there is none of that name, or the login is no member of it.
ROLE_REFUSED = ("22023", "42501")
# Host, port and name. An @ or / in a password that nobody escaped leaves pieces of it in any of them, and libpq takes
# a whole connection string for a name.
PLAIN_ADDRESS = re.compile(r"[\w.,:/-]+:[\d,]*/[^@=:/]*")

log = logging.getLogger(__name__)


class Outage:
    """What one process has said about its database; told of each attempt to connect, it logs only the turns."""

    def __init__(self, program: str, conninfo: str) -> None:
        self._fields = {"program": program, "database": address(conninfo)}
        self._lost_at = 0.0
        self._trouble: str | None = None
        # What the last attempt ran into, for people; None since one did not.
        self.reason: str | None = None

    def record(self, error: Exception | None) -> None:
        """Take note of an attempt that failed, or of one that did not."""
        before, self._trouble = self._trouble, _trouble(error)
        self.reason = _reason(error)
        if self._trouble == before:
            return
        if error and self._trouble:
            self._lost_at = self._lost_at if before else time.monotonic()
            log.error(self._trouble, extra={**self._fields, "error_code": code(error), "error": error_text(error)})
        else:
            seconds = round(time.monotonic() - self._lost_at, 3)
            log.info(logs.DATABASE_BACK, extra={**self._fields, "seconds": seconds})


def _trouble(error: Exception | None) -> str | None:
    if error is None:
        return None
    return logs.DATABASE_REFUSED if is_refused(error) else logs.DATABASE_LOST


def _reason(error: Exception | None) -> str | None:
    if error is None:
        return None
    trouble = "the server refuses this login, its role or database" if is_refused(error) else "the database is away"
    return f"{trouble}: {error_text(error)}"


def is_refused(error: Exception) -> bool:
    """Tell a server that answers, but lets this login, role or database not in, from one that is away."""
    if isinstance(error, psycopg.Error) and error.sqlstate in ROLE_REFUSED:
        return True
    return bool(REFUSED.search(str(error)))


def error_text(error: Exception) -> str:
    """Return the first line of what libpq or the server said, without any value in it."""
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    return QUOTED.sub("...", first)


def address(conninfo: str) -> str:
    """Return host, port and name of the database, and nothing else of a connection string; dots for a mistyped one."""
    parts = conninfo_to_dict(conninfo)
    host = parts.get("host") or parts.get("hostaddr") or "localhost"
    address = f"{host}:{parts.get('port') or 5432}/{parts.get('dbname') or ''}"
    return address if PLAIN_ADDRESS.fullmatch(address) else "..."
