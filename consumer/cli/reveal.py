"""Showing personal data on purpose: the options, and what is recorded of it."""

from collections.abc import Callable, Mapping
from typing import Any, TypedDict, TypeVar

import click

from consumer.cli.decision import checked_reason, shell_action
from consumer.operations import actions
from consumer.postgres.connections import Connection

F = TypeVar("F", bound=Callable[..., Any])

REVEAL_OPTIONS = (
    click.option("--reveal", "is_revealed", is_flag=True, help="Show personal data; needs --reason, and is recorded."),
    click.option("--reason", callback=checked_reason, help="Why personal data is shown."),
)


class Reveal(TypedDict):
    """The options of a command that can show personal data."""

    is_revealed: bool
    reason: str | None


def reveal_options(command: F) -> F:
    """Add the options of `Reveal` to a command."""
    for option in reversed(REVEAL_OPTIONS):
        command = option(command)
    return command


def is_masked(reveal: Reveal) -> bool:
    """Tell whether personal data stays masked; refuse --reveal without --reason, and a reason that nobody records."""
    if reveal["is_revealed"] != (reveal["reason"] is not None):
        raise click.UsageError("--reveal and --reason go together.")
    return not reveal["is_revealed"]


async def record(conn: Connection, chosen: Mapping[str, object], reason: str | None) -> None:
    """Record that personal data is shown, in the transaction that reads it."""
    await actions.record(conn, shell_action("reveal", chosen, reason=reason), 1)
