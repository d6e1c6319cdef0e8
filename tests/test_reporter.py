"""One process's reporter: its limits, its connection, the end of its work, and what it counts between two reports."""

import asyncio
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta

import pytest

from consumer.events.registry import EVENT_TYPES
from consumer.metrics import Metrics
from consumer.process.reports import LAST_PUT_TIMEOUT, Reporter, _risen, reporting
from tests.support import polling
from tests.support.databases import rows, schema_change
from tests.test_reports import DUE, REPORTS, put, reporter

SESSIONS = "SELECT query FROM pg_stat_activity WHERE application_name = 'consumer {} report'"


@pytest.mark.parametrize("duty", ["receiver", "worker"])
def test_the_server_gives_a_report_up_before_the_process_does(duty: str) -> None:
    made = reporter("", duty)

    assert made.access.statement_timeout == made.access.lock_timeout == timedelta(seconds=1.5)
    assert made.access.name == f"consumer {duty} report"
    assert made.access.role == f"consumer_{duty}"


def test_each_process_has_an_id_of_its_own() -> None:
    one, other = reporter(""), reporter("")

    assert one.process_id != other.process_id
    assert (one.period_seconds, one.paused_by(), one.sources, one.metrics) == (10.0, None, (), None)


@pytest.mark.parametrize("duty", ["receiver", "worker"])
async def test_a_report_is_one_statement_under_the_role_of_its_duty(emptied: str, duty: str) -> None:
    made = reporter(emptied, duty)
    assert await put(made)

    # A transaction around it would take four times as long.
    [session] = rows(emptied, SESSIONS.format(duty))
    assert "INSERT INTO consumer.reports" in session["query"]
    assert made._conn
    found = await made._conn.execute("SELECT current_user::text, current_setting('statement_timeout')")
    assert await found.fetchall() == [(f"consumer_{duty}", "1500ms")]
    await made.close()


async def test_a_process_that_is_closed_has_no_connection_and_may_report_again(emptied: str) -> None:
    made = reporter(emptied)
    await put(made)
    before = made._conn
    await made.close()
    await made.close()

    assert before
    assert before.closed
    assert made._conn is None
    assert await put(made)
    await made.close()


async def test_after_the_block_nothing_reports_and_nobody_is_connected(emptied: str) -> None:
    made = reporter(emptied)
    before = asyncio.all_tasks()

    async with reporting(made):
        await polling.until(lambda: rows(emptied, REPORTS))

    await polling.until(lambda: asyncio.all_tasks() == before)
    assert made._conn is None
    await polling.until(lambda: not rows(emptied, SESSIONS.format("worker")))
    first, last = rows(emptied, REPORTS)
    assert (first["next_at"] - first["at"], last["next_at"]) == (DUE, None)


async def test_the_next_report_is_due_after_the_period_of_this_process(emptied: str) -> None:
    made = replace(reporter(emptied), period_seconds=90.0)
    async with reporting(made):
        await polling.until(lambda: rows(emptied, REPORTS))

    first, _ = rows(emptied, REPORTS)
    assert first["next_at"] - first["at"] == timedelta(seconds=90)


async def test_the_block_ends_as_it_ends_where_the_last_report_is_refused(emptied: str) -> None:
    made, table = reporter(emptied), "ALTER TABLE consumer.reports"
    added, dropped = f"{table} ADD CONSTRAINT no_more CHECK (FALSE) NOT VALID", f"{table} DROP CONSTRAINT no_more"

    async def fail(stack: ExitStack) -> None:
        async with reporting(made):
            await polling.until(lambda: rows(emptied, REPORTS))
            stack.enter_context(schema_change(emptied, added, dropped))
            raise ZeroDivisionError

    with ExitStack() as stack, pytest.raises(ZeroDivisionError):
        await fail(stack)

    assert len(rows(emptied, REPORTS)) == 1
    assert made._conn is None


async def test_a_report_without_a_reason_names_none(emptied: str) -> None:
    made = reporter(emptied)
    await put(made, None)
    made.paused_by = lambda: "x" * 1_000
    await put(made, DUE)
    await made.close()

    first, second = rows(emptied, REPORTS)
    assert (first["paused_by"], first["next_at"], first["sources"]) == (None, None, [])
    assert second["paused_by"] == "x" * 1_000


async def test_what_was_not_stored_is_reported_later(emptied: str) -> None:
    metrics = Metrics(EVENT_TYPES)
    made = Reporter(emptied, reporter(emptied).access, "worker", metrics)
    metrics.retried(deliveries=2)
    await put(made)
    made.access, right = replace(made.access, role="consumer_nobody"), made.access
    await made.close()
    metrics.retried(deliveries=3)
    assert not await made.put(DUE, LAST_PUT_TIMEOUT)
    made.access = right
    assert await put(made)
    await made.close()

    assert [each["counters"] for each in rows(emptied, REPORTS)] == [
        {"deliveries_retried": 2},
        {"deliveries_retried": 3},
    ]


def test_what_has_risen_is_told_by_how_much_and_what_has_not_is_left_out() -> None:
    before = ({"a": 1, "b": 2}, {"x": [1, 0, 2], "y": [3, 3]})
    now = ({"a": 1, "b": 5, "c": 4, "d": 0}, {"x": [1, 4, 2], "y": [3, 3], "z": [0, 6], "none": [0, 0]})

    assert _risen(now, before) == ({"b": 3, "c": 4}, {"x": [0, 4, 0], "z": [0, 6]})
    assert _risen(now, ({}, {})) == (
        {"a": 1, "b": 5, "c": 4},
        {"x": [1, 4, 2], "y": [3, 3], "z": [0, 6]},
    )


@pytest.mark.parametrize(("now", "before"), [([1, 2, 3], [1, 2]), ([1, 2], [1, 2, 3])])
def test_buckets_that_are_not_those_of_before_are_no_difference(now: list[int], before: list[int]) -> None:
    with pytest.raises(ValueError, match="argument 2 is"):
        _risen(({}, {"x": now}), ({}, {"x": before}))
