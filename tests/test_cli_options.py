"""Every option that a command takes: tests/data/options.toml is the closed list of them.

Scripts and runbooks call commands with their options, so an option, a default or a bound changes there too, and nobody
changes one unseen. What an option does is tested elsewhere.
"""

import tomllib
from collections.abc import Iterator
from pathlib import Path

import click

from consumer.cli.main import consumer

LIST = Path(__file__).parent / "data" / "options.toml"


def commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    """Yield a command and all below it, each with its whole name."""
    yield name, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for each in command.list_commands(context):
            found = command.get_command(context, each)
            assert found
            yield from commands(found, f"{name} {each}")


def kind(parameter: click.Parameter) -> str:
    """Return which values a parameter takes."""
    given = parameter.type
    match given:
        case click.IntRange() | click.FloatRange():
            return f"{given.name} from {given.min} to {given.max}"
        case click.Choice():
            return f"one of {', '.join(map(str, given.choices))}"
        case click.Path():
            allowed = {"exists": given.exists, "file": given.file_okay, "folder": given.dir_okay}
            made = given.type.__name__ if isinstance(given.type, type) else "text"
            return f"path ({', '.join(name for name, is_so in allowed.items() if is_so)}) as {made}"
        case click.File():
            return f"file opened for {given.mode}"
        case _:
            return given.name


def described(parameter: click.Parameter) -> str:
    """Return what a caller may write for a parameter, and what it is without it."""
    words = ["flag"] if isinstance(parameter, click.Option) and parameter.is_flag else [kind(parameter)]
    default = parameter.to_info_dict()["default"]
    if default is not None and default is not False and repr(default) != "Sentinel.UNSET":
        words.append(f"default {default}")
    if parameter.required:
        words.append("required")
    if parameter.multiple or parameter.nargs != 1:
        words.append("any number")
    # Refuses or reads the value.
    if parameter.callback:
        words.append("checked")
    if isinstance(parameter, click.Option):
        words += ["hidden"] * parameter.hidden + ["default shown"] * bool(parameter.show_default)
    elif parameter.metavar:
        words.append(f"shown as {parameter.metavar}")
    return ", ".join(words)


def named(parameter: click.Parameter) -> str:
    names = parameter.opts if isinstance(parameter, click.Option) else [str(parameter.name)]
    return " ".join(names)


def test_the_options_of_each_command_are_the_listed_ones() -> None:
    found = {
        name: {named(each): described(each) for each in command.params}
        for name, command in commands(consumer, "consumer")
    }

    assert found == tomllib.loads(LIST.read_text())


def test_each_command_shows_examples_of_itself() -> None:
    without = [name for name, command in commands(consumer, "consumer") if not command.epilog]

    assert without == ["consumer"]
    for name, command in commands(consumer, "consumer"):
        if command.epilog:
            assert f"Examples:\n  {name}" in command.epilog, name
