"""Views and partitions: which relation is adopted."""

from pathlib import Path
from uuid import uuid4

from tests.support.application import tables
from tests.support.cli import arrive, call, facts
from tests.support.databases import rows
from tests.support.factories import user_updated

TABLE = "CREATE SCHEMA app; CREATE TABLE app.{}"
DROP = "DROP SCHEMA IF EXISTS app CASCADE"


def test_a_view_is_not_taken_for_a_table(emptied: str) -> None:
    create = TABLE.format("users (id uuid PRIMARY KEY, email text); CREATE VIEW app.people AS SELECT * FROM app.users")
    with tables(emptied, create, DROP):
        result = call(emptied, "adopt", "plan", "--table", "app.people")
        found = facts(emptied, "adopt", "plan")

    assert (result.exit_code, "a view or a partition is none" in result.stderr) == (1, True)
    assert found["table"] == "app.users"


def test_a_partitioned_table_follows(emptied: str, tmp_path: Path) -> None:
    create = TABLE.format(
        "users (id uuid PRIMARY KEY, email text, role text DEFAULT 'x') PARTITION BY HASH (id);"
        "CREATE TABLE app.users_0 PARTITION OF app.users FOR VALUES WITH (MODULUS 2, REMAINDER 0);"
        "CREATE TABLE app.users_1 PARTITION OF app.users FOR VALUES WITH (MODULUS 2, REMAINDER 1)"
    )
    file, users = tmp_path / "projection.sql", [uuid4() for _ in range(8)]
    with tables(emptied, create, DROP):
        facts(emptied, "adopt", "plan", "--write", str(file))
        facts(emptied, "adopt", "grant")
        arrive(emptied, *(user_updated(user_id) for user_id in users))
        call(emptied, "work", "--drain", CONSUMER_PROJECTION_SQL=str(file))
        written = {row["id"] for row in rows(emptied, "SELECT id FROM app.users")}

    assert written == set(users)
