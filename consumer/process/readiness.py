"""Whether the database is what this release needs: asked at the start until it is, then taken as settled."""

import asyncio
import logging

import psycopg
from psycopg import errors as postgres

from consumer import logs
from consumer.effects import recorded_settings
from consumer.postgres import migrations
from consumer.postgres.connections import Access, Connection, connect, transaction
from consumer.postgres.error_classes import code
from consumer.postgres.queries import query
from consumer.process.outage import Outage
from consumer.settings.settings import Projection

# Short beside the 3 s in which a process must work again after its database is back (promise P7).
POLL_SECONDS = 0.5

log = logging.getLogger(__name__)


class Readiness:
    """Why this process can't start its work yet; None once the database was found fit."""

    def __init__(self, outage: Outage) -> None:
        self.reason: str | None = "the database has not answered yet"
        self._outage = outage

    async def wait(self, conninfo: str, access: Access, wanted: Projection) -> None:
        """Return when the database is fit, however long that takes; what keeps it waiting is logged once.

        Raises SettingsMismatch when it was shaped by other settings: waiting would not help.
        """
        logged: str | None = None
        while self.reason is not None:
            try:
                reason = await unfit_reason(conninfo, access, wanted)
                self._outage.tell(None)
                # Found a second time: `up` migrates beside its processes, and asks nobody to run `consumer migrate`.
                if reason and reason == self.reason != logged:
                    log.warning(logs.DATABASE_UNFIT, extra={"reason": reason})
                    logged = reason
            except psycopg.OperationalError as error:
                self._outage.tell(error)
                reason = self._outage.reason
            self.reason = reason
            await asyncio.sleep(POLL_SECONDS if reason else 0)


async def unfit_reason(conninfo: str, access: Access, wanted: Projection) -> str | None:
    """Return why the database is not what this release needs, or None; raise SettingsMismatch for other settings.

    OperationalError when it can't be asked.
    """
    try:
        async with await connect(conninfo, access) as conn, transaction(conn, access):
            if missing := await missing_migrations(conn):
                return f"migrations are missing, the first is {missing[0]}: run `consumer migrate`"
            if await recorded_settings.recorded(conn) is None:
                return "no settings are recorded: run `consumer migrate`"
            await recorded_settings.require(conn, wanted)
            return None
    # The role, the schema and the ledger come with the first migration.
    except (postgres.InvalidParameterValue, postgres.InvalidSchemaName, postgres.UndefinedTable):
        return "nothing has been migrated: run `consumer migrate`"
    except psycopg.OperationalError:
        raise
    except psycopg.Error as error:
        return f"the database refuses the role {access.role} ({code(error)}): see `consumer doctor`"


async def missing_migrations(conn: Connection) -> list[str]:
    """Return the ids of the migrations that this release carries and the database lacks."""
    cursor = await conn.execute(query("ledger/applied"))
    applied = {migration_id for (migration_id,) in await cursor.fetchall()}
    return [migration_id for migration_id in migrations.carried_ids() if migration_id not in applied]
