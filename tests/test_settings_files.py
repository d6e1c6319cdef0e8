"""Settings from files: secrets, the env file, and the example of one."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from consumer.errors import BadSettings
from consumer.settings import settings
from consumer.settings.settings import Settings
from tests.support.processes import ROOT
from tests.support.settings import HIDDEN, URL, faults, load


def test_a_variable_and_its_file_may_agree_but_not_differ(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text(URL)

    load({"DATABASE_URL": URL, "DATABASE_URL_FILE": str(file)})

    assert faults(DATABASE_URL="dbname=other", DATABASE_URL_FILE=str(file)) == [
        "DATABASE_URL and DATABASE_URL_FILE name one setting and disagree; keep one of them."
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("DATABASE_URL", URL),
        ("STACK_WEBHOOK_SECRETS", HIDDEN),
        ("STACK_WEBHOOK_SECRET", HIDDEN),
        ("STACK_SECRET_SERVER_KEY", HIDDEN),
    ],
)
def test_a_secret_is_read_from_a_file(tmp_path: Path, name: str, text: str) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{text}\n")

    loaded = load({f"{name}_FILE": str(file)})

    held = (loaded.database_url, *loaded.stack_webhook_secrets, loaded.stack_secret_server_key)
    assert [value for value in held if value] == [text]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (None, "names a file that cannot be read (FileNotFoundError)."),
        (b"\xff\xfe\x00", "names a file that cannot be read (UnicodeDecodeError)."),
        (b" \n", "names an empty file."),
    ],
    ids=["missing", "not text", "empty"],
)
def test_an_unusable_file_is_a_fault_and_not_an_unset_variable(
    tmp_path: Path, content: bytes | None, fault: str
) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)

    assert faults(DATABASE_URL_FILE=str(file)) == [f"DATABASE_URL_FILE {fault}"]


def test_a_bad_value_in_a_file_is_not_quoted(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(HIDDEN)

    assert faults(PORT_FILE=str(file)) == ["The text of PORT_FILE must be a whole number."]


def test_the_environment_wins_over_the_env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("PORT=9000\nHOST=0.0.0.0\n")
    monkeypatch.setenv("PORT", "9001")
    monkeypatch.delenv("HOST", raising=False)

    loaded, faults = settings.from_process(tmp_path)

    assert (loaded.port, loaded.host, faults) == (9001, "0.0.0.0", [])


@pytest.mark.parametrize("name", ["STACK_WEBHOOK_SECRETS", "STACK_WEBHOOK_SECRET"])
@pytest.mark.parametrize("other", ["STACK_WEBHOOK_SECRETS", "STACK_WEBHOOK_SECRET_FILE"])
def test_the_environment_wins_over_the_env_file_under_another_name(
    name: str, other: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text(f"{other}={HIDDEN}0000")
    monkeypatch.setenv(name, HIDDEN)

    loaded, faults = settings.from_process(tmp_path)

    assert (loaded.stack_webhook_secrets, faults) == ((HIDDEN,), [])


def test_two_names_in_the_env_file_that_disagree_are_refused(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"STACK_WEBHOOK_SECRETS={HIDDEN}\nSTACK_WEBHOOK_SECRET={HIDDEN}0000")

    _, faults = settings.from_process(tmp_path)

    assert faults == ["STACK_WEBHOOK_SECRETS and STACK_WEBHOOK_SECRET name one setting and disagree; keep one of them."]


def test_a_bad_value_from_the_env_file_is_named_with_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text(
        "\n# The receiver\nHOST=::1\n\n  export PORT = 80a\nSTACK_WEBHOOK_SECRETS=x\nOPS_PORT=y"
    )
    monkeypatch.setenv("OPS_PORT", "z")

    _, problems = settings.from_process(tmp_path)

    assert problems == [
        "STACK_WEBHOOK_SECRETS: Webhook secret 1 of 1 is not base64 (.env line 6).",
        "PORT must be a whole number, not '80a' (.env line 5).",
        "OPS_PORT must be a whole number, not 'z'.",
    ]


def test_no_env_file_is_no_fault(tmp_path: Path) -> None:
    assert settings.dotenv(tmp_path / ".env") == settings.EnvFile()


def test_a_line_that_is_no_assignment_is_a_problem_and_the_others_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / ".env").write_text("# ports\n\nPORT 9000\n\n\nHOST\nexport OPS_PORT=9001 # private\nOPS_HOST='::1\n")
    for name in ("PORT", "HOST", "OPS_PORT", "OPS_HOST"):
        monkeypatch.delenv(name, raising=False)

    loaded, problems = settings.from_process(tmp_path)

    assert problems == [f".env line {line} is not NAME=value." for line in (3, 6, 8)]
    assert (loaded.port, loaded.host, loaded.ops_port, loaded.ops_host) == (8000, "127.0.0.1", 9001, "127.0.0.1")
    assert caplog.messages == []


def test_a_quoted_value_may_have_lines_of_any_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text(f'APP_WEBHOOK_SECRETS="{HIDDEN}\nPORT=1\n"\nHOST=::1\nPORT=x\n')
    monkeypatch.delenv("PORT", raising=False)

    _, problems = settings.from_process(tmp_path)

    assert problems == [
        "APP_WEBHOOK_SECRETS: Webhook secret 2 of 2 is not base64 (.env line 1).",
        "PORT must be a whole number, not 'x' (.env line 5).",
    ]


@pytest.mark.parametrize("name", ["other.env", "{folder}/other.env"])
def test_another_env_file_is_read_instead(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("PORT=9000\nHOST=::1\n")
    (tmp_path / "other.env").write_text("PORT=9001\nOPS_PORT=x\n?\n")
    monkeypatch.setenv("CONSUMER_ENV_FILE", name.format(folder=tmp_path))
    for variable in ("PORT", "HOST", "OPS_PORT"):
        monkeypatch.delenv(variable, raising=False)

    loaded, problems = settings.from_process(tmp_path)

    assert (loaded.port, loaded.host) == (9001, "127.0.0.1")
    assert problems == ["other.env line 3 is not NAME=value.", "OPS_PORT must be a whole number, not 'x'."]


def test_another_env_file_that_does_not_exist_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("PORT=9000\n")
    monkeypatch.setenv("CONSUMER_ENV_FILE", "other.env")

    with pytest.raises(BadSettings) as raised:
        settings.from_process(tmp_path)

    assert raised.value.problems == [f"CONSUMER_ENV_FILE names {tmp_path}/other.env, which does not exist."]


def test_an_env_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"DEFAULT_DEPARTMENT=Caf\xe9\n")

    with pytest.raises(BadSettings, match=r"\.env cannot be read \(UnicodeDecodeError\)"):
        settings.dotenv(tmp_path / ".env")


class Asked(Mapping[str, str]):
    """An empty environment that remembers the names it was asked for."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.names.add(name)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


# They are read before any env file, or without one.
ENVIRONMENT_ONLY = {"CONSUMER_ENV_FILE", "CONSUMER_PG_BIN"}


def example() -> list[tuple[str, str, str]]:
    """Return (comment, name, value) of each variable in .env.example."""
    return re.findall(r"^# (.+)\n# ([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE)


def test_the_example_has_every_variable_once_with_one_comment() -> None:
    asked = Asked()
    load(asked)
    aliases = {alias for others in settings.ALIASES.values() for alias in others}
    names = [name for _, name, _ in example()]

    assert ENVIRONMENT_ONLY.isdisjoint(asked.names)
    assert sorted(names) == sorted(
        {name for name in asked.names if not name.endswith("_FILE")} - aliases | ENVIRONMENT_ONLY
    )
    assert len(re.findall(r"^# [A-Z_]+=", (ROOT / ".env.example").read_text(), re.MULTILINE)) == len(names)


def test_the_example_shows_the_true_defaults() -> None:
    samples = {"DATABASE_URL", "STACK_WEBHOOK_SECRETS"}

    assert load({name: value for _, name, value in example() if name not in samples}) == Settings()
