"""What is read for the verdict, at each limit of the queries."""

from dataclasses import astuple
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from consumer.metrics import DELIVERY_SECONDS
from consumer.postgres.connections import Connection
from consumer.verdict.observation import QueueState, Signatures
from consumer.verdict.observe import _queue, _signatures, processes
from consumer.verdict.rates import rates
from tests.support.standing import (
    HOUR,
    MINUTE,
    MOMENT,
    NONE,
    SECOND,
    accept,
    die,
    end,
    fitted_none,
    now,
    report,
    retry,
    standing,
    wait,
)

BUCKETS = len(DELIVERY_SECONDS) + 1


async def due_seconds(conn: Connection) -> float:
    return (await _queue(conn)).due_seconds


async def test_an_empty_queue_waits_for_nobody(emptied: str) -> None:
    async with standing(emptied) as conn:
        found = await _queue(conn)

    assert found == QueueState(has_pending=False, due_seconds=0, dead=0, died_lately=0, dying_since=None, dying_of=None)


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO consumer.rehome (id, company_id, seq) OVERRIDING SYSTEM VALUE VALUES (1, gen_random_uuid(), 1)",
        "INSERT INTO consumer.rebuild (stage, id) VALUES (1, gen_random_uuid())",
        "INSERT INTO consumer.pending (seq) VALUES (1)",
    ],
    ids=["a company", "a rebuild", "a delivery"],
)
async def test_what_waits_for_a_worker_is_pending(emptied: str, statement: str) -> None:
    async with standing(emptied) as conn:
        await conn.execute("SET LOCAL session_replication_role = replica")
        await conn.execute(statement.encode())
        found = await _queue(conn)

    assert (found.has_pending, found.due_seconds) == (True, 0)


async def test_the_live_delivery_with_the_smallest_number_is_the_oldest(emptied: str) -> None:
    async with standing(emptied) as conn:
        await wait(conn, 3, 7 * HOUR)
        await wait(conn, 2, HOUR, "app")
        await wait(conn, 1, 9 * HOUR, "reconcile")
        found = await due_seconds(conn)

    assert found == 3600


async def test_the_first_delivery_of_all_is_live(emptied: str) -> None:
    async with standing(emptied) as conn:
        await wait(conn, 1, HOUR)
        found = await due_seconds(conn)

    assert found == 3600


async def test_what_is_not_after_the_last_that_a_worker_ended_is_not_live(emptied: str) -> None:
    async with standing(emptied) as conn:
        for seq in (2, 6):
            await end(conn, seq)
        await end(conn, 9, "discarded")
        await wait(conn, 4, 2 * HOUR)
        await wait(conn, 6, 2 * HOUR)
        before = await due_seconds(conn)
        await wait(conn, 7, HOUR)
        after = await due_seconds(conn)

    assert (before, after) == (0, 3600)


@pytest.mark.parametrize(("imported", "seconds"), [(9_999, 3600), (10_000, 0)])
async def test_a_live_delivery_is_looked_for_among_ten_thousand(emptied: str, imported: int, seconds: int) -> None:
    async with standing(emptied) as conn:
        await wait(conn, 1, 2 * HOUR, "backfill", count=imported)
        await wait(conn, imported + 1, HOUR)
        found = await due_seconds(conn)

    assert found == seconds


async def test_a_live_delivery_before_ten_thousand_later_ones_is_found(emptied: str) -> None:
    async with standing(emptied) as conn:
        await wait(conn, 2, 2 * HOUR, "backfill", count=10_000)
        await wait(conn, 1, HOUR)
        found = await due_seconds(conn)

    assert found == 3600


@pytest.mark.parametrize(
    ("waiting", "retries", "seconds"),
    [
        pytest.param(90 * SECOND, [200 * SECOND], 200, id="the retry is older"),
        pytest.param(300 * SECOND, [200 * SECOND], 300, id="the live one is older"),
        pytest.param(None, [100 * SECOND, 200 * SECOND], 200, id="the older of two retries"),
        pytest.param(None, [-MOMENT, -HOUR], 0, id="no retry is due"),
        pytest.param(90 * SECOND, [-HOUR], 90, id="the retry is not due"),
        pytest.param(None, [SECOND, -HOUR], 1, id="one of two retries is due"),
    ],
)
async def test_the_oldest_of_live_deliveries_and_retries_counts(
    emptied: str, waiting: timedelta | None, retries: list[timedelta], seconds: int
) -> None:
    async with standing(emptied) as conn:
        if waiting:
            await wait(conn, 1, waiting)
        for seq, ago in enumerate(retries, 2):
            await retry(conn, seq, ago)
        found = await due_seconds(conn)

    assert found == seconds


async def test_those_that_died_lately_are_counted_from_the_first_of_them(emptied: str) -> None:
    async with standing(emptied) as conn:
        await die(conn, 1, 10 * MINUTE, ("a", "too old"), count=7)
        await die(conn, 11, 10 * MINUTE - MOMENT, ("b", "first"))
        await die(conn, 12, 3 * MINUTE, ("c", "last"), count=2)
        for seq in range(20, 25):
            await retry(conn, seq, -HOUR)
        found, since = await _queue(conn), await now(conn) - 10 * MINUTE + MOMENT

    assert found == QueueState(dead=10, died_lately=3, dying_since=since, dying_of="c, last")


@pytest.mark.parametrize(
    ("causes", "named"),
    [
        ([("b", "x", 1), ("a", "y", 1)], "a, y"),
        ([("a", "y", 1), ("a", "x", 1)], "a, x"),
        ([("a", "x", 1), ("b", "y", 2)], "b, y"),
        # The older first; of 1,000 each cause has 500.
        ([("b", "old", 501), ("a", "new", 500)], "a, new"),
        ([("a", "old", 501), ("b", "new", 500)], "a, old"),
    ],
)
async def test_the_most_frequent_cause_of_the_newest_thousand_is_named(
    emptied: str, causes: list[tuple[str, str, int]], named: str
) -> None:
    async with standing(emptied) as conn:
        for place, (code, error, count) in enumerate(causes):
            await die(conn, 1 + 1_000 * place, (9 - place) * MINUTE, (code, error), count)
        found = await _queue(conn)

    assert found.dying_of == named


@pytest.mark.parametrize(
    ("fitted", "accepted", "found"),
    [
        pytest.param([(6 * HOUR, 30)], [], Signatures(), id="six hours ago"),
        pytest.param([(6 * HOUR - MOMENT, 30)], [], Signatures(since_accepted=30), id="a moment later"),
        pytest.param([(HOUR, 30)], [], Signatures(since_accepted=30), id="an hour ago"),
        pytest.param([(HOUR - MOMENT, 30)], [], Signatures(30, 0, 30), id="within an hour"),
        pytest.param([(MINUTE, 3), (16 * MINUTE, 4)], [], Signatures(7, 0, 7), id="15 minutes apart"),
        pytest.param([(MINUTE, 3), (16 * MINUTE + SECOND, 4)], [], Signatures(4, 0, 4), id="further apart"),
        pytest.param([(61 * MINUTE, 9), (59 * MINUTE, 0)], [], Signatures(0, 0, 9), id="none fitted before the hour"),
        pytest.param([(MINUTE, 1)], [], Signatures(1, 0, 1), id="one"),
        pytest.param([], [HOUR], Signatures(), id="accepted an hour ago"),
        pytest.param([], [HOUR - MOMENT, MINUTE], Signatures(0, 2, 0), id="accepted within an hour"),
        pytest.param([(MINUTE, 5)], [15 * MINUTE], Signatures(5, 1, 5), id="accepted 15 minutes ago"),
        pytest.param([(MINUTE, 5)], [15 * MINUTE - MOMENT], Signatures(5, 1, 0), id="accepted later"),
        pytest.param([(20 * MINUTE, 5)], [20 * MINUTE], Signatures(5, 1, 0), id="accepted at the same moment"),
        pytest.param([(20 * MINUTE, 5)], [30 * MINUTE, 2 * HOUR], Signatures(5, 1, 5), id="the last one accepted"),
    ],
)
async def test_signatures_that_fit_no_secret_count_within_their_times(
    emptied: str, fitted: list[tuple[timedelta, int]], accepted: list[timedelta], found: Signatures
) -> None:
    async with standing(emptied) as conn:
        for ago, count in fitted:
            await fitted_none(conn, ago, count)
        for ago in accepted:
            await accept(conn, ago)
        seen = await _signatures(conn)

    assert seen == found


async def test_a_process_is_what_its_last_report_says_and_each_is_one_row(emptied: str) -> None:
    async with standing(emptied) as conn:
        old: dict[str, Any] = {"duty": "worker", "host": "b", "pid": 9, "release": "0", "paused_by": "old"}
        last = {"duty": "worker", "host": "b", "sources": ["app"]}
        await report(conn, 6 * HOUR, 1, **old)
        await report(conn, 3 * HOUR, 1, **old)
        await report(conn, HOUR, 1, **last, pid=7, release="2", clock_skew_seconds=1.5, paused_by="x")
        await report(conn, 6 * HOUR - MOMENT, 2, **last)
        await report(conn, 3 * HOUR, 2, **last)
        await report(conn, HOUR, 3, **last | {"host": "a"})
        await report(conn, HOUR, 4, duty="receiver", host="z")
        await report(conn, 6 * HOUR, 5, duty="receiver", host="z")
        found, at = await processes(conn), await now(conn)

    assert [(each.process_id.int, at - each.first_at, at - each.last_at) for each in found] == [
        (4, HOUR, HOUR),
        (3, HOUR, HOUR),
        (2, 6 * HOUR - MOMENT, 3 * HOUR),
        (1, 3 * HOUR, HOUR),
    ]
    values = ("worker", "b", 7, "2", at - 3 * HOUR, at - HOUR, None, ["app"], 1.5, "x")
    assert astuple(found[3]) == (UUID(int=1), *values)


async def test_rates_have_the_minute_of_each_report(emptied: str) -> None:
    async with standing(emptied) as conn:
        for process, ago, count in [
            (1, NONE, 1),
            (2, MINUTE - MOMENT, 2),
            (1, MINUTE, 4),
            (1, 15 * MINUTE - MOMENT, 8),
            (1, 15 * MINUTE, 16),
        ]:
            counters = {f"deliveries_{name}": count for name in ("received:stored", "applied:t:applied", "refused:x")}
            counters |= {"deliveries_received:dead": 32, "deliveries_received:duplicate": 999}
            await report(conn, ago, process, counters=counters)
        found = await rates(conn)

    assert (found.applied, found.refused) == ([8, *[0] * 12, 4, 3], 15)
    assert found.received == [40, *[0] * 12, 36, 67]


async def test_what_is_reported_while_the_rates_are_read_is_of_this_minute(emptied: str) -> None:
    async with standing(emptied) as conn:
        await report(conn, -MOMENT, counters={"deliveries_received:stored": 3})
        await report(conn, -MINUTE, counters={"deliveries_received:stored": 4})
        found = await rates(conn)

    assert found.received == [*[0] * 14, 7]


async def test_without_reports_each_rate_is_0(emptied: str) -> None:
    async with standing(emptied) as conn:
        found = await rates(conn)

    assert astuple(found) == ([0] * 15, [0] * 15, 0, [])


async def test_times_of_deliveries_are_those_of_all_processes_by_bucket(emptied: str) -> None:
    async with standing(emptied) as conn:
        for process, ago, counts in [
            (1, NONE, list(range(BUCKETS))),
            (2, 15 * MINUTE - MOMENT, [1_000] * BUCKETS),
            (1, 15 * MINUTE, [9] * BUCKETS),
            (3, NONE, [9] * (BUCKETS - 1)),
            (4, NONE, [9] * (BUCKETS + 1)),
        ]:
            others = {"receive_seconds": [7] * BUCKETS}
            await report(conn, ago, process, histograms={"delivery_seconds": counts} | others)
        found = await rates(conn)

    assert found.delivery_seconds == [1_000 + place for place in range(BUCKETS)]
