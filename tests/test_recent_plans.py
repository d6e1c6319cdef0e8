"""What asks for a time reads the deliveries of that time, however many the log has."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from consumer.lookup import listing
from consumer.lookup.listing import ChangePlace, ListFilter
from consumer.outbox import deliveries
from consumer.outbox.deliveries import Selection
from consumer.postgres import migrations
from consumer.postgres.connections import Access, Connection, connect, operator_access, transaction, viewer_access
from tests.support.databases import scratch_database
from tests.support.plans import rows_of_tables

pytestmark = pytest.mark.slow

END = datetime(2026, 1, 8, tzinfo=UTC)
ROWS = 120_000
# Ten a second, each applied as it came.
FILL = f"""
    INSERT INTO consumer.outbox (source, message_id, event_type, occurred_at, received_at, body)
    SELECT 'stack', 'm' || n, 'user.updated', at, at, convert_to(repeat('x', 200), 'UTF8')
    FROM
        generate_series(1, {ROWS}) AS n,
        LATERAL (SELECT '{END}'::timestamptz - ({ROWS} - n) * interval '100 milliseconds') AS t (at);
    INSERT INTO consumer.outcomes (seq, outcome, at) SELECT seq, 'applied', received_at FROM consumer.outbox;
"""
A_SECOND = 10
# Two searches for the number of a time, a hundred rows a step, and five minutes of deliveries on both sides.
AROUND = 2 * 20 * 100 + 600 * A_SECOND


@pytest.fixture(scope="module")
def steady(server_url: str) -> Iterator[str]:
    """A log of some hours."""
    with scratch_database(server_url, "steady") as url:
        migrations.apply(url, "consumer")
        with psycopg.connect(url, autocommit=True) as conn:
            conn.execute(FILL.encode())
            # All rows are sampled: what chance picks of them would now and then choose another plan.
            conn.execute("SET default_statistics_target = 1000")
            conn.execute("VACUUM ANALYZE")
        yield url


def rows_read(url: str, access: Access, work: Callable[[Connection], Awaitable[Any]]) -> int:
    """Return how many rows it reads, those within functions too: no plan shows these."""

    async def reading() -> int:
        async with await connect(url, access) as conn, transaction(conn, access):
            await work(conn)
            return await rows_of_tables(conn)

    return asyncio.run(reading())


@pytest.mark.parametrize("seconds", [30, 120, 600])
@pytest.mark.parametrize("ago", [600, 6_000])
def test_what_is_recent_reads_what_changed_in_its_time(steady: str, ago: int, seconds: int) -> None:
    after = ChangePlace(END - timedelta(seconds=ago))
    until = after.at + timedelta(seconds=seconds)

    read = rows_read(
        steady, viewer_access("consumer"), lambda conn: listing.recent(conn, ListFilter(), after, until, size=50)
    )

    assert read <= AROUND + 8 * seconds * A_SECOND < ROWS


@pytest.mark.parametrize("ago", [600, 6_000])
def test_a_selection_by_time_reads_the_deliveries_of_that_time(steady: str, ago: int) -> None:
    since, access = END - timedelta(seconds=ago), operator_access("consumer")
    chosen = Selection(states=["done"], since=since, until=since + timedelta(seconds=30))

    counted = rows_read(steady, access, lambda conn: deliveries.count(conn, chosen))
    paged = rows_read(steady, access, lambda conn: deliveries.page(conn, chosen, after_seq=0, page_size=100))

    assert max(counted, paged) <= AROUND
