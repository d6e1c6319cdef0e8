"""Plans of PostgreSQL, as EXPLAIN (FORMAT JSON) tells them."""

from collections.abc import Mapping
from typing import Any

from psycopg.rows import scalar_row

from consumer.postgres.connections import Connection

Node = Mapping[str, Any]


def nodes(plan: Node) -> list[Node]:
    """Return a step of a plan and all steps below it."""
    return [plan, *(node for child in plan.get("Plans", ()) for node in nodes(child))]


def rows_read(node: Node) -> float:
    """Return the rows that a step read, with ANALYZE: PostgreSQL gives them as the mean of its loops."""
    names = ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck")
    return sum(float(node.get(name, 0)) for name in names) * float(node["Actual Loops"])


async def rows_of_tables(conn: Connection) -> int:
    """Return how many rows this transaction has read from tables, as their own counters tell."""
    cursor = conn.cursor(row_factory=scalar_row)
    await cursor.execute(
        "SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))::bigint FROM pg_stat_xact_user_tables"
    )
    return int(await cursor.fetchone() or 0)
