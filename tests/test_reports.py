"""The reports of a process: what it counted, its clock, and that it lives; whatever becomes of the database."""

import asyncio
import os
import socket
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.errors import CheckViolation, DataError, InsufficientPrivilege

from consumer.events.registry import EVENT_TYPES
from consumer.metrics import Metrics
from consumer.postgres.connections import ACCESSES, connect, operator_access
from consumer.process import reports
from consumer.process.reports import PUT_TIMEOUT, REPORT_SECONDS, RETRY_SECONDS, Reporter, report_seconds, reporting
from consumer.settings.settings import Settings
from consumer.verdict.observation import REPORT_LATE
from consumer.verdict.observe import processes
from tests.support import polling
from tests.support.databases import end_sessions, rows, schema_change
from tests.support.pooler import pooled
from tests.support.processes import deliver, is_ready, on, ports, running, until

REPORTS = "SELECT * FROM consumer.reports ORDER BY at"
DUE = timedelta(seconds=10)


def reporter(url: str, duty: str = "worker", metrics: Metrics | None = None) -> Reporter:
    return Reporter(url, ACCESSES["receiver" if duty == "receiver" else "worker"]("consumer"), duty, metrics)  # type: ignore[arg-type]  # A duty.


async def put(made: Reporter, due_in: timedelta | None = DUE) -> bool:
    return await made.put(due_in, PUT_TIMEOUT)


@pytest.mark.parametrize("duty", ["receiver", "worker"])
async def test_a_report_names_the_process_and_when_its_next_one_is_due(emptied: str, duty: str) -> None:
    made = reporter(emptied, duty)
    made.paused_by, made.sources = lambda: "42501, " + 2000 * "x", ["app", "stack"]

    assert await put(made)
    await made.close()

    [report] = rows(emptied, REPORTS)
    assert (report["duty"], report["pid"], report["host"]) == (duty, os.getpid(), socket.gethostname())
    assert report["process_id"] == made.process_id
    assert report["next_at"] - report["at"] == DUE
    assert report["paused_by"] == ("42501, " + 2000 * "x")[:1000]
    assert report["release"]
    assert report["sources"] == ["app", "stack"]
    assert (report["counters"], report["histograms"], report["findings"]) == ({}, {}, None)
    assert abs(report["clock_skew_seconds"]) < 1


async def test_a_name_of_the_host_is_cut_to_what_a_report_holds(emptied: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "socket", SimpleNamespace(gethostname=lambda: "h" * 256))
    made = reporter(emptied)

    assert await put(made)
    await made.close()

    assert [report["host"] for report in rows(emptied, REPORTS)] == ["h" * 255]


async def test_a_connection_that_is_lost_costs_one_report(emptied: str) -> None:
    made = reporter(emptied)
    await put(made)
    await asyncio.to_thread(end_sessions, emptied, "worker report")

    assert [await put(made) for _ in range(2)] == [False, True]
    await made.close()


async def test_a_report_counts_what_rose_since_the_one_before(emptied: str) -> None:
    metrics = Metrics(EVENT_TYPES)
    made = reporter(emptied, metrics=metrics)
    metrics.received("stored", 3)
    metrics.refused("no_match")
    metrics.observe_receive(0.004)
    await put(made)
    metrics.received("stored", 2)
    metrics.applied("user.updated", "applied", deliveries=5)
    metrics.observe_receive(99)
    await put(made)
    await put(made)
    await made.close()

    first, second, third = rows(emptied, REPORTS)
    assert first["counters"] == {"deliveries_received:stored": 3, "deliveries_refused:no_match": 1}
    assert second["counters"] == {"deliveries_received:stored": 2, "deliveries_applied:user.updated:applied": 5}
    assert first["histograms"] == {"receive_seconds": [0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]}
    assert second["histograms"] == {"receive_seconds": [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]}
    assert (third["counters"], third["histograms"]) == ({}, {})


async def test_what_was_counted_while_the_database_was_away_is_in_the_next_report(emptied: str) -> None:
    metrics = Metrics(EVENT_TYPES)
    made = reporter(emptied, metrics=metrics)
    await put(made)
    metrics.retried(deliveries=2)
    with schema_change(emptied, "BEGIN; LOCK TABLE consumer.reports", "ROLLBACK"):
        assert not await put(made)
    metrics.retried()

    assert await put(made)
    await made.close()

    assert [report["counters"] for report in rows(emptied, REPORTS)] == [{}, {"deliveries_retried": 3}]


@pytest.mark.parametrize("duty", ["receiver", "worker"])
@pytest.mark.parametrize("seconds", [71, -71], ids=["ahead", "behind"])
async def test_the_skew_is_the_clock_of_the_process_less_the_database_s(
    duty: str, seconds: int, emptied: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def now(zone: object) -> datetime:
        return datetime.now(zone) + timedelta(seconds=seconds)  # type: ignore[arg-type]  # UTC.

    monkeypatch.setattr(reports, "datetime", SimpleNamespace(now=now))
    made = reporter(emptied, duty)
    await put(made)
    await made.close()

    assert rows(emptied, REPORTS)[0]["clock_skew_seconds"] == pytest.approx(seconds, abs=1)


async def test_a_process_reports_behind_a_pooler_too(emptied: str) -> None:
    with pooled(emptied) as url:
        made = reporter(url, "receiver")
        assert await put(made)
        assert await put(made)
        await made.close()

    assert len(rows(emptied, REPORTS)) == 2


async def test_a_block_reports_at_once_and_at_its_end_that_no_report_follows(emptied: str) -> None:
    made = reporter(emptied)
    async with reporting(made):
        await polling.until(lambda: rows(emptied, REPORTS))
        [session] = rows(emptied, "SELECT FROM pg_stat_activity WHERE application_name = 'consumer worker report'")

    assert session == {}
    assert [report["next_at"] is None for report in rows(emptied, REPORTS)] == [False, True]


async def test_while_the_database_is_away_it_tries_again_and_sooner_than_it_reports(
    emptied: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, pauses = reporter(make_conninfo(emptied, host="/nowhere")), list[float]()

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        made.conninfo = emptied
        if len(pauses) == 2:
            raise asyncio.CancelledError

    monkeypatch.setattr(reports, "asyncio", SimpleNamespace(sleep=pause))
    with pytest.raises(asyncio.CancelledError):
        await made.run()
    await made.close()

    assert pauses == [RETRY_SECONDS, REPORT_SECONDS]
    assert len(rows(emptied, REPORTS)) == 1


async def test_a_silent_server_holds_the_end_up_for_a_second_at_most(emptied: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        made = reporter(make_conninfo(emptied, host="127.0.0.1", port=str(port)))
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with reporting(made):
            await asyncio.sleep(0)

    assert loop.time() - began < 1.5


def test_a_process_reports_every_ten_seconds_or_as_seldom_as_it_polls() -> None:
    assert report_seconds(Settings()) == 10
    assert report_seconds(Settings(poll_max_seconds=60)) == 60
    # Before a report counts as late, one that failed was tried again.
    assert PUT_TIMEOUT + timedelta(seconds=RETRY_SECONDS) < REPORT_LATE
    # The server gives up before the process does.
    assert (timedelta(seconds=1.5), timedelta(seconds=2), 2) == (reports.SERVER_TIMEOUT, PUT_TIMEOUT, RETRY_SECONDS)


@pytest.mark.parametrize("role", ["receiver", "worker", "operator"])
async def test_no_role_chooses_the_time_of_a_report_or_changes_one(emptied: str, role: str) -> None:
    columns = "(at, process_id, duty, host, pid, release, clock_skew_seconds)"
    values = "(now() - interval '1 day', gen_random_uuid(), 'worker', 'x', 1, 'x', 0)"
    for statement in (f"INSERT INTO consumer.reports {columns} VALUES {values}", "UPDATE consumer.reports SET pid = 1"):
        with psycopg.connect(emptied) as conn:
            conn.execute(f"SET LOCAL ROLE consumer_{role}")
            with pytest.raises(InsufficientPrivilege):
                conn.execute(statement.encode())


async def test_a_receiver_that_was_taken_over_does_not_pass_for_a_worker(emptied: str) -> None:
    columns, values = "process_id, host, pid, release, clock_skew_seconds", "gen_random_uuid(), 'x', 1, 'x', 0"
    with psycopg.connect(emptied, autocommit=True) as conn:
        conn.execute("SET ROLE consumer_receiver")
        for duty in ("worker", "maintenance", "console", "receiver"):
            statement = f"INSERT INTO consumer.reports ({columns}, duty) VALUES ({values}, '{duty}')"
            with pytest.raises(InsufficientPrivilege):
                conn.execute(statement.encode())
        conn.execute(f"INSERT INTO consumer.reports ({columns}) VALUES ({values})".encode())

    assert [report["duty"] for report in rows(emptied, REPORTS)] == ["receiver"]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("sources", "'{billing}'"),
        ("clock_skew_seconds", "'infinity'"),
        ("clock_skew_seconds", "'NaN'"),
        ("next_at", "now() + interval '24 hours 1 second'"),
        ("counters", """'{"deliveries_refused:no_match": "x"}'"""),
        ("counters", """'{"deliveries_refused:no_match": [1]}'"""),
        ("counters", """'{"deliveries_refused:no_match": 1.5}'"""),
        ("counters", """'{"deliveries_refused:no_match": -1}'"""),
        ("counters", """'{"deliveries_refused:no_match": 1e400}'"""),
        ("counters", "'[1]'"),
        ("histograms", """'{"delivery_seconds": 1}'"""),
        ("histograms", """'{"delivery_seconds": [1, "x"]}'"""),
    ],
)
async def test_a_receiver_that_was_taken_over_reports_nothing_that_readers_break_on(
    emptied: str, column: str, value: str
) -> None:
    values = {"clock_skew_seconds": "0", column: value}
    statement = (
        f"INSERT INTO consumer.reports (process_id, host, pid, release, {', '.join(values)}) "
        f"VALUES (gen_random_uuid(), 'x', 1, 'x', {', '.join(values.values())})"
    )
    with psycopg.connect(emptied) as conn:
        conn.execute("SET LOCAL ROLE consumer_receiver")
        with pytest.raises((CheckViolation, DataError)):
            conn.execute(statement.encode())


async def test_each_kind_of_process_reports_and_says_when_it_ends(emptied: str, tmp_path: Path) -> None:
    [port] = ports(1)
    commands = {"receiver": ("serve", "--port", str(port)), "worker": ("work",), "maintenance": ("maintain", "--watch")}
    for duty, command in commands.items():
        with running(tmp_path, on(emptied, OPS_PORT="off"), *command) as process:
            until(partial(rows, emptied, f"SELECT FROM consumer.reports WHERE duty = '{duty}'"))
            if duty == "receiver":
                until(lambda: is_ready(port))
                deliver(port)
            assert process.stop() == 0
    async with await connect(emptied, operator_access("consumer")) as conn:
        seen = await processes(conn)

    assert {(each.duty, each.next_at) for each in seen} == {(duty, None) for duty in commands}
    counted = rows(emptied, "SELECT counters FROM consumer.reports WHERE duty = 'receiver' ORDER BY at DESC LIMIT 1")
    assert counted[0]["counters"]["deliveries_received:stored"] == 1
    assert {tuple(each.sources) for each in seen} == {("app", "stack"), ()}
