"""Dead letters by the command line: grouped, shown, tried again, given up."""

from base64 import b64decode

import pytest

from tests.support.cli import arrive, call, facts
from tests.support.dead import BROKEN, dead_at_the_door
from tests.support.factories import user_updated
from tests.support.outbox import set_aside

# Ends rich's markup, clears the screen, turns the line around, ends it.
HOSTILE = "[/bold]\x1b[2J\u202etxt\r\nuser.deleted"


def test_dead_deliveries_are_grouped_by_error_and_type_with_an_example(three_dead: str) -> None:
    arrive(three_dead, dead_at_the_door("other")._replace(event_type="team.created"))

    groups = facts(three_dead, "dead", "list")["groups"]

    assert [(g["error_code"], g["event_type"], g["deliveries"], g["message_id"]) for g in groups] == [
        ("23514", "user.updated", 2, "second"),
        ("bad_shape", "team.created", 1, "other"),
        ("bad_shape", "user.updated", 1, "broken"),
    ]
    assert groups[0]["first_at"] <= groups[0]["last_at"]
    assert groups[2]["error"] == "$.data.id: Required field is missing"


def test_one_code_for_two_reasons_makes_two_groups(emptied: str) -> None:
    missing, other = dead_at_the_door("missing"), dead_at_the_door("other")._replace(error="$.data.id: Expected `str`")
    arrive(emptied, missing, missing._replace(message_id="missing too"), other)

    groups = facts(emptied, "dead", "list")["groups"]

    assert [(group["deliveries"], group["error"], group["message_id"]) for group in groups] == [
        (2, "$.data.id: Required field is missing", "missing too"),
        (1, "$.data.id: Expected `str`", "other"),
    ]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--error", "23514"], ["second"]),
        (["--type", "user.updated"], ["second", "broken"]),
        (["--limit", "1"], ["second"]),
        (["--error", "nothing"], []),
    ],
)
def test_a_list_can_be_narrowed(three_dead: str, arguments: list[str], expected: list[str]) -> None:
    groups = facts(three_dead, "dead", "list", *arguments)["groups"]

    assert [group["message_id"] for group in groups] == expected


def test_each_dead_delivery_can_be_listed_by_itself(three_dead: str) -> None:
    listed = facts(three_dead, "dead", "list", "--each")["deliveries"]
    of_one_error = facts(three_dead, "dead", "list", "--each", "--error", "23514", "--limit", "1")["deliveries"]

    assert [(each["message_id"], each["error_code"], each["attempts"]) for each in listed] == [
        ("first", "23514", 3),
        ("second", "23514", 3),
        ("broken", "bad_shape", 0),
    ]
    assert [each["message_id"] for each in of_one_error] == ["first"]
    assert call(three_dead, "dead", "list", "--each").stdout.count("23514") == 2


@pytest.mark.parametrize("arguments", [["dead", "list"], ["dead", "list", "--each"], ["status"]])
def test_neither_an_id_nor_a_path_is_cut(emptied: str, arguments: list[str]) -> None:
    path = f"$.data.{'client_metadata.' * 10}id: Required field is missing"
    long = dead_at_the_door("m" * 256, event_type="project_permission.created")._replace(error=path)
    arrive(emptied, long)

    printed = call(emptied, *arguments).stdout

    assert f" {long.message_id} " in printed
    assert path in printed


@pytest.mark.parametrize("each", [[], ["--each"]])
def test_a_filter_that_matches_nothing_does_not_deny_the_dead(three_dead: str, each: list[str]) -> None:
    listed = call(three_dead, "dead", "list", "--error", "nonsense", *each)

    assert listed.stdout == "Nothing dead matches; 3 deliveries are dead.\n"


def test_retrying_deliveries_are_not_dead(emptied: str) -> None:
    waiting = user_updated()
    arrive(emptied, waiting)
    set_aside(emptied, [waiting], "retrying")

    assert call(emptied, "dead", "list").stdout == "Nothing is dead.\n"


def test_one_delivery_is_shown_without_its_body(three_dead: str) -> None:
    [shown] = facts(three_dead, "dead", "show", "broken")["deliveries"]

    assert {name: shown[name] for name in ("message_id", "source", "state", "attempts", "error_code", "outcome")} == {
        "message_id": "broken",
        "source": "stack",
        "state": "dead",
        "attempts": 0,
        "error_code": "bad_shape",
        "outcome": None,
    }
    assert shown["body_bytes"] == len(BROKEN)
    assert "body" not in shown
    assert "data" not in call(three_dead, "dead", "show", "broken").stdout.replace("$.data.id", "")


def test_the_body_is_shown_only_when_asked_for(three_dead: str) -> None:
    [shown] = facts(three_dead, "dead", "show", "broken", "--body")["deliveries"]

    assert shown["body"] == BROKEN.decode()
    assert BROKEN.decode() in call(three_dead, "dead", "show", "broken", "--body").stdout


def test_a_body_that_is_no_text_is_shown_as_base64(emptied: str) -> None:
    arrive(emptied, dead_at_the_door("bytes", body=b"\xff\x00\xfe"))

    [shown] = facts(emptied, "dead", "show", "bytes", "--body")["deliveries"]

    assert b64decode(shown["body_base64"]) == b"\xff\x00\xfe"
    assert "body" not in shown


def test_a_message_id_that_two_sources_have_shows_both(emptied: str) -> None:
    stack = dead_at_the_door("same")
    arrive(emptied, stack, stack._replace(source="app"))

    shown = facts(emptied, "dead", "show", "same")["deliveries"]

    assert [delivery["source"] for delivery in shown] == ["stack", "app"]


def test_an_unknown_message_id_is_one_sentence(emptied: str) -> None:
    result = call(emptied, "dead", "show", "nothing\x1b[2J")

    assert result.exit_code == 1
    assert result.stderr == "Error: No delivery has the message id nothing\\x1b[2J.\n"


def test_what_a_sender_wrote_cannot_steer_the_terminal(emptied: str) -> None:
    body = b'{"type": "x", "data": "\x1b[2J"}'
    arrive(emptied, dead_at_the_door("[red]id[/]", event_type=HOSTILE, body=body))

    printed = call(emptied, "dead", "list").stdout + call(emptied, "dead", "show", "[red]id[/]", "--body").stdout

    assert "[red]id[/]" in printed
    assert all(character.isprintable() or character == "\n" for character in printed)
