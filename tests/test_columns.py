"""Tables of one line a row: within the width of a terminal, and whole where there is room."""

import sys
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from rich.cells import cell_len
from rich.text import Text

from consumer.cli.columns import clock, id_text, show_columns, show_line, took, wrapped

NOW = datetime(2026, 11, 29, 14, 32, 8, tzinfo=UTC)
USER_ID = UUID("3e9b01c2-9d3b-4a57-8c21-0b7d5e9a4f10")


@pytest.fixture
def terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> pytest.CaptureFixture[str]:
    """Standard output is a terminal of 80 columns without colour."""
    # Of the class: pytest makes one standard output for the fixtures and another for the test.
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda _: True)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")
    return capsys


def test_what_fits_is_not_cut(capsys: pytest.CaptureFixture[str]) -> None:
    show_columns([{"event": "team_membership.created", "about": "x"}], {"event": 5})

    assert capsys.readouterr().out == "event                    about\nteam_membership.created  x\n"


def test_what_does_not_fit_is_cut_to_its_width_and_the_last_column_takes_the_rest(
    terminal: pytest.CaptureFixture[str],
) -> None:
    show_columns([{"event": "a" * 50, "about": "b" * 50}], {"event": 10})

    _, row = terminal.readouterr().out.splitlines()
    assert row == f"{'a' * 9}…  {'b' * 50}"


@pytest.mark.parametrize("value", ["x" * 300, "漢" * 300, "\x1b[2J" * 100, "[bold]" * 50])
def test_no_row_is_wider_than_the_terminal(terminal: pytest.CaptureFixture[str], value: str) -> None:
    show_columns([{"first": value, "last": value}], {"first": 20})

    lines = terminal.readouterr().out.splitlines()
    assert [cell_len(line) <= 80 for line in lines] == [True, True]
    assert "\x1b" not in "".join(lines)


def test_a_wide_terminal_is_used(terminal: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")

    show_columns([{"first": "a" * 60, "last": "b" * 60}], {"first": 20})

    assert "a" * 60 in terminal.readouterr().out


def test_in_a_file_nothing_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    show_columns([{"about": id_text(USER_ID), "last": "b" * 300}], {"about": 8})
    show_line(Text("a" * 300))
    wrapped("word " * 40)

    _, row, line, sentence = capsys.readouterr().out.splitlines()
    assert (row, line, len(sentence)) == (f"{USER_ID}  {'b' * 300}", "a" * 300, 199)


def test_a_terminal_shows_the_first_eight_digits_of_an_id(terminal: pytest.CaptureFixture[str]) -> None:
    assert id_text(USER_ID) == "3e9b01c2"


def test_a_sentence_is_wrapped_in_a_terminal(terminal: pytest.CaptureFixture[str]) -> None:
    wrapped("word " * 40)

    assert max(map(len, terminal.readouterr().out.splitlines())) <= 80


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (NOW - timedelta(milliseconds=995), "14:32:07.005"),
        (NOW - timedelta(days=1), "28 Nov 14:32"),
        (NOW - timedelta(days=365), "2025-11-29"),
        (None, "-"),
    ],
)
def test_a_time_is_as_exact_as_it_is_near(at: datetime | None, text: str) -> None:
    assert clock(at, NOW) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0 ms"), (0.0085, "8 ms"), (0.999, "999 ms"), (4.2, "4.2 s"), (72, "1m 12s"), (4320, "1h 12m")],
)
def test_a_duration_takes_at_most_seven_characters(seconds: float, text: str) -> None:
    found = took(NOW, NOW + timedelta(seconds=seconds))

    assert (found, len(found) <= 7) == (text, True)
    assert took(NOW, None) == "-"
