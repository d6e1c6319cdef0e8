"""The secrets that `up` keeps: which are read, written and refused, file by file."""

import os
from pathlib import Path

import pytest

from consumer.cli import secret
from consumer.errors import BadSettings
from consumer.settings.settings import Settings
from consumer.settings.signing_secrets import EXAMPLES

ONE, OTHER, THIRD = (secret.new() for _ in range(3))


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_new_secret_is_32_bytes_of_chance() -> None:
    assert len(secret.new()) == len("whsec_") + 44
    assert ONE != OTHER
    assert secret.SECRET_BYTES == 32


def test_a_secret_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = secret.keep(tmp_path, "app")
    made = path.read_text()

    assert secret.keep(tmp_path, "app") == path == tmp_path / "app-webhook-secret"
    assert (path.read_text(), mode(path), made[-1]) == (made, 0o600, "\n")
    assert secret.read(path) == made.strip()
    assert [each.name for each in tmp_path.iterdir()] == ["app-webhook-secret"]
    assert (secret.kept(tmp_path, "app"), secret.kept(tmp_path, "stack")) == (path, None)


def test_the_newest_comes_first_and_the_one_before_stays(tmp_path: Path) -> None:
    path = tmp_path / "file"

    assert [secret.keep_newest(path, each) for each in (ONE, ONE, OTHER, THIRD)] == [True, False, True, True]

    assert (path.read_text(), mode(path)) == (f"{THIRD}\n{OTHER}\n", 0o600)
    assert list(tmp_path.iterdir()) == [path]


def test_a_scratch_file_that_was_left_is_in_nobodys_way(tmp_path: Path) -> None:
    left = tmp_path / f"file.{os.getpid()}"
    left.write_text("left")
    left.chmod(0o644)

    assert secret.keep_newest(tmp_path / "file", ONE)
    assert (secret.read_all(tmp_path / "file"), left.exists()) == ((ONE,), False)
    assert mode(tmp_path / "file") == 0o600


@pytest.mark.parametrize(
    "text", ["", " \n", "nope", f"{ONE} nope"], ids=["empty", "blank", "a word", "a secret and a word"]
)
def test_a_file_with_an_unusable_secret_or_none_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "webhook-secret"
    path.write_text(text)

    with pytest.raises(BadSettings, match="holds no usable secret"):
        secret.read_all(path)
    assert secret.problems(tmp_path, Settings(app_webhook_secrets=(OTHER,))) == [
        f"{path} holds no usable secret: restore it, or delete it and `consumer up` makes a new one."
    ]
    assert secret.problems(tmp_path, Settings(stack_webhook_secrets=(ONE,))) == []


def test_one_key_for_two_sources_is_a_problem_and_two_are_none(tmp_path: Path) -> None:
    kept = tmp_path / "app-webhook-secret"
    kept.write_text(ONE)

    shared = secret.problems(tmp_path, Settings(stack_webhook_secrets=(OTHER, ONE)))

    assert shared == [f"STACK_WEBHOOK_SECRETS and {kept} hold the same key: make another for one of them."]
    assert secret.problems(tmp_path, Settings(stack_webhook_secrets=(OTHER,))) == []
    (tmp_path / "webhook-secret").write_text(OTHER)
    assert secret.problems(tmp_path, Settings()) == []


def test_known_secrets_are_the_set_ones_else_those_that_up_keeps(tmp_path: Path) -> None:
    (tmp_path / "webhook-secret").write_text(f"{ONE}\n{OTHER}\n")
    embedded = Settings(data_dir=tmp_path)

    assert secret.known(embedded, "stack") == (ONE, OTHER)
    assert secret.known(embedded, "app") == ()
    assert secret.known(Settings(data_dir=tmp_path, stack_webhook_secrets=(THIRD,)), "stack") == (THIRD,)
    assert secret.known(Settings(data_dir=tmp_path, database_url="x"), "stack") == ()
    assert secret.secrets_of(Settings(stack_webhook_secrets=("s",), app_webhook_secrets=("a",)), "app") == ("a",)


def test_sources_are_expected_if_they_have_a_secret(tmp_path: Path) -> None:
    assert secret.expected_sources(Settings(data_dir=tmp_path)) == []
    assert secret.unconfigured(Settings(app_webhook_secrets=("a",))) == ["stack"]
    (tmp_path / "webhook-secret").write_text(ONE)

    assert secret.expected_sources(Settings(data_dir=tmp_path)) == ["stack"]
    assert secret.expected_sources(Settings(data_dir=tmp_path, app_webhook_secrets=("a",))) == ["stack", "app"]
    assert secret.expected_sources(Settings(data_dir=tmp_path, database_url="x")) == []
    assert secret.expected_sources(Settings(data_dir=tmp_path, database_url="x", app_webhook_secrets=("a",))) == ["app"]


def test_an_example_key_is_a_problem_where_others_reach_the_receiver() -> None:
    settings = Settings(stack_webhook_secrets=(ONE,), app_webhook_secrets=(OTHER, EXAMPLES[0]))

    assert secret.examples(settings) == ["APP_WEBHOOK_SECRETS"]
    assert secret.example_problems(settings, "127.0.0.1") == []
    assert secret.example_problems(settings, "0.0.0.0") == [
        "APP_WEBHOOK_SECRETS holds an example key that documents show, so anybody can sign with it: use your own, or "
        "let the receiver listen on 127.0.0.1 instead of 0.0.0.0."
    ]
    assert secret.example_problems(Settings(stack_webhook_secrets=(ONE,)), "0.0.0.0") == []


def test_the_key_of_the_console_is_the_set_one_or_kept(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "data"

    made = secret.keep_console(Settings(data_dir=folder))

    assert secret.keep_console(Settings(data_dir=folder, console_secret="set")) == "set"
    assert secret.keep_console(Settings(data_dir=folder)) == made
    assert (len(made), mode(folder / "console-secret"), mode(folder)) == (64, 0o600, 0o711)


def test_a_variable_is_named_as_it_was_set() -> None:
    assert secret.variable(Settings(), "app") == "APP_WEBHOOK_SECRETS"
    assert secret.variable(Settings(variables={"APP_WEBHOOK_SECRETS": "OLD"}), "app") == "OLD"
    assert secret.variable(Settings(variables={"APP_WEBHOOK_SECRETS": "OLD"}), "stack") == "STACK_WEBHOOK_SECRETS"
