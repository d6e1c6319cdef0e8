"""The last delivery of each source is found without reading the log."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg
import pytest

from consumer.outbox import deliveries
from consumer.postgres import migrations
from consumer.postgres.connections import Access, connect, operator_access, transaction, worker_access
from consumer.postgres.queries import query
from tests.support.databases import scratch_database
from tests.support.plans import nodes, rows_read

FILL = """
    INSERT INTO consumer.outbox (source, message_id, occurred_at, received_at, body)
    SELECT %s, %s || n, now(), '2026-01-01'::timestamptz + %s + n * interval '1 second', 'x'
    FROM generate_series(1, %s) AS n
"""
ROWS = 20_000


def fill(conn: psycopg.Connection[tuple[object, ...]], source: str, count: int, day: int) -> None:
    conn.execute(FILL, (source, f"{source} {day} ", f"{day} days", count))


@pytest.fixture(scope="module")
def long(server_url: str) -> Iterator[str]:
    """A log in which every source but Stack ended long ago, and one that never sent anything."""
    with scratch_database(server_url, "consumer_log") as url:
        migrations.apply(url, "consumer")
        with psycopg.connect(url, autocommit=True) as conn:
            fill(conn, "app", ROWS, 0)
            for source in ("operator", "backfill"):
                fill(conn, source, 3, 1)
            fill(conn, "stack", ROWS, 2)
            conn.execute("VACUUM ANALYZE consumer.outbox")
        yield url


@pytest.mark.parametrize("access", [operator_access("consumer"), worker_access("consumer")], ids=["operator", "worker"])
async def test_each_source_has_its_last_delivery_and_one_that_never_sent_has_none(long: str, access: Access) -> None:
    async with await connect(long, access) as conn, transaction(conn, access):
        found = await deliveries.last_received(conn)

    assert {source: f"{at:%m-%d %H:%M:%S}" for source, at in found.items()} == {
        "app": "01-01 05:33:20",
        "operator": "01-02 00:00:03",
        "backfill": "01-02 00:00:03",
        "stack": "01-03 05:33:20",
    }


@pytest.mark.parametrize("analyzed", [True, False], ids=["with statistics", "without"])
def test_it_is_found_by_its_index_and_no_other_row_is_read(long: str, analyzed: bool) -> None:
    with psycopg.connect(long) as conn:
        if not analyzed:
            conn.execute("DELETE FROM pg_statistic WHERE starelid = 'consumer.outbox'::regclass")
        [(plan,)] = conn.execute(b"EXPLAIN (ANALYZE, FORMAT JSON) " + query("deliveries/last_received")).fetchall()
        conn.rollback()

    found = nodes(plan[0]["Plan"])
    read = [rows_read(node) for node in found]
    assert {node["Index Name"] for node in found if "Index Name" in node} == {
        "outbox_pkey",
        "outbox_message_key",
        "outbox_other_sources",
    }
    assert not [node for node in found if node["Node Type"] == "Seq Scan"], json.dumps(plan)
    assert max(read) <= 10


def test_a_log_without_a_delivery_from_stack_is_not_read_for_one(server_url: str) -> None:
    with scratch_database(server_url, "consumer_log_of_others") as url:
        migrations.apply(url, "consumer")
        with psycopg.connect(url, autocommit=True) as conn:
            fill(conn, "app", ROWS, 0)
            [(plan,)] = conn.execute(b"EXPLAIN (ANALYZE, FORMAT JSON) " + query("deliveries/last_received")).fetchall()
            found = conn.execute(query("deliveries/last_received")).fetchall()

    assert [source for source, _ in found] == ["app"]
    assert max(node.get("Rows Removed by Filter", 0) for node in nodes(plan[0]["Plan"])) < 5


def test_an_update_of_the_time_counts_for_the_one_that_came_last(emptied: str) -> None:
    with psycopg.connect(emptied) as conn:
        fill(conn, "stack", 3, 0)
        conn.execute("UPDATE consumer.outbox SET received_at = '2025-01-01Z' WHERE message_id LIKE '%3'")
        [(_, last)] = conn.execute(query("deliveries/last_received")).fetchall()
        conn.rollback()

    assert f"{last:%Y}" == "2025"


def test_behind_many_deliveries_of_others_stacks_last_is_found_by_the_greatest_message_ids(server_url: str) -> None:
    """A thousand more than are searched one by one; of the hundred the last to arrive counts."""
    with scratch_database(server_url, "consumer_log_behind") as url:
        migrations.apply(url, "consumer")
        with psycopg.connect(url, autocommit=True) as conn:
            fill(conn, "stack", 300, 0)
            conn.execute("UPDATE consumer.outbox SET message_id = 'msg_' || lpad(seq::text, 27, '0')")
            conn.execute(
                "UPDATE consumer.outbox SET received_at = '2026-01-01T09:00Z' WHERE message_id LIKE '%0000000250'"
            )
            fill(conn, "backfill", 21_000, 1)
            conn.execute("VACUUM ANALYZE consumer.outbox")
            [(plan,)] = conn.execute(b"EXPLAIN (ANALYZE, FORMAT JSON) " + query("deliveries/last_received")).fetchall()
            found: dict[str, datetime] = dict(conn.execute(query("deliveries/last_received")).fetchall())

    read = [rows_read(node) for node in nodes(plan[0]["Plan"])]
    assert f"{found['stack'].astimezone(UTC):%m-%d %H:%M}" == "01-01 09:00"
    assert max(read) <= 20_000
