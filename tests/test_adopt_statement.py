"""The text of the statement: laid out for its owner to read, and locking the rows whose values it keeps."""

from collections.abc import Iterator
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.errors import LockNotAvailable

from consumer.adopt.mapping import COMPANY, COMPANY_KEYS, USER, USER_KEYS, AdoptedTable, adopt
from consumer.adopt.statement import fill_in, lines, statement
from tests.support.adopted_columns import ID, column, inspected, table
from tests.support.application import tables
from tests.support.databases import change

PLAIN, KEPT = column("name"), column("role")
TABLE = "CREATE SCHEMA app; CREATE TABLE app.users (id uuid PRIMARY KEY, name text, role text)"


def users(*columns: object) -> AdoptedTable:
    return adopt(inspected(ID, *columns), USER_KEYS, USER)  # type: ignore[arg-type]  # Columns.


def test_every_value_stands_under_the_place_that_it_fills() -> None:
    companies = inspected(ID, column("name"), column("logo_url"), of=table("app.companies"))
    text = statement(users(PLAIN, KEPT), adopt(companies, COMPANY_KEYS, COMPANY))

    found = text.splitlines()
    at = found.index("    INSERT INTO app.companies AS theirs (id, name, logo_url)")
    assert found[at + 1 : at + 6] == [
        "    SELECT",
        "        p.id,",
        "        p.name,",
        "        p.logo_url",
        "    FROM identity.companies AS p",
    ]
    at = found.index("        SET")
    assert found[at + 1 : at + 3] == ["            name = excluded.name,", "            logo_url = excluded.logo_url"]
    # One empty line parts two of them, and none stands inside one.
    assert text.count("\n\n") == 5
    assert "\n\n\n" not in text
    assert text.endswith(";\n")


def test_a_line_whose_value_is_empty_is_left_out_and_several_lines_keep_its_indent() -> None:
    values = {"assignments": "a = 1,\nb = 2", "theirs": "x", "excluded": "y"}

    assert fill_in("update", values).splitlines() == [
        "DO UPDATE",
        "    SET",
        "        a = 1,",
        "        b = 2",
        "    WHERE",
        "        row(x)",
        "        IS DISTINCT FROM row(y)",
    ]
    assert fill_in("update", values | {"assignments": ""}).splitlines()[1:3] == ["    SET", "    WHERE"]
    assert lines(["a", "b"]) == "a,\nb"


def test_the_owner_is_told_whether_rows_are_locked() -> None:
    assert "-- Your rows as they are now, locked: " in statement(users(KEPT), None)
    assert "-- Your rows as they are now: " in statement(users(PLAIN), None)


@pytest.fixture
def person(emptied: str) -> Iterator[tuple[str, UUID]]:
    """Somebody whose row is there, and the database."""
    user_id = uuid4()
    with tables(emptied, TABLE, "DROP SCHEMA app CASCADE"):
        change(emptied, f"INSERT INTO app.users VALUES ('{user_id}', 'Ada', 'member')")
        change(
            emptied,
            f"INSERT INTO identity.stack_user_profiles (stack_user_id, has_profile) VALUES ('{user_id}', TRUE);"
            "INSERT INTO identity.profiles (user_id, full_name, email, email_verified, role_type, department)"
            f"VALUES ('{user_id}', 'Ada', 'a@b.c', FALSE, 'member', 'x')",
        )
        yield emptied, user_id


def run(url: str, user_id: UUID, text: str) -> None:
    with psycopg.connect(url) as conn:
        conn.execute("SET lock_timeout = '50ms'")
        conn.execute(text.encode(), {"user_ids": [user_id]})


def test_a_row_is_locked_before_its_own_value_is_read(person: tuple[str, UUID]) -> None:
    """Otherwise a value that the application writes meanwhile would be overwritten by the one that was read."""
    url, user_id = person
    with psycopg.connect(url) as theirs:
        theirs.execute("SELECT FROM app.users FOR UPDATE")
        with pytest.raises(LockNotAvailable):
            run(url, user_id, statement(users(KEPT), None))


def test_where_no_value_of_theirs_is_kept_no_row_is_locked_for_reading(person: tuple[str, UUID]) -> None:
    url, user_id = person
    read_only = statement(users(PLAIN), None).partition("-- Users that give")[0] + "SELECT * FROM ours"
    with psycopg.connect(url) as theirs:
        theirs.execute("SELECT FROM app.users FOR UPDATE")
        run(url, user_id, read_only)
