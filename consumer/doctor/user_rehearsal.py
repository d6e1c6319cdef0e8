"""Rehearses the application's statement with a made-up user, in a transaction that is rolled back."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID, uuid4

import psycopg
from psycopg import errors as postgres
from psycopg.rows import args_row

from consumer.doctor.check import Check, ok
from consumer.effects import application
from consumer.errors import StatementRefused
from consumer.postgres import session
from consumer.postgres.connections import Access, Connection, transaction
from consumer.postgres.error_classes import code, summary
from consumer.postgres.queries import query, rows

NAME = "application's triggers"
# The life of the user: the statement runs after each step.
STEPS = ("user_rehearsal/put", "user_rehearsal/change", "user_rehearsal/delete")
# By the kind of object in user_rehearsal/named: its word in GRANT, and the privileges to try in turn.
KINDS: Mapping[str, tuple[str, Sequence[str]]] = {
    "relation": ("TABLE", ("SELECT", "INSERT", "UPDATE", "DELETE")),
    "sequence": ("SEQUENCE", ("USAGE", "SELECT")),
    "schema": ("SCHEMA", ("USAGE",)),
    "function": ("FUNCTION", ("EXECUTE",)),
}
# Each names one privilege; a trigger that needs more of them belongs behind SECURITY DEFINER.
GRANTS_MAX = 50


class _Named(NamedTuple):
    """An object that a refusal may mean: a message in any language holds its name."""

    kind: str
    name: str
    sql_name: str

    def place_in(self, message: str) -> tuple[int, int]:
        """Return where the name ends as a word of its own, and its length; most languages end a message with it."""
        words = re.finditer(rf"(?<![a-z0-9_]){re.escape(self.name)}(?![a-z0-9_])", message, re.IGNORECASE)
        return max((word.end() for word in words), default=0), len(self.name)


@dataclass(slots=True)
class _Trial:
    """Runs the statement again and again, with one more grant each time, until nothing is missing."""

    conn: Connection
    access: Access
    statement: bytes
    grants: list[tuple[str, str]] = field(default_factory=list)

    async def complete(self) -> psycopg.Error | None:
        """Find the missing grants, give them, and return the error that is left."""
        while len(self.grants) < GRANTS_MAX:
            error = await self.error()
            if not isinstance(error, postgres.InsufficientPrivilege) or not await self._grant_next(error):
                break
        # Of the privileges that were tried in turn only the last may be needed.
        for given in list(self.grants) if error is None else ():
            await self._as_login("REVOKE {} FROM {}", given)
            if await self.error():
                await self._as_login("GRANT {} TO {}", given)
            else:
                self.grants.remove(given)
        return error

    async def error(self) -> psycopg.Error | None:
        """Let a made-up user live and be deleted, undo it, and return the error that it met."""
        user_id = uuid4()
        try:
            async with self.conn.transaction(force_rollback=True):
                for step in STEPS:
                    await self._take(step, user_id)
        except StatementRefused as refused:
            if isinstance(refused.reason, psycopg.Error):
                return refused.reason
            raise
        return None

    async def _take(self, step: str, user_id: UUID) -> None:
        await self.conn.execute(query(step), {"user_id": user_id})
        await session.check_constraints(self.conn)
        if refusal := await application.rehearsal_refusal(self.conn, self.statement, user_id):
            raise refusal

    async def _grant_next(self, error: psycopg.Error) -> bool:
        """Give one more privilege on the object that the error names; False when that is not possible."""
        message = error.diag.message_primary or ""
        found = await rows(self.conn, args_row(_Named), "user_rehearsal/named", {"message": message})
        for named in sorted(found, key=lambda each: each.place_in(message), reverse=True):
            word, privileges = KINDS[named.kind]
            for privilege in privileges:
                given = (f"{privilege} ON {word} {named.sql_name}", self.access.role)
                if given not in self.grants and await self._as_login("GRANT {} TO {}", given):
                    self.grants.append(given)
                    return True
        return False

    async def _as_login(self, command: str, given: tuple[str, str]) -> bool:
        """Run a command on grants as the login instead of the worker's role; False when the login may not."""
        try:
            async with self.conn.transaction():
                await session.set_role(self.conn, "none")
                await self.conn.execute(command.format(*given).encode())
                await session.set_role(self.conn, self.access.role)
        except postgres.InsufficientPrivilege:
            return False
        return True


async def rehearse_user(conn: Connection, access: Access, statement: bytes) -> Check:
    """Run the statement for a made-up user: new, changed and deleted; name all missing grants together.

    Only where the connection's login may grant are there more than the first. Sequences of the application move on.
    """
    async with transaction(conn, access), conn.transaction(force_rollback=True):
        trial = _Trial(conn, access, statement)
        error = await trial.complete()
    if error is None and not trial.grants:
        return ok(NAME, "a made-up user passes")
    grants = " ".join(f"GRANT {privilege} TO {role};" for privilege, role in trial.grants)
    finding = f"{len(trial.grants)} missing grants" if trial.grants else ""
    if error is not None:
        finding += f"{'; ' if finding else ''}a made-up user is refused: {summary(error)} ({code(error)})"
    cure = f"As their owner: {grants}" if grants else "Grant it, or correct the trigger or the constraint it names."
    is_refused_for_its_values = error is not None and (error.sqlstate or "")[:2] in {"22", "23", "P0"} and not grants
    return Check(NAME, "warning" if is_refused_for_its_values else "failing", finding, cure)
