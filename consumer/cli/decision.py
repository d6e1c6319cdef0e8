"""Who decided, and why: the options of commands that exclude deliveries or take that back, and what is recorded."""

import getpass
import os
from collections.abc import Mapping
from contextlib import suppress
from socket import gethostname

import click

from consumer.operations.actions import REASON_CHARACTERS_MAX, Action, ActionName, Actor


def checked_reason(_: click.Context, __: click.Parameter, text: str | None) -> str | None:
    """Return a reason without the space around it; refuse a blank or a long one."""
    if text is None:
        return None
    text = text.strip()
    if not 0 < len(text) <= REASON_CHARACTERS_MAX or "\0" in text:
        raise click.BadParameter(f"A reason has from 1 to {REASON_CHARACTERS_MAX} characters.")
    return text


reason_option = click.option("--reason", required=True, callback=checked_reason, help="Kept beside the delivery.")
by_option = click.option("--by", help="The name to record for the decision. Default: this shell's user.")


def refuse_left_out(left_out: int) -> None:
    """Fail if a discard has left some out; the others are discarded."""
    if left_out:
        raise click.ClickException(
            f"{left_out:,} more {'are' if left_out > 1 else 'is'} not discarded: workers or other sessions hold "
            f"{'them' if left_out > 1 else 'it'} at this moment. Run the command again."
        )


def shell_user() -> str | None:
    """Return the shell's user, or None: a container's user may have no name."""
    with suppress(OSError, KeyError):
        return getpass.getuser()
    return None


def shell_action(
    action: ActionName, chosen: Mapping[str, object], *, seen_count: int | None = None, reason: str | None = None
) -> Action:
    """Return what this shell's user does, from this host, to what is *chosen*."""
    actor = Actor(f"{shell_user() or os.getuid()}@{gethostname()}", "cli")
    return Action(actor, action, chosen, seen_count, reason)
