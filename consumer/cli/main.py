"""The entry of the command line: finds the command, and turns its errors into exit codes."""

from importlib import import_module
from typing import Any

import click

from consumer.cli.context import Group, refusals
from consumer.cli.output import program

# In the order of an installation's life. Each is `command` in the module consumer.cli.<name>.
COMMANDS = (
    *("up", "serve", "work", "migrate", "send", "demo", "status", "user", "deliveries", "dead", "replay", "rebuild"),
    *("connect", "backfill", "reconcile", "refresh", "recover", "erase", "export", "prune", "maintain"),
    *("console", "adopt", "doctor", "uninstall"),
)


class LazyGroup(Group):
    """A group that imports only the called command: a worker must not load the receiver's libraries."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order of the help page."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; None for an unknown name."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"consumer.cli.{cmd_name}").command
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; turn an expected error into one sentence and an exit code."""
        with refusals():
            return super().invoke(ctx)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80})
@click.version_option(package_name="stack-auth-consumer", prog_name="consumer")
def consumer() -> None:
    """Store Stack Auth webhooks in your own Postgres and apply them to profiles."""


def main() -> None:
    """Run the command line and exit."""
    consumer(prog_name=program())
