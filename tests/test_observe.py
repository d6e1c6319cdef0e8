"""What is read for the verdict: from the tables, under the roles of those who read it."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import psycopg
import pytest

from consumer.postgres.connections import ACCESSES, connect, operator_access
from consumer.verdict.findings import findings
from consumer.verdict.observation import Observation, Signatures
from consumer.verdict.observe import Expectations, observe
from consumer.verdict.rates import quantile, rates
from tests.support.cli import facts
from tests.support.databases import change, rows
from tests.support.factories import user_updated
from tests.support.outbox import arrive, set_aside, work
from tests.support.strangers import stranger

EVERYTHING = Expectations(sources=["stack", "app"], jobs=["hours"], silence_max=timedelta(hours=24))
REPORT = (
    "INSERT INTO consumer.reports (at, process_id, duty, host, pid, release, clock_skew_seconds, next_at, counters) "
    "VALUES (now() - interval '{0}', '{1:032}', '{2}', 'h', 1, 'x', 0, now() - interval '{0}' + interval '10 s', '{3}')"
)


async def seen(url: str, role: Any = "operator", expected: Expectations = EVERYTHING) -> Observation:
    access = ACCESSES[role]("consumer")
    async with await connect(url, access) as conn:
        return await observe(conn, access, expected)


def report(url: str, ago: str, process: int = 1, duty: str = "worker", counters: str = "{}") -> None:
    change(url, REPORT.format(ago, process, duty, counters))


def aged(url: str, interval: str) -> None:
    change(url, f"UPDATE consumer.outbox SET received_at = received_at - interval '{interval}'")


async def test_the_operator_and_the_worker_see_the_same(emptied: str) -> None:
    await arrive(emptied, user_updated())
    report(emptied, "1 second")

    ours, theirs = await seen(emptied), await seen(emptied, "worker")

    assert (ours.last_received, ours.processes, ours.copy_reason) == (
        theirs.last_received,
        theirs.processes,
        theirs.copy_reason,
    )
    assert ours.queue.has_pending
    assert theirs.queue.has_pending


async def test_a_live_delivery_is_due_since_it_came(emptied: str) -> None:
    await arrive(emptied, user_updated())
    aged(emptied, "90 seconds")
    await arrive(emptied, user_updated())

    assert (await seen(emptied)).queue.due_seconds == pytest.approx(90, abs=30)


async def test_what_is_retried_by_hand_or_imported_makes_nothing_late(emptied: str) -> None:
    old, new = user_updated(), user_updated()
    await arrive(emptied, old, new)
    aged(emptied, "2 days")
    set_aside(emptied, [old], "dead")
    await work(emptied)
    await asyncio.to_thread(facts, emptied, "dead", "retry", old.message_id)
    change(
        emptied,
        "WITH o AS (INSERT INTO consumer.outbox (source, message_id, occurred_at, received_at, body) "
        "VALUES ('backfill', 'b', now(), now() - interval '1 hour', '') RETURNING seq) "
        "INSERT INTO consumer.pending (seq) SELECT seq FROM o",
    )

    queue = (await seen(emptied)).queue

    assert (queue.has_pending, queue.due_seconds) == (True, 0)


async def test_a_discard_is_no_sign_of_a_worker(emptied: str) -> None:
    waiting, dead = user_updated(), user_updated()
    await arrive(emptied, waiting, dead)
    aged(emptied, "90 seconds")
    set_aside(emptied, [dead], "dead")
    await asyncio.to_thread(facts, emptied, "dead", "discard", dead.message_id, "--reason", "a test")

    assert (await seen(emptied)).queue.due_seconds == pytest.approx(90, abs=30)


async def test_a_live_delivery_behind_an_import_is_due(emptied: str) -> None:
    change(
        emptied,
        "WITH o AS (INSERT INTO consumer.outbox (source, message_id, occurred_at, received_at, body) SELECT 'backfill',"
        " n, now(), now(), '' FROM generate_series(1, 500) AS n RETURNING seq) INSERT INTO consumer.pending (seq) "
        "SELECT seq FROM o",
    )
    await arrive(emptied, user_updated())
    aged(emptied, "90 seconds")

    assert (await seen(emptied)).queue.due_seconds == pytest.approx(90, abs=30)


async def test_a_retry_that_nobody_makes_is_due_since_its_moment(emptied: str) -> None:
    late, early = user_updated(), user_updated()
    await arrive(emptied, late, early)
    set_aside(emptied, [late, early], "retrying")
    change(emptied, "UPDATE consumer.failures SET next_attempt_at = now() + interval '1 hour'")

    assert (await seen(emptied)).queue.due_seconds == 0

    change(
        emptied,
        "UPDATE consumer.failures SET next_attempt_at = now() + interval '1 hour' * CASE WHEN seq = (SELECT min(seq) "
        "FROM consumer.failures) THEN -1 ELSE 1 END",
    )

    assert (await seen(emptied)).queue.due_seconds == pytest.approx(3600, abs=30)


@pytest.mark.parametrize(("minutes", "lately"), [(9, 3), (11, 0)])
async def test_what_died_within_ten_minutes_is_counted_with_its_most_frequent_cause(
    emptied: str, minutes: int, lately: int
) -> None:
    for code in ("a", "b", "b"):
        await arrive(emptied, user_updated()._replace(error_code=code, error=f"$: {code}"))
    change(emptied, f"UPDATE consumer.failures SET failed_at = now() - interval '{minutes} minutes'")

    queue = (await seen(emptied)).queue

    assert (queue.dead, queue.died_lately) == (3, lately)
    assert queue.dying_of == ("b, $: b" if lately else None)
    assert (queue.dying_since is not None) == bool(lately)


async def test_a_process_is_known_by_its_first_and_its_last_report_that_is_kept(emptied: str) -> None:
    for ago in ("361 minutes", "359 minutes", "10 minutes"):
        report(emptied, ago, 1)
    report(emptied, "7 hours", 2)

    found = await seen(emptied)

    [process] = found.processes
    assert found.at - process.first_at == pytest.approx(timedelta(minutes=359), abs=timedelta(seconds=5))
    assert found.at - process.last_at == pytest.approx(timedelta(minutes=10), abs=timedelta(seconds=5))
    assert [each.code for each in findings(found)][:1] == ["process_silent"]


async def test_a_source_that_a_receiver_has_a_secret_of_is_expected_where_no_secret_is_known(emptied: str) -> None:
    report(emptied, "1 second", duty="receiver")
    change(emptied, "UPDATE consumer.reports SET sources = '{app}'")

    found = await seen(emptied, expected=Expectations(sources=["stack"]))

    assert sorted(found.expected) == ["app", "stack"]
    assert (await seen(emptied, "worker", Expectations())).expected == {"app"}


def signatures_reported(url: str, ago: str, unmatched: int, accepted: int = 0) -> None:
    counters = f'{{"deliveries_refused:no_match": {unmatched}, "deliveries_received:dead": {accepted}}}'
    report(url, ago, duty="receiver", counters=counters)


async def test_signatures_are_those_of_the_busiest_15_minutes_of_the_last_hour(emptied: str) -> None:
    for ago, unmatched in {"1 minute": 5, "31 minutes": 4, "45 minutes": 3, "47 minutes": 8, "61 minutes": 90}.items():
        signatures_reported(emptied, ago, unmatched)
    signatures_reported(emptied, "62 minutes 30 seconds", 0, 1)
    report(emptied, "2 minutes", duty="receiver", counters='{"deliveries_refused:too_old": 900}')
    # A worker takes no deliveries.
    report(emptied, "3 minutes", duty="worker", counters='{"deliveries_refused:no_match": 900}')

    # A time of 15 minutes that ends within the hour begins before it.
    assert (await seen(emptied)).signatures == Signatures(unmatched=98, since_accepted=98)


async def test_each_delivery_that_was_answered_204_is_accepted(emptied: str) -> None:
    outcomes = '{"deliveries_received:stored": 3, "deliveries_received:duplicate": 20, "deliveries_received:dead": 100}'
    for ago in ("59 minutes", "61 minutes"):
        report(emptied, ago, duty="receiver", counters=outcomes)

    assert (await seen(emptied)).signatures == Signatures(accepted=123)


async def test_the_busiest_15_minutes_since_a_delivery_was_accepted_are_known_after_as_long(emptied: str) -> None:
    for ago, unmatched, accepted in [("2 hours", 9, 0), ("110 minutes", 30, 1), ("100 minutes", 7, 0)]:
        signatures_reported(emptied, ago, unmatched, accepted)
    before = (await seen(emptied)).signatures
    signatures_reported(emptied, "16 minutes", 0, 1)
    signatures_reported(emptied, "2 minutes", 6)
    since = (await seen(emptied)).signatures
    signatures_reported(emptied, "14 minutes", 0, 1)

    assert before == Signatures(since_accepted=7)
    assert since == Signatures(unmatched=6, accepted=1, since_accepted=6)
    assert (await seen(emptied)).signatures == Signatures(unmatched=6, accepted=2)


async def test_without_reports_nothing_is_usual(emptied: str) -> None:
    found = await seen(emptied)

    assert (found.signatures, list(found.processes)) == (Signatures(), [])


async def test_counts_that_are_written_with_a_point_are_counts(emptied: str) -> None:
    counters = '{"deliveries_refused:no_match": 5.0, "deliveries_received:stored": 7.0}'
    report(emptied, "1 minute", duty="receiver", counters=counters)
    histograms = orjson.dumps({"delivery_seconds": [1.0, 2.0, *[0.0] * 27]}).decode()
    change(emptied, f"UPDATE consumer.reports SET histograms = '{histograms}'")
    async with await connect(emptied, operator_access("consumer")) as conn:
        found = await rates(conn)

    assert (found.refused, sum(found.received), list(found.delivery_seconds[:3])) == (5, 7, [1, 2, 0])
    assert (await seen(emptied)).signatures == Signatures(unmatched=5, accepted=7)


async def test_a_worker_that_reports_nothing_is_known_by_its_session(emptied: str) -> None:
    async with await connect(emptied, ACCESSES["worker"]("consumer")):
        assert (await seen(emptied)).worker_sessions == 1


async def test_a_receiver_that_was_taken_over_does_not_name_its_session_a_worker_s(emptied: str) -> None:
    name = ACCESSES["worker"]("consumer").name
    with stranger(emptied, application=name) as conn:
        login = f"{conn.info.user}"
        change(emptied, f"GRANT consumer_receiver TO {login}")
        as_receiver = (await seen(emptied)).worker_sessions
        change(emptied, f"GRANT consumer_worker TO {login}")
        as_worker = (await seen(emptied)).worker_sessions

    assert (as_receiver, as_worker) == (0, 1)


async def test_before_a_migration_the_verdict_says_that_it_is_pending(emptied: str) -> None:
    ledger = "SELECT * FROM consumer._yoyo_migration WHERE migration_id = '0017.reports'"
    [applied] = rows(emptied, ledger)
    change(emptied, "DELETE FROM consumer._yoyo_migration WHERE migration_id = '0017.reports'")
    try:
        found = await seen(emptied)
    finally:
        with psycopg.connect(emptied) as conn:
            values = list(applied.values())
            conn.execute("INSERT INTO consumer._yoyo_migration VALUES (%s, %s, %s)", values)

    assert [each.code for each in findings(found) if each.gravity == "failing"] == ["migration_pending"]


async def test_the_ages_of_the_installation_and_of_its_oldest_transaction_are_known(emptied: str) -> None:
    applied = "SELECT min({0}), max({0}) FROM consumer._yoyo_migration".format("applied_at_utc AT TIME ZONE 'UTC'")
    newest = "UPDATE consumer._yoyo_migration SET applied_at_utc = applied_at_utc {} interval '1 hour' WHERE {}"
    is_newest = "migration_id = (SELECT max(migration_id) FROM consumer._yoyo_migration)"
    change(emptied, newest.format("+", is_newest))
    try:
        with psycopg.connect(emptied) as conn:
            times = conn.execute(applied.encode()).fetchone()
            found = await seen(emptied, expected=replace(EVERYTHING, disk_free_bytes=7))
            [(lasted,)] = conn.execute("SELECT extract(EPOCH FROM clock_timestamp() - now())").fetchall()
    finally:
        change(emptied, newest.format("-", is_newest))

    assert (found.installed_at, found.migrated_at, found.disk_free_bytes) == (*(times or ()), 7)
    assert 0 < found.oldest_xmin_seconds <= lasted


async def test_rates_are_by_minute_and_repeats_are_none(emptied: str) -> None:
    received = (
        '{"deliveries_received:stored": 6, "deliveries_received:duplicate": 50, "deliveries_refused:not_found": 2}'
    )
    report(emptied, "5 seconds", counters=received)
    report(emptied, "14 minutes 30 seconds", 2, counters='{"deliveries_received:dead": 1, "deliveries_applied:x:y": 3}')
    report(emptied, "15 minutes 30 seconds", 2, counters='{"deliveries_received:stored": 99}')
    # The older has the buckets of another release.
    for n, buckets in ((1, [1, 0, 2, *[0] * 26]), (2, [9] * 14)):
        histograms = orjson.dumps({"delivery_seconds": buckets}).decode()
        change(emptied, f"UPDATE consumer.reports SET histograms = '{histograms}' WHERE process_id = '{n:032}'")
    async with await connect(emptied, operator_access("consumer")) as conn:
        found = await rates(conn)

    assert list(found.received) == [1, *[0] * 13, 6]
    assert list(found.applied) == [3, *[0] * 14]
    assert (found.refused, list(found.delivery_seconds[:4])) == (2, [1, 0, 2, 0])


@pytest.mark.parametrize(
    ("share", "counts", "bound"),
    [
        (0.5, [], None),
        (0.5, [0, 0, 0, 0], None),
        (0.5, [1, 1, 0, 0], 0.1),
        (0.51, [1, 1, 0, 0], 0.2),
        (0.99, [98, 1, 1, 0], 0.2),
        (1, [0, 0, 0, 1], 0.3),
    ],
)
def test_a_quantile_is_the_bound_that_so_many_do_not_exceed(share: float, counts: list[int], bound: float) -> None:
    assert quantile(share, counts, (0.1, 0.2, 0.3)) == bound
