"""How a job of `consumer maintain` runs: in one process at a time, when it is due, and with its last run in a row."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import nullcontext, suppress
from datetime import timedelta
from typing import Any

import pytest

from consumer.errors import ConsumerError, WrongRelease
from consumer.operations import maintenance
from consumer.operations.maintenance import EARLY, KEEP_SECONDS, RETRY, Job, JobReport, JobResult
from consumer.postgres.connections import Access, Connection, transaction
from tests.support.backfills import ACCESS
from tests.support.databases import change, rows
from tests.support.polling import until
from tests.support.pooler import pooled

Work = Callable[[Connection, Access], Awaitable[JobResult]]
HOUR = timedelta(hours=1)
ROW = "SELECT *, due_at - started_at AS due_after, due_at - ended_at AS due_later FROM consumer.maintenance"
HOLDER = """
    SELECT pid, backend_xmin
    FROM pg_stat_activity
    WHERE state = 'idle in transaction' AND datname = current_database()
"""


class Worker:
    """A job's work that counts its calls, and goes on when it is told to."""

    def __init__(self, result: JobResult | Exception | None = None, *, is_held: bool = False) -> None:
        self.calls = 0
        self.was_cancelled = False
        self.go = asyncio.Event()
        self._result = result or JobResult({"removed": 3})
        if not is_held:
            self.go.set()

    async def __call__(self, _conn: Connection, _access: Access) -> JobResult:
        self.calls += 1
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise
        if isinstance(self._result, Exception):
            raise self._result
        return self._result


def job(work: Work | None, name: str = "prune", period: timedelta = HOUR) -> Job:
    return Job(name, period, "RETENTION_DAYS", work)


async def run(url: str, work: Work | None, name: str = "prune", period: timedelta = HOUR) -> JobReport:
    return await maintenance.run(url, ACCESS, job(work, name, period))


def row(url: str) -> dict[str, Any]:
    [found] = rows(url, ROW)
    return found


def be_due(url: str, ago: str = "1 second") -> None:
    change(url, f"UPDATE consumer.maintenance SET due_at = now() - interval '{ago}'")


async def test_a_job_runs_once_a_period_and_leaves_its_run_in_a_row(emptied: str) -> None:
    work = Worker()

    first, second = await run(emptied, work), await run(emptied, work)

    found = row(emptied)
    assert (work.calls, first.state, second.state, second.due_at) == (1, "done", "not due", found["due_at"])
    assert (found["counts"], found["error"], found["due_after"]) == ({"removed": 3}, None, HOUR)
    assert found["started_at"] <= found["ended_at"]


async def test_a_job_whose_time_has_come_runs_again(emptied: str) -> None:
    work = Worker()
    await run(emptied, work)
    be_due(emptied)

    assert (await run(emptied, work)).state == "done"
    assert work.calls == 2


async def test_a_call_a_little_early_is_in_time(emptied: str) -> None:
    work = Worker()
    await run(emptied, work)

    be_due(emptied, f"-{EARLY.seconds + 5} seconds")
    assert (await run(emptied, work)).state == "not due"
    be_due(emptied, f"-{EARLY.seconds - 1} seconds")
    assert (await run(emptied, work)).state == "done"


async def test_a_job_that_is_off_does_nothing_and_leaves_no_row(emptied: str) -> None:
    assert await run(emptied, None) == JobReport("prune", "off", "RETENTION_DAYS")
    assert rows(emptied, ROW) == []


@pytest.mark.parametrize("is_pooled", [False, True], ids=["direct", "pooled"])
async def test_of_two_processes_at_once_one_runs_the_job(emptied: str, *, is_pooled: bool) -> None:
    work = Worker(is_held=True)
    with pooled(emptied) if is_pooled else nullcontext(emptied) as url:
        first = asyncio.create_task(run(url, work))
        await until(lambda: work.calls)
        second = await run(url, work)
        work.go.set()

        assert (second.state, (await first).state, work.calls) == ("running", "done", 1)


async def test_two_jobs_run_beside_each_other(emptied: str) -> None:
    slow, quick = Worker(is_held=True), Worker()
    first = asyncio.create_task(run(emptied, slow, "reconcile"))
    await until(lambda: slow.calls)

    assert (await run(emptied, quick, "prune")).state == "done"
    slow.go.set()
    await first


@pytest.mark.parametrize("has_run_before", [False, True])
async def test_a_job_that_was_killed_is_due_still(emptied: str, has_run_before: bool) -> None:
    if has_run_before:
        await run(emptied, Worker())
        change(emptied, "UPDATE consumer.maintenance SET ended_at = NULL, due_at = now()")
    work = Worker(is_held=True)
    killed = asyncio.create_task(run(emptied, work))
    await until(lambda: work.calls)
    killed.cancel()
    with suppress(asyncio.CancelledError):
        await killed

    assert (work.was_cancelled, row(emptied)["ended_at"]) == (True, None)
    work.go.set()
    assert (await run(emptied, work)).state == "done"


async def test_a_job_ends_when_its_lock_is_lost(emptied: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consumer.operations.maintenance.KEEP_SECONDS", 0.05)
    work = Worker(is_held=True)
    running = asyncio.create_task(run(emptied, work))
    await until(lambda: work.calls)

    [holder] = rows(emptied, HOLDER)
    change(emptied, f"SELECT pg_terminate_backend({holder['pid']})")

    async with asyncio.timeout(15):
        assert (await running).state == "failed"
    assert (work.was_cancelled, row(emptied)["error"]) == (True, "PostgreSQL refused a statement: AdminShutdown.")


async def test_the_lock_keeps_no_dead_row_from_going(emptied: str) -> None:
    work = Worker(is_held=True)
    running = asyncio.create_task(run(emptied, work))
    await until(lambda: work.calls)

    assert [holder["backend_xmin"] for holder in rows(emptied, HOLDER)] == [None]
    work.go.set()
    await running


def test_the_lock_is_kept_three_times_before_the_server_ends_its_transaction() -> None:
    assert timedelta(seconds=KEEP_SECONDS) * 3 <= ACCESS.idle_timeout


@pytest.mark.parametrize(("period", "later"), [(HOUR, RETRY), (timedelta(minutes=1), timedelta(minutes=1))])
async def test_a_job_that_failed_is_tried_again_soon_and_says_why(
    emptied: str, period: timedelta, later: timedelta
) -> None:
    report = await run(emptied, Worker(ConsumerError("It can't be.")), period=period)

    assert (report.state, report.error) == ("failed", "It can't be.")
    assert (row(emptied)["error"], row(emptied)["due_later"]) == ("It can't be.", later)


def test_what_failed_is_tried_again_within_ten_minutes() -> None:
    assert timedelta(minutes=10) == RETRY


async def test_what_postgresql_says_of_a_row_is_not_stored(emptied: str) -> None:
    async def work(conn: Connection, access: Access) -> JobResult:
        async with transaction(conn, access):
            await conn.execute("INSERT INTO consumer.maintenance (job) VALUES ('jane@example.com')")
        return JobResult({})

    report = await run(emptied, work)

    assert report.error == "PostgreSQL refused a statement: NotNullViolation consumer maintenance."


async def test_a_long_error_is_cut(emptied: str) -> None:
    await run(emptied, Worker(ConsumerError("x" * 5_000)))

    assert row(emptied)["error"] == "x" * 1_000


async def test_the_next_success_takes_the_error_back_and_is_news(emptied: str) -> None:
    reports = []
    for result in (ConsumerError("Away."), ConsumerError("Away."), JobResult({"stored": 0}), JobResult({"stored": 0})):
        reports.append(await run(emptied, Worker(result)))
        be_due(emptied)

    assert [report.is_news for report in reports] == [True, False, True, False]
    assert row(emptied)["error"] is None


async def test_a_remark_is_news_once(emptied: str) -> None:
    reports = []
    for _ in range(2):
        reports.append(await run(emptied, Worker(JobResult({}, "The server is too old.", timedelta(days=1)))))
        assert row(emptied)["due_later"] == timedelta(days=1)
        be_due(emptied)

    assert [report.is_news for report in reports] == [True, False]


async def test_what_it_did_is_news(emptied: str) -> None:
    for _ in range(2):
        assert (await run(emptied, Worker())).is_news
        be_due(emptied)


async def test_a_release_that_may_not_work_begins_nothing(emptied: str) -> None:
    work = Worker()
    change(emptied, "INSERT INTO consumer.fence (migration, oldest_release) VALUES (9999, 9999)")
    try:
        with pytest.raises(WrongRelease):
            await run(emptied, work)
    finally:
        change(emptied, "DELETE FROM consumer.fence WHERE migration = 9999")

    assert (work.calls, rows(emptied, ROW)) == (0, [])


async def test_a_bug_is_no_failure_of_a_job(emptied: str) -> None:
    with pytest.raises(KeyError):
        await run(emptied, Worker(KeyError("a bug")))

    assert row(emptied)["ended_at"] is None
