"""The application's own tables: its SQL statement runs after each change of profiles, in the same transaction."""

from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass
from uuid import UUID

import psycopg

from consumer.effects import reached_code
from consumer.errors import Inseparable, StatementRefused, UntrustedCode, UsersRefused
from consumer.postgres import session
from consumer.postgres.connections import Connection
from consumer.postgres.error_classes import ErrorClass, error_class

# SQLSTATE classes of errors that the server causes, not the statement: read-only, no space, a broken disk.
SERVER_CLASSES = ("25", "53", "58")


async def run_app_statement(conn: Connection, statement: bytes | None, user_ids: Collection[UUID]) -> None:
    """Run the statement, if there is one, for locked users.

    Raises UsersRefused with the users that it refuses one by one, Inseparable when it refuses users only together, and
    unchanged each error that the statement did not cause.
    """
    if statement is None or not user_ids:
        return
    # From here on each statement checks deferred constraints itself, so that an error names the right statement.
    await session.check_constraints(conn)
    search = _StatementSearch(conn, statement)
    together = sorted(user_ids)
    if unsafe := await search.untrusted():
        raise UsersRefused(dict.fromkeys(together, unsafe))
    if refusal := await search.refusal(together, is_kept=True):
        raise UsersRefused(await search.refused(together, refusal)) from refusal


async def refusal_of_all(conn: Connection, statement: bytes) -> StatementRefused | None:
    """Run the statement for no user; return its error, which then concerns all users, or None."""
    search = _StatementSearch(conn, statement)
    return await search.untrusted() or await search.refusal([])


async def rehearsal_refusal(conn: Connection, statement: bytes, user_id: UUID) -> StatementRefused | None:
    """Run the statement for one user, and keep what it does until the caller rolls back; return its error, or None."""
    search = _StatementSearch(conn, statement)
    return await search.untrusted() or await search.refusal([user_id], is_kept=True)


@dataclass(frozen=True, slots=True)
class _StatementSearch:
    """Finds all users that the statement refuses, because running it again is cheap beside the batch around it."""

    conn: Connection
    statement: bytes

    async def untrusted(self) -> StatementRefused | None:
        """Return the refusal of a statement that reaches code of roles that the login does not trust, or None."""
        try:
            found = await reached_code.untrusted(self.conn, self.statement)
        except psycopg.Error as error:
            if self.conn.closed or not _is_caused_by_statement(error):
                raise
            return StatementRefused(error, is_for_all=True)
        return StatementRefused(UntrustedCode(found), is_for_all=True) if found else None

    async def refused(self, user_ids: Sequence[UUID], refusal: StatementRefused) -> dict[Hashable, Exception]:
        """Bisect users that are refused together; return those that are refused alone, with their errors."""
        # A missing table or privilege is the same for everybody.
        if general := await self.refusal([]):
            return dict.fromkeys(user_ids, StatementRefused(general.reason, is_for_all=True))
        if not (found := await self._among(user_ids, refusal)):
            raise Inseparable from refusal
        return found

    async def _among(self, user_ids: Sequence[UUID], refusal: StatementRefused) -> dict[Hashable, Exception]:
        if len(user_ids) == 1:
            return {user_ids[0]: refusal}
        found: dict[Hashable, Exception] = {}
        half = len(user_ids) // 2
        for part in (user_ids[:half], user_ids[half:]):
            if narrower := await self.refusal(part):
                found |= await self._among(part, narrower)
        return found

    async def refusal(self, user_ids: Sequence[UUID], *, is_kept: bool = False) -> StatementRefused | None:
        """Run it for these users; return its error, or None. Changes are kept only on success and with *is_kept*."""
        try:
            async with self.conn.transaction(force_rollback=not is_kept):
                await self.conn.execute(self.statement, {"user_ids": user_ids})
        except psycopg.Error as error:
            if self.conn.closed or not _is_caused_by_statement(error):
                raise
            return StatementRefused(error)
        return None


def _is_caused_by_statement(error: psycopg.Error) -> bool:
    if error_class(error) in {ErrorClass.TRANSIENT, ErrorClass.BUSY}:
        return False
    return not (error.sqlstate or "").startswith(SERVER_CLASSES)
