"""Puts roles, owners, policies and grants right: what differs from sql/privileges.sql, and nothing else."""

import asyncio
import logging
import re
from collections.abc import Mapping

import psycopg
from psycopg import errors as postgres

from consumer import logs
from consumer.errors import ConsumerError
from consumer.postgres import ledger, session
from consumer.postgres.connections import Connection
from consumer.postgres.migration_steps import table_holders
from consumer.postgres.privileges import Differences, Owner, differences

log = logging.getLogger(__name__)

# While a statement waits for a table, readers of it wait behind.
LOCK_MILLISECONDS = 2000
PAUSE_SECONDS = 1.0
ATTEMPTS = 20


class RightsHeld(ConsumerError):
    """Others kept a table locked, so its rights could not be put right; nothing was changed."""


class MayNotMend(ConsumerError):
    """The login lacks a right that is needed to put roles, owners, policies and grants right."""


async def mend(conn: Connection, role_prefix: str) -> list[str]:
    """Make the database as declared, in one transaction, and return the statements that did it.

    Nothing is changed, and no right needed, if nothing differs or if another release has migrated. Raises MayNotMend,
    and changes nothing, if the login may not do all of it; RightsHeld if others keep a table locked for a minute. The
    caller holds the migrators' lock.
    """
    if await ledger.applied_ids(conn) != ledger.carried_ids():
        return []
    for attempt in range(ATTEMPTS):
        try:
            return await _mend(conn, role_prefix)
        # A transaction of a worker or of the application holds a table: give way to those that wait behind.
        except (postgres.LockNotAvailable, postgres.DeadlockDetected) as error:
            holders = await table_holders(conn)
            if attempt + 1 == ATTEMPTS:
                raise RightsHeld(
                    "The rights could not be put right, and nothing was changed, because others hold our tables: "
                    f"{'; '.join(holders) or 'nobody now'}. Run `consumer migrate` again when they are done."
                ) from error
            facts = {"step": "rights", "attempt": attempt + 1, "error_code": error.sqlstate, "holders": holders}
            log.warning(logs.MIGRATION_HELD_UP, extra=facts)
            await asyncio.sleep(PAUSE_SECONDS)
    raise AssertionError


async def _mend(conn: Connection, role_prefix: str) -> list[str]:
    async with conn.transaction():
        found = await differences(conn, role_prefix)
        if not found.statements:
            return []
        await session.set_lock_timeout(conn, LOCK_MILLISECONDS)
        await _execute(conn, found.owner, found.first)
        owned = await differences(conn, role_prefix)
        # The whole, because a role that owned a schema has lost its own privileges on it too.
        await _execute(conn, found.owner, owned.statements)
        _require_mended(await differences(conn, role_prefix))
    return found.first + owned.statements


async def _execute(conn: Connection, owner: Owner, statements: list[str]) -> None:
    """Execute every statement, and raise MayNotMend with those that were refused."""
    refused: dict[str, str] = {}
    for statement in statements:
        try:
            async with conn.transaction():
                await conn.execute(statement.encode())
        except psycopg.OperationalError:
            raise
        except psycopg.Error as error:
            # Roles are cluster-wide: another database of this cluster is creating the role.
            is_made = isinstance(error, postgres.DuplicateObject | postgres.UniqueViolation)
            if not (is_made and statement.startswith("CREATE ROLE ")):
                refused[statement] = error.diag.message_primary or type(error).__name__
    if refused:
        raise MayNotMend(_refusal(owner, refused))


def _require_mended(after: Differences) -> None:
    """Raise MayNotMend for what the server accepted and did not do, such as a REVOKE of another grantor's grant.

    A policy that was just created is as declared, even if this server words its conditions otherwise.
    """
    left = [statement for statement in after.statements if not re.match("(CREATE|DROP) POLICY ", statement)]
    if left:
        raise MayNotMend(_refusal(after.owner, dict.fromkeys(left, "accepted, but without effect")))


def _refusal(owner: Owner, refused: Mapping[str, str]) -> str:
    statement, reason = next(iter(refused.items()))
    more = f", and {len(refused) - 1} more" if len(refused) > 1 else ""
    return (
        f"The login {owner.login} can't put the roles, owners, policies and grants of {owner.database} right, and "
        f"nothing was changed: {statement} ({reason}){more}. Run `consumer migrate` once with MIGRATE_DATABASE_URL set "
        "to a superuser; `consumer doctor` prints all statements."
    )
