"""A company's name and end arrive in the application's table of companies."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.support.application import failures, tables
from tests.support.cli import arrive, call, facts
from tests.support.databases import change, rows
from tests.support.factories import delivery, membership, team_event, user_updated

DROP = "DROP SCHEMA IF EXISTS app CASCADE"
SCHEMA = """
    CREATE SCHEMA app;
    CREATE TABLE app.companies (
        id {key} PRIMARY KEY, name text NOT NULL, "deletedAt" timestamp(3), is_active boolean NOT NULL DEFAULT TRUE
    );
    CREATE TABLE app.users (id uuid PRIMARY KEY, name text, company_id {key} REFERENCES app.companies);
"""


@pytest.fixture(params=["uuid", "text"])
def work(request: pytest.FixtureRequest, emptied: str, tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Store deliveries and apply them with the statement of the plan; return the database's URL."""
    file = tmp_path / "projection.sql"

    def arrived(*deliveries: Any) -> str:
        arrive(emptied, *deliveries)
        result = call(emptied, "work", "--drain", CONSUMER_PROJECTION_SQL=str(file))
        assert result.exit_code == 0, result.output
        assert failures(emptied) == []
        return emptied

    with tables(emptied, SCHEMA.format(key=request.param), DROP):
        facts(emptied, "adopt", "plan", "--table", "app.users", "--write", str(file))
        facts(emptied, "adopt", "grant", "--table", "app.users")
        yield arrived


def companies(url: str) -> dict[UUID, tuple[str, bool, bool]]:
    """Return the name of each company, whether it is marked as deleted, and whether it is active."""
    found = rows(url, 'SELECT id, name, "deletedAt" IS NOT NULL AS gone, is_active FROM app.companies')
    return {UUID(str(row["id"])): (row["name"], row["gone"], row["is_active"]) for row in found}


def named_by_membership(team_id: UUID, user_id: UUID) -> list[Any]:
    return [user_updated(user_id), membership("created", team_id, user_id)]


def named_by_metadata(team_id: UUID, user_id: UUID) -> list[Any]:
    return [user_updated(user_id, server_metadata={"company_id": str(team_id)})]


def named_by_edit(team_id: UUID, user_id: UUID) -> list[Any]:
    return [user_updated(user_id), delivery("profile.edited", user_id, "app", company_id=str(team_id))]


@pytest.mark.parametrize("named", [named_by_membership, named_by_metadata, named_by_edit])
def test_a_company_that_ends_is_marked_and_its_users_have_none(
    work: Callable[..., str], named: Callable[[UUID, UUID], list[Any]]
) -> None:
    team_id, user_id = uuid4(), uuid4()
    url = work(team_event("created", team_id, display_name="Crew"), *named(team_id, user_id))
    before = companies(url)

    work(team_event("deleted", team_id))

    assert before == {team_id: ("Crew", False, True)}
    assert companies(url) == {team_id: ("Crew", True, False)}
    assert rows(url, "SELECT company_id FROM app.users") == [{"company_id": None}]


def test_a_company_of_guests_that_ends_is_marked_too(work: Callable[..., str]) -> None:
    home, other, user_id, guest = uuid4(), uuid4(), uuid4(), uuid4()
    url = work(
        *(team_event("created", team_id, display_name="Crew") for team_id in (home, other)),
        user_updated(user_id),
        user_updated(guest),
        membership("created", other, user_id),
        membership("created", home, guest),
        membership("created", other, guest),
    )

    work(team_event("deleted", other))

    assert companies(url) == {home: ("Crew", False, True), other: ("Crew", True, False)}


def test_a_company_that_ended_before_gets_no_row(work: Callable[..., str]) -> None:
    team_id, user_id = uuid4(), uuid4()

    url = work(team_event("created", team_id), team_event("deleted", team_id), *named_by_membership(team_id, user_id))

    assert companies(url) == {}


def test_a_company_that_the_application_closed_stays_closed(work: Callable[..., str]) -> None:
    team_id, user_id = uuid4(), uuid4()
    url = work(team_event("created", team_id, display_name="Crew"), *named_by_membership(team_id, user_id))
    change(url, 'UPDATE app.companies SET is_active = FALSE, "deletedAt" = now()')

    work(team_event("updated", team_id, display_name="Band"), user_updated(user_id, display_name="Grace"))

    assert companies(url) == {team_id: ("Band", True, False)}
