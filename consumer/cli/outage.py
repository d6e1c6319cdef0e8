"""A database that does not answer, said twice: when that begins and when it is over."""

import logging
import re
import time

from psycopg.conninfo import conninfo_to_dict

from consumer import logs
from consumer.cli.context import said
from consumer.faults import code

# libpq takes a whole connection string for a name too, with a password in it.
PLAIN_NAME = re.compile(r"[^=:/]+")

log = logging.getLogger(__name__)


class Outage:
    """What one process has said about its database; told of each attempt to connect, it logs only the turns."""

    def __init__(self, program: str, conninfo: str) -> None:
        self._fields = {"program": program, "database": where(conninfo)}
        self._lost_at: float | None = None

    def tell(self, error: Exception | None) -> None:
        """Take note of an attempt that failed, or of one that did not."""
        if error and self._lost_at is None:
            self._lost_at = time.monotonic()
            log.error(logs.DATABASE_LOST, extra={**self._fields, "error_code": code(error), "error": said(error)})
        elif not error and self._lost_at is not None:
            seconds = round(time.monotonic() - self._lost_at, 3)
            self._lost_at = None
            log.info(logs.DATABASE_BACK, extra={**self._fields, "seconds": seconds})


def where(conninfo: str) -> str:
    """Return host, port and name of the database, and nothing else of a connection string."""
    parts = conninfo_to_dict(conninfo)
    name = str(parts.get("dbname") or "")
    host = parts.get("host") or parts.get("hostaddr") or "localhost"
    return f"{host}:{parts.get('port') or 5432}/{name if PLAIN_NAME.fullmatch(name) else ''}"
