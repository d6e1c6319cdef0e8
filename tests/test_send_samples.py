"""`consumer send --print --set --team`: the sample that is sent, with what the caller sets in it."""

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from consumer.events.check import check
from consumer.events.registry import EVENT_TYPES
from consumer.simulator.samples import SAMPLES
from tests.support.processes import invoke

TEAM_ID, USER_ID = str(uuid4()), str(uuid4())


def printed(folder: Path, *arguments: str) -> list[Any]:
    """Return the bodies that are printed; neither a secret nor a receiver is needed."""
    result = invoke(folder, {}, "send", *arguments, "--print")
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_the_body_is_printed_and_nothing_is_sent(tmp_path: Path) -> None:
    [body] = printed(tmp_path, "user.created", "--user", USER_ID)

    assert (body["type"], body["data"]["id"]) == ("user.created", USER_ID)


def test_each_of_several_is_printed_on_a_line_of_its_own(tmp_path: Path) -> None:
    bodies = printed(tmp_path, "user.created", "--count", "3")

    assert len({body["data"]["id"] for body in bodies}) == 3


def test_the_bytes_of_a_file_are_printed_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "body.json").write_text('{"type":  "user.deleted"}')

    result = invoke(tmp_path, {}, "send", "user.deleted", "--file", "body.json", "--print")

    assert result.stdout == '{"type":  "user.deleted"}\n'


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("display_name=Ada Lovelace", "display_name", "Ada Lovelace"),
        ("display_name=", "display_name", ""),
        ("display_name=a=b", "display_name", "a=b"),
        ("display_name=null", "display_name", None),
        ('display_name="12"', "display_name", "12"),
        ("primary_email_verified=false", "primary_email_verified", False),
        ("server_metadata={}", "server_metadata", {}),
        ("unheard_of=1", "unheard_of", 1),
    ],
)
def test_a_value_is_json_or_text(tmp_path: Path, text: str, key: str, value: object) -> None:
    [body] = printed(tmp_path, "user.updated", "--set", text)

    assert body["data"][key] == value


def test_dots_lead_into_objects_and_make_those_that_are_missing(tmp_path: Path) -> None:
    settings = ("--set", "server_metadata.role=owner", "--set", "client_read_only_metadata.a.b=1")

    [body] = printed(tmp_path, "user.updated", *settings)

    assert body["data"]["server_metadata"]["role"] == "owner"
    assert "department" in body["data"]["server_metadata"]
    assert body["data"]["client_read_only_metadata"] == {"a": {"b": 1}}


def test_samples_do_not_share_what_is_set(tmp_path: Path) -> None:
    printed(tmp_path, "user.updated", "--set", "server_metadata.role=owner", "--count", "2")

    [body] = printed(tmp_path, "user.updated", "--user", USER_ID)

    assert "owner" not in SAMPLES["user.updated"]["server_metadata"].values()
    assert check(json.dumps(body).encode(), "stack").type == "user.updated"


@pytest.mark.parametrize("event_type", [name for name in SAMPLES if EVENT_TYPES[name].team])
def test_a_sample_is_about_the_named_team(tmp_path: Path, event_type: str) -> None:
    [body] = printed(tmp_path, event_type, "--team", TEAM_ID)

    assert str(check(json.dumps(body).encode(), "stack").team_id) == TEAM_ID


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["user.created", "--team", TEAM_ID], "A sample of user.created is about no team."),
        (["user.created", "--set", "role"], "'role' is not KEY=VALUE"),
        (["user.created", "--set", "=1"], "'=1' is not KEY=VALUE"),
        (["user.created", "--set", "a..b=1"], "'a..b=1' is not KEY=VALUE"),
        (["user.deleted", "--file", "body.json", "--set", "a=1"], "--file and --set exclude each other"),
        (["team.deleted", "--file", "body.json", "--team", TEAM_ID], "--file and --team exclude each other"),
    ],
    ids=["no team", "no value", "no key", "no key between", "set in a file", "team in a file"],
)
def test_what_has_no_place_in_a_sample_is_refused(tmp_path: Path, arguments: list[str], sentence: str) -> None:
    (tmp_path / "body.json").write_text('{"data": {}}')

    result = invoke(tmp_path, {}, "send", *arguments, "--print")

    assert (result.exit_code, result.stdout) == (2, "")
    assert sentence in " ".join(result.stderr.split())
