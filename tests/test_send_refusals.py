"""What `consumer send` and the secrets that `up` keeps refuse, before anything is sent."""

from pathlib import Path

import pytest

from consumer.cli.database import looked_in
from consumer.settings.settings import Settings
from tests.support.processes import SECRET, invoke

SECRETS = {"STACK_WEBHOOK_SECRETS": SECRET}


def test_the_help_of_send_lists_the_types(tmp_path: Path) -> None:
    assert "team_membership.deleted" in invoke(tmp_path, {}, "send", "--help").stdout


def test_send_knows_its_samples(tmp_path: Path) -> None:
    result = invoke(tmp_path, SECRETS, "send", "user.creatd")

    assert (result.exit_code, "user.created" in result.stderr) == (2, True)


@pytest.mark.parametrize(
    ("event_type", "variable"), [("user.created", "STACK_WEBHOOK_SECRETS"), ("user.signed_in", "APP_WEBHOOK_SECRETS")]
)
def test_send_signs_nothing_without_a_secret(event_type: str, variable: str, tmp_path: Path) -> None:
    result = invoke(tmp_path, {"CONSUMER_DATA_DIR": str(tmp_path)}, "send", event_type)

    assert (result.exit_code, f"{variable} is not set" in result.stderr) == (2, True)


def test_send_says_where_it_looked_for_a_secret(tmp_path: Path) -> None:
    result = invoke(tmp_path, {"CONSUMER_DATA_DIR": str(tmp_path)}, "send", "user.created")

    assert (result.exit_code, f"{tmp_path} (from CONSUMER_DATA_DIR)" in result.stderr) == (2, True)


@pytest.mark.parametrize("text", ["", "whsec_short", "two words"])
def test_a_kept_file_without_a_usable_secret_is_named_before_anything_starts(text: str, tmp_path: Path) -> None:
    (tmp_path / "webhook-secret").write_text(text)
    folder = {"CONSUMER_DATA_DIR": str(tmp_path)}
    problem = f"{tmp_path / 'webhook-secret'} holds no usable secret"
    sentence = f"Error: {problem}: restore it, or delete it and `consumer up` makes a new one.\n"

    for arguments in (["up"], ["send", "user.created"]):
        result = invoke(tmp_path, folder, *arguments)
        assert (result.exit_code, result.stderr) == (2, sentence)
    assert problem in invoke(tmp_path, folder, "doctor").stdout


def test_a_missing_data_directory_names_the_variable_that_would_move_it() -> None:
    assert "CONSUMER_DATA_DIR names another folder" in looked_in(Settings())


def test_send_does_not_put_a_user_into_the_body_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "body.json").write_text('{"type": "user.deleted", "data": {}}')
    user = ("--user", "6f1c2f0e-9d3b-4a57-8c21-0b7d5e9a4f10")

    result = invoke(tmp_path, SECRETS, "send", "user.deleted", "--file", "body.json", *user)

    assert (result.exit_code, "--file and --user exclude each other" in result.stderr) == (2, True)


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://localhost/", "http://", "http://localhost:port/"])
def test_send_wants_a_whole_url(url: str, tmp_path: Path) -> None:
    result = invoke(tmp_path, SECRETS, "send", "user.created", "--url", url)

    assert (result.exit_code, "https://" in result.stderr) == (2, True)


def test_send_says_that_nobody_answers(tmp_path: Path) -> None:
    result = invoke(tmp_path, {**SECRETS, "PORT": "1"}, "send", "user.created")

    sentence = (
        "Nothing listens on 127.0.0.1:1 (Connection refused): start `consumer up`, or correct --url, HOST or PORT."
    )
    assert (result.exit_code, sentence in result.stderr) == (1, True)
