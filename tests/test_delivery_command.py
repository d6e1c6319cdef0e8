"""`consumer deliveries show`: what a delivery changed, what did not follow and why, and what a replay would do."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from consumer.outbox.storage import Delivery
from tests.support.cli import arrive, call, facts, work
from tests.support.databases import rows
from tests.support.dead import BROKEN, dead_at_the_door
from tests.support.factories import delivery, edited, membership, team_event, user_deleted, user_updated
from tests.support.lookups import NAME, SECRET, canary, printed, shown_canaries
from tests.support.outbox import set_aside


def applied(url: str, *deliveries: Delivery) -> None:
    """Apply deliveries one after the other."""
    for each in deliveries:
        arrive(url, each)
        work(url)


def shown(url: str, name: str, *arguments: str) -> Any:
    [found] = facts(url, "deliveries", "show", name, *arguments)["deliveries"]
    return found


def unfollowed(url: str, name: str, *arguments: str) -> list[tuple[str, str | None, str | None, str]]:
    """Return each field with what the delivery says, what the profile has, and the reason."""
    found = shown(url, name, *arguments)["unfollowed"]
    return [(each["field"], each["says"], each["has"], each["because"].split(" on 20")[0]) for each in found]


def about(user_id: UUID, made: Delivery) -> Delivery:
    return made._replace(user_id=user_id, body=made.body.replace(str(made.user_id).encode(), str(user_id).encode()))


def test_a_delivery_is_found_by_message_id_and_by_number(emptied: str) -> None:
    first = user_updated()
    applied(emptied, first)

    by_id = shown(emptied, first.message_id)

    assert shown(emptied, str(by_id["seq"])) == by_id
    assert (by_id["message_id"], by_id["outcome"], by_id["verified_by"]) == (first.message_id, "applied", "0123abcd")


def test_one_message_id_of_two_sources_shows_both(emptied: str) -> None:
    first = user_updated()
    applied(emptied, first, edited(uuid4(), role_type="owner")._replace(message_id=first.message_id))

    found = facts(emptied, "deliveries", "show", first.message_id)["deliveries"]

    assert [each["source"] for each in found] == ["stack", "app"]


@pytest.mark.parametrize("name", ["msg_nobody", "4711", "9" * 19, "9" * 400, "\x1b[2J", "-1"])
def test_an_unknown_delivery_is_one_sentence(emptied: str, name: str) -> None:
    result = call(emptied, "deliveries", "show", "--", name)

    assert (result.exit_code, result.stdout) == (1, "")
    assert "No delivery has the message id or number" in result.stderr
    assert "\x1b" not in result.stderr


def test_what_it_changed_is_shown_masked(emptied: str) -> None:
    first = canary()
    applied(emptied, first)

    [row] = shown(emptied, first.message_id)["changes"]

    assert (row["operation"], row["new_values"]["full_name"]) == ("created", "Z••• C•••")
    assert row["new_values"]["role_type"] == "member"


def test_an_edit_that_wins_over_the_sender_is_named(emptied: str) -> None:
    user_id = uuid4()
    newest = user_updated(user_id, server_metadata={"role": "member", "department": "Sales"})
    applied(emptied, edited(user_id, role_type="owner"), newest)

    assert unfollowed(emptied, newest.message_id) == [("role_type", "member", "owner", "your backend set it")]


def test_a_stale_snapshot_names_the_newer_one(emptied: str) -> None:
    user_id = uuid4()
    old, new = user_updated(user_id, display_name="Old"), user_updated(user_id)
    applied(emptied, new, old)

    [(field, _, _, because)] = unfollowed(emptied, old.message_id)

    assert field == "everything"
    assert because == f"the snapshot of {new.occurred_at:%Y-%m-%d %H:%M:%S}Z is newer"
    assert unfollowed(emptied, new.message_id) == []


def test_a_user_object_of_the_backend_is_outranked_by_the_sender(emptied: str) -> None:
    user_id = uuid4()
    stack, app = user_updated(user_id), delivery("user.signed_in", user_id, "app", primary_email="a@example.com")
    applied(emptied, stack, app)

    assert unfollowed(emptied, app.message_id)[0][3] == (
        "the sender's own snapshot outranks your backend's user object"
    )


def test_nothing_follows_for_a_deleted_user(emptied: str) -> None:
    user_id = uuid4()
    late = user_updated(user_id)
    applied(emptied, user_updated(user_id), user_deleted(user_id), late)

    assert unfollowed(emptied, late.message_id)[0][3] == "the user is deleted, and no snapshot brings a user back"


def test_metadata_that_users_write_is_not_followed(emptied: str) -> None:
    """A masked body does not tell that the key is there."""
    first = user_updated(client_metadata={"role": "admin"})
    applied(emptied, first)

    revealed = unfollowed(emptied, first.message_id, "--reveal", "--reason", "a test")

    assert revealed == [
        (
            "client_metadata.role",
            "admin",
            "member",
            "users can write client_metadata, so nothing is taken from it",
        )
    ]
    assert unfollowed(emptied, first.message_id) == []


def test_the_keys_of_metadata_are_those_that_shape_the_rows(emptied: str) -> None:
    """The recorded ones, whatever the shell that asks has set."""
    first = user_updated(client_metadata={"role": "admin"})
    applied(emptied, first)
    arguments = ("deliveries", "show", first.message_id, "--reveal", "--reason", "a test")

    [found] = facts(emptied, *arguments, ROLE_KEY="position")["deliveries"]

    assert [each["field"] for each in found["unfollowed"]] == ["client_metadata.role"]


def test_a_selected_team_moves_nobody_and_a_company_that_is_gone_is_named(emptied: str) -> None:
    home_id, other_id, gone_id = uuid4(), uuid4(), uuid4()
    user_id = uuid4()
    teams = [team_event("created", each) for each in (home_id, other_id, gone_id)]
    joined = membership("created", home_id, user_id)
    newest = user_updated(
        user_id,
        selected_team={"id": str(other_id), "display_name": "Other", "profile_image_url": None},
        selected_team_id=str(other_id),
        server_metadata={"company_id": str(gone_id)},
    )
    applied(emptied, *teams, joined, newest, team_event("deleted", gone_id))

    assert unfollowed(emptied, newest.message_id) == [
        ("company_id", str(gone_id), str(home_id), "that company is deleted or not known"),
        ("company_id", str(other_id), str(home_id), "the selected team makes a member, but moves nobody"),
    ]


def test_an_older_edit_and_an_edit_to_a_dead_company_are_named(emptied: str) -> None:
    user_id, gone_id = uuid4(), uuid4()
    first, second = edited(user_id, role_type="owner"), edited(user_id, role_type="guest", company_id=str(gone_id))
    applied(emptied, user_updated(user_id), first, second)

    assert unfollowed(emptied, first.message_id) == [
        ("role_type", "owner", "guest", "a newer edit of this field decides")
    ]
    assert unfollowed(emptied, second.message_id) == [
        ("company_id", str(gone_id), None, "that company is deleted or not known")
    ]


def test_a_join_that_was_undone_and_a_removal_that_was_undone_are_named(emptied: str) -> None:
    team_id, user_id = uuid4(), uuid4()
    joined, removed = membership("created", team_id, user_id), membership("deleted", team_id, user_id)
    applied(emptied, team_event("created", team_id), joined, removed)
    undone = unfollowed(emptied, joined.message_id)
    applied(emptied, membership("created", team_id, user_id))

    assert [each[3] for each in undone] == ["a newer event removed the user"]
    assert [each[3] for each in unfollowed(emptied, removed.message_id)] == [
        "a newer event made the user a member again"
    ]


def test_a_dead_and_a_discarded_delivery_say_why_nothing_follows(emptied: str) -> None:
    applied(emptied, dead_at_the_door("broken"))
    dead = unfollowed(emptied, "broken")
    call(emptied, "deliveries", "discard", "--message-id", "broken", "--reason", "a test", "--by", "kim")

    assert dead[0][3] == "it could not be applied: $.data.id: Required field is missing"
    assert unfollowed(emptied, "broken")[0][3].startswith("kim discarded it: a test")


def test_what_a_replay_would_do_is_told_by_state(emptied: str) -> None:
    usable, waiting, retrying = user_updated(), user_updated(), user_updated()
    done = user_updated()
    ignored = user_updated()._replace(
        message_id="ignored", event_type="stack.test", user_id=None, body=b'{"type":"stack.test","data":{}}'
    )
    applied(emptied, done, ignored, dead_at_the_door("broken", BROKEN))
    arrive(emptied, usable, retrying, waiting)
    set_aside(emptied, [usable])
    set_aside(emptied, [retrying], state="retrying")

    said = {
        name: shown(emptied, name)["replay"]
        for name in (done.message_id, usable.message_id, retrying.message_id, waiting.message_id, "broken", "ignored")
    }

    assert [each.split(":")[0].split(",")[0] for each in said.values()] == [
        "The rows of its user would be made anew from all stored deliveries",
        "It would be put back to pending",
        "It would be tried at once",
        "Nothing",
        "It would stay dead",
        "It would be put back to pending",
    ]
    assert f"--user {done.user_id}" in said[done.message_id]
    assert "$.data.id: Required field is missing" in said["broken"]


def test_a_discarded_delivery_is_never_replayed(emptied: str) -> None:
    first = user_updated()
    applied(emptied, first)
    call(emptied, "deliveries", "discard", "--message-id", first.message_id, "--reason", "a test")

    assert shown(emptied, first.message_id)["replay"].startswith("Nothing: a discarded delivery is never replayed.")


def test_the_deliveries_around_it_are_about_the_same_user(emptied: str) -> None:
    user_id, team_id = uuid4(), uuid4()
    own, others = ([membership("created", team_id, each) for _ in range(9)] for each in (user_id, uuid4()))
    applied(emptied, *(each for pair in zip(own, others, strict=True) for each in pair))

    found = [each["message_id"] for each in shown(emptied, own[4].message_id)["neighbours"]]

    assert found == [own[n].message_id for n in (7, 6, 5, 3, 2, 1)]


@pytest.mark.parametrize("arguments", [[], ["--body"], ["--json"], ["--body", "--json"]], ids=" ".join)
def test_nothing_personal_is_shown_without_a_reason(emptied: str, arguments: list[str]) -> None:
    first = canary()
    applied(emptied, first, canary()._replace(message_id="dead"))

    result = call(emptied, "deliveries", "show", first.message_id, *arguments)

    assert (result.exit_code, shown_canaries(result.output)) == (0, [])
    assert rows(emptied, "SELECT FROM consumer.actions") == []


def test_revealing_shows_the_values_and_is_recorded(emptied: str) -> None:
    first = canary()
    applied(emptied, first)

    found = shown(emptied, first.message_id, "--body", "--reveal", "--reason", "ticket 4711")

    assert found["body"]["data"]["client_metadata"] == {"note": SECRET}
    assert found["changes"][0]["new_values"]["full_name"] == NAME
    [action] = rows(emptied, "SELECT action, reason, filter FROM consumer.actions")
    assert action == {
        "action": "reveal",
        "reason": "ticket 4711",
        "filter": {"message_ids": [first.message_id], "user_ids": [str(first.user_id)]},
    }


def test_revealing_a_delivery_that_is_not_there_records_nothing(emptied: str) -> None:
    result = call(emptied, "deliveries", "show", "nobody", "--reveal", "--reason", "x")

    assert result.exit_code == 1
    assert rows(emptied, "SELECT FROM consumer.actions") == []


@pytest.mark.parametrize("arguments", [[], ["--reveal", "--reason", "a test"]], ids=["masked", "revealed"])
def test_a_page_has_four_parts_and_cuts_nothing_in_a_file(emptied: str, arguments: list[str]) -> None:
    user_id = uuid4()
    long, first = canary(display_name="x" * 300), canary()
    applied(emptied, about(user_id, long), about(user_id, first))

    text = printed(call(emptied, "deliveries", "show", first.message_id, *arguments))

    assert (NAME in text) is bool(arguments)
    assert [line for line in text.splitlines() if line.startswith(("What", "If", "Around"))] == [
        "What happened",
        "What it changed",
        "If it were replayed",
        "Around it",
    ]


def test_a_body_that_is_no_json_is_shown_as_none(emptied: str) -> None:
    applied(emptied, dead_at_the_door("text", b"canary4711 {", event_type=None)._replace(user_id=None))

    assert shown(emptied, "text", "--body")["body"] is None
    assert shown(emptied, "text", "--body", "--reveal", "--reason", "a test")["body"] is None
