"""Settings from files: secrets, the env file, and the example of one."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from consumer.settings import settings
from consumer.settings.aliases import ALIASES
from consumer.settings.settings import Settings
from consumer.settings.texts import FILE_BYTES_MAX
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
        (b"caf\xe9", "names a file that cannot be read (UnicodeDecodeError): save it as UTF-8."),
        ("dbname=app".encode("utf-16"), "names a file that is UTF-16: save it as UTF-8."),
        ("dbname=app".encode("utf-16-le"), "names a file that holds NUL characters: save it as UTF-8."),
        (b" \n", "names a file that is empty."),
        (b"#" * (FILE_BYTES_MAX + 1), "names a file that is larger than 1024 kB."),
    ],
    ids=["missing", "not text", "UTF-16", "UTF-16 without a mark", "empty", "large"],
)
def test_an_unusable_file_is_a_fault_and_not_an_unset_variable(
    tmp_path: Path, content: bytes | None, fault: str
) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)

    assert faults(DATABASE_URL_FILE=str(file)) == [f"DATABASE_URL_FILE {fault}"]


def test_a_folder_in_place_of_a_file_is_named(tmp_path: Path) -> None:
    assert faults(DATABASE_URL_FILE=str(tmp_path)) == [
        "DATABASE_URL_FILE names a file that cannot be read (IsADirectoryError)."
    ]


@pytest.mark.parametrize("path", ["~/secret", "secret"])
def test_a_file_may_be_named_from_home_or_from_the_working_directory(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_text(f"{HIDDEN}\r\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    assert load({"HEXCLAVE_WEBHOOK_SECRETS_FILE": path}).stack_webhook_secrets == (HIDDEN,)


def test_a_byte_order_mark_in_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(HIDDEN, encoding="utf-8-sig")

    assert faults(STACK_WEBHOOK_SECRET_FILE=str(tmp_path / "secret")) == [
        "The text of STACK_WEBHOOK_SECRET_FILE begins with a byte order mark (BOM): save it as UTF-8 without one."
    ]


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


def test_a_blank_variable_of_the_environment_unsets_that_of_the_env_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("PORT=9000\n")
    monkeypatch.setenv("PORT", "")

    loaded, faults = settings.from_process(tmp_path)

    assert (loaded.port, faults) == (8000, [])


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
        "STACK_WEBHOOK_SECRETS: Webhook secret 1 of 1 is not base64: copy the whole secret anew (.env line 6).",
        "PORT must be a whole number, not '80a' (.env line 5).",
        "OPS_PORT must be a whole number or off, not 'z'.",
    ]


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


def example() -> list[tuple[str, str, str]]:
    """Return (comment, name, value) of each variable in .env.example."""
    return re.findall(r"^# (.+)\n# ([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE)


def test_the_example_has_every_variable_once_with_one_comment() -> None:
    asked = Asked()
    load(asked)
    aliases = {alias for others in ALIASES.values() for alias in others}
    names = [name for _, name, _ in example()]

    assert settings.ENVIRONMENT_ONLY.isdisjoint(asked.names)
    assert sorted(names) == sorted(
        {name for name in asked.names if not name.endswith("_FILE")} - aliases | settings.ENVIRONMENT_ONLY
    )
    assert len(re.findall(r"^# [A-Z_]+=", (ROOT / ".env.example").read_text(), re.MULTILINE)) == len(names)


def test_the_example_shows_the_true_defaults() -> None:
    samples = {"DATABASE_URL", "STACK_WEBHOOK_SECRETS"}

    assert load({name: value for _, name, value in example() if name not in samples}) == Settings()
