"""The steps of an adoption one by one: what each reads, writes, says, and leaves alone."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.errors import ReadOnlySqlTransaction

from consumer.adopt import plan as adopt_plan
from consumer.adopt.compare import IDS_MAX, compare
from consumer.adopt.edits import StoredEdits, edits, store_edits
from consumer.adopt.fill import Page, fill
from consumer.adopt.mapping import USER, USER_KEYS, AdoptedTable, adopt
from consumer.adopt.plan import choose
from consumer.adopt.statement import statement
from consumer.cli.adopt import _execute
from consumer.errors import ConsumerError, WrongRelease
from consumer.postgres.connections import connect, operator_access, worker_access
from tests.support.adopted_columns import ID, column, inspected
from tests.support.application import tables
from tests.support.cli import arrive, call, facts
from tests.support.cli import work as work_now
from tests.support.databases import change, rows, schema_change
from tests.support.factories import user_updated
from tests.support.settings import load

DROP = "DROP SCHEMA IF EXISTS app CASCADE"
SCHEMA = "CREATE SCHEMA app; CREATE TABLE app.users (id uuid PRIMARY KEY, name text, role text, {});"
WORKER, OPERATOR = worker_access("consumer"), operator_access("consumer")
FENCED = (
    "INSERT INTO consumer.fence (migration, oldest_release) VALUES (9999, 9999)",
    "DELETE FROM consumer.fence WHERE migration = 9999",
)
CALL = b"INSERT INTO app.calls (users) SELECT %(user_ids)b::uuid[]"
CALLS = "CREATE SCHEMA app; CREATE TABLE app.calls (n int GENERATED ALWAYS AS IDENTITY, users uuid[]);"
GRANTS = "GRANT USAGE ON SCHEMA app TO consumer_worker; GRANT INSERT ON app.calls TO consumer_worker;"
ALONE = """
    CREATE FUNCTION app.alone() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN IF cardinality(NEW.users) > 1 THEN RAISE EXCEPTION 'together'; END IF; RETURN NEW; END $$;
    CREATE TRIGGER alone BEFORE INSERT ON app.calls FOR EACH ROW EXECUTE FUNCTION app.alone();
"""


@pytest.fixture
def app(emptied: str) -> Iterator[str]:
    with tables(emptied, SCHEMA.format("email text"), DROP):
        yield emptied


def known(url: str, count: int) -> list[UUID]:
    """Let some users be known, and return their ids in order."""
    users = sorted(uuid4() for _ in range(count))
    arrive(url, *(user_updated(user_id, primary_email=None, display_name="Ada") for user_id in users))
    work_now(url)
    return users


async def adopted(url: str) -> list[AdoptedTable]:
    async with await connect(url, OPERATOR) as conn:
        return (await choose(conn, users="app.users", companies=None))[0]


async def test_a_plan_and_a_comparison_write_nothing_whatever_they_run(
    app: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def writing(conn: Any, **_: object) -> None:
        await conn.execute("CREATE TABLE app.written ()")

    [users] = await adopted(app)
    written = [replace(each, value="nextval('app.numbers')::text") for each in users.written]
    monkeypatch.setattr(adopt_plan, "choose", writing)
    change(app, "CREATE SEQUENCE app.numbers")
    # Of rows that are there, the values are asked for.
    change(
        app, "INSERT INTO identity.stack_user_profiles (stack_user_id, has_profile) VALUES (gen_random_uuid(), TRUE)"
    )
    change(
        app,
        "INSERT INTO identity.profiles (user_id, full_name, email, email_verified, role_type, department) "
        "SELECT stack_user_id, 'Ada', 'a@b.c', FALSE, 'member', 'x' FROM identity.stack_user_profiles",
    )

    async with await connect(app, OPERATOR) as conn:
        with pytest.raises(ReadOnlySqlTransaction):
            await adopt_plan.make(conn, "consumer_worker", users=None, companies=None)
        with pytest.raises(ReadOnlySqlTransaction):
            await compare(conn, "consumer_worker", [replace(users, written=written)])


async def test_a_difference_shows_its_first_thousand_ids_and_counts_all(app: str) -> None:
    change(
        app,
        "INSERT INTO identity.stack_user_profiles (stack_user_id, has_profile) "
        f"SELECT gen_random_uuid(), TRUE FROM generate_series(1, {IDS_MAX + 1})",
    )
    change(
        app,
        "INSERT INTO identity.profiles (user_id, full_name, email, email_verified, role_type, department) "
        "SELECT stack_user_id, 'Ada', stack_user_id || '@b.c', FALSE, 'member', 'x' FROM identity.stack_user_profiles",
    )
    users = await adopted(app)

    async with await connect(app, OPERATOR) as conn:
        [missing] = (await compare(conn, "consumer_worker", users)).differences

    assert (missing.table, missing.column, missing.rows, len(missing.ids)) == ("app.users", None, 1001, 1000)
    assert missing.ids == sorted(missing.ids)


async def test_a_login_that_may_read_nothing_is_told_all_tables(app: str) -> None:
    change(
        app, "ALTER TABLE app.users ADD company_id uuid; CREATE TABLE app.companies (id uuid PRIMARY KEY, name text)"
    )
    async with await connect(app, OPERATOR) as conn:
        chosen, _ = await choose(conn, users="app.users", companies="app.companies")
        await conn.execute("SET ROLE consumer_worker")
        with pytest.raises(ConsumerError) as raised:
            await compare(conn, "consumer_worker", chosen)

    tables_named = "Neither the login nor consumer_worker may read app.users, app.companies"
    assert str(raised.value) == f"{tables_named}: run `consumer adopt grant`."


def test_a_table_without_a_column_of_theirs_alone_has_no_edits() -> None:
    users = inspected(ID, column("name"), column("email"))

    assert edits(adopt(users, USER_KEYS, USER)) == ""


async def test_edits_are_stored_only_by_a_release_that_may_work(app: str) -> None:
    text = "SELECT 3 AS edits, 2 AS unknown_users"
    async with await connect(app, OPERATOR) as conn:
        assert await store_edits(conn, "consumer_worker", text) == StoredEdits(3, 2)
        with schema_change(app, *FENCED), pytest.raises(WrongRelease):
            await store_edits(conn, "consumer_worker", text)


async def test_a_refused_edit_is_told_with_its_reason_and_the_statement_to_run(app: str) -> None:
    text = "SELECT count(*) AS edits, 0 AS unknown_users FROM consumer.actions"
    async with await connect(app, OPERATOR) as conn:
        await conn.execute("SET ROLE consumer_worker")
        with pytest.raises(ConsumerError) as denied:
            await store_edits(conn, "consumer_worker", text)
        with pytest.raises(ConsumerError) as foreign:
            await store_edits(conn, "consumer_operator", text)

    end = f"One that may read your table and all of `identity` should run:\n{text}"
    assert str(denied.value) == f"The login may not do it: permission denied for table actions. {end}"
    assert str(foreign.value) == f"The login may not do it. {end}"


async def pages(url: str, after: UUID | None = None, text: bytes = CALL) -> list[Page]:
    async with await connect(url, WORKER) as conn:
        found = fill(conn, WORKER, text) if after is None else fill(conn, WORKER, text, after)
        return [page async for page in found]


def filled(url: str) -> list[list[UUID]]:
    return [row["users"] for row in rows(url, "SELECT users FROM app.calls WHERE users <> '{}' ORDER BY n")]


def known_rows(url: str, count: int) -> list[UUID]:
    # The least id that anybody can have is among them.
    users = [UUID(int=0), UUID(int=1), *sorted(uuid4() for _ in range(count - 2))]
    for n, user_id in enumerate(users):
        values = f"'{user_id}', {'TRUE' if n else 'FALSE'}"
        change(url, f"INSERT INTO identity.stack_user_profiles (stack_user_id, has_profile) VALUES ({values})")
    return users


async def test_pages_go_by_the_ids_of_those_with_a_profile(emptied: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consumer.adopt.fill.PAGE_SIZE", 2)
    anonymous, *users = known_rows(emptied, 6)
    with tables(emptied, CALLS + GRANTS, DROP):
        found = await pages(emptied)
        all_filled = filled(emptied)
        rest = await pages(emptied, users[2])

    assert found == [Page(2, users[1], []), Page(2, users[3], []), Page(1, users[4], [])]
    assert rest == [Page(2, users[4], [])]
    assert all_filled == [users[:2], users[2:4], users[4:]]
    assert anonymous not in {each for page in all_filled for each in page}


async def test_users_that_fail_only_together_are_filled_in_on_smaller_pages(
    emptied: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumer.adopt.fill.PAGE_SIZE", 4)
    _, *users = known_rows(emptied, 4)
    with tables(emptied, CALLS + GRANTS + ALONE, DROP):
        found = await pages(emptied)
        all_filled = filled(emptied)

    assert found == [Page(1, each, []) for each in users]
    assert all_filled == [[each] for each in users]


async def test_rows_are_filled_in_only_by_a_release_that_may_work(emptied: str) -> None:
    known_rows(emptied, 2)
    with tables(emptied, CALLS + GRANTS, DROP), schema_change(emptied, *FENCED), pytest.raises(WrongRelease):
        await pages(emptied)


def test_the_number_of_filled_and_refused_users_is_told(app: str, tmp_path: Path) -> None:
    file = str(tmp_path / "projection.sql")
    users = known(app, 1)
    facts(app, "adopt", "plan", "--table", "app.users", "--write", file)
    granted = call(app, "adopt", "grant", "--table", "app.users")

    one = call(app, "adopt", "fill", CONSUMER_PROJECTION_SQL=file)
    users += known(app, 1)
    two = call(app, "adopt", "fill", CONSUMER_PROJECTION_SQL=file)
    document = facts(app, "adopt", "fill", CONSUMER_PROJECTION_SQL=file)

    assert (one.exit_code, one.stdout) == (0, "1 user processed, 0 refused.\n")
    assert (two.exit_code, two.stdout) == (0, "2 users processed, 0 refused.\n")
    assert document == {"users": 2, "refused": []}
    assert granted.stdout.splitlines()[-1] == (
        "Now set CONSUMER_PROJECTION_SQL for the worker, and run `consumer doctor`."
    )


def test_grant_and_undo_print_what_they_have_run(app: str) -> None:
    plan = facts(app, "adopt", "plan", "--table", "app.users")

    granted = facts(app, "adopt", "grant", "--table", "app.users")
    undone = call(app, "adopt", "undo", "--table", "app.users")

    assert granted == {"executed": plan["grants"]}
    assert undone.stdout.splitlines() == [
        *plan["revokes"],
        "A worker that still has CONSUMER_PROJECTION_SQL fails without the grants: unset it first, and restart the "
        "worker.",
    ]


def test_a_lost_server_is_told_with_the_place_to_go_on_from(
    app: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user_id, started = uuid4(), uuid4()
    begun: list[object] = []

    async def lost(_conn: object, _access: object, text: bytes, after: UUID) -> AsyncIterator[Page]:
        begun.append((text, after))
        if after != user_id:
            yield Page(1, user_id, [])
        raise psycopg.OperationalError("server closed the connection")

    (tmp_path / "projection.sql").write_text("SELECT %(user_ids)b::uuid[]")
    monkeypatch.setattr("consumer.cli.adopt.fill", lost)
    settings = {"CONSUMER_PROJECTION_SQL": str(tmp_path / "projection.sql")}

    results = [call(app, "adopt", "fill", "--after", str(each), **settings) for each in (started, user_id)]

    end = f"The users up to here stay filled in; continue with --after {user_id}."
    said = f"Error: Stopped: server closed the connection. {end}\n"
    assert [(result.exit_code, result.stderr) for result in results] == [(1, said), (1, said)]
    assert begun == [(b"SELECT %(user_ids)b::uuid[]", each) for each in (started, user_id)]


def test_a_percent_sign_of_theirs_is_doubled_and_our_parameter_is_not() -> None:
    users = adopt(inspected(ID, column("email"), column("50%", sql_name='"50%"', is_required=True)), USER_KEYS, USER)

    text = statement(users, None)

    assert '"50%%"' in text
    assert text.count("%(user_ids)b") == text.count("%(") == 1


def test_a_grant_waits_for_a_lock_for_a_second(app: str, capsys: pytest.CaptureFixture[str]) -> None:
    seen = "CREATE TABLE app.seen AS SELECT current_setting('lock_timeout') AS waited"

    _execute(load({"DATABASE_URL": app}), [seen], "Go on.", is_json=False)

    assert rows(app, "SELECT waited FROM app.seen") == [{"waited": "1s"}]
    assert capsys.readouterr().out == f"{seen}\nGo on.\n"
