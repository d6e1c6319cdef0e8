"""The loop's waits and pauses: how long, after which error, and when the shortest comes again."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import psycopg
import pytest
from psycopg import Notify

from consumer.postgres import session
from consumer.postgres.connections import Connection, RoleRefused, connect, worker_access
from consumer.worker import loop as loop_module
from consumer.worker.batch import BatchRunner
from tests.support.cli import arrive
from tests.support.databases import end_sessions, rows, sessions
from tests.support.factories import user_updated
from tests.support.loop import PATIENCE_SECONDS, PATIENT, Life, failures, mood, pending, runner
from tests.support.pooler import pooled
from tests.support.processes import until
from tests.support.still_clock import Clock
from tests.support.worker import stored

NOWHERE = "host=127.0.0.1 port=1 dbname=x user=x"
OUTAGE = [0.1, 0.2, 0.4, 0.8, 1, 1, 1]
STOPPED = [1, 2, 4, 8, 16, 30, 30]


@pytest.fixture
def life(monkeypatch: pytest.MonkeyPatch) -> Life:
    return Life(monkeypatch)


async def test_an_idle_loop_waits_twice_as_long_each_time_up_to_the_setting(emptied: str, life: Life) -> None:
    await life.run(emptied, on_wait=lambda n: False if n < 7 else None)

    assert life.diary.waits == [0.02, 0.04, 0.08, 0.16, 0.32, 0.5, 0.5]
    assert life.diary.attempted == [None]


async def test_after_work_the_shortest_wait_comes_again(emptied: str, life: Life) -> None:
    def on_wait(number: int) -> bool | None:
        if number == 3:
            arrive(emptied, user_updated())
        return False if number < 5 else None

    await life.run(emptied, on_wait=on_wait)

    assert life.diary.waits == [0.02, 0.04, 0.08, 0.02, 0.04]
    assert pending(emptied) == 0


async def test_after_a_wake_up_the_shortest_wait_comes_again_although_nothing_is_due(emptied: str, life: Life) -> None:
    await life.run(emptied, on_wait=lambda n: n == 3 if n < 5 else None)

    assert life.diary.waits == [0.02, 0.04, 0.08, 0.02, 0.04]


async def test_after_a_reconnect_the_shortest_wait_comes_again(emptied: str, life: Life) -> None:
    def on_wait(number: int) -> bool | None:
        if number == 3:
            end_sessions(emptied, "worker")
        return False if number < 6 else None

    await life.run(emptied, on_wait=on_wait, on_pause=lambda _: True)

    # The third wait ended, and the turn after it failed.
    assert life.diary.waits == [0.02, 0.04, 0.08, 0.02, 0.04, 0.08]
    assert life.diary.pauses == [0.1]
    assert [type(error) for error in life.diary.attempted] == [type(None), psycopg.errors.AdminShutdown, type(None)]


async def test_while_the_database_is_away_pauses_grow_to_a_second(life: Life) -> None:
    subject = runner()

    worker = await life.run(NOWHERE, on_pause=lambda n: True if n < 7 else None, subject=subject)

    assert life.diary.pauses == OUTAGE
    assert [type(error) for error in life.diary.attempted] == [psycopg.OperationalError] * 7
    assert failures(subject) == {"transient": 7}
    assert worker.trouble == "the last batch was rolled back (OperationalError): see the log"
    assert worker.turned_at == float("-inf")


@pytest.mark.parametrize(
    ("sqlstate", "count", "pauses", "kind", "event"),
    [
        pytest.param("53300", 1, OUTAGE, "transient", None, id="no connection left"),
        pytest.param("57P01", 1, OUTAGE, "transient", None, id="shutdown"),
        pytest.param("40001", 1, OUTAGE, "transient", "batch_rolled_back", id="serialization failure"),
        pytest.param("40P01", 1, OUTAGE, "transient", "batch_rolled_back", id="deadlock"),
        pytest.param("55P03", 10, OUTAGE, "busy", "batch_rolled_back", id="everybody is locked"),
        pytest.param("25006", 1, OUTAGE, "ours", "worker_paused", id="read-only"),
        pytest.param("42703", 1, STOPPED, "ours", "worker_paused", id="missing column"),
        pytest.param("XX000", 1, STOPPED, "ours", "worker_paused", id="a bug of the server"),
    ],
)
async def test_each_class_of_error_has_its_pause_its_metric_and_its_line(
    emptied: str,
    life: Life,
    caplog: pytest.LogCaptureFixture,
    sqlstate: str,
    count: int,
    pauses: Sequence[float],
    kind: str,
    event: str | None,
) -> None:
    subject = runner()
    await stored(emptied, [user_updated() for _ in range(count)])

    with mood(emptied) as choose, caplog.at_level(logging.INFO, "consumer"):
        choose(sqlstate)
        worker = await life.run(emptied, on_pause=lambda n: True if n < 7 else None, subject=subject)

    assert life.diary.pauses == pauses
    assert failures(subject) == {kind: 7}
    assert worker.trouble == f"the last batch was rolled back ({sqlstate}): see the log"
    assert (worker.paused_by or "").startswith(f"{sqlstate}, ") == (kind == "ours")
    lines = [(record.getMessage(), record.levelname, vars(record)["error_code"]) for record in caplog.records]
    assert lines == ([(event, "ERROR", sqlstate)] * 7 if event else [])
    # Each error costs the connection; only an outage is told to those who log outages.
    reported = [None if error is None else getattr(error, "sqlstate", None) for error in life.diary.attempted]
    assert reported == ([None] if event else [None, sqlstate]) * 7
    assert pending(emptied) == count


async def test_a_role_that_is_refused_is_an_outage_that_only_a_person_ends(
    emptied: str, life: Life, caplog: pytest.LogCaptureFixture
) -> None:
    subject = BatchRunner(worker_access("nobodys"), runner().metrics, attempts_max=12)

    with caplog.at_level(logging.INFO, "consumer"):
        await life.run(emptied, on_pause=lambda n: True if n < 3 else None, subject=subject)

    assert life.diary.pauses == STOPPED[:3]
    assert failures(subject) == {"ours": 3}
    assert [type(error) for error in life.diary.attempted] == [RoleRefused] * 3
    assert not caplog.records
    await asyncio.to_thread(until, lambda: not rows(emptied, sessions("worker")))


async def test_one_turn_that_succeeds_ends_the_trouble_and_starts_the_pauses_again(
    emptied: str, life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(100.0)
    monkeypatch.setattr(loop_module, "time", clock)
    told: list[tuple[bool, float]] = []
    await stored(emptied, [user_updated()])

    with mood(emptied) as choose:

        def on_pause(number: int) -> bool | None:
            told.append((life.worker.trouble is None and life.worker.paused_by is None, life.worker.turned_at))
            clock.now += 1
            if number == 3:
                choose(None)
            return True if number < 5 else None

        def on_wait(_: int) -> bool | None:
            told.append((life.worker.trouble is None and life.worker.paused_by is None, life.worker.turned_at))
            arrive(emptied, user_updated())
            choose("42703")
            return True

        choose("42703")
        await life.run(emptied, on_pause=on_pause, on_wait=on_wait)

    never = float("-inf")
    assert life.diary.pauses == [1, 2, 4, 1, 2]
    assert told == [(False, never), (False, never), (False, never), (True, 103), (False, 103), (False, 103)]


async def test_a_wake_up_ends_an_idle_wait_and_the_time_limit_ends_it_without(
    emptied: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits, notifies = [], Connection.notifies

    def spied(conn: Connection, **named: Any) -> AsyncGenerator[Notify]:
        limits.append(named)
        return notifies(conn, **named)

    monkeypatch.setattr(Connection, "notifies", spied)
    async with (
        asyncio.timeout(PATIENCE_SECONDS),
        await connect(emptied, PATIENT) as ear,
        await connect(emptied, PATIENT) as mouth,
    ):
        await session.listen(ear)
        assert not await loop_module._hear(ear, 0)
        await session.wake(mouth)
        assert await loop_module._hear(ear, 60)
        assert not ear.lock.locked()
        assert not await loop_module._hear(ear, 0)

    assert limits == [{"timeout": seconds, "stop_after": 1} for seconds in (0, 60, 0)]


@pytest.mark.parametrize("is_pooled", [False, True], ids=["direct", "behind a pooler"])
async def test_only_a_session_of_its_own_listens(emptied: str, life: Life, is_pooled: bool) -> None:
    seen: list[int] = []

    def on_wait(_: int) -> bool | None:
        seen.append(pending(emptied))
        return None

    monkeypatch, heard = life.monkeypatch, []
    listen = session.listen

    async def spied(conn: psycopg.AsyncConnection[object]) -> None:
        heard.append(conn)
        await listen(conn)

    monkeypatch.setattr(session, "listen", spied)
    await stored(emptied, [user_updated()])
    if is_pooled:
        with pooled(emptied) as url:
            await life.run(url, on_wait=on_wait)
    else:
        await life.run(emptied, on_wait=on_wait)

    assert (seen, len(heard)) == ([0], 0 if is_pooled else 1)
