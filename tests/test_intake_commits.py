"""The intake's commits: what they count, in which order they write, and when a second one follows."""

import asyncio
import sys
from pathlib import Path

import pytest
from psycopg_pool import PoolTimeout, TooManyRequests

from consumer.errors import StoreUnavailable
from tests.faults.proxy import wire
from tests.support.databases import end_sessions, rows
from tests.support.factories import user_updated
from tests.support.intake import (
    attempts,
    backends,
    batches,
    dead,
    failing_inserts,
    refused,
    site,
    started,
    stored_count,
    updates,
)
from tests.support.processes import until
from tests.support.still_clock import StillLoop, advance, run_still, settle

AWAY = "the database is away"


def test_repeats_are_counted_once_within_a_batch_and_across_batches(emptied: str) -> None:
    usable, unusable = updates(3), [dead(delivery) for delivery in updates(2)]
    both = user_updated()

    async def act(_: StillLoop) -> None:
        async with site(emptied) as here:
            await here.put_all(*usable, *usable[:2], *unusable, unusable[0], both, dead(both))
            assert here.counted == {"stored": 4, "dead": 2, "duplicate": 4}
            await here.put_all(usable[0], dead(usable[1]), unusable[1], user_updated(), dead(user_updated()))
            assert here.counted == {"stored": 5, "dead": 3, "duplicate": 7}

    run_still(act)

    assert rows(emptied, "SELECT state, count(*) FROM consumer.deliveries GROUP BY state ORDER BY state") == [
        {"state": "dead", "count": 3},
        {"state": "pending", "count": 5},
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="libpq traces into a file descriptor on Linux only")
def test_a_batch_is_one_round_trip_of_new_rows_and_of_repeats(emptied: str, tmp_path: Path) -> None:
    known, trips = updates(3), []

    async def act(_: StillLoop) -> None:
        async with site(emptied, size=1) as here:
            # The first batch wakes workers and prepares the statement.
            await here.put_all(*known)
            for number, batch in enumerate((updates(3), known)):
                async with here.pool.connection() as conn:
                    pgconn = conn.pgconn
                with (tmp_path / str(number)).open("w") as trace:
                    pgconn.trace(trace.fileno())
                    await here.put_all(*batch)
                    pgconn.untrace()
                trips.append((tmp_path / str(number)).read_text().count("ReadyForQuery"))

    run_still(act)

    assert trips == [1, 1]


def test_dead_deliveries_are_stored_in_the_order_of_source_then_id(emptied: str) -> None:
    named = [("stack", "c"), ("app", "d"), ("stack", "a"), ("app", "e"), ("stack", "B")]
    unusable = [dead(user_updated())._replace(source=source, message_id=name) for source, name in named]

    async def act(_: StillLoop) -> None:
        async with site(emptied) as here:
            await here.put_all(*unusable)

    run_still(act)

    found = rows(emptied, "SELECT source, message_id FROM consumer.outbox ORDER BY seq")
    assert [tuple(row.values()) for row in found] == sorted(named)


@pytest.mark.parametrize("is_dead", [False, True], ids=["usable", "dead"])
def test_of_a_batch_that_postgresql_refuses_only_the_bad_row_is_refused_and_counted(
    emptied: str, is_dead: bool
) -> None:
    good = updates(9)
    bad = dead(refused()) if is_dead else refused()

    async def act(_: StillLoop) -> None:
        async with site(emptied) as here:
            answers = await here.put_all(*good[:4], bad, *good[4:], good[0])
            assert answers == ["NoneType"] * 4 + ["StoreUnavailable"] + ["NoneType"] * 6
            assert here.counted == {"stored": 9, "dead": 0, "duplicate": 1}

    run_still(act)

    assert batches(emptied) == [1] * 9


@pytest.mark.parametrize(
    ("sqlstate", "expected"),
    [
        pytest.param("40P01", 2, id="deadlock: once more"),
        pytest.param("57P01", 2, id="shutdown: once more"),
        pytest.param("53300", 2, id="no connection left: once more"),
        pytest.param("25006", 2, id="read-only: once more"),
        pytest.param("55P03", 1, id="locked: no second commit"),
        pytest.param("XX000", 1, id="a bug of the server: no second commit"),
        pytest.param("23514", 1 + 3, id="poison: each row alone"),
        pytest.param("23505", 1 + 3, id="constraint: each row alone"),
    ],
)
def test_how_often_a_batch_of_three_is_tried(emptied: str, sqlstate: str, expected: int) -> None:
    async def act(_: StillLoop) -> None:
        async with site(emptied) as here:
            with failing_inserts(emptied, sqlstate, first_only=False):
                assert await here.put_all(*updates(3)) == ["StoreUnavailable"] * 3
                assert attempts(emptied) == expected
            assert here.counted == {}

    run_still(act)


@pytest.mark.parametrize("sqlstate", ["40P01", "25006"])
def test_a_second_commit_that_succeeds_is_an_answer_counted_once(emptied: str, sqlstate: str) -> None:
    async def act(_: StillLoop) -> None:
        async with site(emptied) as here:
            before = backends(emptied)
            with failing_inserts(emptied, sqlstate, first_only=True):
                assert await here.put_all(*updates(3)) == ["NoneType"] * 3
                assert attempts(emptied) == 2
            assert here.counted == {"stored": 3, "dead": 0, "duplicate": 0}
            # A failed connection says that the others may be lost too.
            await asyncio.to_thread(until, lambda: not before & backends(emptied))

    run_still(act)


def test_lost_connections_are_all_replaced_before_the_second_commit(emptied: str) -> None:
    async def act(_: StillLoop) -> None:
        async with site(emptied) as here:
            end_sessions(emptied, "receiver")
            assert await here.put_all(user_updated()) == ["NoneType"]

    run_still(act)


def test_two_lost_answers_end_the_attempts_and_count_nothing(emptied: str) -> None:
    async def act(_: StillLoop) -> None:
        with wire(emptied) as cable:
            async with site(cable.url) as here:
                await here.put_all(user_updated())
                here.counted.clear()
                cable.lose_commits(1)
                assert await here.put_all(user_updated()) == ["NoneType"]
                # The lost answer was the one of the commit: the second found the row.
                assert here.counted == {"stored": 0, "dead": 0, "duplicate": 1}
                here.counted.clear()
                cable.lose_commits(3)
                assert await here.put_all(user_updated()) == ["StoreUnavailable"]
                assert (cable.lost, here.counted) == (3, {})

    run_still(act)

    assert stored_count(emptied) == 3


def test_an_answer_that_is_lost_in_the_transaction_of_a_wake_up_counts_no_row_twice(emptied: str) -> None:
    async def act(_: StillLoop) -> None:
        with wire(emptied) as cable:
            async with site(cable.url) as here:
                cable.lose_commits(1)
                assert await here.put_all(user_updated()) == ["NoneType"]
                assert (cable.lost, here.counted) == (1, {"stored": 0, "dead": 0, "duplicate": 1})

    run_still(act)


def test_a_pool_without_a_connection_is_asked_once(emptied: str) -> None:
    async def act(_: StillLoop) -> None:
        async with site(emptied, size=1) as here:
            lent = await here.pool.getconn()
            here.pool.pop_stats()
            (put,) = await started(here.intake.put(user_updated()))
            await settle()
            await advance(1)
            with pytest.raises(StoreUnavailable) as raised:
                await put
            assert isinstance(raised.value.__cause__, PoolTimeout)
            assert here.pool.get_stats()["requests_num"] == 1
            # Four times the size may wait: the next one is refused at once.
            crowd = [asyncio.create_task(here.pool.getconn()) for _ in range(4)]
            await asyncio.sleep(0)
            with pytest.raises(StoreUnavailable) as raised:
                await here.intake.put(user_updated())
            assert isinstance(raised.value.__cause__, TooManyRequests)
            assert await here.intake.not_ready_reason() == AWAY
            assert here.pool.get_stats()["requests_num"] == 1 + 4 + 2
            for task in crowd:
                task.cancel()
            await asyncio.wait(crowd)
            # A crowd is no lost connection: none is replaced, and the lent one is of use again.
            await here.pool.putconn(lent)
            async with here.pool.connection() as again:
                assert again is lent

    run_still(act)


def test_dead_and_usable_rows_of_a_batch_commit_together(emptied: str) -> None:
    async def act(_: StillLoop) -> None:
        async with site(emptied) as here:
            await here.put_all(user_updated())
            await here.put_all(user_updated(), dead(user_updated()), user_updated())

    run_still(act)

    assert batches(emptied) == [3, 1]
