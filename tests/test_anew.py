"""Rows made anew, one page at a time: what is told apart, what is queued behind it, what is left as it is."""

from uuid import UUID

from consumer.effects import anew
from consumer.effects.anew import Differing
from consumer.outbox.rebuild_queue import Stage
from consumer.postgres.connections import transaction, worker_access
from tests.support.databases import change, rows
from tests.support.effects import applied
from tests.support.factories import team, team_event, user_updated
from tests.support.kept import kept

ACCESS = worker_access("consumer")
ADA, BOB, CREW, OTHER = (UUID(int=n) for n in (1, 2, 9, 10))
COUNTERS = "SELECT sync_version, last_synced_at FROM identity.stack_user_profiles"


async def made_anew(url: str, stage: Stage, *ids: UUID, is_kept: bool = True) -> Differing:
    async with kept(url, ACCESS) as conn, transaction(conn, ACCESS):
        return await anew.make_anew(conn, stage, list(ids), is_kept=is_kept)


def queued(url: str) -> list[tuple[object, ...]]:
    return [tuple(row.values()) for row in rows(url, "SELECT stage, id FROM consumer.rebuild ORDER BY stage, id")]


async def test_a_team_that_a_user_no_longer_names_and_the_one_that_it_does_are_both_made_anew(emptied: str) -> None:
    await applied(emptied, user_updated(ADA, selected_team=team(CREW)), user_updated(BOB, selected_team=team(OTHER)))
    change(emptied, f"UPDATE consumer.memberships SET company_id = '{OTHER}' WHERE user_id = '{ADA}'")

    differing = await made_anew(emptied, Stage.USER, ADA, BOB)

    assert sorted(differing) == [ADA]
    assert {"memberships", "company"} <= {*differing[ADA]}
    assert queued(emptied) == [(Stage.NAMED_BY_USERS, CREW), (Stage.NAMED_BY_USERS, OTHER)]


async def test_a_user_that_no_delivery_tells_of_differs_in_nothing_and_gets_no_row(emptied: str) -> None:
    assert await made_anew(emptied, Stage.USER, ADA) == {}
    assert rows(emptied, "SELECT FROM identity.stack_user_profiles") == []


async def test_a_lost_mirror_row_comes_back_with_the_counters_of_a_first_event(emptied: str) -> None:
    await applied(emptied, user_updated(ADA, display_name="Ada"))
    [before] = rows(emptied, COUNTERS)
    change(emptied, "DELETE FROM identity.stack_user_profiles")

    differing = await made_anew(emptied, Stage.USER, ADA)

    assert "mirror" in differing[ADA]
    [after] = rows(emptied, COUNTERS)
    assert after["sync_version"] == before["sync_version"] == 1
    assert after["last_synced_at"] is not None


async def test_a_company_in_which_somebody_is_stays_ended_until_its_users_have_left(emptied: str) -> None:
    await applied(emptied, user_updated(ADA))
    change(emptied, f"INSERT INTO identity.companies (id, name) VALUES ('{OTHER}', 'Untold')")
    change(emptied, f"UPDATE identity.stack_user_profiles SET company_id = '{OTHER}'")

    assert await made_anew(emptied, Stage.NAMED_BY_USERS, OTHER) == {OTHER: ["company"]}

    assert rows(emptied, "SELECT id FROM identity.companies WHERE deleted_at IS NOT NULL") == [{"id": OTHER}]
    assert queued(emptied) == [(Stage.USER, ADA), (Stage.NAMED_BY_USERS, OTHER)]


async def test_a_team_that_ends_or_lives_again_queues_its_users_and_another_name_does_not(emptied: str) -> None:
    await applied(emptied, team_event("created", CREW, display_name="Crew"))
    for damage, is_moved in (("name = 'Other'", False), ("deleted_at = now()", True)):
        change(emptied, f"UPDATE identity.companies SET {damage}")

        assert await made_anew(emptied, Stage.COMPANY, CREW) == {CREW: ["company"]}
        assert bool(rows(emptied, "SELECT FROM consumer.rehome")) == is_moved


async def test_without_is_kept_differences_are_told_and_nothing_is_written(emptied: str) -> None:
    await applied(emptied, user_updated(ADA, display_name="Ada"), team_event("created", CREW))
    change(emptied, "UPDATE identity.profiles SET full_name = 'wrong'; UPDATE identity.companies SET name = 'wrong'")

    assert await made_anew(emptied, Stage.USER, ADA, is_kept=False) == {ADA: ["profile"]}
    assert await made_anew(emptied, Stage.COMPANY, CREW, is_kept=False) == {CREW: ["company"]}
    assert rows(emptied, "SELECT full_name FROM identity.profiles") == [{"full_name": "wrong"}]
    assert rows(emptied, "SELECT name FROM identity.companies") == [{"name": "wrong"}]
