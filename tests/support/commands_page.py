"""docs/COMMANDS.md from the help texts: `python -m tests.support.commands_page` writes it."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from consumer.cli.main import consumer

PAGE = Path(__file__).parents[2] / "docs" / "COMMANDS.md"
HEADER = """# Commands

The help text of every command. `python -m tests.support.commands_page` writes this page from the code.
"""


def commands(command: click.Command, parent: click.Context | None = None) -> Iterator[click.Context]:
    """Yield the context of a command and of all its subcommands, in the order of the help pages."""
    name = "consumer" if parent is None else command.name
    context = click.Context(command, parent, info_name=name, terminal_width=80, **command.context_settings)
    yield context
    if isinstance(command, click.Group):
        for subcommand in filter(None, (command.get_command(context, name) for name in command.list_commands(context))):
            yield from commands(subcommand, context)


def parse(words: Sequence[str]) -> None:
    """Have the command line read the words behind `consumer`; raise click.UsageError if it would refuse them."""
    found: click.Command = consumer
    rest = list(words)
    while isinstance(found, click.Group) and not (found.invoke_without_command and (not rest or rest[0][0] == "-")):
        name = rest.pop(0) if rest else ""
        command = found.get_command(click.Context(found), name)
        if command is None:
            raise click.UsageError(f"There is no command {name!r}.")
        found = command
    found.make_context(found.name, rest).close()


def page() -> str:
    """Return the text of the page."""
    sections = (f"\n## {found.command_path}\n\n```text\n{found.get_help()}\n```\n" for found in commands(consumer))
    return HEADER + "".join(sections)


if __name__ == "__main__":
    PAGE.write_text(page())
