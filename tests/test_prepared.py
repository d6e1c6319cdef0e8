"""Transactions that are prepared and left (two-phase commit): they have no process, and hold all the same.

Until the server's next start they are listed under the session that prepared them, and then under their own number.
"""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from consumer.embedded import server as embedded
from consumer.operations import hours
from consumer.postgres import locks, migrations
from consumer.postgres.connections import connect, operator_access
from tests.support.databases import change, reset, rows
from tests.support.embedded import folder

ACCESS = operator_access("consumer")
STORED = (
    "INSERT INTO consumer.outbox (source, message_id, occurred_at, body) VALUES ('stack', gen_random_uuid(), now(), '')"
)


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A migrated server that is stopped; from its next start on it lets transactions be prepared."""
    with folder() as parent:
        with embedded.server(parent / "data", create=True) as url:
            change(url, "ALTER SYSTEM SET max_prepared_transactions = 4")
            migrations.apply(url, "consumer")
        yield parent / "data"


def execute(url: str, *statements: str) -> None:
    """Execute statements one after the other in one session."""
    with psycopg.connect(url, autocommit=True) as conn:
        for statement in statements:
            conn.execute(statement.encode())


async def held(url: str) -> dict[str | None, tuple[object, ...]]:
    async with await connect(url, ACCESS) as conn:
        found = await locks.noteworthy(conn)
    return {each.prepared_transaction: (each.pid, each.login, each.locks, each.is_hidden) for each in found}


async def counted(url: str) -> int:
    """Count what can be counted, and return how much that is in all."""
    async with await connect(url, ACCESS) as conn:
        await hours.keep_hours(conn, ACCESS)
    [row] = rows(url, "SELECT coalesce(sum(n), 0)::integer AS n FROM consumer.hours")
    return int(row["n"])


async def test_a_prepared_transaction_that_locks_our_tables_is_named(place: Path) -> None:
    tables = {"left over": "profiles", "another": "company_members"}
    found: dict[str | None, tuple[object, ...]] = {
        name: (None, "postgres", f"table identity.{table}", False) for name, table in tables.items()
    }
    with embedded.server(place, create=False) as url:
        for name, table in tables.items():
            locked = f"LOCK TABLE identity.{table} IN EXCLUSIVE MODE"
            execute(url, "BEGIN", locked, f"PREPARE TRANSACTION '{name}'")
        with psycopg.connect(url) as other:
            other.execute("LOCK TABLE identity.companies IN EXCLUSIVE MODE")
            session = other.info.backend_pid, "postgres", "table identity.companies", False
            assert await held(url) == {**found, None: session}
    with embedded.server(place, create=False) as url:
        assert await held(url) == found
        execute(url, *(f"ROLLBACK PREPARED '{name}'" for name in tables))
        assert await held(url) == {}


async def test_deliveries_of_a_prepared_transaction_are_counted_once_it_is_committed(place: Path) -> None:
    with embedded.server(place, create=False) as url:
        reset(url)
        change(url, "INSERT INTO consumer.maintenance (job, started_at, due_at) VALUES ('hours', now(), now())")
        with psycopg.connect(url, autocommit=True) as writer:
            for statement in ("BEGIN", STORED):
                writer.execute(statement.encode())
            change(url, STORED)
            assert await counted(url) == 0
            writer.execute("PREPARE TRANSACTION 'left over'")
        assert await counted(url) == 0
    with embedded.server(place, create=False) as url:
        assert await counted(url) == 0
        execute(url, "COMMIT PREPARED 'left over'")
        assert await counted(url) == 2
