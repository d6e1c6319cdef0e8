"""`adopt compare` tells what would differ before anything is switched on, and changes nothing."""

from collections.abc import Iterator
from uuid import uuid4

import orjson
import psycopg
import pytest

from tests.support.adopt import Shape, put
from tests.support.application import tables
from tests.support.cli import arrive, call, facts, work
from tests.support.databases import change, rows
from tests.support.factories import membership, team_event, user_deleted, user_updated
from tests.support.names import own

DROP = "DROP SCHEMA IF EXISTS app CASCADE"
SCHEMA = """
    CREATE SCHEMA app;
    CREATE TYPE app.kind AS ENUM ('MEMBER', 'OWNER');
    CREATE TABLE app.companies (id uuid PRIMARY KEY, name text NOT NULL, deleted_at timestamptz);
    CREATE TABLE app.users (
        id uuid PRIMARY KEY,
        number serial,
        name varchar(5),
        "eMail" text UNIQUE,
        email text NOT NULL UNIQUE,
        role app.kind NOT NULL DEFAULT 'MEMBER',
        company_id uuid REFERENCES app.companies
    );
    CREATE FUNCTION app.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'written'; END $$;
"""


@pytest.fixture
def app(emptied: str) -> Iterator[str]:
    with tables(emptied, SCHEMA, DROP) as url:
        yield url


def differences(url: str, *arguments: str) -> tuple[int, dict[tuple[str, str | None], tuple[int, list[str]]]]:
    result = call(url, "adopt", "compare", "--table", "app.users", "--json", *arguments)
    found = orjson.loads(result.stdout)["differences"]
    return result.exit_code, {(each["table"], each["column"]): (each["rows"], each["ids"]) for each in found}


def test_each_column_that_differs_has_its_count_and_its_ids(app: str) -> None:
    team_id, same, other, missing = uuid4(), uuid4(), uuid4(), uuid4()
    change(app, f"INSERT INTO app.users (id, name, email) VALUES ('{same}', 'Ada L', 'ada@example.com')")
    change(app, f"INSERT INTO app.users (id, name, email) VALUES ('{other}', 'Old', 'old@example.com')")
    arrive(
        app,
        team_event("created", team_id, display_name="Crew"),
        user_updated(same, display_name="Ada Lovelace", primary_email="ada@example.com"),
        user_updated(other, display_name="New", primary_email="new@example.com", server_metadata={"role": "owner"}),
        user_updated(missing),
        membership("created", team_id, other),
    )
    work(app)

    exit_code, found = differences(app)

    assert exit_code == 1
    assert found == {
        ("app.users", None): (1, [str(missing)]),
        ("app.users", "name"): (1, [str(other)]),
        ("app.users", "email"): (1, [str(other)]),
        ("app.users", "role"): (1, [str(other)]),
        ("app.users", "company_id"): (1, [str(other)]),
        ("app.companies", None): (1, [str(team_id)]),
    }


def test_what_it_tells_is_what_the_statement_then_changes(shape: Shape) -> None:
    team_id, owner, gone, late = uuid4(), uuid4(), uuid4(), uuid4()
    for user_id in (owner, gone):
        put(shape, user_id)
    arrive(
        shape.url,
        team_event("created", team_id),
        user_updated(owner, display_name="Grace", server_metadata={"role": "admin"}),
        membership("created", team_id, owner),
        user_updated(gone, primary_email="gone@example.com"),
        user_deleted(gone),
        user_updated(late, primary_email=None),
    )
    work(shape.url)
    before = shape.people()
    told = call(shape.url, "adopt", "compare", "--table", shape.table, "--json")

    shape.adopted()
    shape.fill()

    after = shape.people()
    changed = {
        (name, str(user_id))
        for user_id in before
        for name in after[user_id]
        if after[user_id][name] != before[user_id][name] and name != "updated_at"
    }
    users = [each for each in orjson.loads(told.stdout)["differences"] if each["table"] == shape.table.replace('"', "")]
    assert told.exit_code == 1
    assert {(each["column"], user_id) for each in users for user_id in each["ids"] if each["column"]} == changed
    assert [each["ids"] for each in users if each["column"] is None] == [[str(late)]]
    assert facts(shape.url, "adopt", "compare", "--table", shape.table) == {"differences": [], "unknown_users": 0}


def test_a_user_whose_profile_was_removed_differs_until_the_row_has_lost_the_person(app: str) -> None:
    user_id = uuid4()
    call(app, "migrate", "--settings", DELETE_POLICY="hard")
    change(app, f"INSERT INTO app.users (id, name, email) VALUES ('{user_id}', 'Ada', 'ada@example.com')")
    arrive(app, user_updated(user_id), user_deleted(user_id))
    work(app)

    result = call(app, "adopt", "compare", "--table", "app.users", "--json", DELETE_POLICY="hard")

    found = {each["column"]: each["ids"] for each in orjson.loads(result.stdout)["differences"]}
    assert found == {"name": [str(user_id)], "email": [str(user_id)]}


def test_it_writes_locks_and_fires_nothing(app: str) -> None:
    """The old handler has its row locked, a trigger refuses each write, and no sequence moves."""
    user_id = uuid4()
    change(app, f"INSERT INTO app.users (id, name, email) VALUES ('{user_id}', 'Old', 'old@example.com')")
    change(app, "CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON app.users FOR EACH ROW EXECUTE FUNCTION app.refuse()")
    arrive(app, user_updated(user_id), user_updated(primary_email=None))
    work(app)
    state = "SELECT u.xmin, u.ctid, u.*, s.last_value FROM app.users AS u, app.users_number_seq AS s"
    before = rows(app, state)

    with psycopg.connect(app) as old_handler:
        old_handler.execute("SELECT FROM app.users FOR UPDATE")
        exit_code, found = differences(app)
        old_handler.execute("LOCK TABLE app.companies IN SHARE MODE NOWAIT")

    assert (exit_code, found["app.users", "name"]) == (1, (1, [str(user_id)]))
    assert rows(app, state) == before


def test_rows_that_are_alike_are_told_and_exit_with_zero(app: str) -> None:
    result = call(app, "adopt", "compare", "--table", "app.users")

    assert (result.exit_code, result.stdout) == (0, "Your rows are what the statement would write.\n")


@pytest.mark.parametrize("key", ["uuid", "text"])
def test_rows_of_users_that_no_event_has_named_are_counted_and_are_no_difference(emptied: str, key: str) -> None:
    known = uuid4()
    with tables(emptied, f"CREATE SCHEMA app; CREATE TABLE app.users (id {key} PRIMARY KEY, email text)", DROP):
        change(emptied, f"INSERT INTO app.users VALUES ('{known}'), ('{uuid4()}'), ('{uuid4()}')")
        arrive(emptied, user_updated(known, primary_email=None))
        work(emptied)

        document = facts(emptied, "adopt", "compare", "--table", "app.users")
        said = call(emptied, "adopt", "compare", "--table", "app.users").stdout

    assert document == {"differences": [], "unknown_users": 2}
    assert said.splitlines()[1] == "2 of your rows belong to users that no event has named."


def test_people_see_the_column_the_count_and_the_first_ids(app: str) -> None:
    users = sorted(uuid4() for _ in range(7))
    arrive(app, *(user_updated(user_id, primary_email=None) for user_id in users))
    work(app)

    result = call(app, "adopt", "compare", "--table", "app.users")

    [line] = [line for line in result.stdout.splitlines() if "(no row yet)" in line]
    assert result.exit_code == 1
    assert line.split()[-7:] == ["7", *(f"{user_id}," for user_id in users[:5]), "…"]


def test_a_login_that_sees_neither_says_which_step_helps(app: str) -> None:
    login = own("stranger")
    change(app, f"CREATE ROLE {login} LOGIN; GRANT consumer_worker TO {login}")
    arrive(app, user_updated())
    work(app)
    url = psycopg.conninfo.make_conninfo(app, user=login)
    try:
        refused = call(app, "adopt", "compare", "--table", "app.users", MIGRATE_DATABASE_URL=url)
        facts(app, "adopt", "grant", "--table", "app.users")
        granted = call(app, "adopt", "compare", "--table", "app.users", "--json", MIGRATE_DATABASE_URL=url)
    finally:
        change(app, f"DROP ROLE {login}")

    assert (refused.exit_code, "run `consumer adopt grant`" in refused.stderr) == (1, True)
    assert orjson.loads(granted.stdout)["differences"][0]["rows"] == 1
