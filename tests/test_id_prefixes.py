"""Users and teams are found by the first digits of their ids, at the console and by `consumer user`."""

from uuid import UUID

import pytest

from consumer.console.find import NOT_FOUND
from consumer.lookup.id_prefixes import DIGITS_MIN, LISTED_MAX, id_range
from tests.support.cli import arrive, call, facts, work
from tests.support.console import running
from tests.support.console_pages import links, words
from tests.support.databases import change
from tests.support.factories import membership, team_event, user_updated

DIGITS = "3e9b01c2"
TEAM = UUID(f"{DIGITS}-9d3b-4a57-8c21-0b7d5e9a4f10")
MANY = [UUID(int=TEAM.int // 2**96 * 2**96 + number) for number in range(21)]


@pytest.mark.parametrize(
    ("prefix", "lowest", "highest"),
    [
        (DIGITS, f"{DIGITS}-0000-0000-0000-000000000000", f"{DIGITS}-ffff-ffff-ffff-ffffffffffff"),
        (DIGITS.upper(), f"{DIGITS}-0000-0000-0000-000000000000", f"{DIGITS}-ffff-ffff-ffff-ffffffffffff"),
        (str(TEAM)[:10], f"{DIGITS}-9000-0000-0000-000000000000", f"{DIGITS}-9fff-ffff-ffff-ffffffffffff"),
        (str(TEAM)[:-1], f"{DIGITS}-9d3b-4a57-8c21-0b7d5e9a4f10", f"{DIGITS}-9d3b-4a57-8c21-0b7d5e9a4f1f"),
    ],
)
def test_a_prefix_stands_for_all_ids_that_begin_with_it(prefix: str, lowest: str, highest: str) -> None:
    assert id_range(prefix) == (UUID(lowest), UUID(highest))


@pytest.mark.parametrize(
    "text", ["", DIGITS[:7], f"{DIGITS[:7]}-", f"{DIGITS}g", str(TEAM), f"{TEAM.hex}0", "３e9b01c2"]
)
def test_other_texts_are_no_prefix(text: str) -> None:
    assert id_range(text) is None


def test_eight_digits_are_enough_and_twenty_ids_are_listed() -> None:
    assert (DIGITS_MIN, LISTED_MAX) == (8, 20)


def test_a_user_is_shown_by_the_first_digits_of_the_id(emptied: str) -> None:
    arrive(emptied, user_updated(MANY[0]), user_updated(MANY[0]), team_event("created", TEAM), user_updated())
    waiting = facts(emptied, "user", DIGITS)["user"]["user_id"]
    work(emptied)

    assert [facts(emptied, "user", text)["user"]["user_id"] for text in (DIGITS, str(MANY[0])[:20])] == [
        str(MANY[0])
    ] * 2
    assert waiting == str(MANY[0])


def test_a_user_whose_deliveries_are_pruned_is_found(emptied: str) -> None:
    arrive(emptied, user_updated(MANY[0]))
    work(emptied)
    change(emptied, "DELETE FROM consumer.outbox")

    assert facts(emptied, "user", DIGITS)["user"]["user_id"] == str(MANY[0])


def test_a_list_takes_the_first_digits_of_a_user_or_team(emptied: str) -> None:
    arrive(emptied, user_updated(MANY[0]), membership("created", TEAM, UUID(int=1)), user_updated(UUID(int=2)))

    listed = {
        name: [each["event_type"] for each in facts(emptied, "deliveries", name, DIGITS)["deliveries"]]
        for name in ("--user", "--team")
    }
    unknown = call(emptied, "deliveries", "--team", "ffffffff")
    short = call(emptied, "deliveries", "--user", DIGITS[:7])

    assert listed == {"--user": ["user.updated"], "--team": ["team_membership.created"]}
    assert (unknown.exit_code, "No stored team has an id that begins like this." in unknown.stderr) == (1, True)
    assert (short.exit_code, "Name an id, or at least its first 8 digits." in short.stderr) == (2, True)


def test_of_several_users_the_command_names_twenty(emptied: str) -> None:
    arrive(emptied, *map(user_updated, MANY))

    result = call(emptied, "user", DIGITS)

    named = ", ".join(map(str, MANY[:20]))
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"Over 20 users have an id that begins like this: {named}." in result.stderr


def test_digits_of_no_user_are_told_so(emptied: str) -> None:
    arrive(emptied, team_event("created", TEAM))

    result = call(emptied, "user", DIGITS)

    assert (result.exit_code, "No stored user has an id that begins like this." in result.stderr) == (1, True)


def test_the_box_lists_users_and_teams_that_begin_alike_and_leads_to_the_only_one(emptied: str) -> None:
    with running(emptied) as console:
        desk = console.as_("viewer")
        nothing = desk.post("/find", {"q": DIGITS})
        arrive(emptied, membership("created", TEAM, UUID(int=1)))
        one = desk.post("/find", {"q": DIGITS})
        arrive(emptied, *map(user_updated, MANY))
        several = desk.post("/find", {"q": DIGITS})

    found = [*(f"/users/{user_id}" for user_id in MANY[:20]), f"/companies/{TEAM}"]
    assert (nothing.status, NOT_FOUND in words(nothing.text)) == (404, True)
    assert one.headers["location"] == f"/companies/{TEAM}"
    assert [each for each in links(several.text) if DIGITS in each] == found
    assert "The first 20, and more." in words(several.text)


def test_digits_that_are_a_number_too_list_both(emptied: str) -> None:
    user_id = UUID(int=0x12345678 << 96)
    change(
        emptied,
        "INSERT INTO consumer.outbox (seq, source, message_id, event_type, user_id, occurred_at, body) "
        f"OVERRIDING SYSTEM VALUE VALUES (12345678, 'stack', 'm', 'user.updated', '{user_id}', now(), 'x')",
    )

    with running(emptied) as console:
        answer = console.as_("viewer").post("/find", {"q": "12345678"})

    assert {f"/users/{user_id}", "/deliveries/12345678"} <= set(links(answer.text))


def test_the_list_about_somebody_takes_the_first_digits(emptied: str) -> None:
    arrive(emptied, user_updated(MANY[0]), team_event("created", UUID(int=0xFFFFFFFF << 96)))

    with running(emptied) as console:
        desk = console.as_("viewer")
        one, team = (desk.get(f"/deliveries?about={text}&state=dead") for text in (DIGITS, "ffffffff"))
        arrive(emptied, user_updated(MANY[1]))
        several = desk.get(f"/deliveries?about={DIGITS}")

    assert one.headers["location"] == f"/deliveries?state=dead&user={MANY[0]}"
    assert team.headers["location"] == f"/deliveries?state=dead&team={UUID(int=0xFFFFFFFF << 96)}"
    assert (several.status, "Several users or teams have an id" in words(several.text)) == (400, True)
