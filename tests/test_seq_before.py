"""consumer.seq_before: filters by the time of arrival read only the end of the log, wherever its rows lie."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from consumer.postgres import migrations
from tests.support.databases import change, rows, scratch_database
from tests.support.plans import nodes, rows_read

NOW = datetime(2026, 1, 1, tzinfo=UTC)
COUNT = 20_000
# A delivery a minute; every hundredth, in a transaction that began two hours before; then the gaps of a prune.
FILL = f"""
INSERT INTO consumer.outbox (source, message_id, occurred_at, received_at, body)
SELECT 'stack', n, '{NOW}', '{NOW}'::timestamptz - n * interval '1 minute' - (n % 100 = 0)::int * interval '2 hours', ''
FROM generate_series({COUNT}, 1, -1) AS n ORDER BY n DESC;
DELETE FROM consumer.outbox WHERE seq % 3 = 0;
"""
# At most the look of one probe, the early answer, and the gaps.
EARLY_MAX = 100 + 5 + 3


@pytest.fixture(scope="module")
def filled(server_url: str) -> Iterator[str]:
    with scratch_database(server_url, "arrivals") as url:
        migrations.apply(url, "consumer")
        change(url, FILL)
        change(url, "ANALYZE consumer.outbox")
        yield url


@pytest.mark.parametrize("minutes", [0, 1, 99, 100, 101, 5_000, COUNT, 2 * COUNT])
def test_no_delivery_since_then_lies_before_it_and_few_older_ones_behind(filled: str, minutes: int) -> None:
    since = NOW - timedelta(minutes=minutes)

    [found] = rows(
        filled,
        f"SELECT count(*) FILTER (WHERE seq <= b AND received_at >= '{since}') AS lost, "
        f"count(*) FILTER (WHERE seq > b AND received_at < '{since}') AS older "
        f"FROM consumer.outbox, consumer.seq_before('{since}') AS b",
    )

    assert found["lost"] == 0
    assert found["older"] <= EARLY_MAX + minutes // 100 + 2


def test_an_empty_log_has_a_number_before_all(emptied: str) -> None:
    assert rows(emptied, "SELECT consumer.seq_before(now()) AS b") == [{"b": 0}]


def test_the_rate_of_arrival_is_read_at_the_end_of_the_log(filled: str) -> None:
    change(
        filled, "UPDATE consumer.outbox SET received_at = now() WHERE seq > (SELECT max(seq) - 3 FROM consumer.outbox)"
    )

    with psycopg.connect(filled) as conn:
        [(explained,)] = conn.execute("EXPLAIN (ANALYZE, FORMAT JSON) TABLE consumer.queue_stats").fetchall()

    scans = [node for node in nodes(explained[0]["Plan"]) if node.get("Relation Name") == "outbox"]
    assert {node["Node Type"] for node in scans} <= {"Index Scan", "Index Only Scan"}
    assert max(rows_read(node) for node in scans) <= EARLY_MAX
