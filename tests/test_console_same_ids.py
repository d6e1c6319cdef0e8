"""Deliveries of two sources with one message id, at the console: what is done to one is not done to the other."""

import re
from collections.abc import Iterator
from typing import NamedTuple
from uuid import UUID

import pytest

from tests.support.cli import arrive, facts
from tests.support.confirming import confirm, finished
from tests.support.console import Desk, running
from tests.support.console_pages import links
from tests.support.databases import rows
from tests.support.dead import dead_at_the_door
from tests.support.factories import user_updated
from tests.support.outbox import set_aside

ADA, BOB = UUID("6f1c2f0e-9d3b-4a57-8c21-0b7d5e9a4f10"), UUID("b7e23ec2-9af4-4f1b-8d36-5c0e9a7f1d42")
MESSAGE_ID = "order-4711"


class Two(NamedTuple):
    """An operator's console over two dead deliveries, and their numbers."""

    desk: Desk
    url: str
    ada: int
    bob: int

    def states(self) -> dict[int, str]:
        found = rows(self.url, "SELECT seq, coalesce(outcome, state) AS state FROM consumer.deliveries")
        return {row["seq"]: row["state"] for row in found}


@pytest.fixture
def two(emptied: str) -> Iterator[Two]:
    ada = user_updated(ADA)._replace(message_id=MESSAGE_ID)
    bob = dead_at_the_door(MESSAGE_ID)._replace(source="app", user_id=BOB)
    arrive(emptied, ada, bob)
    set_aside(emptied, [ada])
    found = rows(emptied, "SELECT seq FROM consumer.outbox ORDER BY source DESC")
    with running(emptied) as desk:
        yield Two(desk.as_("operator"), emptied, *(row["seq"] for row in found))


def test_an_action_of_a_page_takes_the_delivery_of_that_page_alone(two: Two) -> None:
    page = two.desk.get(f"/deliveries/{two.bob}")
    [path] = [each for each in links(page.text) if "/dead/discard" in each]
    asked = two.desk.get(path)
    finished(two.url, confirm(two.desk, path, reason="a test"))

    assert "Discard 1 dead delivery?" in asked.text
    assert two.states() == {two.ada: "dead", two.bob: "discarded"}


def test_a_selected_one_is_taken_alone(two: Two) -> None:
    boxes = re.findall(r'form="selected" name="(\w+)" value="(\w+)"', two.desk.get("/dead?by=each").text)
    [name] = {name for name, _ in boxes}
    finished(two.url, confirm(two.desk, f"/dead/retry?selected=1&{name}={two.ada}"))

    assert [int(value) for _, value in boxes] == [two.bob, two.ada]
    assert two.states() == {two.ada: "pending", two.bob: "dead"}


def test_a_reveal_is_recorded_for_the_one_that_is_shown(two: Two) -> None:
    two.desk.post(f"/deliveries/{two.bob}/reveal", {"reason": "ticket 4711"})

    assert rows(two.url, "SELECT filter FROM consumer.actions") == [{"filter": {"seqs": [two.bob]}}]


@pytest.mark.parametrize("number", ["x", "-1", "9" * 19, "1 OR 1"])
def test_what_is_no_number_chooses_nothing(two: Two, number: str) -> None:
    assert two.desk.get(f"/dead/retry?seq={number.replace(' ', '+')}").status == 400


def test_an_export_lists_and_an_erasure_forgets_the_actions_on_the_users_own_deliveries(two: Two) -> None:
    for seq, reason in ((two.ada, "Ada asked"), (two.bob, "Bob asked")):
        finished(two.url, confirm(two.desk, f"/dead/discard?seq={seq}", reason=reason))

    exported = facts(two.url, "export", str(ADA))["actions"]
    facts(two.url, "erase", str(ADA), "--yes", "--even-if-alive")

    assert [each["filter"].get("seqs") for each in exported] == [[two.ada], None]
    reasons = rows(two.url, "SELECT reason FROM consumer.actions WHERE action = 'discard' ORDER BY at")
    assert [row["reason"] for row in reasons] == [None, "Bob asked"]
