"""The lines of an env file at their limits, and the file itself: its size, its mark, and that it is closed."""

import gc
from pathlib import Path

import psutil
import pytest

from consumer.settings import env_file, settings
from tests.test_env_file import nothing_set, read

__all__ = ["nothing_set"]

ODD = ".env line 1 is not NAME=value"


@pytest.mark.parametrize(
    ("line", "is_problem"),
    [
        ("role_keys: x", True),
        ("role_kye x", False),
        ("ROLE_KYE x", True),
        ("role_key x", True),
        ("stack_project_ids", True),
        ("unrelated_words x", False),
        ("UNRELATED", False),
        ("'HOST", True),
        ("export\tHOST x", True),
        ("  HOST x", True),
    ],
)
def test_small_letters_are_taken_for_a_mistyped_name_from_nine_on(
    line: str, tmp_path: Path, *, is_problem: bool
) -> None:
    loaded, problems = read(tmp_path, f"{line}\n")

    assert problems == ([f"{ODD}."] if is_problem else [])
    assert loaded.warnings == (() if is_problem else (f"{ODD} and was skipped.",))


@pytest.mark.parametrize("mark", ["\ufeff", "\u00ef\u00bb\u00bf"])
def test_behind_a_byte_order_mark_the_first_line_is_read(mark: str, tmp_path: Path) -> None:
    loaded, problems = read(tmp_path, f"{mark}PORT=9000\nHOST=::1\n")

    assert (loaded.port, loaded.host, loaded.warnings) == (9000, "::1", ())
    assert problems == [".env begins with a byte order mark (BOM): save it as UTF-8 without one."]


def test_a_file_of_a_mebibyte_is_read(tmp_path: Path) -> None:
    loaded, problems = read(tmp_path, "PORT=9000\n".ljust(1_048_576, "#"))

    assert (loaded.port, problems) == (9000, [])


@pytest.mark.parametrize("mode", [0o600, 0o666])
def test_the_file_is_closed_whatever_it_says(mode: int, tmp_path: Path) -> None:
    read(tmp_path, "PORT=9000\n")
    (tmp_path / ".env").chmod(mode)
    # What earlier tests left is closed before.
    gc.collect()
    before = psutil.Process().num_fds()

    for _ in range(3):
        settings.from_process(tmp_path)

    assert psutil.Process().num_fds() <= before


def test_a_setting_may_refer_to_what_stands_above_it_or_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEAM", "Ops")
    text = "HOST=${LATER}\nLATER=::1\nDEFAULT_DEPARTMENT=${TEAM}\nDEFAULT_ROLE=${NONE:-guest}\nROLE_KEY=${LATER}x\n"

    loaded, problems = read(tmp_path, text)

    assert problems == [".env line 1 refers to ${LATER}, which was not expanded because it is not set."]
    assert (loaded.shaping.default_department, loaded.shaping.default_role) == ("Ops", "guest")
    assert loaded.shaping.role_key == "::1x"


def test_a_third_value_is_told_by_the_line_of_the_one_before_it(tmp_path: Path) -> None:
    _, problems = read(tmp_path, "PORT=1\nPORT=1\nPORT=2\nPORT=3\n")

    assert problems == [
        f".env line {line} sets PORT to another value than .env line {line - 1}; keep one of them." for line in (3, 4)
    ]


def test_what_a_file_says_is_told_by_name_place_and_value(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("\n\nA=1\n  export B='two words'\nC\nA=3\n")

    found = env_file.read(tmp_path, {}, frozenset({"PORT"}))

    assert found.values == {"A": "3", "B": "two words"}
    assert found.places == {"A": ".env line 6", "B": ".env line 4"}
    assert (found.problems, found.warnings) == ([], [".env line 5 is not NAME=value and was skipped."])


def test_a_line_is_known_only_by_the_file_that_sets_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORT", "x")
    _, problems = read(tmp_path, "PORT=y\nOPS_PORT=z\n")

    assert problems == [
        "PORT must be a whole number, not 'x'.",
        "OPS_PORT must be a whole number or off, not 'z' (.env line 2).",
    ]


def test_names_are_warned_of_in_their_order_before_what_is_unusual(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URI", "x")
    text = "HOTS=1\nTOLERANCE_SECONDS=3601\nDATABASE_URL=postgresql+psycopg://h/d\nCONSUMER_ENV_FILE=x\nCONSUMER_PG_BIN=x\n?\n"

    loaded, problems = read(tmp_path, text)

    assert problems == []
    assert loaded.warnings == (
        ".env line 6 is not NAME=value and was skipped.",
        ".env line 1 sets HOTS, which is no setting; did you mean HOST?",
        "DATABASE_URI is set, which is no setting; did you mean DATABASE_URL?",
        ".env line 4 has no effect: CONSUMER_ENV_FILE is read from the environment only.",
        ".env line 5 has no effect: CONSUMER_PG_BIN is read from the environment only.",
        "DATABASE_URL: the driver in postgresql+psycopg:// was dropped.",
        "TOLERANCE_SECONDS is over an hour: for that long, a recorded request can be sent again.",
    )
