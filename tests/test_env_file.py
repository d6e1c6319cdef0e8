"""The env file: which one is read, whose it may be, and what is said about its lines."""

import grp
import os
import pwd
from collections.abc import Callable
from pathlib import Path

import pytest

from consumer.settings import env_file, settings
from consumer.settings.settings import Settings
from tests.support.settings import HIDDEN

STRANGER = 12_345
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ.keys() & (settings.NAMES | settings.ENVIRONMENT_ONLY | {env_file.RUN}):
        monkeypatch.delenv(name)


def read(folder: Path, text: str | bytes) -> tuple[Settings, list[str]]:
    (folder / ".env").write_bytes(text if isinstance(text, bytes) else text.encode())
    return settings.from_process(folder)


def test_no_env_file_is_no_problem(tmp_path: Path) -> None:
    assert settings.from_process(tmp_path) == (Settings(), [])


def test_a_line_that_names_a_setting_and_does_not_assign_is_a_problem_and_the_others_hold(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = "# ports\n\nPORT 9000\n\n\nHOST\nexport OPS_PORT=9001 # private\nOPS_HOST='::1\n"

    loaded, problems = read(tmp_path, text)

    assert problems == [f".env line {line} is not NAME=value." for line in (3, 6, 8)]
    assert (loaded.port, loaded.host, loaded.ops_port, loaded.ops_host) == (8000, "127.0.0.1", 9001, "127.0.0.1")
    assert (loaded.warnings, caplog.messages) == ((), [])


@pytest.mark.parametrize(
    "line",
    [
        f"STACK_WEBHOOK_SECRETS: {HIDDEN}",
        "DATABASE_URL postgres://u@h/d",
        "export HEXCLAVE_WEBHOOK_SECRET",
        f'"APP_WEBHOOK_SECRET": "{HIDDEN}"',
        "PORT_FILE: /run/port",
        "database_url: postgres://u@h/d",
        "port 9000",
        "PROT 9000",
        f"STAKC_WEBHOOK_SECRET {HIDDEN}",
        f"stack-webhook-secrts: {HIDDEN}",
        'OTHER="not closed\nDATABASE_URL="postgres://u@h/d"',
    ],
)
def test_a_line_near_to_a_setting_s_name_is_refused_with_its_number(line: str, tmp_path: Path) -> None:
    loaded, problems = read(tmp_path, f"OPS_PORT=9001\n{line}\n")

    assert (loaded.ops_port, loaded.warnings, problems) == (9001, (), [".env line 2 is not NAME=value."])


@pytest.mark.parametrize(
    "line",
    [
        "FOO",
        "FOO: bar",
        "export FOO",
        "just a note for later",
        "not an assignment",
        "-----BEGIN PRIVATE KEY-----",
        "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC",
        "?",
        "<<<<<<< HEAD",
        "=value",
        "FOO='not closed",
        "source other.env",
    ],
)
def test_any_other_odd_line_is_a_warning_with_its_number(
    line: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    loaded, problems = read(tmp_path, f"PORT=9000\n{line}\nHOST=::1\n")

    assert (loaded.port, loaded.host, problems, caplog.messages) == (9000, "::1", [], [])
    assert loaded.warnings == (".env line 2 is not NAME=value and was skipped.",)


def test_bytes_that_are_not_utf_8_are_refused_in_the_value_of_a_setting_alone(tmp_path: Path) -> None:
    text = b"# caf\xe9\nNAME=Caf\xe9\nCAF\xe9=1\nHOS\xe9=1\n\xe9\nPORT=9000\nDEFAULT_DEPARTMENT=Caf\xe9\n"

    loaded, problems = read(tmp_path, text)

    assert (loaded.port, problems) == (
        9000,
        ["DEFAULT_DEPARTMENT holds bytes that are not UTF-8: save it as UTF-8 (.env line 7)."],
    )
    assert ".env line 5 is not NAME=value and was skipped." in loaded.warnings
    assert "\n".join(loaded.warnings).isascii()


def test_a_quoted_value_may_have_lines_of_any_kind(tmp_path: Path) -> None:
    _, problems = read(tmp_path, f'APP_WEBHOOK_SECRETS="{HIDDEN}\n?=1\n"\nHOST=::1\nPORT=x\n')

    assert problems[0].startswith("APP_WEBHOOK_SECRETS: Webhook secret 2 of 2 is not base64")
    assert problems[0].endswith("(.env line 1).")
    assert problems[1:] == ["PORT must be a whole number, not 'x' (.env line 5)."]


@pytest.mark.parametrize(
    "text",
    [
        "PORT=9000\r\nHOST=::1\r\n",
        "PORT=9000\rHOST=::1\r",
        "  export PORT = 9000\nHOST='::1'\n",
        'PORT="9000" # the receiver\n#PORT=1\nHOST=::1',
        "PORT_FILE=\nOPS_HOST=\nHOST=::1\nPORT=9000\n",
        "HOST=::1\nPORT=9000\nPORT=9000\n",
        "BASE=9\nPORT=${BASE}000\nHOST=${NONE:-::1}\n",
    ],
    ids=["CRLF", "CR", "export", "comments", "an empty value", "twice the same", "references"],
)
def test_a_usual_env_file_is_read(text: str, tmp_path: Path) -> None:
    loaded, problems = read(tmp_path, text)

    assert (loaded.port, loaded.host, loaded.warnings, problems) == (9000, "::1", (), [])


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("PORT=1\n# other\nPORT=2\n", ".env line 3 sets PORT to another value than .env line 1; keep one of them."),
        ("PORT=${NONE}\n", ".env line 1 refers to ${NONE}, which was not expanded because it is not set."),
        ("\ufeffPORT=9000\n", ".env begins with a byte order mark (BOM): save it as UTF-8 without one."),
        ("PORT=9000\n".encode("utf-16"), "{folder}/.env is UTF-16: save it as UTF-8."),
        (b"PORT=9000\0\n", "{folder}/.env holds NUL characters: save it as UTF-8."),
        (b"#" * (1024 * 1024 + 1), "{folder}/.env is larger than 1024 kB."),
    ],
    ids=["two values", "a reference to nothing", "BOM", "UTF-16", "NUL", "large"],
)
def test_what_is_wrong_with_an_env_file_is_one_problem(content: str | bytes, problem: str, tmp_path: Path) -> None:
    assert read(tmp_path, content)[1] == [problem.replace("{folder}", str(tmp_path))]


def test_lines_of_another_program_are_not_judged(tmp_path: Path) -> None:
    loaded, problems = read(tmp_path, "API_KEY=${NONE}\nAPI_KEY=2\nGREETING=“hello”\n")

    assert (loaded, problems) == (Settings(), [])


@pytest.mark.parametrize("name", ["other.env", "{folder}/other.env"])
def test_another_env_file_is_read_instead(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "other.env").write_text("PORT=9001\nOPS_PORT=x\n?\n")
    monkeypatch.setenv("CONSUMER_ENV_FILE", name.format(folder=tmp_path))

    loaded, problems = read(tmp_path, "PORT=9000\nHOST=::1\n")

    assert (loaded.port, loaded.host) == (9001, "127.0.0.1")
    assert loaded.warnings == ("other.env line 3 is not NAME=value and was skipped.",)
    assert problems == [
        "OPS_PORT must be a whole number or off, not 'x' (other.env line 2).",
    ]


def test_another_env_file_may_be_a_pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.write(writer, b"PORT=9001\n")
    os.close(writer)
    monkeypatch.setenv("CONSUMER_ENV_FILE", f"/dev/fd/{reader}")

    assert settings.from_process(tmp_path)[0].port == 9001
    os.close(reader)


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda path: None, "CONSUMER_ENV_FILE names {path}, which does not exist."),
        (Path.mkdir, "{path} is a folder; no variable was read from it."),
    ],
    ids=["missing", "a folder"],
)
def test_another_env_file_that_cannot_be_read_is_a_problem_beside_the_others(
    make: Callable[[Path], None], problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "other.env"
    make(path)
    monkeypatch.setenv("CONSUMER_ENV_FILE", str(path))
    monkeypatch.setenv("PORT", "x")

    _, problems = settings.from_process(tmp_path)

    assert problems == [problem.format(path=path), "PORT must be a whole number, not 'x'."]


def test_a_folder_named_env_is_a_warning_because_it_may_be_a_virtual_environment(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()

    loaded, problems = settings.from_process(tmp_path)

    assert (loaded.warnings, problems) == ((f"{tmp_path}/.env is a folder; no variable was read from it.",), [])


def test_a_pipe_named_env_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".env", 0o600)

    assert settings.from_process(tmp_path)[1] == [f"{tmp_path}/.env is no regular file."]


def test_a_link_is_followed_unless_it_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / ".env").symlink_to(tmp_path / "real")
    nowhere = settings.from_process(tmp_path)[1]
    (tmp_path / "real").write_text("PORT=9000\n")

    assert nowhere == [f"{tmp_path}/.env is a link to a file that does not exist."]
    assert settings.from_process(tmp_path)[0].port == 9000


def test_a_link_in_a_circle_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / ".env").symlink_to(tmp_path / ".env")

    assert settings.from_process(tmp_path)[1] == [f"{tmp_path}/.env cannot be read (OSError)."]


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666])
def test_a_file_that_others_can_write_is_refused_even_if_it_is_named(
    mode: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("PORT=9000\n")
    (tmp_path / ".env").chmod(mode)
    found = [settings.from_process(tmp_path)]
    monkeypatch.setenv("CONSUMER_ENV_FILE", ".env")
    found.append(settings.from_process(tmp_path))

    for loaded, problems in found:
        assert loaded.port == 8000
        assert problems == [f"{tmp_path}/.env can be written by other users: run chmod go-w on it."]


@only_root
@pytest.mark.parametrize(("name", "owned"), [(".env", ".env"), ("real", ".env"), ("real", "real")])
def test_a_stranger_s_file_is_refused_unless_it_is_named(
    name: str, owned: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file, a link to a file of one's own, or the file that one's own link leads to."""
    (tmp_path / name).write_text("PORT=9000\n")
    if name != ".env":
        (tmp_path / ".env").symlink_to(tmp_path / name)
    os.chown(tmp_path / owned, STRANGER, STRANGER, follow_symlinks=False)

    loaded, problems = settings.from_process(tmp_path)
    monkeypatch.setenv("CONSUMER_ENV_FILE", ".env")

    assert loaded.port == 8000
    assert problems == [
        f"{tmp_path}/.env belongs to uid {STRANGER}, not to root. "
        f"Set CONSUMER_ENV_FILE={tmp_path}/.env to read it all the same."
    ]
    assert (settings.from_process(tmp_path)[0].port, settings.from_process(tmp_path)[1]) == (9000, [])


@only_root
def test_another_user_may_read_root_s_file_and_his_own_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root's own checks are the same code; the number of the process's user is all that differs."""
    monkeypatch.setattr(os, "geteuid", lambda: STRANGER)
    (tmp_path / ".env").write_text("PORT=9000\n")
    root_s = settings.from_process(tmp_path)[1]
    os.chown(tmp_path / ".env", STRANGER, STRANGER)
    own = settings.from_process(tmp_path)[1]
    os.chown(tmp_path / ".env", STRANGER + 1, STRANGER)

    assert (root_s, own) == ([], [])
    assert "belongs to uid 12346, not to uid 12345 or root" in settings.from_process(tmp_path)[1][0]


@pytest.mark.parametrize(
    ("members", "mode", "is_read"),
    [([], 0o664, True), (["ada"], 0o664, True), (["ada", "eve"], 0o664, False), ([], 0o666, False)],
)
@only_root
def test_a_group_of_one_s_own_may_write_the_file(
    members: list[str], mode: int, is_read: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Ubuntu makes files; a machine of the tests need not have such a user."""
    ada = pwd.struct_passwd(("ada", "x", STRANGER, STRANGER, "", "/", "/bin/sh"))
    monkeypatch.setattr(os, "geteuid", lambda: STRANGER)
    monkeypatch.setattr(pwd, "getpwuid", {STRANGER: ada}.__getitem__)
    monkeypatch.setattr(grp, "getgrgid", {STRANGER: grp.struct_group(("ada", "x", STRANGER, members))}.__getitem__)
    (tmp_path / ".env").write_text("PORT=9000\n")
    os.chown(tmp_path / ".env", STRANGER, STRANGER)
    (tmp_path / ".env").chmod(mode)

    assert (settings.from_process(tmp_path)[0].port == 9000) == is_read


def test_run_reads_the_file_beside_it_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree, elsewhere = tmp_path / "tree", tmp_path / "elsewhere"
    for folder, port in ((tree, 9001), (elsewhere, 9002)):
        folder.mkdir()
        (folder / ".env").write_text(f"PORT={port}\n")
    monkeypatch.setenv("CONSUMER_RUN", f"{tree}/run")

    beside = settings.from_process(elsewhere)[0].port
    (tree / ".env").unlink()

    assert (beside, settings.from_process(elsewhere)[0].port) == (9001, 8000)


def test_a_variable_of_the_environment_alone_has_no_effect_in_the_file(tmp_path: Path) -> None:
    loaded, problems = read(tmp_path, "PORT=9000\nCONSUMER_PG_BIN=/usr/bin\n")

    assert problems == []
    assert loaded.warnings == (".env line 2 has no effect: CONSUMER_PG_BIN is read from the environment only.",)
