"""Reads what the verdict is about: the one place where an observation of the database is made."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg.rows import args_row, class_row, tuple_row

from consumer.doctor.server import activity
from consumer.operations import maintenance
from consumer.operations.hours import REPORTS_KEPT
from consumer.outbox import deliveries
from consumer.postgres import ledger, locks, origin, session
from consumer.postgres.connections import Access, Connection, as_login, transaction
from consumer.postgres.queries import rows
from consumer.verdict.observation import Observation, QueueState, ReportedProcess, Signatures, SourceHistory
from consumer.verdict.queue import DYING_TIME

# Signatures that fit no secret count together if they lie within this time.
UNMATCHED_TIME = timedelta(minutes=15)
# And for so long after it: when about as many come as are a finding, it neither opens nor closes all the time.
UNMATCHED_LATELY = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Expectations:
    """What the settings say of an installation: the sources that have a secret, and the jobs of `maintain` that are on.

    What receivers report is added to *sources*, because often they alone have the secrets.
    *silence_max*: how long a source without a history may be silent; None: no silence is a finding.
    *disk_free_bytes*: of the embedded server's disk.
    """

    sources: Collection[str] = ()
    jobs: Collection[str] = ()
    silence_max: timedelta | None = None
    disk_free_bytes: int | None = None


async def observe(conn: Connection, access: Access, expected: Expectations) -> Observation:
    """Read an observation, in two transactions: of the sessions as the login, and of the tables under the role.

    It takes the operator's or the worker's role, and reads no row of a user. Raises UndefinedTable before the first
    migration; while later ones are missing, what they add is left out.
    """
    # Without the role, because PostgreSQL shows each login only its own sessions.
    async with as_login(conn, access):
        oldest_xmin_seconds, _ = await session.oldest_xmin(conn)
        lock_holders = await locks.noteworthy(conn)
        worker_sessions = (await activity(conn)).workers
    async with transaction(conn, access):
        missing = await ledger.missing_ids(conn)
        last_received = await deliveries.last_received(conn)
        reported = [] if missing else await processes(conn)
        return Observation(
            at=await session.now(conn),
            expected={*expected.sources, *(source for process in reported for source in process.sources)},
            installed_at=await ledger.first_applied_at(conn),
            migrated_at=await ledger.last_applied_at(conn),
            last_received=last_received,
            silence_max=expected.silence_max,
            queue=await _queue(conn),
            processes=reported,
            worker_sessions=worker_sessions,
            lock_holders=lock_holders,
            oldest_xmin_seconds=oldest_xmin_seconds,
            disk_free_bytes=expected.disk_free_bytes,
            missing_migrations=missing,
            newer_migrations=await ledger.newer_ids(conn),
            too_old_reason=await ledger.too_old_reason(conn),
            jobs=expected.jobs,
            **({} if missing else await _migrated(conn, last_received)),
        )


async def _migrated(conn: Connection, last_received: Mapping[str, datetime]) -> dict[str, Any]:
    """Read what only a database with all migrations has."""
    return {
        "histories": await _histories(conn, last_received),
        "signatures": await _signatures(conn),
        "last_runs": await maintenance.last_runs(conn),
        "copy_reason": await origin.copy_reason(conn),
    }


async def processes(conn: Connection) -> list[ReportedProcess]:
    """Return each process that has a report which is kept."""
    return await rows(conn, class_row(ReportedProcess), "observe/processes", {"seen_time": REPORTS_KEPT})


async def _queue(conn: Connection) -> QueueState:
    [found] = await rows(conn, class_row(QueueState), "observe/queue", {"dying_time": DYING_TIME})
    return found


async def _signatures(conn: Connection) -> Signatures:
    values = {"time": UNMATCHED_TIME, "kept": REPORTS_KEPT, "lately": UNMATCHED_LATELY}
    [found] = await rows(conn, args_row(Signatures), "observe/unmatched", values)
    return found


async def _histories(conn: Connection, last_received: Mapping[str, datetime]) -> dict[str, SourceHistory]:
    values = {"sources": list(last_received), "since": list(last_received.values())}
    found = await rows(conn, tuple_row, "observe/quietest", values)
    return {source: SourceHistory(quietest, longest) for source, quietest, longest in found}
