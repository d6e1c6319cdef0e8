"""Which teams are a person's own: their names go with the person."""

import asyncio
from uuid import UUID, uuid4

import pytest

from consumer.operations import erase
from consumer.postgres.connections import connect, operator_access
from tests.support.acting import action
from tests.support.cli import arrive, facts, work
from tests.support.erasing import ERASE, LOGO, TEAM_NAME, Life, left
from tests.support.factories import membership, team, team_event, user_updated
from tests.support.kept import kept

OPERATOR = operator_access("consumer")


@pytest.fixture
def life(emptied: str) -> Life:
    """A person who has selected a team of the person's own; no event tells of the membership."""
    life = Life()
    named = team_event("created", life.own_id, display_name=TEAM_NAME, profile_image_url=LOGO)
    arrive(emptied, named, life.whole())
    work(emptied)
    return life


def test_an_erasure_that_was_killed_when_only_the_tables_had_forgotten_is_finished(emptied: str, life: Life) -> None:
    async def killed() -> None:
        async with await connect(emptied, OPERATOR) as conn:
            await erase.prepare(conn, OPERATOR, life.user_id)
            await erase.store(conn, OPERATOR, life.user_id, action("erase"))

    asyncio.run(killed())
    work(emptied)

    facts(emptied, "erase", str(life.user_id), *ERASE)

    assert left(emptied) == []


def test_a_forged_membership_that_was_discarded_makes_nobody_a_member(emptied: str, life: Life) -> None:
    forged = membership("created", life.own_id, uuid4())._replace(verified_by="0badc0de")
    arrive(emptied, forged)
    work(emptied)
    facts(emptied, "deliveries", "discard", "--verified-by", "0badc0de", "--reason", "leaked", "--yes")
    work(emptied)

    facts(emptied, "erase", str(life.user_id), *ERASE)

    assert left(emptied) == []


def test_a_team_that_somebody_else_was_in_keeps_its_name(emptied: str, life: Life) -> None:
    arrive(emptied, membership("created", life.own_id, uuid4()))
    work(emptied)

    facts(emptied, "erase", str(life.user_id), *ERASE)

    assert TEAM_NAME in left(emptied)


def teams(url: str, life: Life) -> dict[UUID, bool]:
    """Return the person's teams, each with whether nobody else was ever in it."""

    async def prepared() -> erase.Erasure:
        async with kept(url, OPERATOR) as conn:
            return await erase.prepare(conn, OPERATOR, life.user_id)

    return {one.id: one.is_own for one in asyncio.run(prepared()).teams}


@pytest.mark.parametrize(("is_join", "is_applied"), [(True, True), (True, False), (False, True)])
def test_whoever_joined_or_selected_a_team_shares_it(
    emptied: str, life: Life, *, is_join: bool, is_applied: bool
) -> None:
    other = uuid4()
    selecting = user_updated(other, selected_team=team(life.own_id))
    arrive(emptied, membership("created", life.own_id, other) if is_join else selecting)
    if is_applied:
        work(emptied)

    assert teams(emptied, life) == {life.own_id: False}


@pytest.mark.parametrize("is_join", [False, True])
def test_what_waits_tells_of_a_team_of_the_person_too(emptied: str, life: Life, *, is_join: bool) -> None:
    team_id = uuid4()
    arrive(
        emptied, membership("created", team_id, life.user_id) if is_join else life.whole(selected_team=team(team_id))
    )

    assert teams(emptied, life) == {life.own_id: True, team_id: True}
