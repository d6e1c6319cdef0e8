"""The application's own tables: a statement of its owner's follows every change of profiles, in one transaction."""

from collections.abc import Collection, Hashable, Sequence
from uuid import UUID

import psycopg

from consumer.errors import Inseparable, StatementRefused, UsersRefused
from consumer.postgres import session
from consumer.postgres.connections import Connection
from consumer.postgres.error_classes import ErrorClass, error_class

# By SQLSTATE class: what the server lacks (read-only, no room, a broken disk) is no fault of a statement's.
SERVERS_OWN = ("25", "53", "58")


async def run_app_statement(conn: Connection, statement: bytes | None, user_ids: Collection[UUID]) -> None:
    """Run the statement, if there is one, for locked users whose profiles were written or removed.

    Raises UsersRefused with whom it refuses one by one, Inseparable when it refuses only some together, and as they are
    the errors that are not the statement's.
    """
    if statement is None or not user_ids:
        return
    # From here on deferred constraints are checked with each statement, while it is known whose they are.
    await session.check_constraints(conn)
    search = _StatementSearch(conn, statement)
    together = sorted(user_ids)
    if refusal := await search.refusal(together, is_kept=True):
        raise UsersRefused(await search.refused(together, refusal)) from refusal


async def refusal_of_all(conn: Connection, statement: bytes) -> StatementRefused | None:
    """Return why the statement can be run for nobody, None when it can."""
    return await _StatementSearch(conn, statement).refusal([])


class _StatementSearch:
    """Finds whom the statement refuses: all at once, for it is cheap beside the batch around it."""

    def __init__(self, conn: Connection, statement: bytes) -> None:
        self._conn = conn
        self._statement = statement

    async def refused(self, user_ids: Sequence[UUID], refusal: StatementRefused) -> dict[Hashable, Exception]:
        """Return whom of these, refused together, it refuses one by one."""
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
        """Return why the statement refuses these, None when it does not; only then, and if told, its work is kept."""
        try:
            async with self._conn.transaction(force_rollback=not is_kept):
                await self._conn.execute(self._statement, {"user_ids": user_ids})
        except psycopg.Error as error:
            if self._conn.closed or not _is_the_statements(error):
                raise
            return StatementRefused(error)
        return None


def _is_the_statements(error: psycopg.Error) -> bool:
    if error_class(error) in {ErrorClass.TRANSIENT, ErrorClass.BUSY}:
        return False
    return not (error.sqlstate or "").startswith(SERVERS_OWN)
