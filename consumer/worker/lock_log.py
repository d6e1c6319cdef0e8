"""Logs the sessions that hold a lock which a worker could not get: any login may hold an advisory lock without end."""

import logging
from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta

import psycopg

from consumer.deadline import within
from consumer.logs import LOCK_HELD
from consumer.postgres import locks
from consumer.postgres.connections import Connection
from consumer.postgres.error_classes import ErrorClass, error_class

log = logging.getLogger(__name__)

# Reading the server's locks takes milliseconds; on a silent connection the worker goes on without the line.
READ_TIMEOUT = timedelta(seconds=5)


class LockLog:
    """Remembers the holders that it has logged: one line each, until a batch meets no lock."""

    def __init__(self) -> None:
        self._logged: set[tuple[int | None, str | None, str]] = set()

    async def write(self, conn: Connection, errors: Iterable[Exception]) -> None:
        """Log the holders if a batch met a lock or statement time-out; outside a transaction, and it never fails."""
        if conn.closed or all(error_class(error) is not ErrorClass.BUSY for error in errors):
            self._logged.clear()
            return
        with suppress(psycopg.Error, TimeoutError):
            holders = await within(READ_TIMEOUT, locks.noteworthy(conn))
            found = {(holder.pid, holder.prepared_transaction, holder.locks): holder for holder in holders}
            for key, holder in found.items():
                if key not in self._logged:
                    log.warning(LOCK_HELD, extra=_fields(holder))
            self._logged = set(found)


def _fields(holder: locks.LockHolder) -> dict[str, object]:
    seconds = None if holder.seconds is None else round(holder.seconds, 3)
    return {
        "locks": holder.locks,
        "pid": holder.pid,
        "prepared_transaction": holder.prepared_transaction,
        "login": holder.login,
        "application": holder.application,
        "seconds": seconds,
    }
