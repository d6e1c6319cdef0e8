"""What is told, and what is not, while something fails: the database, a channel, the notifier itself."""

import asyncio
import logging
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from consumer import logs
from consumer.cli.notify import notifier
from consumer.postgres import locks
from consumer.postgres.connections import connect
from consumer.process import notify
from consumer.process.notification_states import StatesInDatabase
from consumer.process.notify import AWAY_TIME, HEARTBEAT_TIME, LOOK_SECONDS, Notifier, notifying
from consumer.process.reports import Reporter
from consumer.settings.settings import read
from consumer.verdict.observation import Observation
from tests.support import polling
from tests.support.backfills import ACCESS
from tests.support.notifying import DEAD, HOUR, MINUTE, SECOND, STALLED, WELL, beats, started
from tests.support.told import Listener

pytestmark = pytest.mark.usefixtures("told_at_once")


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
    assert (notify.LOOK_TIME_MAX, notify.CHANGE_TIME_MAX) == (20 * SECOND, 12 * SECOND)
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


async def test_a_stranger_who_holds_the_lock_is_logged_and_named(
    emptied: str, listener: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    process = await started(emptied, listener)
    held = replace(ACCESS, lock_timeout=timedelta(milliseconds=50))
    process.notifier._stored = StatesInDatabase(emptied, held, uuid4())

    with psycopg.connect(emptied, application_name="a stranger") as stranger:
        stranger.execute("SELECT pg_advisory_xact_lock(hashtext('consumer.maintenance'), hashtext('told'))")
        await process.look(DEAD)
        await process.look(DEAD, AWAY_TIME)
        async with await connect(emptied, ACCESS) as conn:
            holders = await locks.noteworthy(conn)

    assert listener.said() == [("finding.opened", "dead")]
    assert [vars(each)["error"] for each in caplog.records if each.message == logs.NOTIFY_FAILED] == [
        "PostgreSQL refused a statement: LockNotAvailable."
    ]
    assert [holder.locks for holder in holders] == ["a lock of maintenance"]


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
