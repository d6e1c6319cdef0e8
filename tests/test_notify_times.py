"""When a process that tells looks again, what it logs again, and which times it records."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from consumer import logs
from consumer.process import notify
from consumer.process.channels import NotSent
from consumer.process.notify import CHANGE_TIME_MAX, notifying
from consumer.verdict.observation import Observation
from tests.support.backfills import ACCESS
from tests.support.databases import rows
from tests.support.notifying import DEAD, HOUR, MINUTE, NOW, SECOND, STALLED, WELL, Telling, beats, started
from tests.support.told import Listener

pytestmark = pytest.mark.usefixtures("told_at_once")

BOTH = replace(STALLED, queue=replace(STALLED.queue, dead=12))
TOLD = """
    SELECT findings -> 'told' AS told FROM consumer.reports
    WHERE findings IS NOT NULL ORDER BY findings -> 'number' DESC LIMIT 1
"""
LOCK = "SELECT pg_advisory_xact_lock(hashtext('consumer.maintenance'), hashtext('told'))"


@contextmanager
def locked(url: str, process: Telling) -> Iterator[None]:
    """Let the process wait in vain for the right to change what was told."""
    stored = process.notifier._stored
    access, stored._access = stored._access, replace(ACCESS, lock_timeout=timedelta(milliseconds=50))
    with psycopg.connect(url) as conn:
        conn.execute(LOCK)
        yield
    stored._access = access


def failures(caplog: pytest.LogCaptureFixture, task: str) -> list[str]:
    found = [vars(each) for each in caplog.records if each.message == logs.NOTIFY_FAILED]
    return [each["error"] for each in found if each["task"] == task]


async def test_it_looks_and_waits_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[object] = []
    process = SimpleNamespace(_period_seconds=7.5)

    async def look() -> None:
        done.append("look")
        if len(done) == 3:
            raise ZeroDivisionError
        if len(done) > 6:
            raise asyncio.CancelledError

    async def pause(seconds: float) -> None:
        done.append(seconds)
        if len(done) == 6:
            raise asyncio.CancelledError

    process.look = look
    monkeypatch.setattr(notify, "asyncio", SimpleNamespace(sleep=pause))
    with pytest.raises(asyncio.CancelledError):
        await notify.Notifier.run(process)  # type: ignore[arg-type]  # All that it uses of one.

    assert done == ["look", 7.5] * 3


async def test_nothing_goes_on_after_the_block(emptied: str, listener: Listener) -> None:
    process = await started(emptied, listener)
    before = asyncio.all_tasks()

    async with notifying(None):
        assert asyncio.all_tasks() == before
    async with notifying(process.notifier):
        assert len(asyncio.all_tasks()) == len(before) + 1

    assert asyncio.all_tasks() == before


async def test_two_looks_at_one_moment_are_one_heartbeat(emptied: str, listener: Listener) -> None:
    process = await started(emptied, listener)

    await process.look(WELL)
    await process.look(WELL)

    assert beats(listener) == 1


async def test_a_heartbeat_that_fails_is_logged_once_until_one_arrives(
    emptied: str, listener: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    process = await started(emptied, listener)
    counted = []
    for behaviour in (404, 404, 410, 200, 410):
        listener.behaviours = [behaviour]
        await process.look(WELL, MINUTE)
        # Also one that failed is the one of its minute.
        await process.look(WELL, SECOND)
        counted.append(beats(listener))

    assert counted == [1, 2, 3, 4, 5]
    assert failures(caplog, "heartbeat") == [f"HEARTBEAT_URL answered {each}." for each in (404, 410, 410)]


async def test_a_heartbeat_that_fails_keeps_nothing_untold(emptied: str, listener: Listener) -> None:
    process = await started(emptied, listener)
    listener.behaviours = [404]

    await process.look(DEAD)

    assert (beats(listener), listener.said()) == (1, [("finding.opened", "dead")])


async def test_a_channel_that_fails_again_is_logged_again(
    emptied: str, listener: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    process = await started(emptied, listener)
    outlets = replace(process.notifier._outlets, beat=None)
    process.notifier._outlets = outlets
    for behaviour, seen in ((404, DEAD), (200, DEAD), (404, WELL), (200, WELL)):
        listener.behaviours = [behaviour]
        await process.look(seen, 2 * HOUR)

    assert failures(caplog, "notification") == ["NOTIFY_URL answered 404."] * 2


async def test_after_a_success_a_clock_that_is_set_back_holds_nothing_up(emptied: str, listener: Listener) -> None:
    process = await started(emptied, listener)
    process.notifier._outlets = replace(process.notifier._outlets, beat=None)
    listener.behaviours = [404]
    await process.look(DEAD)
    await process.look(DEAD, MINUTE)

    await process.look(BOTH, -SECOND)

    assert listener.said() == [("finding.opened", "dead")] * 2 + [("finding.opened", "stalled")]


async def test_a_refusal_is_logged_at_its_second_look_and_anew_once_it_was_over(
    emptied: str, listener: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    process = await started(emptied, listener)
    right, lock = psycopg.errors.InsufficientPrivilege(), psycopg.errors.LockNotAvailable()
    logged = []
    for seen in (right, right, right, WELL, right, WELL, right, right, lock, right, lock, lock, right, right):
        await process.look(seen, SECOND)
        logged.append(len(failures(caplog, "findings")))

    assert logged == [0, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 4]
    assert [each.rsplit(" ", 1)[1] for each in failures(caplog, "findings")] == [
        "InsufficientPrivilege.",
        "InsufficientPrivilege.",
        "LockNotAvailable.",
        "InsufficientPrivilege.",
    ]


async def test_times_are_the_database_s_and_go_on_while_it_sends(emptied: str, listener: Listener) -> None:
    process = await started(emptied, listener)
    sent: list[str] = []

    async def send(message_id: str, _: bytes) -> None:
        sent.append(message_id)
        process.now += 7 * SECOND
        if len(sent) == 2:
            raise NotSent("no", is_temporary=False)

    async def observed() -> Observation:
        return replace(BOTH, at=NOW + HOUR)

    process.notifier._outlets = replace(process.notifier._outlets, send=send, beat=None)
    process.notifier._observed = observed
    await process.notifier.look()

    [row] = rows(emptied, TOLD)
    told = {each["finding"]["code"]: each for each in row["told"]}
    first, second = told["stalled"], told["dead"]
    assert [first[name] for name in ("told", "told_at", "opened_at")] == [
        "opened",
        "2026-11-29T13:00:07Z",
        "2026-11-29T13:00:00Z",
    ]
    assert [second[name] for name in ("told", "sending", "opened_at", "claimed_until", "message_id")] == [
        None,
        "opened",
        "2026-11-29T13:00:07Z",
        "2026-11-29T13:01:07Z",
        sent[1],
    ]


async def test_an_outage_that_a_look_ended_begins_anew(emptied: str, listener: Listener) -> None:
    process = await started(emptied, listener)
    away = psycopg.OperationalError()

    await process.look(away)
    await process.look(WELL, 20 * SECOND)
    await process.look(away, 10 * SECOND)
    await process.look(away, 29 * SECOND)
    assert listener.said() == []
    await process.look(away, SECOND)

    [told] = [each.json["data"] for each in listener.heard if each.method == "POST"]
    assert told["sentence"] == "the database is away, since 12:00:30Z"


async def test_what_was_told_is_known_while_nobody_can_read_it(emptied: str, listener: Listener) -> None:
    process = await started(emptied, listener)
    await process.look(DEAD)

    with locked(emptied, process):
        await process.look(DEAD, 2 * HOUR)

    assert listener.said() == [("finding.opened", "dead")]


async def test_what_arrived_while_its_arrival_could_not_be_recorded_is_not_told_at_once_again(
    emptied: str, listener: Listener
) -> None:
    process = await started(emptied, listener)
    sent: list[Any] = []
    lock = locked(emptied, process)

    async def send(message_id: str, _: bytes) -> None:
        sent.append(message_id)
        if len(sent) == 1:
            lock.__enter__()

    process.notifier._outlets = replace(process.notifier._outlets, send=send, beat=None)
    await process.look(DEAD)
    await process.look(DEAD, MINUTE - SECOND)
    assert len(sent) == 1
    lock.__exit__(None, None, None)
    await process.look(DEAD, SECOND)

    assert sent == [sent[0]] * 2


async def test_a_change_that_takes_too_long_is_told_from_memory(
    emptied: str, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = await started(emptied, listener)
    monkeypatch.setattr(notify, "CHANGE_TIME_MAX", timedelta(milliseconds=200))

    with psycopg.connect(emptied) as conn:
        conn.execute(LOCK)
        await process.look(DEAD)

    assert listener.said() == [("finding.opened", "dead")]
    assert ACCESS.lock_timeout + ACCESS.connect_timeout < CHANGE_TIME_MAX


async def test_only_what_arrived_is_logged_as_sent(
    emptied: str, listener: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "consumer")
    process = await started(emptied, listener)
    process.notifier._outlets = replace(process.notifier._outlets, beat=None)
    listener.behaviours = [404]

    await process.look(DEAD)

    assert logs.NOTIFICATION_SENT not in caplog.messages
