"""The command line's front door: it finds the command, and turns what it raises into an exit code."""

from importlib import import_module
from typing import Any

import click

from consumer.cli.context import refusals

# In the order of an installation's life. The module consumer.cli.<name> holds each as `command`.
COMMANDS = ("up", "serve", "work", "migrate", "send", "demo", "status", "dead", "replay", "prune", "adopt", "doctor")


class LazyGroup(click.Group):
    """A group that imports only the command that is asked for: a worker must not pay for the receiver's libraries."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the help page."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; None for a name that is none."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"consumer.cli.{cmd_name}").command
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an expected failure ends as a sentence and an exit code."""
        with refusals():
            return super().invoke(ctx)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="stack-auth-consumer", prog_name="consumer")
def consumer() -> None:
    """Stack Auth webhooks into your own Postgres: stored before answered, replayable, order-independent."""


def main() -> None:
    """Run the command line and exit."""
    consumer(prog_name="consumer")
