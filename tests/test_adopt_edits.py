"""The roles, departments and companies that only the application's rows hold become edits."""

from collections.abc import Iterator
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.support.application import tables
from tests.support.cli import arrive, call, facts, work
from tests.support.databases import change, rows
from tests.support.factories import membership, team_event, user_deleted, user_updated
from tests.support.names import own

DROP = "DROP SCHEMA IF EXISTS app CASCADE"
SCHEMA = """
    CREATE SCHEMA app;
    CREATE TYPE app.kind AS ENUM ('MEMBER', 'OWNER');
    CREATE TABLE app.users (
        id {key} PRIMARY KEY, email text, role {role}, department text, "companyId" {key}
    );
"""


@pytest.fixture(params=[("uuid", "app.kind"), ("text", "text")], ids=["uuid", "text"])
def app(request: pytest.FixtureRequest, emptied: str) -> Iterator[str]:
    key, role = request.param
    with tables(emptied, SCHEMA.format(key=key, role=role), DROP) as url:
        yield url


def put(url: str, user_id: object, role: str | None, department: str | None, company_id: UUID | None) -> None:
    with psycopg.connect(url) as conn:
        conn.execute(
            'INSERT INTO app.users (id, role, department, "companyId") VALUES (%s, %s, %s, %s)',
            [str(user_id), role, department, company_id and str(company_id)],
        )


def profile(url: str, user_id: UUID) -> tuple[object, ...]:
    query = f"SELECT role_type, department, company_id FROM identity.profiles WHERE user_id = '{user_id}'"
    [row] = rows(url, query)
    return tuple(row.values())


def stored_role(url: str) -> str:
    """Return the role of the label OWNER: the statement of an enum looks a role up in lower case."""
    [column] = rows(
        url, "SELECT data_type FROM information_schema.columns WHERE table_schema = 'app' AND column_name = 'role'"
    )
    return "OWNER" if column["data_type"] == "text" else "owner"


def kept(url: str) -> int:
    stored: int = facts(url, "adopt", "fill", "--edits", "--table", "app.users")["edits"]
    work(url)
    return stored


def test_the_boss_keeps_role_and_company_and_is_seen_in_it(app: str) -> None:
    team_id, boss = uuid4(), uuid4()
    arrive(app, team_event("created", team_id), user_updated(boss, primary_email=None))
    work(app)
    put(app, boss, "OWNER", "Sales", team_id)

    stored = kept(app)

    assert (stored, profile(app, boss)) == (1, (stored_role(app), "Sales", team_id))
    with psycopg.connect(app) as conn:
        conn.execute("SET LOCAL ROLE consumer_tenant")
        conn.execute("SELECT set_config('app.company_id', %s, TRUE)", [str(team_id)])
        assert conn.execute("SELECT user_id FROM identity.profiles").fetchall() == [(boss,)]


def test_who_is_not_known_yet_has_the_role_from_the_first_event_on(app: str) -> None:
    user_id = uuid4()
    put(app, user_id, "OWNER", None, None)

    kept(app)
    arrive(app, user_updated(user_id))
    work(app)

    assert profile(app, user_id) == (stored_role(app), "General", None)


def test_edits_of_users_that_no_event_has_named_are_counted_apart_and_can_be_withdrawn(app: str) -> None:
    known, unknown = uuid4(), uuid4()
    arrive(app, user_updated(known))
    work(app)
    for user_id in (known, unknown):
        put(app, user_id, "OWNER", None, None)

    stored = facts(app, "adopt", "fill", "--edits", "--table", "app.users")
    again = call(app, "adopt", "fill", "--edits", "--table", "app.users").stdout
    work(app)
    arrive(app, user_updated(unknown, server_metadata={"role": "admin"}))
    work(app)
    overridden = profile(app, unknown)
    change(app, f"SELECT identity.edit_profile('{unknown}', '{{\"role_type\": null}}')")
    work(app)

    assert stored == {"edits": 2, "unknown_users": 1}
    assert again == "2 edits stored, 1 of them for users that no event has named yet.\n"
    assert (overridden[0], profile(app, unknown)[0]) == (stored_role(app), "admin")


def test_what_stack_names_stays(app: str) -> None:
    team_id, theirs, user_id = uuid4(), uuid4(), uuid4()
    arrive(
        app,
        team_event("created", team_id),
        team_event("created", theirs),
        user_updated(user_id, server_metadata={"role": "admin", "department": "Lab"}),
        membership("created", team_id, user_id),
    )
    work(app)
    put(app, user_id, "OWNER", "Sales", theirs)

    assert kept(app) == 0
    assert profile(app, user_id) == ("admin", "Lab", team_id)


def test_what_says_nothing_becomes_no_edit(app: str) -> None:
    """The default, a blank, a company that does not exist, a deleted user, and an id that is none of Stack's."""
    user_id, gone, closed = uuid4(), uuid4(), uuid4()
    arrive(app, user_updated(user_id), user_updated(gone), user_deleted(gone))
    arrive(app, team_event("created", closed), team_event("deleted", closed))
    work(app)
    kinds = rows(app, "SELECT data_type FROM information_schema.columns WHERE table_schema = 'app' ORDER BY 1")
    put(app, user_id, "member" if kinds[0]["data_type"] == "text" else "MEMBER", " \t", closed)
    put(app, gone, "OWNER", "Sales", None)
    if kinds[0]["data_type"] == "text":
        put(app, "usr_1", "OWNER", "Sales", None)

    assert kept(app) == 0


def test_an_edit_that_was_made_since_is_not_overwritten(app: str) -> None:
    user_id = uuid4()
    arrive(app, user_updated(user_id))
    work(app)
    put(app, user_id, "OWNER", None, None)
    change(app, f"SELECT identity.edit_profile('{user_id}', '{{\"role_type\": \"MEMBER\"}}')")
    work(app)

    assert kept(app) == 0
    assert profile(app, user_id)[0] == "MEMBER"


def test_the_plan_offers_the_edits_and_stores_none(app: str) -> None:
    put(app, uuid4(), "OWNER", None, None)

    plan = facts(app, "adopt", "plan", "--table", "app.users")
    said = call(app, "adopt", "plan", "--table", "app.users").stdout

    assert "identity.edit_profile" in plan["edits"]
    assert "consumer adopt fill --edits" in said
    assert rows(app, "SELECT seq FROM consumer.outbox") == []


def test_a_login_that_sees_no_profile_stores_no_edit(app: str) -> None:
    put(app, uuid4(), "OWNER", None, None)
    login = own("stranger")
    change(app, f"CREATE ROLE {login} LOGIN")
    try:
        url = psycopg.conninfo.make_conninfo(app, user=login)
        result = call(app, "adopt", "fill", "--edits", "--table", "app.users", MIGRATE_DATABASE_URL=url)
    finally:
        change(app, f"DROP ROLE {login}")

    assert (result.exit_code, "One that may read your table and all of `identity` should run:" in result.stderr) == (
        1,
        True,
    )
    assert rows(app, "SELECT seq FROM consumer.outbox") == []
