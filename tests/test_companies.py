"""What makes a company, names it and ends it; the laws cover the orders."""

from uuid import UUID, uuid4

import pytest

from consumer.outbox.storage import Delivery
from tests.support.databases import rows
from tests.support.effects import applied
from tests.support.factories import delivery, membership, permission, snapshot, team, team_event, user_updated


def company(url: str, team_id: UUID, columns: str = "name, logo_url, deleted_at") -> dict[str, object]:
    [row] = rows(url, f"SELECT {columns} FROM identity.companies WHERE id = '{team_id}'")
    return row


def named_in_a_user(team_id: UUID, name: str = "Selected", *, is_anonymous: bool = False) -> Delivery:
    return user_updated(selected_team=team(team_id, display_name=name), is_anonymous=is_anonymous)


async def test_a_team_is_a_company_with_its_name_as_sent(emptied: str) -> None:
    team_id = uuid4()

    outcomes = await applied(
        emptied, team_event("created", team_id, display_name=" Crew ", profile_image_url="https://x/l")
    )

    assert outcomes == ["applied"]
    assert company(emptied, team_id) == {"name": " Crew ", "logo_url": "https://x/l", "deleted_at": None}


async def test_the_newest_event_names_the_team_and_an_older_one_is_stale(emptied: str) -> None:
    team_id = uuid4()
    older, newer = (team_event("updated", team_id, display_name=name) for name in ("Old", "New"))

    outcomes = await applied(emptied, newer, older)

    assert outcomes == ["applied", "stale"]
    assert company(emptied, team_id)["name"] == "New"


async def test_an_equal_name_is_no_change(emptied: str) -> None:
    team_id = uuid4()
    await applied(emptied, team_event("created", team_id))
    before = company(emptied, team_id, "updated_at")

    outcomes = await applied(emptied, team_event("updated", team_id))

    assert outcomes == ["unchanged"]
    assert company(emptied, team_id, "updated_at") == before


async def test_a_deletion_is_for_ever_and_the_oldest_counts(emptied: str) -> None:
    team_id = uuid4()
    first, second = team_event("deleted", team_id), team_event("deleted", team_id)

    outcomes = await applied(emptied, second, first, team_event("updated", team_id, display_name="Back"))

    assert outcomes == ["applied", "applied", "applied"]
    assert company(emptied, team_id) == {"name": "Back", "logo_url": None, "deleted_at": first.occurred_at}


async def test_the_newest_selected_team_names_a_company_until_the_team_itself_speaks(emptied: str) -> None:
    team_id = uuid4()
    own = team_event("created", team_id, display_name="Own")

    await applied(emptied, named_in_a_user(team_id, "First"), named_in_a_user(team_id, "Second"))
    selected = company(emptied, team_id)["name"]
    await applied(emptied, own, named_in_a_user(team_id, "Third"))

    assert (selected, company(emptied, team_id)["name"]) == ("Second", "Own")


async def test_a_selected_team_does_not_touch_a_company_that_has_an_event_of_its_own(emptied: str) -> None:
    team_id = uuid4()
    await applied(emptied, team_event("created", team_id))
    before = company(emptied, team_id, "xmin::text")

    outcomes = await applied(
        emptied, named_in_a_user(team_id), user_updated(selected_team=team(team_id), is_anonymous=True)
    )

    assert outcomes == ["applied", "applied"]
    assert company(emptied, team_id, "xmin::text") == before


@pytest.mark.parametrize(
    ("make", "name"),
    [
        pytest.param(lambda team_id: membership("created", team_id, uuid4()), "Unnamed team", id="join"),
        pytest.param(lambda team_id: membership("deleted", team_id, uuid4()), "Unnamed team", id="removal"),
        pytest.param(lambda team_id: team_event("deleted", team_id), "Unnamed team", id="deletion"),
        pytest.param(named_in_a_user, "Selected", id="selected"),
        pytest.param(lambda team_id: named_in_a_user(team_id, is_anonymous=True), "Selected", id="anonymous"),
    ],
)
async def test_what_names_a_team_makes_its_company(emptied: str, make: object, name: str) -> None:
    team_id = uuid4()
    assert callable(make)

    outcomes = await applied(emptied, make(team_id))

    assert outcomes == ["applied"]
    assert company(emptied, team_id)["name"] == name


async def test_neither_a_permission_nor_an_application_makes_a_company(emptied: str) -> None:
    cached = delivery("user.signed_in", uuid4(), "app", **snapshot(selected_team=team(uuid4())))

    await applied(emptied, permission("created", uuid4(), uuid4(), "read"), cached)

    assert not rows(emptied, "SELECT id FROM identity.companies")
