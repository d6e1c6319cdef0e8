"""The help pages: docs/COMMANDS.md holds them all, and each shows commands that can be typed."""

import shlex

import click
import pytest

from consumer.cli.main import consumer
from tests.support.commands_page import PAGE, commands, page, parse

HELP = {found.command_path: found.get_help() for found in commands(consumer)}


def examples(text: str) -> list[str]:
    """Return the lines below "Examples:"."""
    lines = text.partition("Examples:\n")[2].partition("\n\n")[0].splitlines()
    return [line.strip() for line in lines]


def test_the_page_holds_every_help_text() -> None:
    assert PAGE.read_text() == page(), "run `python -m tests.support.commands_page`"


@pytest.mark.parametrize("command", HELP)
def test_no_help_text_is_cut_or_wider_than_a_terminal(command: str) -> None:
    _, *lines = HELP[command].splitlines()

    assert [line for line in lines if len(line) > 80 or line.endswith("...")] == []


@pytest.mark.parametrize("width", [40, 60, 80])
def test_a_narrow_window_shows_the_whole_sentence_on_each_command(width: int) -> None:
    for group in ("consumer", "consumer dead"):
        found = next(each for each in commands(consumer) if each.command_path == group)
        shown = click.Context(found.command, terminal_width=width).get_help()

        listed = " ".join(shown.partition("Commands:")[2].split())
        whole = " ".join(HELP[group].partition("Commands:")[2].split())
        assert listed == whole
        assert "..." not in listed


@pytest.mark.parametrize(
    ("command", "example"),
    [(command, example) for command, text in HELP.items() for example in examples(text)],
)
def test_an_example_is_a_call_that_the_command_accepts(command: str, example: str) -> None:
    _, *words = shlex.split(example)

    parse(words)

    assert example.startswith(command)


def test_every_command_has_an_example() -> None:
    assert [command for command, text in HELP.items() if command != "consumer" and not examples(text)] == []
