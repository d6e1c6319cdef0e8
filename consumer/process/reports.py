"""The reports of a process: that it lives, and what it counted, as rows that everybody can read, behind poolers too."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg.types.json import Jsonb

from consumer.deadline import end, within
from consumer.gauges import running_version
from consumer.metrics import Metrics
from consumer.postgres.connections import Access, Connection, autocommit, connect, enter
from consumer.postgres.queries import query
from consumer.settings.settings import Settings
from consumer.verdict.observation import Duty

# Often enough to notice a lost process within half a minute; eight thousand small rows a day.
REPORT_SECONDS = 10.0
# After a failure: short beside REPORT_LATE, so that nobody counts as silent once the database is back.
RETRY_SECONDS = 2.0
# The insert takes a millisecond. A wait for a lock would count as skew of the clock, so it stays below SKEW_MAX. The
# server gives up before the process does: what it stored later would count twice.
SERVER_TIMEOUT = timedelta(seconds=1.5)
PUT_TIMEOUT = timedelta(seconds=2)
# Of the last report: a process that is told to end waits no longer.
LAST_PUT_TIMEOUT = timedelta(seconds=1)
# As the constraints of the table.
HOST_CHARACTERS_MAX = 255
PAUSED_BY_CHARACTERS_MAX = 1_000

Counted = tuple[Mapping[str, int], Mapping[str, list[int]]]


@dataclass(slots=True)
class Reporter:
    """Reports for one process, over a connection of its own, so that no report waits for work and no work for it.

    *metrics*: None if the process counts nothing. *paused_by* returns why it can't work, or None. *sources*: those that
    a receiver has a secret of.
    """

    conninfo: str
    access: Access
    duty: Duty
    metrics: Metrics | None = None
    paused_by: Callable[[], str | None] = lambda: None
    period_seconds: float = REPORT_SECONDS
    sources: Sequence[str] = ()
    process_id: UUID = field(default_factory=uuid4)
    _conn: Connection | None = None
    _reported: Counted = field(default_factory=lambda: ({}, {}))

    def __post_init__(self) -> None:
        # Another name than that of the worker's own session, by which workers are counted.
        limits = replace(self.access, statement_timeout=SERVER_TIMEOUT, lock_timeout=SERVER_TIMEOUT)
        self.access = replace(limits, name=f"consumer {self.duty} report")

    async def run(self) -> None:
        """Report until cancelled; while the database can't be used, try again and say nothing: others log that."""
        while True:
            is_put = await self.put(timedelta(seconds=self.period_seconds), PUT_TIMEOUT)
            await asyncio.sleep(self.period_seconds if is_put else RETRY_SECONDS)

    async def put(self, due_in: timedelta | None, limit: timedelta) -> bool:
        """Insert one report, and announce the next, if one follows; tell whether it is stored."""
        counted = self.metrics.counts() if self.metrics else ({}, {})
        counters, histograms = _risen(counted, self._reported)
        try:
            await within(limit, self._insert(due_in, counters, histograms))
        # The task must outlive whatever the database answers, and a report that is missing says enough.
        except (psycopg.Error, OSError):
            await self.close()
            return False
        self._reported = counted
        return True

    async def close(self) -> None:
        """Close the connection without a farewell, which would wait for the server."""
        if self._conn:
            await self._conn.close()
        self._conn = None

    async def _insert(
        self, due_in: timedelta | None, counters: Mapping[str, int], histograms: Mapping[str, list[int]]
    ) -> None:
        if self._conn is None:
            self._conn = await connect(self.conninfo, self.access)
            await enter(self._conn, self.access)
        async with autocommit(self._conn, self.access):
            paused_by = self.paused_by()
            values: dict[str, Any] = {
                "process_id": self.process_id,
                "duty": self.duty,
                "host": socket.gethostname()[:HOST_CHARACTERS_MAX],
                "pid": os.getpid(),
                "release": running_version(),
                "due_in": due_in,
                "sources": list(self.sources),
                "paused_by": paused_by and paused_by[:PAUSED_BY_CHARACTERS_MAX],
                "counters": Jsonb(dict(counters)),
                "histograms": Jsonb(dict(histograms)),
            }
            # The role of a receiver can't name a duty.
            name = "reports/put_receiver" if self.duty == "receiver" else "reports/put"
            await self._conn.execute(query(name), {**values, "sent_at": datetime.now(UTC)})


def report_seconds(settings: Settings) -> float:
    """Return the time between two reports: as long as a worker's longest pause, if that lets a database sleep."""
    return max(REPORT_SECONDS, settings.poll_max_seconds)


@asynccontextmanager
async def reporting(reporter: Reporter) -> AsyncIterator[None]:
    """Report in a task of its own while the block runs; at its end say that the process has ended as it was told."""
    task = asyncio.create_task(reporter.run())
    try:
        yield
    finally:
        await end(task)
        await reporter.put(None, LAST_PUT_TIMEOUT)
        await reporter.close()


def _risen(now: Counted, before: Counted) -> Counted:
    """Return by how much each counter and each bucket has risen; those that have not are absent."""
    totals = {name: total - before[0].get(name, 0) for name, total in now[0].items()}
    buckets = {
        name: [count - past for count, past in zip(counts, before[1].get(name, [0] * len(counts)), strict=True)]
        for name, counts in now[1].items()
    }
    return (
        {name: total for name, total in totals.items() if total},
        {name: counts for name, counts in buckets.items() if any(counts)},
    )
