"""What the ledger's queries answer, and what they record of a migration, in a transaction that leaves nothing."""

from datetime import UTC, datetime

import psycopg
import pytest

from consumer.postgres import migration_records
from tests.support.asked import tuples as asked
from tests.support.rolled_back import Conn, said

LEDGER = "CREATE TABLE consumer._yoyo_migration (migration_id text, applied_at_utc timestamp)"


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu"])
def test_the_first_and_the_newest_migration_have_their_times_in_utc(bare: Conn, zone: str) -> None:
    said(bare, f"SET LOCAL timezone TO '{zone}'", "CREATE SCHEMA consumer", LEDGER)
    [(now,)] = bare.execute("SELECT now()").fetchall()
    empty = [asked(bare, f"ledger/{name}") for name in ("first", "last")]
    said(bare, "INSERT INTO consumer._yoyo_migration VALUES ('b', '2026-01-03'), ('a', '2026-01-02'), ('c', NULL)")
    found = [asked(bare, f"ledger/{name}") for name in ("first", "last")]

    assert empty == 2 * [[(now,)]]
    assert found == [[(datetime(2026, 1, day, tzinfo=UTC),)] for day in (2, 3)]
    assert asked(bare, "ledger/applied") == [("a",), ("b",), ("c",)]


def test_the_oldest_release_is_the_greatest_that_is_named(admin: Conn) -> None:
    said(admin, "DELETE FROM consumer.fence")
    unfenced = asked(admin, "ledger/oldest_release")
    said(admin, "INSERT INTO consumer.fence (migration, oldest_release) VALUES (8, 8), (9, 2), (10, 3)")

    assert (unfenced, asked(admin, "ledger/oldest_release")) == ([(0,)], [(8,)])


def test_a_record_keeps_the_hash_that_a_migration_began_with(bare: Conn) -> None:
    said(bare, "CREATE SCHEMA consumer", LEDGER, "INSERT INTO consumer._yoyo_migration VALUES ('a'), ('b')")
    read = "SELECT * FROM consumer._yoyo_record ORDER BY migration_id"
    assert not migration_records.are_complete(bare, {})
    migration_records.begin(bare, {"a": "1", "c": "3"})
    migration_records.begin(bare, {"a": "x", "b": "2", "c": "3"})
    assert bare.execute(read).fetchall() == [("a", "1", None, None), ("b", "2", None, None)]

    migration_records.advance(bare, "c", "3", next_step=2, page="k")
    migration_records.advance(bare, "d", "4", next_step=1)
    migration_records.advance(bare, "d", "x", next_step=0, page="l")
    names = "abcde"
    progress = [migration_records.progress(bare, name) for name in names]
    assert migration_records.are_complete(bare, {"a": "1", "d": "4"})
    assert not migration_records.are_complete(bare, {"a": "1", "e": "5"})
    with pytest.raises(migration_records.MigrationChanged, match="has a, d from another file"):
        migration_records.are_complete(bare, {"d": "x", "a": "2", "b": "2"})
    migration_records.forget(bare, "d")

    assert progress == [(0, None), (0, None), (2, "k"), (0, "l"), (0, None)]
    assert [row[0] for row in bare.execute(read).fetchall()] == ["a", "b", "c"]
    for column in ("migration_id", "content_hash"):
        with pytest.raises(psycopg.errors.NotNullViolation), bare.transaction():
            said(bare, f"UPDATE consumer._yoyo_record SET {column} = NULL")
