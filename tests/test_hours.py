"""The count of deliveries by source and hour: each delivery once, whenever it was committed; and old reports go."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from consumer.operations import hours
from consumer.postgres.connections import Access, Connection, connect, operator_access
from tests.support.databases import change, rows

ACCESS: Access = operator_access("consumer")
HOURS = "SELECT source, hour, n FROM consumer.hours ORDER BY source, hour"
COUNTED = "SELECT coalesce(sum(n), 0)::integer AS n FROM consumer.hours"
NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
STORE = (
    "INSERT INTO consumer.outbox (source, message_id, occurred_at, received_at, body) "
    "SELECT '{0}', gen_random_uuid(), '{1}', '{1}', '' FROM generate_series(1, {2})"
)

NUMBERED = (
    "INSERT INTO consumer.outbox (seq, source, message_id, occurred_at, body) OVERRIDING SYSTEM VALUE "
    "VALUES ({0}, 'stack', 'x', now(), '')"
)


@pytest.fixture
async def conn(emptied: str) -> AsyncIterator[Connection]:
    """The operator's connection, with the row of the job."""
    change(emptied, "INSERT INTO consumer.maintenance (job, started_at, due_at) VALUES ('hours', now(), now())")
    async with await connect(emptied, ACCESS) as opened:
        yield opened


def store(url: str, source: str = "stack", at: datetime = NOON, count: int = 1) -> None:
    change(url, STORE.format(source, at, count))


@contextmanager
def open_transaction(url: str) -> Iterator[psycopg.Connection]:
    """A transaction that has stored a delivery and is not over."""
    with psycopg.connect(url) as writer:
        writer.execute(STORE.format("app", NOON, 1).encode())
        yield writer


def counted(url: str) -> int:
    [row] = rows(url, COUNTED)
    return int(row["n"])


async def test_deliveries_are_counted_by_source_and_hour_of_arrival_in_utc(emptied: str, conn: Connection) -> None:
    change(emptied, "SET timezone = 'Asia/Kolkata'")
    store(emptied, count=3)
    store(emptied, at=NOON + timedelta(minutes=59, seconds=59.999), count=2)
    store(emptied, at=NOON + timedelta(hours=1))
    store(emptied, source="backfill")

    await conn.execute("SET timezone = 'Asia/Kolkata'")
    await hours.keep_hours(conn, ACCESS)

    assert [tuple(row.values()) for row in rows(emptied, HOURS)] == [
        ("backfill", NOON, 1),
        ("stack", NOON, 5),
        ("stack", NOON + timedelta(hours=1), 1),
    ]


async def test_a_repeat_counts_nothing_twice_and_adds_what_is_new(emptied: str, conn: Connection) -> None:
    store(emptied, count=3)
    for _ in range(3):
        await hours.keep_hours(conn, ACCESS)
    assert counted(emptied) == 3

    store(emptied, count=2)
    await hours.keep_hours(conn, ACCESS)

    assert counted(emptied) == 5


async def test_a_delivery_that_commits_after_later_ones_were_seen_is_counted(emptied: str, conn: Connection) -> None:
    with open_transaction(emptied) as writer:
        store(emptied, count=4)
        await hours.keep_hours(conn, ACCESS)
        await hours.keep_hours(conn, ACCESS)
        before = counted(emptied)
        writer.commit()
    store(emptied)
    await hours.keep_hours(conn, ACCESS)

    assert (before, counted(emptied)) == (0, 6)


async def test_a_transaction_that_began_later_holds_nothing_up(emptied: str, conn: Connection) -> None:
    """Under load some transaction is always open, and others each time."""
    first = psycopg.connect(emptied)
    first.execute(STORE.format("app", NOON, 1).encode())
    store(emptied, count=4)
    await hours.keep_hours(conn, ACCESS)
    with open_transaction(emptied) as second:
        first.commit()
        first.close()
        await hours.keep_hours(conn, ACCESS)
        meanwhile = counted(emptied)
        second.commit()
    await hours.keep_hours(conn, ACCESS)

    assert (meanwhile, counted(emptied)) == (5, 6)


async def test_a_number_that_was_rolled_back_holds_nothing_up(emptied: str, conn: Connection) -> None:
    with open_transaction(emptied) as writer:
        store(emptied)
        await hours.keep_hours(conn, ACCESS)
        writer.rollback()
    await hours.keep_hours(conn, ACCESS)

    assert counted(emptied) == 1


async def test_a_long_log_is_counted_page_by_page(
    emptied: str, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hours, "PAGE_SIZE", 7)
    store(emptied, count=50)

    await hours.keep_hours(conn, ACCESS)

    assert counted(emptied) == 50
    assert hours.PAGE_SIZE == 7


async def test_a_long_gap_of_numbers_is_no_page(
    emptied: str, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Numbers go on after what was pruned, and a sequence that was set jumps."""
    store(emptied)
    change(emptied, NUMBERED.format(10**15))
    places: list[int] = []
    advance = hours._advance

    async def noted(conn: Connection, place: hours.HoursPlace) -> None:
        places.append(place.counted)
        assert len(places) <= 3
        await advance(conn, place)

    monkeypatch.setattr(hours, "_advance", noted)
    await hours.keep_hours(conn, ACCESS)

    assert counted(emptied) == 2
    assert places == [0, 10**15]


async def test_a_count_that_is_killed_between_two_pages_goes_on_there(
    emptied: str, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(emptied, count=50)
    await hours.keep_hours(conn, ACCESS)
    store(emptied, count=50)
    pages = 0
    advance = hours._advance

    async def killed(conn: Connection, place: hours.HoursPlace) -> None:
        nonlocal pages
        pages += 1
        await advance(conn, place)
        if pages == 4:
            raise ConnectionAbortedError

    monkeypatch.setattr(hours, "PAGE_SIZE", 7)
    monkeypatch.setattr(hours, "_advance", killed)
    with pytest.raises(ConnectionAbortedError):
        await hours.keep_hours(conn, ACCESS)
    monkeypatch.setattr(hours, "_advance", advance)
    between = counted(emptied)
    await hours.keep_hours(conn, ACCESS)

    assert 50 < between < 100
    assert counted(emptied) == 100


async def test_two_that_count_at_once_count_once(emptied: str, conn: Connection) -> None:
    store(emptied, count=500)
    async with await connect(emptied, ACCESS) as other:
        await asyncio.gather(hours.keep_hours(conn, ACCESS), hours.keep_hours(other, ACCESS))

    assert counted(emptied) == 500


@pytest.mark.parametrize(("minutes", "left"), [(359, 1), (361, 0)])
async def test_reports_are_kept_for_six_hours(emptied: str, conn: Connection, minutes: int, left: int) -> None:
    change(
        emptied,
        "INSERT INTO consumer.reports (at, process_id, duty, host, pid, release, clock_skew_seconds) "
        f"VALUES (now() - interval '{minutes} minutes', gen_random_uuid(), 'worker', 'x', 1, 'x', 0)",
    )

    await hours.keep_hours(conn, ACCESS)

    assert len(rows(emptied, "SELECT FROM consumer.reports")) == left
