"""Runs what is due regularly: each job in one process at a time, with its last run in a row.

No process leads, and none holds a lease. An open transaction of a second connection holds the job's advisory lock,
because a lock of a session would stay behind in a pooler; a killed process frees it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, NamedTuple, TypeVar

import psycopg
from psycopg.rows import class_row, scalar_row
from psycopg.types.json import Jsonb

from consumer.errors import ConsumerError
from consumer.postgres import ledger, session
from consumer.postgres.connections import Access, Connection, connect, transaction
from consumer.postgres.error_classes import summary
from consumer.postgres.queries import query, rows

T = TypeVar("T")
JobState = Literal["done", "failed", "not due", "running", "stopped", "off"]

# What fails is tried again after this, or after its period if that is shorter: an outage of Stack's or a lock is over
# by then, and an hourly cron tries at each call.
RETRY = timedelta(minutes=10)
# A cron that calls every minute is a second early at times.
EARLY = timedelta(seconds=5)
# The server ends the lock's transaction after a minute of silence (`operator_access`), so a vanished process keeps its
# job from others no longer than that.
KEEP_SECONDS = 20.0
# As the constraints of the table: a sentence with a path and a cure takes some hundred characters.
TEXT_CHARACTERS_MAX = 1_000


class JobResult(NamedTuple):
    """What a job did, as numbers by name, what it could not do, and in which time it is due again, if not as usual.

    *error*: why it failed, in one sentence that holds no personal data.
    """

    counts: Mapping[str, int]
    remark: str | None = None
    due_in: timedelta | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """One kind of maintenance: it is due a *period* after it last began; *work* is None where *switch* is not set.

    *switch*: the settings that turn it on; None: it is always on.
    """

    name: str
    period: timedelta
    switch: str | None
    work: Callable[[Connection, Access], Awaitable[JobResult]] | None


@dataclass(frozen=True, slots=True)
class LastRun:
    """The last run of a job, as `consumer.maintenance` has it."""

    job: str
    started_at: datetime
    ended_at: datetime | None
    due_at: datetime
    counts: Mapping[str, int]
    remark: str | None
    error: str | None


@dataclass(frozen=True, slots=True)
class JobReport:
    """What became of a job now; *is_news*: it did something, or ended otherwise than the time before.

    *counts*, *remark* and *error* are those of the last run that ended.
    """

    job: str
    state: JobState
    switch: str | None
    due_at: datetime | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    remark: str | None = None
    error: str | None = None
    is_news: bool = False


async def run(conninfo: str, access: Access, job: Job) -> JobReport:
    """Run a job if it is on and due, and no other process runs it; an error of the job is reported and recorded.

    If the caller is cancelled, what the job has committed stays, and the job is due still. Raises OperationalError and
    WrongRelease if the database can't be used.
    """
    if job.work is None:
        return JobReport(job.name, "off", job.switch)
    async with await connect(conninfo, access) as holder, transaction(holder, access):
        if not await _try_lock(holder, job.name):
            return JobReport(job.name, "running", job.switch)
        async with await connect(conninfo, access) as conn:
            async with transaction(conn, access):
                await ledger.begin_work(conn)
                last, now = (await last_runs(conn)).get(job.name), await session.now(conn)
            if last and now < last.due_at - EARLY:
                return JobReport(job.name, "not due", job.switch, last.due_at, last.counts, last.remark, last.error)
            await _write(conn, access, "maintenance/start", {"job": job.name})
            return await _finish(conn, access, job, await _attempt(holder, job, job.work(conn, access)), last)


async def last_runs(conn: Connection) -> dict[str, LastRun]:
    """Return the last run of each job that has ever begun, by its name."""
    return {each.job: each for each in await rows(conn, class_row(LastRun), "maintenance/read")}


async def settle(conn: Connection, access: Access, job: str) -> None:
    """Forget what the last run of a job complained of: a command has done it by hand."""
    await _write(conn, access, "maintenance/settle", {"job": job})


async def _attempt(holder: Connection, job: Job, work: Awaitable[JobResult]) -> JobResult:
    try:
        return await _while_held(holder, work)
    except (ConsumerError, psycopg.Error) as error:
        text = str(error) if isinstance(error, ConsumerError) else f"PostgreSQL refused a statement: {summary(error)}."
        return JobResult({}, due_in=min(RETRY, job.period), error=text)


async def _finish(conn: Connection, access: Access, job: Job, result: JobResult, last: LastRun | None) -> JobReport:
    counts, remark, due_in, error = result
    error = error and error[:TEXT_CHARACTERS_MAX]
    values = {"job": job.name, "due_in": due_in, "period": job.period, "counts": Jsonb(dict(counts))}
    [due_at] = await _write(conn, access, "maintenance/finish", {**values, "remark": remark, "error": error})
    # What an error counts is told with it, once.
    did_work = any(counts.values()) and not error
    is_news = did_work or (remark, error) != ((last.remark, last.error) if last else (None, None))
    state: JobState = "failed" if error else "done"
    return JobReport(job.name, state, job.switch, due_at, counts, remark, error, is_news)


async def _write(conn: Connection, access: Access, name: str, values: Mapping[str, object]) -> Sequence[datetime]:
    async with transaction(conn, access):
        await ledger.begin_work(conn)
        cursor = conn.cursor(row_factory=scalar_row)
        await cursor.execute(query(name), values, binary=True)
        return await cursor.fetchall() if cursor.description else []


async def _try_lock(holder: Connection, name: str) -> bool:
    [is_taken] = await rows(holder, scalar_row, "maintenance/try_lock", {"job": name})
    await _keep_lock(holder)
    return bool(is_taken)


async def _keep_lock(holder: Connection) -> None:
    """Raise OperationalError if the connection that holds the lock is lost: another process may run the job then."""
    # By a statement without parameters: after one with, the server keeps the snapshot, and no dead row could go.
    await holder.execute(query("maintenance/keep_lock"))


async def _while_held(holder: Connection, work: Awaitable[T]) -> T:
    """Return the result of *work*; cancel it, and raise OperationalError, as soon as the lock is lost."""

    async def keep() -> None:
        while True:
            await asyncio.sleep(KEEP_SECONDS)
            await _keep_lock(holder)

    working, keeping = asyncio.ensure_future(work), asyncio.create_task(keep())
    try:
        await asyncio.wait({working, keeping}, return_when=asyncio.FIRST_COMPLETED)
        if keeping.done():
            keeping.result()
        return await working
    finally:
        for task in (working, keeping):
            task.cancel()
        await asyncio.gather(working, keeping, return_exceptions=True)
