"""`consumer console`: the operator's pages, one process; and the links by which people sign in."""

import logging
import socket
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Literal
from urllib.parse import urlsplit

import click

from consumer import logs
from consumer.cli.addresses import is_loopback
from consumer.cli.context import Group, examples, pass_settings
from consumer.cli.database import database_problems, databases, has_urls, refuse
from consumer.cli.decision import shell_user
from consumer.cli.output import as_called
from consumer.cli.secret import keep_console
from consumer.errors import BadSettings
from consumer.process.signals import run, supervised_option
from consumer.settings.settings import Settings
from consumer.web.listen import listen

PORT = 8003
# What the extra brings.
LIBRARIES = ("itsdangerous", "jinja2")
NOT_INSTALLED = "The console is not installed: `pip install 'stack-auth-consumer[console]'` brings what it needs."

log = logging.getLogger(__name__)


def is_installed() -> bool:
    """Tell whether the libraries of the console are there."""
    return all(map(find_spec, LIBRARIES))


def port(settings: Settings) -> int | None:
    """Return the console's port; None if it is off."""
    chosen = PORT if settings.console_port is None else settings.console_port
    return chosen if isinstance(chosen, int) else None


def problems(settings: Settings) -> list[str]:
    """Return why the console is refused: other machines may reach it by https alone."""
    url = urlsplit(settings.console_url or "")
    if url.scheme == "http" and not is_loopback(url.hostname or ""):
        return ["CONSOLE_URL must begin with https://, because its cookie must not pass a network in the open."]
    if not is_loopback(settings.console_host) and url.scheme != "https":
        cure = "set CONSOLE_URL=https://… and let a proxy end TLS before it"
        return [f"CONSOLE_HOST is {settings.console_host}, which other machines can reach: {cure}."]
    return []


def listen_console(settings: Settings) -> list[socket.socket]:
    """Return sockets on the console's port; PortInUse if another process has it."""
    return listen(settings.console_host, port(settings) or 0, "CONSOLE_PORT")


def listen_beside(settings: Settings) -> list[socket.socket]:
    """Return sockets for the console that `up` runs; none, with one line that says why, if it can't run here.

    Raises BadSettings instead if CONSOLE_PORT asks for it.
    """
    if port(settings) is None:
        return []
    try:
        refuse([] if is_installed() else [NOT_INSTALLED])
        if has_urls(settings):
            refuse(database_problems(settings, "operator", is_embedded=False))
            keep_console(settings)
        return listen_console(settings)
    except BadSettings as error:
        if settings.console_port is not None:
            raise
        log.warning(logs.SETTINGS_WARNED, extra={"warning": f"`up` runs no console. {error}"})
        return []


def first_link(settings: Settings, listeners: Sequence[socket.socket]) -> str | None:
    """Return a link that opens the console of these sockets as the shell's user; None if there are none.

    If nobody sits there and others can reach the console, it is the command instead: logs are read by many.
    """
    if not listeners:
        return None
    if settings.console_url and not (sys.stdout.isatty() or sys.stderr.isatty()):
        command = as_called("`consumer console link --as NAME --role operator`")
        return f"{settings.console_url} ({command} makes a link)"
    key, chosen = keep_console(settings), listeners[0].getsockname()[1]
    return f"{process().link(settings, key, shell_user() or 'up', 'operator', chosen)} (once, within 10 minutes)"


def process() -> Any:
    """Return the module that runs the console and signs links, imported only now: its libraries may be missing."""
    if not is_installed():
        refuse([NOT_INSTALLED])
    return import_module("consumer.cli.console_process")


def _refused(settings: Settings, **_: object) -> list[str]:
    off = ["CONSOLE_PORT is off, so there is no console."] if port(settings) is None else []
    return off + problems(settings)


@click.group(
    name="console",
    cls=Group,
    invoke_without_command=True,
    epilog=examples("console", "console link --as kim --role viewer"),
)
@click.option("--listeners", hidden=True, help="The sockets that `up` listens on, by number.")
@supervised_option
@click.pass_context
def command(context: click.Context, *, listeners: str | None, is_supervised: bool) -> None:
    """Run the operator's pages, or make a link that opens them.

    They show whether users are flowing and what needs somebody, and let an operator act. `consumer up` runs them too.
    They need the extra `console`. Other machines reach them only by an https address in CONSOLE_URL.
    """
    if context.invoked_subcommand is None:
        _run(listeners=listeners, is_supervised=is_supervised)


@pass_settings("operator", _refused)
def _run(settings: Settings, *, listeners: str | None, is_supervised: bool) -> None:
    serve_console = process().serve_console
    if listeners:
        sockets = [socket.socket(fileno=int(number)) for number in listeners.split(",")]
    else:
        sockets = listen_console(settings)
    with ExitStack() as opened:
        for each in sockets:
            opened.enter_context(each)
        conninfos = opened.enter_context(databases(settings, "operator"))
        serving = partial(serve_console, settings, conninfos["operator"], sockets)
        run(partial(serving, worker_conninfo=conninfos["worker"]), is_supervised=is_supervised)


@command.command(name="link", epilog=examples("console link --as kim --role viewer"))
@click.option("--as", "name", required=True, help="The person's name, which stands beside each action.")
@click.option("--role", type=click.Choice(["viewer", "operator"]), required=True, help="A viewer only looks.")
@pass_settings(problems=_refused)
def _link(settings: Settings, *, name: str, role: Literal["viewer", "operator"]) -> None:
    """Print a link that opens the console once.

    It must be opened within 10 minutes and then lasts for 12 hours. Who has it needs no password.
    """
    click.echo(process().link(settings, keep_console(settings), name, role, port(settings)))
