"""A unique column of the application: a deleted user gives the value up, and two living users with one are named."""

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from tests.support.application import failures, make_due, tables
from tests.support.cli import arrive, call, facts
from tests.support.databases import change, rows
from tests.support.factories import membership, team_event, user_deleted, user_updated

ADDRESS = "back@example.com"
HOUR_SECONDS = 3600.0
# Each refuses a second row with one address.
TABLES = {
    "not null": "id uuid PRIMARY KEY, email text NOT NULL UNIQUE, name text",
    "nullable": "id uuid PRIMARY KEY, email text UNIQUE, name text",
    "equal nulls": "id uuid PRIMARY KEY, email text UNIQUE NULLS NOT DISTINCT, name text",
    "with another column": "id uuid PRIMARY KEY, kind int DEFAULT 0, email text NOT NULL, UNIQUE (kind, email)",
    "short": "id uuid PRIMARY KEY, email varchar(20) NOT NULL UNIQUE, name varchar(10)",
    "generated": (
        "id uuid PRIMARY KEY, email text NOT NULL,"
        " key text GENERATED ALWAYS AS (lower(email)) STORED UNIQUE, number int GENERATED ALWAYS AS IDENTITY"
    ),
    "own id": "id bigserial PRIMARY KEY, stack_user_id uuid NOT NULL UNIQUE, email text NOT NULL UNIQUE",
    "excluded": "id text PRIMARY KEY, email text NOT NULL, EXCLUDE USING btree (email WITH =)",
    "deferred": "id uuid PRIMARY KEY, email text NOT NULL UNIQUE DEFERRABLE INITIALLY DEFERRED",
    "domain": "id uuid PRIMARY KEY, email app.address UNIQUE",
}
INDEXES = {
    "lower": "CREATE UNIQUE INDEX ON app.users (lower(email))",
    "partial": "CREATE UNIQUE INDEX ON app.users (email) WHERE email <> ''",
}
DOMAIN = "CREATE SCHEMA app; CREATE DOMAIN app.address AS varchar(40) NOT NULL CHECK (VALUE LIKE '%@%');"
DROP = "DROP SCHEMA IF EXISTS app CASCADE"
PEOPLE = {name: f"CREATE TABLE app.users ({columns})" for name, columns in TABLES.items()} | {
    name: f"CREATE TABLE app.users (id uuid PRIMARY KEY, email text NOT NULL); {index}"
    for name, index in INDEXES.items()
}


@pytest.fixture
def adopt(emptied: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """Make tables, plan and grant, record the policy; return what starts a worker with the statement."""
    # No retry is due before `make_due`: drawn near 0 s, its delay would be over at the next start of the worker.
    monkeypatch.setattr("consumer.worker.batch.random.uniform", lambda low, high: high + HOUR_SECONDS)
    file = tmp_path / "projection.sql"
    made: list[None] = []

    def work(create: str = "", policy: str = "soft") -> str:
        environment = {"CONSUMER_PROJECTION_SQL": str(file), "DELETE_POLICY": policy}
        if create:
            change(emptied, f"{DROP}; {DOMAIN} {create}")
            made.append(None)
            call(emptied, "migrate", "--settings", DELETE_POLICY=policy)
            facts(emptied, "adopt", "plan", "--table", "app.users", "--write", str(file), DELETE_POLICY=policy)
            facts(emptied, "adopt", "grant", "--table", "app.users", DELETE_POLICY=policy)
        result = call(emptied, "work", "--drain", **environment)
        assert result.exit_code == 0, result.output
        return emptied

    yield work
    change(emptied, DROP)


def addresses(url: str) -> dict[UUID, str | None]:
    key = "stack_user_id" if "stack_user_id" in rows(url, "SELECT * FROM app.users")[0] else "id"
    return {UUID(str(row[key])): row["email"] for row in rows(url, f"SELECT {key}, email FROM app.users")}


@pytest.mark.parametrize("policy", ["soft", "anonymise", "hard"])
@pytest.mark.parametrize("kind", PEOPLE)
def test_who_signs_up_again_with_the_address_of_a_deleted_user_gets_a_row(
    adopt: Callable[..., str], kind: str, policy: str
) -> None:
    url = adopt(PEOPLE[kind], policy)
    gone, back = uuid4(), uuid4()
    for event in (
        user_updated(gone, primary_email=ADDRESS),
        user_deleted(gone),
        user_updated(back, primary_email=ADDRESS),
    ):
        arrive(url, event)
        adopt(policy=policy)

    assert failures(url) == []
    assert addresses(url)[back] == ADDRESS
    assert addresses(url)[gone] != ADDRESS


@pytest.mark.parametrize("policy", ["soft", "anonymise", "hard"])
def test_a_deletion_and_a_new_sign_up_in_one_batch_need_no_second_attempt(
    adopt: Callable[..., str], policy: str
) -> None:
    url = adopt(PEOPLE["not null"], policy)
    back, gone = sorted(uuid4() for _ in range(2))
    arrive(url, user_updated(gone, primary_email=ADDRESS))
    adopt(policy=policy)

    arrive(url, user_deleted(gone), user_updated(back, primary_email=ADDRESS))
    adopt(policy=policy)

    assert failures(url) == []
    assert addresses(url)[back] == ADDRESS


def test_an_address_that_its_user_has_left_goes_to_a_new_user_of_the_same_batch(adopt: Callable[..., str]) -> None:
    url = adopt(PEOPLE["not null"])
    new, old = sorted(uuid4() for _ in range(2))
    arrive(url, user_updated(old, primary_email=ADDRESS))
    adopt()

    arrive(url, user_updated(old, primary_email="else@example.com"), user_updated(new, primary_email=ADDRESS))
    adopt()

    assert failures(url) == []
    assert addresses(url) == {old: "else@example.com", new: ADDRESS}


@pytest.mark.parametrize("policy", ["soft", "anonymise", "hard"])
def test_any_number_of_deleted_users_fit_where_names_are_unique(adopt: Callable[..., str], policy: str) -> None:
    url = adopt("CREATE TABLE app.users (id uuid PRIMARY KEY, name text NOT NULL UNIQUE)", policy)
    users = [uuid4() for _ in range(3)]
    for user_id in users:
        arrive(url, user_updated(user_id, display_name="Ada"))
        adopt(policy=policy)
        arrive(url, user_deleted(user_id))
        adopt(policy=policy)

    assert failures(url) == []
    assert len(rows(url, "SELECT name FROM app.users WHERE name <> 'Ada'")) == 3


def test_the_second_of_two_living_users_with_one_address_waits_until_the_first_leaves_it(
    adopt: Callable[..., str],
) -> None:
    url = adopt(PEOPLE["not null"])
    first, second = uuid4(), uuid4()
    for user_id in (first, second):
        arrive(url, user_updated(user_id, primary_email=ADDRESS))
        adopt()
    waiting = failures(url)

    arrive(url, user_updated(first, primary_email="else@example.com"))
    adopt()
    make_due(url)
    adopt()

    assert [row[:3] for row in waiting] == [("retrying", 1, "23505")]
    assert addresses(url) == {first: "else@example.com", second: ADDRESS}


def test_the_plan_says_what_two_living_users_with_one_address_mean(emptied: str) -> None:
    with tables(emptied, f"{DOMAIN} {PEOPLE['lower']}", DROP):
        plan = facts(emptied, "adopt", "plan", "--table", "app.users")

    [decision] = [line for line in plan["decide"] if line.startswith("app.users.email: ")]
    assert "23505" in decision
    assert "`consumer dead list`" in decision


def test_a_team_made_again_under_the_name_of_a_deleted_one_gets_a_row(adopt: Callable[..., str]) -> None:
    url = adopt(
        "CREATE TABLE app.companies (id uuid PRIMARY KEY, name text NOT NULL UNIQUE, deleted_at timestamp(3));"
        "CREATE TABLE app.users (id uuid PRIMARY KEY, name text, company_id uuid REFERENCES app.companies)"
    )
    user_id, closed, made = uuid4(), uuid4(), uuid4()
    arrive(url, user_updated(user_id), team_event("created", closed, display_name="Crew"))
    arrive(url, membership("created", closed, user_id))
    adopt()
    arrive(url, team_event("deleted", closed))
    adopt()

    arrive(url, team_event("created", made, display_name="Crew"), membership("created", made, user_id))
    adopt()

    found = {row["id"]: row for row in rows(url, "SELECT * FROM app.companies")}
    assert failures(url) == []
    assert (found[made]["name"], found[made]["deleted_at"]) == ("Crew", None)
    assert found[closed]["deleted_at"] is not None
    assert rows(url, "SELECT company_id FROM app.users") == [{"company_id": made}]


@pytest.mark.parametrize("kind", ["not null", "nullable", "deferred"])
def test_two_users_that_swap_their_addresses_wait_until_one_is_cleared_or_the_check_comes_last(
    adopt: Callable[..., str], kind: str
) -> None:
    url = adopt(PEOPLE[kind])
    one, two = uuid4(), uuid4()
    arrive(url, user_updated(one, primary_email="one@example.com"), user_updated(two, primary_email="two@example.com"))
    adopt()
    for user_id, address in ((one, "two@example.com"), (two, "one@example.com")):
        arrive(url, user_updated(user_id, primary_email=address))
        adopt()
    assert len(failures(url)) == 2

    if kind != "deferred":
        change(url, f"UPDATE app.users SET email = 'cleared' WHERE id = '{one}'")
    facts(url, "replay", "--state", "retrying")
    adopt()
    make_due(url)
    adopt()

    assert failures(url) == []
    assert addresses(url) == {one: "two@example.com", two: "one@example.com"}
