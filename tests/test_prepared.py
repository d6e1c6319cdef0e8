"""Transactions that are prepared and left (two-phase commit): they have no process, and hold all the same."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest

from consumer.embedded import server as embedded
from consumer.operations import hours
from consumer.postgres import locks, migrations
from consumer.postgres.connections import connect, operator_access
from tests.support.databases import change, reset, rows, scratch_database

ACCESS = operator_access("consumer")
LOCKED = "LOCK TABLE identity.profiles IN EXCLUSIVE MODE"
STORED = (
    "INSERT INTO consumer.outbox (source, message_id, occurred_at, body) VALUES ('stack', gen_random_uuid(), now(), '')"
)
COUNTED = "SELECT coalesce(sum(n), 0)::integer AS n FROM consumer.hours"


@pytest.fixture(scope="module")
def preparing() -> Iterator[str]:
    """A migrated database of a server that lets transactions be prepared; the setting needs another start."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        # The server runs as another user when the tests run as root.
        Path(folder).chmod(0o755)
        place = Path(folder) / "postgres"
        with embedded.server(place, create=True) as url:
            change(url, "ALTER SYSTEM SET max_prepared_transactions = 4")
        with embedded.server(place, create=False) as server_url, scratch_database(server_url, "preparing") as url:
            migrations.apply(url, "consumer")
            yield url


@contextmanager
def prepared(url: str, statement: str) -> Iterator[str]:
    """Leave a transaction prepared, whose name is yielded; it is committed at the end."""
    with psycopg.connect(url, autocommit=True) as conn:
        for each in ("BEGIN", statement, "PREPARE TRANSACTION 'left over'"):
            conn.execute(each.encode())
    try:
        yield "left over"
    finally:
        change(url, "COMMIT PREPARED 'left over'")


async def test_a_prepared_transaction_that_locks_our_tables_is_named(preparing: str) -> None:
    with psycopg.connect(preparing) as other, prepared(preparing, LOCKED) as name:
        other.execute("LOCK TABLE identity.companies IN EXCLUSIVE MODE")
        async with await connect(preparing, ACCESS) as conn:
            found = {holder.prepared_transaction: holder for holder in await locks.noteworthy(conn)}
        pid = other.info.backend_pid

    assert set(found) == {None, name}
    assert (found[name].pid, found[name].login, found[name].locks) == (None, "postgres", "table identity.profiles")
    assert (found[None].pid, found[None].locks) == (pid, "table identity.companies")
    assert not found[name].is_hidden


@pytest.mark.parametrize("is_before", [True, False], ids=["prepared before", "prepared since"])
async def test_deliveries_of_a_prepared_transaction_are_counted_once_it_is_committed(
    preparing: str, *, is_before: bool
) -> None:
    reset(preparing)
    change(preparing, "INSERT INTO consumer.maintenance (job, started_at, due_at) VALUES ('hours', now(), now())")
    async with await connect(preparing, ACCESS) as conn:
        if is_before:
            with prepared(preparing, STORED):
                change(preparing, STORED)
                await hours.keep_hours(conn, ACCESS)
                before = rows(preparing, COUNTED)
        else:
            with psycopg.connect(preparing, autocommit=True) as writer:
                writer.execute("BEGIN")
                writer.execute(STORED.encode())
                change(preparing, STORED)
                await hours.keep_hours(conn, ACCESS)
                writer.execute("PREPARE TRANSACTION 'left over'")
                await hours.keep_hours(conn, ACCESS)
                before = rows(preparing, COUNTED)
                writer.execute("COMMIT PREPARED 'left over'")
        await hours.keep_hours(conn, ACCESS)

    assert (before, rows(preparing, COUNTED)) == ([{"n": 0}], [{"n": 2}])
