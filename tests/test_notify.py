"""Findings are told once and by real requests: over restarts, by two processes at once, while the database is away."""

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from consumer import logs
from consumer.cli.notify import notifier
from consumer.process import notify
from consumer.process.channels import SendLimits, call, channel
from consumer.process.notify import AWAY_TIME, HEARTBEAT_TIME, LOOK_SECONDS, Notifier, Outlets, notifying
from consumer.process.reports import Reporter
from consumer.process.told import REFRESH_TIME, ToldFromDatabase
from consumer.settings.notifications import NotifySettings
from consumer.settings.settings import read
from consumer.verdict.observation import Observation, QueueState
from tests.support import polling
from tests.support.backfills import ACCESS
from tests.support.databases import change, rows
from tests.support.told import PATIENT, SHORT, Listener, listening

SECRET = "whsec_bmV3bmV3bmV3bmV3bmV3bmV3"
NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
WELL = Observation(at=NOW)
DEAD = replace(WELL, queue=QueueState(dead=12))
STALLED = replace(WELL, worker_sessions=1, queue=QueueState(has_pending=True, due_seconds=61))
WRITTEN = "SELECT findings FROM consumer.reports WHERE findings IS NOT NULL ORDER BY at"
OPEN_TRANSACTIONS = """
    SELECT FROM pg_stat_activity
    WHERE datname = current_database() AND xact_start IS NOT NULL AND pid <> pg_backend_pid()
"""


@pytest.fixture
def listener() -> Iterator[Listener]:
    with listening() as found:
        yield found


class Process:
    """A process that tells, what it observes, and its clock."""

    def __init__(self, database: str, listener: Listener, process_id: UUID, limits: SendLimits = PATIENT) -> None:
        self.now = NOW
        self.seen = WELL
        self.error: Exception | None = None
        settings = NotifySettings(url=listener.url, secrets=(SECRET,))
        outlets = Outlets(channel(settings, {}, limits), partial(call, listener.url, limits), "db:5432/app")
        stored = ToldFromDatabase(database, ACCESS, process_id)
        self.notifier = Notifier(self.observed, stored, outlets, lambda: self.now)

    async def observed(self) -> Observation:
        if self.error:
            raise self.error
        return replace(self.seen, at=self.now)

    async def look(self, seen: Observation | Exception, after: timedelta = timedelta(0)) -> None:
        self.now += after
        self.error = seen if isinstance(seen, Exception) else None
        self.seen = self.seen if isinstance(seen, Exception) else seen
        await self.notifier.look()


async def started(database: str, listener: Listener, limits: SendLimits = PATIENT) -> Process:
    """A process that has reported."""
    reporter = Reporter(database, ACCESS, "maintenance")
    assert await reporter.put(10 * SECOND, 10 * SECOND)
    await reporter.close()
    return Process(database, listener, reporter.process_id, limits)


def beats(listener: Listener) -> int:
    return sum(each.method == "GET" for each in listener.heard)


async def test_a_finding_is_told_when_it_opens_gets_worse_and_closes(emptied: str, listener: Listener) -> None:
    process = await started(emptied, listener)

    await process.look(WELL)
    await process.look(DEAD, HOUR)
    await process.look(DEAD, HOUR)
    await process.look(replace(WELL, queue=QueueState(dead=120)), HOUR)
    await process.look(WELL, HOUR)
    await process.look(WELL, HOUR)

    assert listener.said() == [("finding.opened", "dead"), ("finding.worse", "dead"), ("finding.closed", "dead")]


async def test_what_was_told_is_known_after_a_restart(emptied: str, listener: Listener) -> None:
    await (await started(emptied, listener)).look(DEAD)
    second = await started(emptied, listener)
    await second.look(DEAD, HOUR)
    third = await started(emptied, listener)

    await third.look(WELL, 2 * HOUR)

    assert listener.said() == [("finding.opened", "dead"), ("finding.closed", "dead")]
    assert [len(row["findings"]["told"]) for row in rows(emptied, WRITTEN)] == [1, 1, 1, 1]


async def test_of_processes_at_once_one_tells(emptied: str, listener: Listener) -> None:
    processes = [await started(emptied, listener) for _ in range(4)]

    await asyncio.gather(*(process.look(DEAD) for process in processes))
    await asyncio.gather(*(process.look(DEAD, SECOND) for process in processes))

    assert listener.said() == [("finding.opened", "dead")]
    numbers = [row["findings"]["number"] for row in rows(emptied, WRITTEN)]
    assert sorted(numbers) == [1, 2]


async def test_no_transaction_is_open_while_it_sends(emptied: str, listener: Listener) -> None:
    process = await started(emptied, listener, SHORT)
    listener.behaviours = [200, "hang", 200]

    looking = asyncio.create_task(process.look(DEAD))
    await polling.until(listener.said)
    during = rows(emptied, OPEN_TRANSACTIONS)
    await looking

    assert during == []
    assert len(listener.said()) == 2


async def test_what_a_killed_process_was_sending_is_told_by_another_with_the_same_id(
    emptied: str, listener: Listener
) -> None:
    killed, other = await started(emptied, listener), await started(emptied, listener)
    listener.behaviours = [200, "hang"]
    looking = asyncio.create_task(killed.look(DEAD))
    await polling.until(listener.said)
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)

    await other.look(DEAD, MINUTE - SECOND)
    assert len(listener.said()) == 1
    await other.look(DEAD, SECOND)

    assert listener.said() == [("finding.opened", "dead")] * 2
    assert len({each.headers["webhook-id"] for each in listener.heard if each.method == "POST"}) == 1


async def test_a_process_that_has_not_reported_tells_nothing(emptied: str, listener: Listener) -> None:
    """Nothing could be recorded, and it would be told again and again."""
    await Process(emptied, listener, uuid4()).look(DEAD)

    assert listener.said() == []


async def test_what_was_told_is_written_anew_before_its_report_is_removed(emptied: str, listener: Listener) -> None:
    process = await started(emptied, listener)
    await process.look(DEAD)
    assert len(rows(emptied, WRITTEN)) == 2
    await process.look(DEAD, SECOND)
    assert len(rows(emptied, WRITTEN)) == 2

    change(emptied, f"UPDATE consumer.reports SET at = at - interval '{REFRESH_TIME.total_seconds()} s'")
    await process.look(DEAD, SECOND)

    *_, before, after = [row["findings"] for row in rows(emptied, WRITTEN)]
    assert (after["told"], after["number"]) == (before["told"], before["number"] + 1)
    assert 10 * MINUTE == REFRESH_TIME


async def test_what_another_release_wrote_in_its_own_way_counts_as_nothing(emptied: str, listener: Listener) -> None:
    process = await started(emptied, listener)
    await process.look(DEAD)
    change(
        emptied,
        """UPDATE consumer.reports SET findings = '{"number": 9, "told": [{"new": 1}]}' WHERE findings IS NOT NULL""",
    )

    await process.look(DEAD, HOUR)
    await process.look(DEAD, HOUR)

    assert listener.said() == [("finding.opened", "dead")] * 2


async def test_nothing_is_written_while_there_is_nothing_to_tell(emptied: str, listener: Listener) -> None:
    process = await started(emptied, listener)

    await process.look(WELL)

    assert rows(emptied, WRITTEN) == []


async def test_a_channel_that_fails_is_logged_once_tried_each_minute_and_keeps_nothing_else_waiting(
    emptied: str, listener: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    process = await started(emptied, listener)
    outlets = replace(process.notifier._outlets, beat=None)
    process.notifier = Notifier(process.observed, process.notifier._stored, outlets, lambda: process.now)
    listener.behaviours = [404, 404]

    await process.look(DEAD)
    await process.look(replace(STALLED, queue=replace(STALLED.queue, dead=12)), MINUTE - SECOND)
    assert listener.said() == [("finding.opened", "dead")]
    await process.look(DEAD, SECOND)
    assert len(listener.said()) == 2
    await process.look(DEAD, MINUTE)

    assert listener.said() == [("finding.opened", "dead")] * 3
    failed = [record for record in caplog.records if record.message == logs.NOTIFY_FAILED]
    assert [vars(record)["error"] for record in failed] == ["NOTIFY_URL answered 404."]
    assert not [record for record in caplog.records if "s3cr3t" in str(vars(record))]


async def test_an_outage_is_told_from_memory_once_it_lasts(emptied: str, listener: Listener) -> None:
    process = await started(emptied, listener)
    away = psycopg.OperationalError("connection refused")

    await process.look(away)
    await process.look(away, AWAY_TIME - SECOND)
    assert listener.heard == []
    await process.look(away, SECOND)
    await process.look(away, HOUR)
    await process.look(WELL, SECOND)
    await process.look(WELL, HOUR)

    assert listener.said() == [("finding.opened", "database_away"), ("finding.closed", "database_away")]
    told = next(each.json["text"] for each in listener.heard if each.method == "POST")
    assert "the database is away, since 12:00:00Z" in told
    assert AWAY_TIME == 30 * SECOND


@pytest.mark.parametrize(
    ("changed", "role_prefix", "sentence"),
    [
        pytest.param({"port": 9}, "consumer", "the database is away", id="nobody listens"),
        pytest.param(
            {"dbname": "nowhere"}, "consumer", "the server refuses this login, its role or database", id="name"
        ),
        pytest.param({}, "nobody", "the server refuses this login, its role or database", id="role"),
    ],
)
async def test_a_database_that_cannot_be_used_is_away(
    emptied: str,
    listener: Listener,
    monkeypatch: pytest.MonkeyPatch,
    changed: dict[str, Any],
    role_prefix: str,
    sentence: str,
) -> None:
    monkeypatch.setattr(notify, "AWAY_TIME", timedelta(0))
    conninfo = make_conninfo(emptied, **changed)
    settings, _ = read({"DATABASE_URL": conninfo, "NOTIFY_URL": listener.url, "ROLE_PREFIX": role_prefix})
    found = notifier(settings, conninfo, Reporter(conninfo, ACCESS, "maintenance"))
    assert found

    await found.look()

    assert [each.json["data"]["sentence"].split(", since")[0] for each in listener.heard] == [sentence]


async def test_a_restart_of_the_database_is_nobodys_business(emptied: str, listener: Listener) -> None:
    process = await started(emptied, listener)

    for _ in range(3):
        await process.look(psycopg.OperationalError(), AWAY_TIME - SECOND)
        await process.look(WELL, SECOND)

    assert listener.said() == []


async def test_a_server_that_answers_nothing_is_away(
    emptied: str, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notify, "LOOK_TIME_MAX", SECOND / 20)
    process = await started(emptied, listener)

    async def silence() -> Observation:
        await asyncio.Event().wait()
        raise AssertionError

    process.notifier._observed = silence
    await process.notifier.look()
    process.now += AWAY_TIME
    await process.notifier.look()

    assert listener.said() == [("finding.opened", "database_away")]


@pytest.mark.parametrize(
    "error",
    [psycopg.errors.LockNotAvailable(), psycopg.errors.QueryCanceled(), psycopg.errors.InsufficientPrivilege()],
)
async def test_a_lock_or_a_right_that_is_missing_is_no_outage(
    emptied: str, listener: Listener, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    process = await started(emptied, listener)

    await process.look(error)
    assert caplog.messages == []
    await process.look(error, AWAY_TIME)
    await process.look(error, AWAY_TIME)

    assert listener.heard == []
    assert caplog.messages.count(logs.NOTIFY_FAILED) == 1


async def test_a_heartbeat_comes_once_a_minute_while_no_finding_fails(emptied: str, listener: Listener) -> None:
    process = await started(emptied, listener)
    found: list[int] = []
    for seen, after in (
        (WELL, timedelta(0)),
        (WELL, HEARTBEAT_TIME - SECOND),
        (DEAD, SECOND),
        (STALLED, MINUTE),
        (psycopg.OperationalError(), MINUTE),
        (WELL, MINUTE),
        # A clock that was set back holds nothing up.
        (WELL, -HOUR),
    ):
        await process.look(seen, after)
        found.append(beats(listener))

    assert found == [1, 1, 2, 2, 2, 3, 4]
    assert HEARTBEAT_TIME == MINUTE


async def test_a_bug_is_logged_and_the_next_look_comes(
    emptied: str, listener: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    process = await started(emptied, listener)
    process.error = ZeroDivisionError()
    assert LOOK_SECONDS == process.notifier._period_seconds == 10
    process.notifier._period_seconds = 0

    async with notifying(process.notifier):
        await polling.until(lambda: logs.TASK_FAILED in caplog.messages)
        process.error = None
        await polling.until(lambda: beats(listener))


async def test_what_is_sent_is_logged(emptied: str, listener: Listener, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "consumer")
    process = await started(emptied, listener)

    await process.look(DEAD)

    [sent] = [vars(record) for record in caplog.records if record.message == logs.NOTIFICATION_SENT]
    fields: dict[str, Any] = {name: sent[name] for name in ("kind", "code", "subject")}
    assert fields == {"kind": "opened", "code": "dead", "subject": "dead letters"}
