"""The pages of users and companies that have ended, or that nobody else belongs to."""

from uuid import UUID

from tests.support.cli import arrive, work
from tests.support.factories import membership, team_event, user_deleted, user_updated
from tests.support.told import Told, told, words


def seen(world: Told, path: str) -> str:
    return words(world.desk.as_("viewer").get(path).text)


def test_a_team_s_delivery_says_whom_it_moved(emptied: str) -> None:
    with told(emptied) as world:
        gone = team_event("deleted", world.team_id)
        arrive(emptied, gone)
        while work(emptied):
            pass

        page = seen(world, f"/deliveries/{world.seq(gone)}")
        company = seen(world, f"/companies/{world.team_id}")

    assert "z•••••@example.com, updated company_id Northwind none" in page
    assert "N••• deleted" in company or "Northwind deleted" in company


def test_a_deleted_user_is_said_to_be_deleted(emptied: str) -> None:
    with told(emptied) as world:
        arrive(emptied, user_deleted(world.user_id))
        work(emptied)

        assert "deleted" in seen(world, f"/users/{world.user_id}")[:400]


def test_the_name_of_a_company_with_one_member_is_masked(emptied: str) -> None:
    with told(emptied) as world:
        alone = user_updated()
        assert alone.user_id
        team_id = UUID("0b7d5e9a-9d3b-4a57-8c21-6f1c2f0e4f10")
        lonely = team_event("created", team_id, display_name="Zaphod Canary")
        arrive(emptied, alone, lonely, membership("created", team_id, alone.user_id))
        work(emptied)

        assert "Z••• C••• active" in seen(world, f"/companies/{team_id}")
