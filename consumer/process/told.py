"""What was told of findings: in the database, where restarts and other processes find it; without one, in memory."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol
from uuid import UUID, uuid4

import msgspec
from psycopg.rows import class_row, scalar_row
from psycopg.types.json import Jsonb

from consumer.postgres.connections import Access, Connection, connect, transaction
from consumer.postgres.queries import query, rows
from consumer.process.notifications import FindingKey, FindingState, FindingStates, Notification, claim, key, settle
from consumer.verdict.finding import Finding

# Reports are removed after some hours: what was told is written anew before.
REFRESH_TIME = timedelta(minutes=10)


class Told(Protocol):
    """What was told; of all processes that share it, one at a time changes it."""

    async def claim(self, found: Sequence[Finding], at: datetime) -> Notification | None:
        """Return the notification that is due next at this time, if any: nobody else gets it for CLAIM_TIME."""

    async def settle(self, sent: Notification, at: datetime) -> None:
        """Record that it has arrived."""


class ToldFromMemory:
    """What this process told while there was no database to ask."""

    def __init__(self) -> None:
        self._states: FindingStates = {}

    async def claim(self, found: Sequence[Finding], at: datetime) -> Notification | None:
        """As `Told.claim`."""
        self._states, due = claim(self._states, found, at, uuid4())
        return due

    async def settle(self, sent: Notification, at: datetime) -> None:
        """As `Told.settle`."""
        self._states = settle(self._states, sent, at)


class StoredStates(NamedTuple):
    """What all processes told, in the order of its changes."""

    findings: dict[str, Any]
    age: timedelta

    @property
    def number(self) -> int:
        """The number of the change."""
        return int(self.findings["number"])

    def states(self) -> dict[FindingKey, FindingState]:
        """Return what was told of each finding; nothing, if another release wrote it and this one can't read it."""
        try:
            told = msgspec.convert(self.findings["told"], list[FindingState])
        except msgspec.ValidationError:
            return {}
        return {key(each.finding): each for each in told}


NOTHING = StoredStates({"number": 0, "told": []}, timedelta(0))


class ToldFromDatabase:
    """What all processes told, as the newest report with findings has it; each change is one short transaction."""

    def __init__(self, conninfo: str, access: Access, process_id: UUID) -> None:
        self._conninfo = conninfo
        self._access = access
        self._process_id = process_id

    async def claim(self, found: Sequence[Finding], at: datetime) -> Notification | None:
        """As `Told.claim`; None before this process has reported, because nothing could be recorded."""
        async with self._locked() as (conn, stored):
            before = stored.states()
            states, due = claim(before, found, at, uuid4())
            is_old = bool(states) and stored.age >= REFRESH_TIME
            is_written = (states != before or is_old) and await self._write(conn, states, stored)
        return due if is_written else None

    async def settle(self, sent: Notification, at: datetime) -> None:
        """As `Told.settle`."""
        async with self._locked() as (conn, stored):
            await self._write(conn, settle(stored.states(), sent, at), stored)

    @asynccontextmanager
    async def _locked(self) -> AsyncIterator[tuple[Connection, StoredStates]]:
        async with await connect(self._conninfo, self._access) as conn, transaction(conn, self._access):
            await conn.execute(query("told/lock"))
            found = await rows(conn, class_row(StoredStates), "told/newest")
            yield conn, found[0] if found else NOTHING

    async def _write(self, conn: Connection, states: FindingStates, before: StoredStates) -> bool:
        findings = {"number": before.number + 1, "told": msgspec.to_builtins(list(states.values()))}
        values = {"process_id": self._process_id, "findings": Jsonb(findings)}
        return bool(await rows(conn, scalar_row, "told/write", values))
