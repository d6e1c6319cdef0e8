"""The plan: which tables are taken, what it says of them, and what it refuses."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from consumer.settings import app_statement
from tests.support.application import tables
from tests.support.cli import arrive, call, facts
from tests.support.databases import rows
from tests.support.factories import membership, team_event, user_updated
from tests.support.names import own

DATA = Path(__file__).parent / "data" / "adopt"
TABLE = "CREATE SCHEMA app; CREATE TABLE app.{}"
# Every object of the catalogue and every row of the queue and the application, each with the transaction that wrote it.
STATE = (
    *(
        f"SELECT xmin::text, oid::text FROM {catalogue} ORDER BY oid"
        for catalogue in ("pg_class", "pg_namespace", "pg_proc", "pg_policy", "pg_trigger", "pg_type", "pg_default_acl")
    ),
    "SELECT xmin::text, attrelid::text, attnum FROM pg_attribute ORDER BY attrelid, attnum",
    "SELECT xmin::text, seq FROM consumer.outbox ORDER BY seq",
    "SELECT xmin::text, id::text FROM shape_a.companies ORDER BY id",
    "SELECT xmin::text, user_id::text FROM shape_a.profiles ORDER BY user_id",
    "SELECT last_value, is_called FROM shape_b.user_number_seq",
)
DROP = "DROP SCHEMA IF EXISTS app, shape_a, shape_b, shape_c CASCADE"


@pytest.fixture
def shapes(emptied: str) -> Iterator[str]:
    create = "".join(file.read_text() for file in sorted(DATA.glob("*.sql")))
    with tables(emptied, create, DROP) as url:
        yield url


def test_the_plan_names_what_a_write_meets(shapes: str) -> None:
    plan = facts(shapes, "adopt", "plan", "--table", "shape_a.profiles")

    assert (plan["key"], plan["companies"]) == ("user_id", "shape_a.companies")
    assert plan["decide"] == [
        "shape_a.profiles has no column for deleted users, such as is_active or deleted_at.",
        "shape_a.profiles.locale: must not be null, and we know nothing of it: ''",
        "shape_a.profiles.updated_at: the statement changes rows and does not set it; unless a trigger does, add it to "
        "the DO UPDATE, and grant UPDATE",
    ]
    assert plan["triggers"] == ["touch calls touch as the worker"]
    assert plan["referrers"] == ["shape_a.orders, FOREIGN KEY (user_id) REFERENCES shape_a.profiles(user_id)"]
    assert any("no_secrets" in check for check in plan["checks"])
    assert {step["column"]: step["when"] for step in plan["steps"] if step["table"] == "shape_a.profiles"} == {
        "company_id": "once Stack or an edit names one",
        "full_name": "always",
        "role_type": "once Stack or an edit names one",
        "department": "once Stack or an edit names one",
        "locale": "new rows",
    }


@pytest.mark.parametrize("output", [(), ("--json",)], ids=["people", "json"])
@pytest.mark.parametrize("table", ["shape_a.profiles", "shape_b.user", "shape_c.User"])
def test_a_plan_changes_neither_the_catalogue_nor_a_row(shapes: str, table: str, output: tuple[str, ...]) -> None:
    before = [rows(shapes, query) for query in STATE]

    result = call(shapes, "adopt", "plan", "--table", table, *output)

    assert result.exit_code == 0, result.output
    assert [rows(shapes, query) for query in STATE] == before


def test_the_columns_that_are_left_alone_are_named(shapes: str) -> None:
    plan = facts(shapes, "adopt", "plan", "--table", "shape_b.user")

    assert plan["left_alone"] == ["shape_b.user.number", "shape_b.user.updated_at", "shape_b.organizations.slug"]


@pytest.mark.parametrize("column", ['"updatedAt" timestamp NOT NULL', "updated_at timestamptz DEFAULT now()"])
def test_a_time_of_change_that_goes_stale_is_to_decide(emptied: str, column: str) -> None:
    with tables(emptied, TABLE.format(f"users (id uuid PRIMARY KEY, email text, {column})"), DROP):
        plan = facts(emptied, "adopt", "plan")

    name = f"app.users.{column.split(maxsplit=1)[0]}".replace('"', "")
    assert any(line.startswith(f"{name}: the statement changes rows and does not set it") for line in plan["decide"])


def test_names_that_must_be_quoted_are(shapes: str) -> None:
    plan = facts(shapes, "adopt", "plan", "--table", "shape_b.user")

    assert plan["table"] == "shape_b.user"
    assert 'INSERT INTO shape_b."user" AS theirs (id, "displayName"' in plan["statement"]
    assert any('ON shape_b."user"' in index and "lower(email)" in index for index in plan["unique_indexes"])
    assert "GRANT USAGE ON SEQUENCE shape_b.user_number_seq TO consumer_worker;" in plan["grants"]
    assert any(grant.startswith("CREATE POLICY") for grant in plan["grants"])


def test_the_table_that_looks_most_like_users_is_found_and_the_companies_by_its_key(shapes: str) -> None:
    plan = facts(shapes, "adopt", "plan")

    assert (plan["table"], plan["companies"]) == ("shape_c.User", "shape_c.Organization")


def test_tables_made_by_prisma_follow(shapes: str, tmp_path: Path) -> None:
    file, team_id, user_id = tmp_path / "projection.sql", uuid4(), uuid4()
    facts(shapes, "adopt", "plan", "--write", str(file))
    facts(shapes, "adopt", "grant")
    arrive(
        shapes,
        team_event("created", team_id, display_name="Crew"),
        user_updated(user_id, display_name="Ada", server_metadata={"role": "admin"}),
        membership("created", team_id, user_id),
    )

    call(shapes, "work", "--drain", CONSUMER_PROJECTION_SQL=str(file))

    [user] = rows(
        shapes, 'SELECT id, name, "emailVerified", role::text, "organizationId", "deletedAt" FROM shape_c."User"'
    )
    assert list(user.values()) == [str(user_id), "Ada", True, "ADMIN", str(team_id), None]
    assert rows(shapes, 'SELECT id, name FROM shape_c."Organization"') == [{"id": str(team_id), "name": "Crew"}]


def test_the_plan_for_people_says_the_same(shapes: str) -> None:
    said = call(shapes, "adopt", "plan", "--table", "shape_a.profiles").stdout

    assert "shape_a.profiles is kept in step by user_id" in said
    assert "To decide" in said
    assert "INSERT INTO shape_a.profiles AS theirs" in said


def test_a_written_statement_is_one_that_the_worker_takes_and_is_never_overwritten(shapes: str, tmp_path: Path) -> None:
    file = tmp_path / "projection.sql"
    command = ("adopt", "plan", "--table", "shape_a.profiles", "--write", str(file))

    first, text = call(shapes, *command), file.read_text()
    second = call(shapes, *command)

    assert (first.exit_code, f"The statement is in {file}" in first.stdout) == (0, True)
    assert app_statement.read(str(file)) == text.encode()
    assert (second.exit_code, "File exists" in second.stderr) == (1, True)
    assert file.read_text() == text


@pytest.mark.parametrize(
    ("create", "reason"),
    [
        ("users (name text)", "No table looks like a table of users"),
        ("users (id bigint PRIMARY KEY, email text)", "app.users has no column of type uuid or text for Stack's id"),
        ("users (id uuid, email text)", "CREATE UNIQUE INDEX CONCURRENTLY ON app.users (id);"),
        (
            "users (id uuid PRIMARY KEY, email text); CREATE TABLE app.profiles (id uuid PRIMARY KEY, email text)",
            "app.profiles, app.users look alike: name one with --table.",
        ),
    ],
    ids=["none", "no key", "no index", "two"],
)
def test_what_cannot_be_adopted_is_said(emptied: str, create: str, reason: str) -> None:
    with tables(emptied, TABLE.format(create), DROP):
        result = call(emptied, "adopt", "plan")

    assert (result.exit_code, reason in result.stderr) == (1, True), result.output


def test_a_table_that_is_not_there_is_said(emptied: str) -> None:
    result = call(emptied, "adopt", "plan", "--table", "missing")

    reason = "There is no table public.missing; a view or a partition is none: name the table behind it."
    assert (result.exit_code, result.stderr) == (1, f"Error: {reason}\n")


@pytest.mark.parametrize("table", ["identity.profiles", "consumer.outbox"])
@pytest.mark.parametrize("option", ["--table", "--companies"])
def test_a_table_of_ours_is_not_adopted(emptied: str, option: str, table: str) -> None:
    with tables(emptied, TABLE.format("users (id uuid PRIMARY KEY, email text)"), DROP):
        result = call(emptied, "adopt", "plan", option, table)

    reason = f"{table} belongs to this service and can't be adopted: name a table of your application."
    assert (result.exit_code, result.stderr) == (1, f"Error: {reason}\n")


def test_companies_that_go_by_another_id_are_left_out_with_the_column(emptied: str) -> None:
    create = TABLE.format(
        "companies (id bigint PRIMARY KEY); CREATE TABLE app.users "
        "(id uuid PRIMARY KEY, email text, company_id bigint REFERENCES app.companies)"
    )
    with tables(emptied, create, DROP):
        plan = facts(emptied, "adopt", "plan")

    assert plan["companies"] is None
    assert [step["column"] for step in plan["steps"]] == ["email"]
    assert "Until then no user's company is written." in plan["decide"][0]


def test_a_company_that_must_not_be_null_keeps_those_without_one_out(emptied: str, tmp_path: Path) -> None:
    create = TABLE.format("users (id uuid PRIMARY KEY, email text, company_id uuid NOT NULL)")
    file = tmp_path / "projection.sql"
    with tables(emptied, create, DROP):
        plan = facts(emptied, "adopt", "plan", "--write", str(file))
        call(emptied, "adopt", "grant")
        arrive(emptied, user_updated())
        call(emptied, "work", "--drain", CONSUMER_PROJECTION_SQL=str(file))
        written = rows(emptied, "SELECT id FROM app.users")

    assert "app.users.company_id: a user without one gets no row" in plan["decide"]
    assert written == []
    assert len(rows(emptied, "SELECT user_id FROM identity.profiles")) == 1


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("is_active boolean NOT NULL", True),
        ("is_odd boolean NOT NULL", False),
        ("last_sign_in_at timestamptz NOT NULL", None),
        ("avatar_url varchar(5) NOT NULL", ""),
        ("flags jsonb NOT NULL", {}),
        ("score int NOT NULL", 0),
        ("tags text[] NOT NULL", []),
        ("token uuid NOT NULL", None),
        ("born date NOT NULL", None),
        ("made_at timestamptz NOT NULL", None),
        ("mood app.mood NOT NULL", "calm"),
        ("role app.mood NOT NULL DEFAULT '100%'", "100%"),
    ],
    ids=lambda part: str(part).partition(" ")[0],
)
def test_a_column_that_must_not_be_null_gets_a_value_of_its_type(
    emptied: str, tmp_path: Path, column: str, value: object
) -> None:
    name, file, user_id = column.partition(" ")[0], tmp_path / "projection.sql", uuid4()
    create = (
        "CREATE SCHEMA app; CREATE TYPE app.mood AS ENUM ('wild', '100%', 'calm'); "
        f"CREATE TABLE app.users (id uuid PRIMARY KEY, {column})"
    )
    with tables(emptied, create, DROP):
        call(emptied, "adopt", "plan", "--write", str(file))
        call(emptied, "adopt", "grant")
        arrive(emptied, user_updated(user_id))
        call(emptied, "work", "--drain", CONSUMER_PROJECTION_SQL=str(file))
        [row] = rows(emptied, "SELECT * FROM app.users")

    assert row["id"] == user_id
    assert row[name] == value if value is not None else row[name] is not None


@pytest.mark.parametrize("kind", ["text", "varchar(12)"])
def test_text_that_must_be_unique_differs_in_each_new_row_and_stays(emptied: str, tmp_path: Path, kind: str) -> None:
    create = TABLE.format(f"users (id uuid PRIMARY KEY, name text, handle {kind} NOT NULL UNIQUE)")
    file, first, second = tmp_path / "projection.sql", uuid4(), uuid4()
    with tables(emptied, create, DROP):
        plan = facts(emptied, "adopt", "plan", "--write", str(file))
        call(emptied, "adopt", "grant")
        arrive(emptied, user_updated(first), user_updated(second))
        call(emptied, "work", "--drain", CONSUMER_PROJECTION_SQL=str(file))
        before = rows(emptied, "SELECT handle FROM app.users ORDER BY id")
        arrive(emptied, user_updated(first, display_name="Renamed"))
        call(emptied, "work", "--drain", CONSUMER_PROJECTION_SQL=str(file))
        renamed = rows(emptied, "SELECT id FROM app.users WHERE name = 'Renamed'")
        after = rows(emptied, "SELECT handle FROM app.users ORDER BY id")

    assert any("handle: must not be null and must be unique, and we know nothing of" in line for line in plan["decide"])
    assert len({row["handle"] for row in before}) == 2
    assert (renamed, after) == ([{"id": first}], before)


def test_a_login_that_does_not_own_the_tables_is_told_what_their_owner_should_run(emptied: str) -> None:
    create = TABLE.format("users (id uuid PRIMARY KEY, email text)")
    with tables(emptied, create, DROP):
        plain = make_conninfo(emptied, user=own("owner"), password="x")
        result = call(emptied, "adopt", "grant", MIGRATE_DATABASE_URL=plain)

    assert result.exit_code == 1
    assert "Their owner should run:\nGRANT USAGE ON SCHEMA app TO consumer_worker;" in result.stderr


def test_a_policy_waits_a_second_at_most_for_its_table(shapes: str) -> None:
    with psycopg.connect(shapes) as conn:
        conn.execute('SELECT FROM shape_b."user"')
        result = call(shapes, "adopt", "grant", "--table", "shape_b.user")

    assert result.exit_code == 1
    assert rows(shapes, "SELECT policyname FROM pg_policies WHERE schemaname = 'shape_b'") == []


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--plan",), "No such option"),
        (("fill",), "CONSUMER_PROJECTION_SQL is not set"),
        (("grant", "--write", "x.sql"), "No such option"),
        (("plan", "--after", "7c5c8a45-4c3f-4a3a-9f6e-0f3f4b5d9a11"), "No such option"),
    ],
    ids=["an option", "no statement", "write", "after"],
)
def test_a_call_that_makes_no_sense_is_refused(emptied: str, arguments: tuple[str, ...], reason: str) -> None:
    result = call(emptied, "adopt", *arguments)

    assert (result.exit_code, reason in result.stderr) == (2, True)
