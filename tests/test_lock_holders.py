"""Our locks in the hands of strangers: any login may hold an advisory lock, so the holder is named."""

import asyncio
import logging
import re
from datetime import timedelta
from typing import Any
from unittest.mock import AsyncMock
from uuid import UUID

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.errors import LockNotAvailable, UniqueViolation

from consumer.postgres import locks
from consumer.postgres.connections import connect
from consumer.postgres.locks import LockHolder
from consumer.worker import batch
from consumer.worker.batch import BatchRunner
from consumer.worker.lock_log import LockLog
from consumer.worker.loop import Worker
from tests.support.cli import arrive, call, examined, facts
from tests.support.databases import rows, scratch_database, waits_for_locks
from tests.support.factories import team_event, user_updated
from tests.support.names import own
from tests.support.polling import until
from tests.support.strangers import APPLICATION, COMPANIES, MIGRATIONS, stranger
from tests.support.worker import ACCESS, worker

TEAM = UUID("6f1c2f0e-9d3b-4a57-8c21-0b7d5e9a4f10")
# A delivery that meets a lock is put back or its batch is rolled back.
RETRIES = ("delivery_retried", "batch_rolled_back")
HOLDER = LockHolder(
    pid=7,
    prepared_transaction=None,
    login="shop",
    application="psql",
    locks="locks of companies",
    waited_seconds=None,
    seconds=3.2,
    is_hidden=False,
)


async def held(url: str, **named: Any) -> list[tuple[object, ...]]:
    async with await connect(url, ACCESS) as conn:
        found = await locks.noteworthy(conn, **named)
    return [(holder.pid, holder.login, holder.application, holder.locks) for holder in found]


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        pytest.param(MIGRATIONS, "the lock of migrations", id="the migrators' turn"),
        pytest.param(MIGRATIONS.replace("lock(", "lock_shared("), "the lock of migrations", id="shared"),
        pytest.param(COMPANIES.format(""), "locks of companies", id="all companies"),
        pytest.param(
            "SELECT pg_advisory_lock(hashtext('consumer.companies'), 255)", "locks of companies", id="the last stripe"
        ),
        pytest.param(COMPANIES.format("_shared"), "locks of companies", id="all companies, shared"),
    ],
)
async def test_a_stranger_that_holds_an_advisory_lock_of_ours_is_named(
    emptied: str, statement: str, named: str
) -> None:
    with stranger(emptied) as conn:
        pid = conn.info.backend_pid
        conn.execute(statement)

        assert await held(emptied) == [(pid, own("stranger"), APPLICATION, named)]

    assert await held(emptied) == []


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT pg_advisory_lock(7305013982002)",
        "SELECT pg_advisory_lock(hashtext('consumer.companies'), 256)",
        "SELECT pg_advisory_lock(hashtext('consumer.settings'), 1)",
        "SELECT pg_advisory_lock(1700, -725388495)",
    ],
)
async def test_a_stranger_s_own_advisory_locks_are_its_own_affair(emptied: str, statement: str) -> None:
    with stranger(emptied) as conn:
        conn.execute(statement)

        assert await held(emptied) == []


async def test_a_lock_in_another_database_is_not_ours(emptied: str, server_url: str) -> None:
    with scratch_database(server_url, "other") as url, stranger(url) as conn:
        conn.execute(MIGRATIONS)

        assert await held(emptied) == []


async def test_a_table_locked_against_writers_is_named_and_one_that_is_read_is_not(emptied: str) -> None:
    with psycopg.connect(emptied, application_name="pg_dump") as conn:
        conn.execute("LOCK TABLE identity.profiles, consumer.settings IN ACCESS SHARE MODE")
        assert await held(emptied) == []
        read = await held(emptied, readers_of="consumer.settings")
        conn.execute("LOCK TABLE identity.profiles IN SHARE MODE")
        locked = await held(emptied)

    assert [entry[2:] for entry in read] == [("pg_dump", "table consumer.settings")]
    assert [entry[2:] for entry in locked] == [("pg_dump", "table identity.profiles")]


async def test_a_row_is_named_while_a_process_of_ours_and_no_other_waits_for_it(emptied: str) -> None:
    user = user_updated()
    await asyncio.to_thread(arrive, emptied, user)
    async with await connect(emptied, ACCESS) as conn:
        await worker().run_once(conn)
    with psycopg.connect(emptied, application_name=APPLICATION) as holder:
        found = []
        for other in (psycopg.AsyncConnection.connect(emptied, autocommit=True), connect(emptied, ACCESS)):
            holder.execute("SELECT FROM identity.profiles FOR UPDATE")
            assert await held(emptied) == []
            async with await other as conn:
                waiting = asyncio.create_task(conn.execute("SELECT FROM identity.profiles FOR UPDATE"))
                await until(lambda: waits_for_locks(emptied))
                found.append([entry[2:] for entry in await held(emptied)])
                holder.rollback()
                await waiting

    assert found == [[], [(APPLICATION, "a row")]]


@pytest.mark.parametrize(
    ("application", "waited", "is_noteworthy"),
    [
        ("psql", None, True),
        ("consumerism", None, True),
        (None, None, True),
        ("consumer worker", None, False),
        ("consumer worker", 0.9, False),
        ("consumer worker", 1.0, True),
    ],
)
def test_our_own_processes_are_named_once_another_waits_for_a_second(
    application: str | None, waited: float | None, *, is_noteworthy: bool
) -> None:
    holder = LockHolder(7, None, "shop", application, "a row", waited, 1.0, is_hidden=False)

    assert holder.is_noteworthy == is_noteworthy


def test_a_sentence_says_who_holds_what_since_when_and_what_is_hidden() -> None:
    hidden = LockHolder(7, None, "shop", None, "a row", 2.4, None, is_hidden=True)
    prepared = LockHolder(None, "it's", "shop", None, "table identity.profiles", None, 60.0, is_hidden=False)

    assert HOLDER.sentence == "pid 7 (login shop, application 'psql') holds locks of companies for 3 s"
    assert HOLDER.cure == "Let its owner end it, or run SELECT pg_terminate_backend(7)."
    assert hidden.sentence == (
        "pid 7 (login shop, application without a name) holds a row, since when is hidden from this login; "
        "one of our processes has waited 2 s"
    )
    assert prepared.sentence == ('prepared transaction "it\'s" (login shop) holds table identity.profiles for 60 s')
    assert prepared.cure == "ROLLBACK PREPARED 'it''s', unless its owner is about to end it."


def test_a_login_without_pg_read_all_stats_is_told_that_the_age_is_hidden(emptied: str) -> None:
    with stranger(emptied) as conn, stranger(emptied, "onlooker") as onlooker:
        pid = conn.info.backend_pid
        conn.execute(MIGRATIONS)
        onlooker_url = make_conninfo(emptied, user=onlooker.info.user, password="x")

        [named] = asyncio.run(sentences(onlooker_url))

    assert named.startswith(f"pid {pid} (login {own('stranger')}, application '{APPLICATION}')")
    assert named.endswith("since when is hidden from this login")


async def sentences(url: str) -> list[str]:
    async with await connect(url, ACCESS) as conn:
        return [holder.sentence for holder in await locks.noteworthy(conn)]


def test_status_and_doctor_name_the_holder_whatever_it_calls_itself(emptied: str) -> None:
    with stranger(emptied, application="[red]\x1b[2J") as conn:
        pid = conn.info.backend_pid
        conn.execute(MIGRATIONS)

        status, printed = facts(emptied, "status"), call(emptied, "status").output
        _, checks = examined(emptied)

    [finding] = [found for found in status["findings"] if found["code"] == "lock_held"]
    assert (finding["gravity"], finding["subject"]) == ("warning", "locks")
    assert finding["sentence"].startswith(f"pid {pid} (login {own('stranger')}, application '[red]")
    assert finding["cure"].endswith(f"pg_terminate_backend({pid}).")
    assert "application '[red]" in printed
    assert "\x1b" not in printed
    # A second may pass between the two.
    told = [re.sub(r"\b[\d.]+ ?s\b", "", text) for text in (checks["locks"]["finding"], finding["sentence"])]
    assert (checks["locks"]["state"], told[0]) == ("warning", told[1])
    assert examined(emptied)[1]["locks"]["state"] == "ok"


async def test_a_worker_that_waited_in_vain_names_the_holder_once(
    emptied: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def named() -> list[dict[str, Any]]:
        return [vars(record) for record in caplog.records if record.getMessage() == "lock_held"]

    await asyncio.to_thread(arrive, emptied, team_event("created", TEAM))
    subject = BatchRunner(ACCESS, worker().metrics, attempts_max=12)
    loop = Worker(emptied, subject, lambda _: None, poll_max=timedelta(milliseconds=20))
    monkeypatch.setattr(batch, "BUSY_SECONDS_MAX", 0.1)
    with stranger(emptied) as conn, caplog.at_level(logging.INFO, "consumer"):
        pid = conn.info.backend_pid
        conn.execute(COMPANIES.format(""))
        working = asyncio.create_task(loop.run())
        await until(named)
        await until(lambda: [r for r in caplog.records if r.getMessage() in RETRIES][2:])
        conn.close()
        await until(lambda: rows(emptied, "SELECT FROM consumer.outcomes"))
        loop.stop()
        await working

    lines = [(line["pid"], line["login"], line["application"], line["locks"]) for line in named()]
    assert lines == [(pid, own("stranger"), APPLICATION, "locks of companies")]


async def test_a_whole_batch_that_waited_in_vain_names_the_holder_too(
    emptied: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = BatchRunner(ACCESS, worker().metrics, attempts_max=12)
    monkeypatch.setattr(BatchRunner, "run_once", AsyncMock(side_effect=LockNotAvailable()))
    loop = Worker(emptied, subject, lambda _: None, poll_max=timedelta(milliseconds=20))
    with stranger(emptied) as conn, caplog.at_level(logging.INFO, "consumer"):
        conn.execute(COMPANIES.format(""))
        working = asyncio.create_task(loop.run())
        await until(lambda: [record for record in caplog.records if record.getMessage() == "lock_held"])
        loop.stop()
        await working


async def test_a_holder_is_logged_anew_once_a_batch_has_met_no_lock(
    emptied: str, caplog: pytest.LogCaptureFixture
) -> None:
    def lines() -> int:
        return [record.getMessage() for record in caplog.records].count("lock_held")

    log, busy = LockLog(), LockNotAvailable()
    async with await connect(emptied, ACCESS) as conn:
        with stranger(emptied) as holder:
            holder.execute(COMPANIES.format(""))
            for _ in range(2):
                await log.write(conn, [UniqueViolation(), busy])
                assert lines() == 1
            await log.write(conn, [UniqueViolation()])
            await log.write(conn, [busy])
            assert lines() == 2
            holder.execute("SELECT pg_advisory_unlock_all()")
            await log.write(conn, [busy])
            holder.execute(COMPANIES.format(""))
            await log.write(conn, [busy])

    assert lines() == 3
