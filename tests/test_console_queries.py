"""What the console's pages ask the database: which rows count, where a time begins and ends, and in which order."""

from datetime import timedelta
from uuid import UUID

import pytest

from tests.support.asked import (
    HOUR,
    MINUTE,
    ONE,
    OTHER,
    SECOND,
    TICK,
    asked,
    failed,
    log,
    now,
    report,
    tuples,
)
from tests.support.rolled_back import Conn


def test_the_figures_of_an_empty_installation_are_noughts(conn: Conn) -> None:
    assert tuples(conn, "sample/figures") == [(0, 0, 0, None, None, False, 0, None)]


def test_the_figures_count_each_queue_and_name_the_next_attempt_and_the_last_death(conn: Conn) -> None:
    at = now(conn)
    log(conn, range(1, 2))
    conn.execute("INSERT INTO consumer.pending (seq) VALUES (7), (8)")
    conn.execute("INSERT INTO consumer.rebuild (stage, id) SELECT n, gen_random_uuid() FROM generate_series(1, 3) AS n")
    conn.execute("INSERT INTO consumer.rehome (company_id, seq) SELECT gen_random_uuid(), 1 FROM generate_series(1, 2)")
    failed(conn, 11, "retrying", due=2 * HOUR)
    failed(conn, 12, "retrying", due=HOUR)
    for seq, ago in ((13, 3 * HOUR), (14, HOUR), (15, 2 * HOUR)):
        failed(conn, seq, "dead", ago)
    for n, finished, abandoned in ((1, None, None), (2, at, None), (3, None, at)):
        conn.execute(
            "INSERT INTO consumer.runs (id, kind, project_id, stage, finished_at, abandoned_at)"
            " SELECT gen_random_uuid(), 'backfill', 'p', 'users', %s, %s FROM generate_series(1, %s)",
            (finished, abandoned, n),
        )

    [found] = asked(conn, "sample/figures")

    assert (found["pending"], found["anew"], found["retrying"], found["running"]) == (2, 5, 2, 1)
    assert (found["next_attempt_at"], found["died_at"], found["has_any"]) == (at + HOUR, at - HOUR, True)


@pytest.mark.parametrize(
    ("rebuild", "homes", "anew"),
    [(100_001, 0, 100_000), (0, 100_000, 100_000), (60_000, 60_000, 100_000), (99_000, 999, 99_999)],
)
def test_each_queue_is_counted_up_to_a_hundred_thousand(conn: Conn, rebuild: int, homes: int, anew: int) -> None:
    at = now(conn)
    # The one that is due first lies behind all others.
    conn.execute(
        "INSERT INTO consumer.failures (seq, state, attempts, next_attempt_at, error_code, error)"
        " SELECT n, 'retrying', 1, now() + (100002 - n) * interval '1 second', 'x', 'x'"
        " FROM generate_series(1, 100001) AS n"
    )
    for statement, n in (
        ("INSERT INTO consumer.pending (seq) SELECT n FROM generate_series(1, %s) AS n", 100_001),
        ("INSERT INTO consumer.rebuild (stage, id) SELECT 2, gen_random_uuid() FROM generate_series(1, %s)", rebuild),
        (
            "INSERT INTO consumer.rehome (company_id, seq) SELECT gen_random_uuid(), 1 FROM generate_series(1, %s)",
            homes,
        ),
    ):
        conn.execute(statement, (n,))

    [found] = asked(conn, "sample/figures")

    assert (found["pending"], found["retrying"], found["anew"]) == (100_000, 100_000, anew)
    assert found["next_attempt_at"] == at + SECOND


def test_the_times_are_those_of_the_newest_thousand_that_were_applied(conn: Conn) -> None:
    """The first of them is older than that: delivery n took n seconds."""
    log(conn, range(1, 1002))
    conn.execute(
        "INSERT INTO consumer.outcomes (seq, outcome, at)"
        " SELECT n, (ARRAY['applied', 'unchanged', 'stale'])[n %% 3 + 1],"
        " now() - interval '1 hour' + n * interval '1 second' FROM generate_series(1, %s) AS n",
        (1001,),
    )

    assert asked(conn, "sample/figures")[0]["took_seconds"] == pytest.approx([501.5, 991.01])


def test_what_was_not_applied_or_came_from_within_has_no_time(conn: Conn) -> None:
    for place, (source, outcome) in enumerate(
        [
            ("stack", "applied"),
            ("app", "unchanged"),
            ("stack", "stale"),
            ("stack", "ignored"),
            ("app", "discarded"),
            ("backfill", "applied"),
            ("reconcile", "applied"),
            ("operator", "applied"),
        ],
        1,
    ):
        log(conn, range(place, place + 1), source)
        conn.execute(
            "INSERT INTO consumer.outcomes (seq, outcome, at) VALUES (%s, %s, now() - interval '1 hour' + %s)",
            (place, outcome, place * SECOND),
        )

    assert asked(conn, "sample/figures")[0]["took_seconds"] == pytest.approx([2, 2.98])


def test_the_latest_deliveries_come_newest_first_each_with_its_own_masked_address(conn: Conn) -> None:
    for seq, user_id in ((1, ONE), (2, OTHER), (3, None), (4, ONE)):
        log(conn, range(seq, seq + 1), user_id=user_id)
    conn.execute(
        "INSERT INTO identity.stack_user_profiles (stack_user_id, stack_primary_email)"
        " VALUES (%s, 'ada@one.example'), (%s, 'bob@other.example')",
        (ONE, OTHER),
    )
    [(one, other)] = conn.execute(
        "SELECT consumer_masked.email('ada@one.example'), consumer_masked.email('bob@other.example')"
    ).fetchall()

    found = asked(conn, "sample/latest", size=3)

    assert [(each["seq"], each["email"]) for each in found] == [(4, one), (3, None), (2, other)]
    assert one != other


def test_a_chart_has_whole_steps_from_the_first_to_the_one_before_now(conn: Conn) -> None:
    time, at = timedelta(minutes=10), now(conn)
    end = at.replace(second=0, microsecond=0)
    first = end - time
    all_of = {
        "deliveries_received:stored": 1,
        "deliveries_received:dead": 10,
        "deliveries_received:duplicate": 100,
        "deliveries_applied:a:applied": 1_000,
        "deliveries_applied:b:stale": 10_000,
        "deliveries_buried": 100_000,
    }
    for ago, counters in (
        (at - end, all_of),
        (at - end + TICK, all_of),
        (at - end + MINUTE, all_of),
        (at - first, {}),
        (at - first - MINUTE, {"deliveries_received:duplicate": 5}),
        (at - first + TICK, all_of),
    ):
        report(conn, ago, counters)

    assert tuples(conn, "reported/counts", step=MINUTE, time=time) == [
        (first, 0, 0, 0),
        (first + MINUTE, 0, 0, 0),
        (end - MINUTE, 22, 22_000, 200_020),
    ]


def test_the_times_of_a_chart_add_up_bucket_by_bucket_in_order(conn: Conn) -> None:
    time, at = timedelta(minutes=10), now(conn)
    step = timedelta(minutes=5)
    buckets = [*range(40, 0, -1)]
    for ago in (timedelta(0), time - TICK):
        for process_id in (ONE, OTHER):
            report(conn, ago, {}, process_id, seconds=buckets, others=[9] * 41)
    report(conn, time, {}, seconds=[100] * 40)
    report(conn, timedelta(0), {}, seconds=[100] * 39)
    report(conn, timedelta(0), {}, seconds=[100] * 41)
    report(conn, timedelta(0), {})
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    bins = [midnight + (each - midnight) // step * step for each in (at - time + TICK, at)]

    found = tuples(conn, "reported/times", step=step, time=time, histogram="seconds", buckets=40)

    assert found == [(each, place, 2 * n) for each in bins for place, n in enumerate(buckets, 1)]


def test_the_rates_are_of_a_minute_whose_first_moment_is_out(conn: Conn) -> None:
    counters = {"deliveries_received:stored": 1, "deliveries_received:dead": 2, "deliveries_received:duplicate": 4}
    applied = {"deliveries_applied:a:applied": 8, "deliveries_applied:b:stale": 16, "deliveries_buried": 32}
    for ago, counted in ((MINUTE - TICK, counters), (timedelta(0), {}), (MINUTE, counters)):
        report(conn, ago, counted, ONE)
    report(conn, SECOND, applied, OTHER)
    report(conn, SECOND, {}, UUID(int=3))

    assert sorted(tuples(conn, "reported/rates")) == [(ONE, 3, 0), (OTHER, 0, 24), (UUID(int=3), 0, 0)]


def test_what_was_not_stored_is_of_the_time_and_usual_is_of_the_hour_before(conn: Conn) -> None:
    time = timedelta(minutes=15)
    for ago, counters in (
        (time - TICK, {"deliveries_refused:too_old": 1, "deliveries_received:duplicate": 2}),
        (timedelta(0), {"deliveries_received:stored": 64, "deliveries_applied:a:applied": 64}),
        (time, {"deliveries_refused:too_old": 4, "deliveries_refused:no_match": 12}),
        (time + HOUR - TICK, {"deliveries_refused:too_old": 16}),
        (time + HOUR, {"deliveries_refused:too_old": 400, "deliveries_received:duplicate": 400}),
    ):
        report(conn, ago, counters)

    assert sorted(tuples(conn, "reported/unstored", time=time)) == [
        ("duplicate", 2, 0.0),
        ("no_match", 0, 3.0),
        ("too_old", 1, 5.0),
    ]


def test_the_last_hour_is_compared_with_the_same_one_of_four_weeks(conn: Conn) -> None:
    """A week before the first one is not known; one without a row since then is a nought."""
    for source, hours in (
        ("stack", {0: 1, 1: 2, 2: 4, 168: 8, 2 * 168: 16, 4 * 168: 32, 5 * 168: 64, 167: 128, 169: 256}),
        ("app", {2 * 168: 10}),
        ("operator", {1: 7, 168 - 1: 9}),
    ):
        for hours_ago, n in hours.items():
            conn.execute(
                "INSERT INTO consumer.hours (source, hour, n)"
                " VALUES (%s, date_trunc('hour', now(), 'UTC') - interval '1 hour' - %s * interval '1 hour', %s)",
                (source, hours_ago, n),
            )

    assert sorted(tuples(conn, "reported/hours")) == [
        ("app", 0, 5.0),
        ("operator", 0, None),
        ("stack", 1, (8 + 16 + 0 + 32) / 4),
    ]
