"""What every command shares: its settings, its help, and one sentence for each refusal."""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import update_wrapper
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import click
import psycopg
from psycopg import errors as postgres

from consumer import logs
from consumer.cli.database import ProcessKind, database_problems, refuse
from consumer.cli.output import as_called, program
from consumer.errors import BadSettings, ConsumerError, NoDatabase, SettingsMismatch
from consumer.postgres.connections import RoleRefused
from consumer.postgres.error_classes import summary
from consumer.process.outage_log import error_text
from consumer.settings.settings import Settings, from_process

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger(__name__)

NOT_MIGRATED = (
    postgres.UndefinedTable,
    postgres.UndefinedColumn,
    postgres.UndefinedFunction,
    postgres.InvalidSchemaName,
    # Raised by SET LOCAL ROLE when the role is missing.
    postgres.InvalidParameterValue,
)

embedded_option = click.option(
    "--embedded", "is_embedded", is_flag=True, help="Use the embedded database, on a platform too."
)


class Misconfigured(click.ClickException):
    """A configuration that can't be used: exit code 2, one line for each problem."""

    exit_code = 2

    def format_message(self) -> str:
        """Put click's prefix before each line."""
        return self.message.replace("\n", "\nError: ")


class Group(click.Group):
    """A group whose help wraps the sentence on each command: in a narrow window click cuts it and prints dots."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each command and its whole sentence."""
        commands = ((name, self.get_command(ctx, name)) for name in self.list_commands(ctx))
        with formatter.section("Commands"):
            formatter.write_dl([(name, found.get_short_help_str(sys.maxsize)) for name, found in commands if found])


@contextmanager
def refusals() -> Iterator[None]:
    """Turn an expected error into one sentence on stderr and its exit code, without a traceback."""
    try:
        with _sentences():
            yield
    # click's own subclasses name no command of ours.
    except click.ClickException as error:
        if type(error) in {click.ClickException, Misconfigured}:
            raise type(error)(as_called(error.message)) from error
        raise


@contextmanager
def _sentences() -> Iterator[None]:
    try:
        yield
    except (BadSettings, SettingsMismatch, NoDatabase) as error:
        raise Misconfigured(str(error)) from error
    except (ConsumerError, RoleRefused) as error:
        raise click.ClickException(str(error)) from error
    except NOT_MIGRATED as error:
        raise click.ClickException("The database lacks what this release needs: run `consumer migrate`.") from error
    except postgres.InsufficientPrivilege as error:
        raise click.ClickException("The login lacks a privilege: `consumer doctor` shows the missing grant.") from error
    except psycopg.OperationalError as error:
        raise click.ClickException(f"The database can't be used: {error_text(error)}") from error
    # PostgreSQL's own text, as a traceback shows it, holds values of the row.
    except psycopg.Error as error:
        raise click.ClickException(f"The database refused a statement: {summary(error)}.") from None


def examples(*lines: str) -> str:
    """Return the examples of a command's help page, each without the leading `consumer`."""
    return "\b\nExamples:\n" + "\n".join(f"  {program()} {line}" for line in lines)


def pass_settings(
    kind: ProcessKind | None = None, problems: Callable[..., list[str]] = lambda *_, **__: []
) -> Callable[[Callable[Concatenate[Settings, P], T]], Callable[P, T]]:
    """Read the settings when the command runs, set up its log, and pass them as its first argument.

    All problems are refused together: bad variables, those that *problems* returns for the command's arguments, and no
    database for this *kind* of process. *problems* also gets settings with a bad variable, which then has its default.
    """

    def decorate(command: Callable[Concatenate[Settings, P], T]) -> Callable[P, T]:
        def checked(*args: P.args, **kwargs: P.kwargs) -> T:
            settings, found = from_process(Path.cwd())
            logs.configure(settings.log_format, settings.log_level)
            found += problems(settings, *args, **kwargs)
            if kind:
                found += database_problems(settings, kind, is_embedded=bool(kwargs.get("is_embedded")))
            # First, because a mistyped name is often why another setting is missing.
            for warning in settings.warnings:
                log.warning(logs.SETTINGS_WARNED, extra={"warning": warning})
            refuse(found)
            return command(settings, *args, **kwargs)

        return update_wrapper(checked, command)

    return decorate
