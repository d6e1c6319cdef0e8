"""The fields by which an action at the console chooses: none is forgotten, what can't be used is said."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from consumer.console.bulk import BULKS
from consumer.console.confirm import COUNT_TIME
from tests.support.cli import arrive, work
from tests.support.confirming import finished, heading, order
from tests.support.console import Desk
from tests.support.databases import rows
from tests.support.dead import dead_at_the_door
from tests.support.factories import membership, team_event, user_updated

pytest_plugins = ["tests.support.console"]

ADA, TEAM = UUID(int=1), UUID(int=77)
UNUSABLE = "A field can't be used"


@pytest.fixture
def known(emptied: str) -> str:
    """Two users, one of them in a team."""
    other = UUID(int=2)
    arrive(emptied, team_event("created", TEAM), *map(user_updated, (ADA, other)), membership("created", TEAM, other))
    work(emptied)
    return emptied


def acted(url: str) -> list[dict[str, Any]]:
    return rows(url, "SELECT FROM consumer.actions")


@pytest.mark.parametrize("path", ["/recovery/rebuild", "/recovery/check"])
def test_fields_that_were_filled_in_after_everybody_was_counted_are_looked_at_first(
    desk: Desk, known: str, path: str
) -> None:
    address, fields = order(desk.get(path))

    page = desk.post(address, {**fields, "user": [str(ADA)]})
    before = acted(known)
    done = finished(known, desk.post(*order(page)))

    assert (page.status, before) == (409, [])
    assert "The fields were changed after these were counted, so nothing was done." in page.text
    assert "1 user or company?" in page.text
    assert done["filter"] == {"user_id": str(ADA)}


def test_fields_that_can_not_be_used_order_nothing(desk: Desk, known: str) -> None:
    address, fields = order(desk.get("/recovery/rebuild"))
    page = desk.post(address, {**fields, "user": ["Ada"]})

    assert (page.status, acted(known)) == (422, [])
    assert "The field user is an id, a UUID." in page.text
    assert heading(page) == UNUSABLE


@pytest.mark.parametrize("path", ["/recovery/rebuild", "/recovery/check"])
@pytest.mark.parametrize("chosen", ["state=dead", "until=2h", "email=a@example.com"])
def test_a_condition_that_it_does_not_know_is_refused(desk: Desk, emptied: str, path: str, chosen: str) -> None:
    assert desk.get(f"{path}?{chosen}").status == 400


@pytest.mark.parametrize("path", ["/recovery/rebuild", "/recovery/check"])
@pytest.mark.parametrize(
    ("name", "typed", "title", "sentence"),
    [
        ("user", "all", UNUSABLE, "The field user is an id, a UUID."),
        ("team", "1", UNUSABLE, "The field team is an id, a UUID."),
        ("since", "yesterday", UNUSABLE, "A time is ISO 8601 in UTC"),
        ("since", "2999-01-01T00:00:00", UNUSABLE, "The field since lies in the future"),
        ("verified_by", "whsec_mine", UNUSABLE, "A secret is named by the first 8 hex digits of its SHA-256"),
        ("verified_by", "0BADCAFE", "Nothing matches", "No applied delivery was signed with the secret 0badcafe"),
    ],
)
def test_what_can_not_be_used_is_said_and_kept(
    desk: Desk, known: str, path: str, name: str, typed: str, title: str, sentence: str
) -> None:
    other = f"team={TEAM}" if name == "user" else f"user={ADA}"
    page = desk.get(f"{path}?{name}={typed}&{other}")

    assert (page.status, page.text.count('class="note bad"')) == (422, 1), page.text
    assert (heading(page), sentence in page.text) == (title, True)
    assert f'name="{name}" value="{typed}"' in page.text
    assert str(TEAM if name == "user" else ADA) in page.text
    assert 'id="order"' not in page.text
    assert acted(known) == []


@pytest.mark.parametrize("path", ["/recovery/rebuild", "/recovery/check"])
def test_what_takes_too_long_to_find_is_said_and_kept(
    desk: Desk, known: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert COUNT_TIME.total_seconds() == 5
    monkeypatch.setattr("consumer.console.subjects.COUNT_TIME", timedelta(0))

    page = desk.get(f"{path}?since=2h")

    assert (page.status, "choose less, or use the command consumer rebuild." in page.text) == (422, True)
    assert heading(page) == "To find them takes too long"
    assert 'name="since" value="2h"' in page.text


@pytest.mark.parametrize("path", ["/dead/retry", "/dead/discard"])
def test_who_selected_nothing_reads_that_and_not_that_nothing_matches(desk: Desk, emptied: str, path: str) -> None:
    arrive(emptied, dead_at_the_door("dead"))

    page = desk.get(f"{path}?selected=1")

    assert (page.status, heading(page), 'id="order"' in page.text) == (422, "Nothing was selected", False)
    assert "Go back and select the deliveries" in page.text


def test_each_action_takes_deliveries_of_its_states() -> None:
    """What is retrying is replayed too, and what is pending or retrying may be discarded before it is applied."""
    assert {each.page.path: (set(each.states), each.is_discarded) for each in BULKS} == {
        "/dead/retry": ({"dead"}, False),
        "/dead/discard": ({"dead"}, False),
        "/deliveries/replay": ({"retrying", "dead", "done"}, False),
        "/deliveries/discard": ({"pending", "retrying", "dead", "done"}, False),
        "/deliveries/undiscard": ({"done"}, True),
    }
