"""Counts where the rows and Stack differ, by kind."""

from collections.abc import Mapping, Sequence

from psycopg.rows import tuple_row

from consumer.operations import imports
from consumer.operations.runs import Run
from consumer.outbox.storage import Delivery
from consumer.postgres.connections import Connection
from consumer.postgres.queries import query, rows

# What a listed object with news may be, by its type.
TYPES = {
    "user.updated": "drift/users",
    "team.updated": "drift/teams",
    "team_membership.created": "drift/memberships",
    "team_permission.created": "drift/permissions",
}


async def found(conn: Connection, news: Sequence[Delivery]) -> Mapping[str, int]:
    """Count by kind what a page's news differ in from the rows as they are now, before they are stored."""
    counts: dict[str, int] = {}
    for event_type, name in TYPES.items():
        listed = [each for each in news if each.event_type == event_type and not each.error_code]
        for part in imports.parts(listed):
            values = {**imports.columns(part), "occurred_at": part[0].occurred_at}
            for kind, count in await rows(conn, tuple_row, name, values):
                counts[kind] = counts.get(kind, 0) + count
    return counts


async def add(conn: Connection, run: Run, counts: Mapping[str, int]) -> None:
    """Count differences as repaired by a run."""
    if counts:
        values = {"run_id": run.id, "kinds": list(counts), "counts": list(counts.values())}
        await conn.execute(query("drift/add"), values)


async def repaired(conn: Connection, run: Run) -> Mapping[str, int]:
    """Return how many differences of each kind a run has repaired."""
    return dict(await rows(conn, tuple_row, "drift/repaired", {"run_id": run.id}))
