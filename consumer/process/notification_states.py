"""What was told of findings: in the database, where restarts and other processes find it; without one, in memory."""

from collections.abc import AsyncIterator, Collection, Sequence
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


class NotificationStates(Protocol):
    """What was told; of all processes that share it, one at a time changes it."""

    async def claim(
        self, found: Sequence[Finding], at: datetime, fresh: Collection[FindingKey] = ()
    ) -> Notification | None:
        """Return the notification that is due next at this time, if any: nobody else gets it for CLAIM_TIME."""

    async def settle(self, sent: Notification, at: datetime) -> None:
        """Record that it has arrived."""


class StatesInMemory:
    """What this process told while there was no database to ask."""

    def __init__(self) -> None:
        self.states: FindingStates = {}

    async def claim(
        self, found: Sequence[Finding], at: datetime, fresh: Collection[FindingKey] = ()
    ) -> Notification | None:
        """As `NotificationStates.claim`."""
        self.states, due = claim(self.states, found, at, uuid4(), fresh)
        return due

    async def settle(self, sent: Notification, at: datetime) -> None:
        """As `NotificationStates.settle`."""
        self.states = settle(self.states, sent, at)


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


class StatesInDatabase:
    """What all processes told, as the newest report with findings has it; each change is one short transaction.

    *meanwhile* goes on from what was known last, while the database can be read and records nothing; what it told is
    recorded by the next change.
    """

    def __init__(self, conninfo: str, access: Access, process_id: UUID) -> None:
        self._conninfo = conninfo
        self._access = access
        self._process_id = process_id
        self.meanwhile = StatesInMemory()
        self._recorded: FindingStates = {}

    async def claim(
        self, found: Sequence[Finding], at: datetime, fresh: Collection[FindingKey] = ()
    ) -> Notification | None:
        """As `NotificationStates.claim`; None before this process has reported, because nothing could be recorded."""
        async with self._locked() as (conn, stored):
            states, due = claim(self._known(stored), found, at, uuid4(), fresh)
            is_old = bool(states) and stored.age >= REFRESH_TIME
            is_written = (states != self._recorded or is_old) and await self._write(conn, states, stored)
        if is_written:
            self.meanwhile.states = self._recorded = states
        return due if is_written else None

    async def settle(self, sent: Notification, at: datetime) -> None:
        """As `NotificationStates.settle`."""
        async with self._locked() as (conn, stored):
            states = settle(self._known(stored), sent, at)
            await self._write(conn, states, stored)
        self.meanwhile.states = self._recorded = states

    @asynccontextmanager
    async def _locked(self) -> AsyncIterator[tuple[Connection, StoredStates]]:
        async with await connect(self._conninfo, self._access) as conn, transaction(conn, self._access):
            await conn.execute(query("notification_states/lock"))
            found = await rows(conn, class_row(StoredStates), "notification_states/newest")
            yield conn, found[0] if found else NOTHING

    def _known(self, stored: StoredStates) -> FindingStates:
        """Return what is stored, and what this process could not record."""
        known, recorded = self.meanwhile.states, self._recorded
        unrecorded = {each: state for each, state in known.items() if recorded.get(each) != state}
        self._recorded = stored.states()
        self.meanwhile.states = {**self._recorded, **unrecorded}
        return self.meanwhile.states

    async def _write(self, conn: Connection, states: FindingStates, before: StoredStates) -> bool:
        findings = {"number": before.number + 1, "told": msgspec.to_builtins(list(states.values()))}
        values = {"process_id": self._process_id, "findings": Jsonb(findings)}
        return bool(await rows(conn, scalar_row, "notification_states/write", values))
