"""Waits until the database is ready for this release: at the start, and after a migration beside a worker."""

import asyncio
import logging

import psycopg
from psycopg import errors as postgres

from consumer import logs
from consumer.effects import recorded_settings
from consumer.postgres import ledger
from consumer.postgres.connections import Access, RoleRefused, connect, transaction
from consumer.postgres.error_classes import code
from consumer.process.outage_log import Outage
from consumer.settings.settings import ShapingSettings

# Short beside the 3 s in which a process must work again after its database is back (promise P7).
POLL_SECONDS = 0.5
NO_ANSWER = "the database has not answered yet"

log = logging.getLogger(__name__)


class Readiness:
    """The reason why this process can't work yet; None as soon as the database was ready once.

    *applies*: the process applies deliveries, which a newer release may forbid. A receiver only stores them.
    """

    def __init__(self, outage: Outage, *, applies: bool = False) -> None:
        self.reason: str | None = NO_ANSWER
        self._outage = outage
        self._applies = applies

    @property
    def answer(self) -> str | None:
        """The reason as the database gave it; None as long as it has given none."""
        return None if self.reason == NO_ANSWER else self.reason

    async def wait(self, conninfo: str, access: Access, wanted: ShapingSettings) -> None:
        """Return when the database is ready, however long that takes; log each reason once.

        Raises SettingsMismatch if the database records other settings, because waiting would not help.
        """
        logged: str | None = None
        while self.reason is not None:
            try:
                reason = await not_ready_reason(conninfo, access, wanted, applies=self._applies)
                self._outage.record(None)
                # Only at the second time: `up` migrates while its processes start, and needs no `consumer migrate`.
                if reason and reason == self.reason != logged:
                    log.warning(logs.DATABASE_NOT_READY, extra={"reason": reason})
                    logged = reason
            except RoleRefused as error:
                reason = str(error)
                if reason == self.reason:
                    self._outage.record(error)
            except psycopg.OperationalError as error:
                self._outage.record(error)
                reason = self._outage.reason
            self.reason = reason
            await asyncio.sleep(POLL_SECONDS if reason else 0)


async def not_ready_reason(
    conninfo: str, access: Access, wanted: ShapingSettings, *, applies: bool = False
) -> str | None:
    """Return why the database is not ready for this release, or None; raise SettingsMismatch for other settings.

    *applies* as in Readiness.
    Raises OperationalError if the database does not answer, and RoleRefused if it refuses the role.
    """
    try:
        async with await connect(conninfo, access) as conn, transaction(conn, access):
            if reason := await ledger.missing_reason(conn):
                return reason
            if applies and (reason := await ledger.too_old_reason(conn)):
                return reason
            if await recorded_settings.recorded(conn) is None:
                return "no settings are recorded: run `consumer migrate`"
            await recorded_settings.require(conn, wanted)
            return None
    # The first migration makes the schema and the ledger.
    except (postgres.InvalidSchemaName, postgres.UndefinedTable):
        return "nothing has been migrated: run `consumer migrate`"
    except (psycopg.OperationalError, RoleRefused):
        raise
    except psycopg.Error as error:
        return f"the database refuses the role {access.role} ({code(error)}): see `consumer doctor`"
