"""Dead letters at the console: in groups, each with what it means, what cures it, and how they died by the hour."""

import re
from collections.abc import Iterator

import pytest

from consumer.console import dead
from consumer.console.causes import CAUSES, UNKNOWN, cause
from consumer.postgres.error_classes import STATES, ErrorClass
from tests.support.console_pages import Told, links, listed, told, words
from tests.support.databases import change, rows


@pytest.fixture(scope="module")
def world(database_url: str) -> Iterator[Told]:
    with told(database_url) as world:
        first = world.seq(world.dead[0])
        change(world.url, f"UPDATE consumer.failures SET failed_at = now() - interval '150 min' WHERE seq = {first}")
        yield world


def groups(text: str) -> list[str]:
    """Return the words of each group of a page."""
    return [words(f"<main>{each}</main>") for each in text.split('<div class="group">')[1:]]


def bars(text: str) -> list[list[int]]:
    """Return the deaths by hour of each group."""
    found = re.findall(r'aria-label="Deaths an hour over 24 hours, the last hour last: ([0-9, ]+)"', text)
    return [[int(each) for each in numbers.split(", ")] for numbers in found]


def test_dead_letters_are_grouped_by_cause_with_sentence_and_cure(world: Told) -> None:
    page = world.desk.as_("viewer").get("/dead")

    first, second = groups(page.text)
    assert "23505 A unique index of your application refuses the row CheckViolation: user.updated. First" in first
    assert "Cure: Drop or widen the index, then retry." in first
    assert "3 3 users" in first
    assert "bad_shape The body is not what its type promises $.data.id: Required field is missing" in second
    assert "1 1 user" in second
    assert "4 in all" in words(page.text)
    assert "in smaller groups" not in words(page.text)


def test_each_group_shows_its_deaths_by_hour(world: Told) -> None:
    first, second = bars(world.desk.as_("viewer").get("/dead").text)

    assert first == [0] * 21 + [1, 0, 2]
    assert second == [0] * 23 + [1]


def test_a_group_counts_each_user_once_and_leads_to_its_newest_delivery(world: Told) -> None:
    oldest, newest = (
        f"(SELECT {each}(seq) FROM consumer.failures WHERE error_code = '23505')" for each in ("min", "max")
    )
    [row] = rows(world.url, f"SELECT user_id, {newest} AS newest FROM consumer.outbox WHERE seq = {oldest}")
    owner = "UPDATE consumer.outbox SET user_id = '{}' WHERE seq = {}"
    [other] = rows(world.url, f"SELECT user_id FROM consumer.outbox WHERE seq = {newest}")
    change(world.url, owner.format(row["user_id"], newest))
    page = world.desk.as_("viewer").get("/dead")
    change(world.url, owner.format(other["user_id"], newest))

    assert "3 2 users" in groups(page.text)[0]
    shown = [each for each in links(page.text) if re.fullmatch(r"/deliveries/[0-9]+", each)]
    assert shown[0] == f"/deliveries/{row['newest']}"


def test_deaths_of_more_than_a_day_ago_have_no_bar(world: Told) -> None:
    seq = world.seq(world.unusable)
    change(world.url, f"UPDATE consumer.failures SET failed_at = now() - interval '25 hours' WHERE seq = {seq}")
    text = world.desk.as_("viewer").get("/dead").text
    change(world.url, f"UPDATE consumer.failures SET failed_at = now() WHERE seq = {seq}")

    assert bars(text)[1] == [0] * 24


def test_dead_letters_are_grouped_by_event(world: Told) -> None:
    page = world.desk.as_("viewer").get("/dead?by=event")

    [group] = groups(page.text)
    assert "user.updated CheckViolation; $.data.id: Required field is missing: 23505, bad_shape. First" in group
    assert "4 4 users" in group


def test_each_one_is_listed_by_pages(world: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead, "PAGE_SIZE", 3)
    viewer = world.desk.as_("viewer")

    first = viewer.get("/dead?by=each")
    older = next(each for each in links(first.text) if "before=" in each)
    second = viewer.get(older)

    wanted = sorted((world.seq(each) for each in (*world.dead, world.unusable)), reverse=True)
    assert listed(first.text) + listed(second.text) == wanted
    assert "/dead?by=each" in links(second.text)


def test_the_newest_of_a_group_are_shown_below(world: Told) -> None:
    page = world.desk.as_("viewer").get("/dead?error=23505")

    assert sorted(listed(page.text)) == [world.seq(each) for each in world.dead]
    assert "/deliveries?state=dead&error=23505" in links(page.text)


@pytest.mark.parametrize(
    ("query", "led_to"),
    [
        ("since=5m&source=app", "source=app&since=5m"),
        ("type=user.updated", "type=user.updated"),
        ("by=event&error=23505", "error=23505"),
        ("by=each&error=23505", "error=23505"),
        ("by=each&since=5m&before=7", "since=5m"),
    ],
)
def test_a_condition_that_the_page_does_not_know_leads_to_the_list_that_does(
    world: Told, query: str, led_to: str
) -> None:
    page = world.desk.as_("viewer").get(f"/dead?{query}")

    assert (page.status, page.headers["location"]) == (303, f"/deliveries?state=dead&{led_to}")
    assert world.desk.as_("viewer").get(page.headers["location"]).status == 200


def test_more_groups_than_a_page_has_are_counted_too(world: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead, "GROUPS", 1)
    page = world.desk.as_("viewer").get("/dead")

    assert len(groups(page.text)) == 1
    assert "4 in all" in words(page.text)
    assert "1 more in smaller groups." in words(page.text)


def test_an_operator_is_led_to_the_actions_on_each_group_and_on_all(world: Told) -> None:
    operator, viewer = (world.desk.as_(who).get("/dead") for who in ("operator", "viewer"))
    by_event = world.desk.as_("operator").get("/dead?by=event")

    assert {"/dead/retry", "/dead/retry?error=23505", "/dead/discard?error=bad_shape"} <= set(links(operator.text))
    assert {"/dead/retry?type=user.updated", "/dead/discard?type=user.updated"} <= set(links(by_event.text))
    assert not [each for each in links(viewer.text) if "retry" in each or "discard" in each]


def regrouped(world: Told, event_type: str | None) -> tuple[str, list[str]]:
    """Return what the group of a type says, and the addresses that it leads to beside its newest delivery."""
    seq, written = world.seq(world.unusable), "NULL" if event_type is None else f"'{event_type}'"
    change(world.url, f"UPDATE consumer.failures SET source = 'stack', event_type = {written} WHERE seq = {seq}")
    page = world.desk.as_("operator").get("/dead?by=event")
    change(world.url, f"UPDATE consumer.failures SET event_type = 'user.updated' WHERE seq = {seq}")
    return groups(page.text)[-1], [each for each in links(page.text) if "type=" in each and "user.updated" not in each]


@pytest.mark.parametrize("event_type", [None, "unreadable", "user.*"])
def test_a_group_that_no_filter_names_alone_has_no_list_and_no_actions(world: Told, event_type: str | None) -> None:
    said, addresses = regrouped(world, event_type)

    assert said.split()[0] == (event_type or "unreadable")
    assert addresses == []


def test_a_group_of_the_longest_type_has_a_list_and_actions(world: Told) -> None:
    _, addresses = regrouped(world, "x" * 256)

    assert [world.desk.as_("operator").get(each).status for each in addresses] == [200] * 3


def test_too_many_to_count_their_users_are_said_to_be(world: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead, "USERS_LOOK_MAX", 3)

    assert "3 users not counted" in groups(world.desk.as_("viewer").get("/dead").text)[0]


def test_only_the_newest_are_looked_at_if_they_are_too_many(world: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead, "LOOK_MAX", 2)

    page = world.desk.as_("viewer").get("/dead")

    assert "2+ in all" in words(page.text)
    assert len(groups(page.text)) == 2


@pytest.mark.parametrize("query", ["by=colour", "by=each&before=x", "error=" + "x" * 257])
def test_an_address_that_is_no_page_is_not_understood(world: Told, query: str) -> None:
    assert world.desk.as_("viewer").get(f"/dead?{query}").status == 400


def test_every_error_that_a_delivery_dies_of_has_a_cause() -> None:
    deadly = [
        state for kind in (ErrorClass.CONSTRAINT, ErrorClass.POISON, ErrorClass.BUSY) for state in STATES[kind].split()
    ]
    payload = ["bad_shape", "bad_type", "nul", "not_json", "not_an_object", "too_deep", "number_out_of_range"]
    others = ["unknown_type", "unknown_field", "no_subject", "lost"]

    assert [code for code in (*deadly, *payload, *others) if code not in CAUSES] == []
    assert cause("22P02") == CAUSES["22"]
    assert cause("23999") == CAUSES["23"]
    assert cause("KeyError") == UNKNOWN
