"""The figures of the overview: what processes reported as rates, times and refusals, as people read them."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, cast
from uuid import UUID, uuid4

import orjson
import psycopg
import pytest
from psycopg import sql

from consumer.console import formats, reported, sample
from consumer.console.reading import ConsoleDatabase
from consumer.console.reported import HOURS, QUARTER, ChartSpan, SourceHours
from consumer.postgres.connections import Connection, connect, transaction, viewer_access
from consumer.process.reports import REPORT_SECONDS
from consumer.verdict.finding import Finding
from consumer.verdict.observation import Observation
from consumer.verdict.observe import Expectations
from tests.support.cli import arrive
from tests.support.console import running
from tests.support.databases import change
from tests.support.factories import user_updated

T = TypeVar("T")

NOW = datetime(2026, 11, 30, 14, 32, 8, tzinfo=UTC)
ONE, OTHER = uuid4(), uuid4()
# By weeks before the last full hour, what that hour brought.
KNOWN = ((0, 100), (1, 40), (2, 60))


def report(url: str, process_id: UUID, ago: timedelta, counters: dict[str, int], **histograms: list[int]) -> None:
    """Let a process report at a time before now."""
    change(
        url,
        "INSERT INTO consumer.reports"
        " (at, process_id, duty, host, pid, release, clock_skew_seconds, counters, histograms)"
        f" VALUES (now() - interval '{ago.total_seconds()} seconds', '{process_id}', 'worker', 'h', 1, '0', 0,"
        f" '{orjson.dumps(counters).decode()}', '{orjson.dumps(histograms).decode()}')",
    )


def read(url: str, work: Callable[[Connection], Awaitable[T]]) -> T:
    """Read as a viewer."""
    access = viewer_access("consumer")

    async def reading() -> T:
        async with await connect(url, access) as conn, transaction(conn, access):
            return await work(conn)

    return asyncio.run(reading())


def test_the_rates_of_a_process_are_of_its_last_minute(emptied: str) -> None:
    report(emptied, ONE, timedelta(seconds=5), {"deliveries_received:stored": 10, "deliveries_received:duplicate": 3})
    report(emptied, ONE, timedelta(seconds=15), {"deliveries_received:dead": 2})
    report(emptied, ONE, timedelta(seconds=75), {"deliveries_received:stored": 1000})
    report(emptied, OTHER, timedelta(seconds=5), {"deliveries_applied:a:applied": 4, "deliveries_applied:b:stale": 1})

    found = read(emptied, reported.rates)

    assert {key: (each.stored, each.applied) for key, each in found.items()} == {ONE: (12, 0), OTHER: (0, 5)}


def test_a_chart_has_a_point_for_each_whole_step(emptied: str) -> None:
    span = ChartSpan("test", timedelta(minutes=10), timedelta(minutes=1))
    for minute in (2, 3):
        counters = {
            "deliveries_received:stored": 90,
            "deliveries_received:dead": 30,
            "deliveries_received:duplicate": 7,
            "deliveries_applied:a:applied": 60,
            "deliveries_buried": 2,
        }
        report(emptied, ONE, timedelta(minutes=minute), counters, delivery_seconds=[10] + [0] * 28)
        report(emptied, OTHER, timedelta(minutes=minute), counters)
    report(emptied, ONE, timedelta(0), {"deliveries_received:stored": 1})
    report(emptied, ONE, timedelta(minutes=30), {"deliveries_received:stored": 1})

    points = read(emptied, lambda conn: reported.chart(conn, span))

    assert [(point.stored, point.applied, point.died) for point in points] == [(4.0, 2.0, 64)] * 2
    assert points[0].at < points[1].at
    assert [point.p50_ms for point in points] == [10.0, 10.0]


def test_a_report_of_other_buckets_is_left_out_of_the_times(emptied: str) -> None:
    """A receiver of another release may run beside ours, and its role may report any numbers that are counts."""
    report(emptied, ONE, timedelta(minutes=2), {"deliveries_applied:a:applied": 1}, delivery_seconds=[10] + [0] * 28)
    with psycopg.connect(emptied) as conn:
        conn.execute("SET ROLE consumer_receiver")
        conn.execute(
            "INSERT INTO consumer.reports (process_id, host, pid, release, clock_skew_seconds, counters, histograms)"
            " VALUES (gen_random_uuid(), 'h', 1, '9', 0, '{\"deliveries_received:stored\": 5.0}',"
            f' \'{{"delivery_seconds": {[9] * 30}, "apply_seconds": [1.0]}}\')'
        )
    change(emptied, "UPDATE consumer.reports SET at = now() - interval '2 minutes'")

    [point] = read(emptied, lambda conn: reported.chart(conn, QUARTER))
    with running(emptied) as desk:
        page = desk.as_("viewer").get()

    assert (point.stored, point.p50_ms, point.p99_ms) == (5 / 30, 10.0, 10.0)
    assert page.status == 200


def test_what_is_to_be_made_anew_is_no_pending_delivery(emptied: str) -> None:
    report(emptied, ONE, timedelta(seconds=5), {"deliveries_applied:a:applied": 60})
    arrive(emptied, user_updated())
    change(
        emptied, "INSERT INTO consumer.rebuild (stage, id) SELECT 2, gen_random_uuid() FROM generate_series(1, 100001)"
    )

    with running(emptied) as desk:
        page = desk.as_("viewer").get().text

    assert '<dd>1</dd><dd class="sub">gone in about 1\N{NO-BREAK SPACE}s;' in page
    assert "100,000+ to make anew" in page


@pytest.mark.parametrize(("span", "points_max"), [(QUARTER, 30), (HOURS, 36)])
def test_a_chart_fits_beside_another(span: ChartSpan, points_max: int) -> None:
    assert span.time / span.step == points_max


def test_reports_are_read_as_often_as_processes_report() -> None:
    assert sample.REPORTED_TIME.total_seconds() == REPORT_SECONDS


def test_requests_that_stored_nothing_are_counted_by_reason_beside_the_usual(emptied: str) -> None:
    report(emptied, ONE, timedelta(minutes=5), {"deliveries_refused:no_match": 7, "deliveries_refused:too_new": 1})
    report(
        emptied, OTHER, timedelta(minutes=14), {"deliveries_refused:bad_json": 2, "deliveries_received:duplicate": 3}
    )
    report(emptied, ONE, timedelta(minutes=30), {"deliveries_refused:no_match": 40, "deliveries_refused:too_old": 4})
    report(emptied, ONE, timedelta(minutes=74), {"deliveries_refused:no_match": 20, "deliveries_refused:bad_shape": 4})
    report(emptied, ONE, timedelta(minutes=76), {"deliveries_refused:no_match": 100})

    assert [tuple(each) for each in read(emptied, reported.unstored)] == [
        ("Repeat of a stored message", 3, 0),
        ("Signature is of no known secret", 7, 15),
        ("Signed too long ago", 0, 1),
        ("No signature", 0, 0),
        ("Could not be stored (503)", 0, 0),
        ("bad json", 2, 0),
        ("too new", 1, 0),
    ]


def test_a_source_that_has_a_secret_or_has_sent_is_listed_with_its_state() -> None:
    """A note, such as that nothing has come yet, makes nobody quiet."""
    findings = [
        Finding("nothing_received", "note", "app", "nothing received yet"),
        Finding("quiet", "warning", "stack", "nothing received for 5m"),
        Finding("maintenance_failed", "warning", "backfill", "a job of this name"),
    ]
    hours = {"stack": SourceHours("stack", 3, 9.5), "app": SourceHours("app", 4, 8.0)}
    seen = Observation(NOW, expected=["app", "stack"], last_received={"stack": NOW, "backfill": NOW})

    quiet, usual = (
        sample.Sample(seen, found, reports=sample.Reports(NOW, hours=hours)).sources
        for found in (findings, findings[:1])
    )
    new = sample.Sample(seen, [], reports=sample.Reports(NOW, hours={"app": SourceHours("app", 4, None)})).sources

    assert [(each.name, each.received_at, each.last_hour, each.usual, each.state[2]) for each in quiet] == [
        ("stack", NOW, 3, 9.5, "quiet"),
        ("app", None, 4, 8.0, "as usual"),
        ("backfill", NOW, 0, None, "now and then"),
    ]
    assert [each.state[2] for each in usual] == ["as usual", "as usual", "now and then"]
    assert [each.state[2] for each in new] == ["too new to tell", "too new to tell", "now and then"]


@pytest.mark.parametrize("code", ["quiet", "source_silent", "nothing_received"])
def test_each_warning_that_a_source_is_silent_shows_it_quiet(code: str) -> None:
    seen = Observation(NOW, last_received={"stack": NOW, "app": NOW})
    reports = sample.Reports(NOW, hours={name: SourceHours(name, 3, 9.5) for name in ("stack", "app")})

    shown = sample.Sample(seen, [Finding(code, "warning", "stack", "silent")], reports=reports).sources

    assert [each.state for each in shown] == [("warn", "bell", "quiet"), ("ok", "check", "as usual")]


@pytest.mark.parametrize(("seconds", "is_old"), [(None, True), (9.9, False), (10, True)])
def test_what_processes_reported_is_read_anew_only_when_it_is_old(
    emptied: str, seconds: float | None, *, is_old: bool
) -> None:
    before = None
    if seconds is not None:
        reports = sample.Reports(NOW - timedelta(seconds=seconds))
        before = sample.Sample(Observation(reports.at), [], reports=reports)

    class Database:
        async def observe(self, _: object) -> Observation:
            return Observation(NOW)

        async def observe_masked(self, work: Callable[[Connection], Awaitable[T]]) -> T:
            access = viewer_access("consumer")
            async with await connect(emptied, access) as conn, transaction(conn, access):
                return await work(conn)

    taken = asyncio.run(sample.take(cast("ConsoleDatabase", Database()), Expectations, before))

    assert taken.reports is not None
    assert taken.reports.at == (NOW if is_old or before is None else before.at)


@contextmanager
def in_kolkata(url: str, level: str) -> Iterator[None]:
    """Give the new sessions of a database a time zone whose hours begin at half past."""
    with psycopg.connect(url, autocommit=True) as conn:
        target = sql.SQL(level).format(sql.Identifier(conn.info.dbname))
        conn.execute(sql.SQL("ALTER {} SET TimeZone = 'Asia/Kolkata'").format(target))
        try:
            with psycopg.connect(url) as other:
                assert other.execute("SHOW TimeZone").fetchone() == ("Asia/Kolkata",)
            yield
        finally:
            conn.execute(sql.SQL("ALTER {} RESET TimeZone").format(target))


@pytest.mark.parametrize("level", ["DATABASE {}", "ROLE CURRENT_USER IN DATABASE {}"], ids=["database", "role"])
def test_an_hour_is_compared_with_the_same_of_four_weeks_in_any_time_zone(emptied: str, level: str) -> None:
    for source, week, n in (
        *(("stack", *each) for each in KNOWN),
        *(("app", *each) for each in (*KNOWN[1:], (5, 900))),
    ):
        change(
            emptied,
            f"INSERT INTO consumer.hours (source, hour, n) VALUES ('{source}',"
            f" date_trunc('hour', now(), 'UTC') - interval '1 hour' - {week} * interval '168 hours', {n})",
        )

    with in_kolkata(emptied, level):
        found = read(emptied, reported.hours)

    assert {source: tuple(each) for source, each in found.items()} == {
        "stack": ("stack", 100, 50.0),
        "app": ("app", 0, 25.0),
    }


@pytest.mark.parametrize(
    ("show", "value", "text"),
    [
        (formats.count, 1284, "1,284"),
        (formats.count, None, "–"),
        (formats.rate, 41.23, "41.2"),
        (formats.rate, 1234.5, "1,234"),
        (formats.duration, 0.0004, "under 1 ms"),
        (formats.duration, 0, "0 ms"),
        (formats.duration, 0.042, "42 ms"),
        (formats.duration, 77, "1 min 17 s"),
        (formats.duration, timedelta(days=6, hours=1, minutes=5), "6 d 1 h"),
        (formats.duration, None, "–"),
        (formats.skew, -71.0, "−1 min 11 s"),
        (formats.skew, 0.003, "+3 ms"),
        (formats.skew, -0.0001, "0 ms"),
        (formats.size, 9_999, "9,999 bytes"),
        (formats.size, 3_000_000, "2,929 kB"),
    ],
)
def test_a_value_reads_as_people_write_it(show: Callable[[Any], str], value: object, text: str) -> None:
    assert show(value).replace("\N{NO-BREAK SPACE}", " ") == text


def test_a_time_of_another_day_has_its_date() -> None:
    assert formats.clock(NOW, NOW) == "14:32:08"
    assert formats.clock(NOW, NOW + timedelta(days=1)) == "30 Nov, 14:32:08"
    assert formats.ago(NOW - timedelta(minutes=2), NOW) == "2\N{NO-BREAK SPACE}min ago"
    assert formats.ago(NOW + timedelta(seconds=3), NOW) == "now"
    assert formats.ago(None, NOW) == "never"
