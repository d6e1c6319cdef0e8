"""What every command shares: the settings, the database it may use, and how a refusal is said."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import update_wrapper
from pathlib import Path
from typing import Concatenate, Literal, ParamSpec, TypeVar

import click
import psycopg
from psycopg import errors as postgres

from consumer import logs
from consumer.embedded import server as embedded
from consumer.errors import BadSettings, ConsumerError, NoDatabase, SettingsMismatch
from consumer.postgres.connections import Access, Connection, connect, operator_access
from consumer.process.outage import address, error_text
from consumer.settings.settings import Settings, from_process

P = ParamSpec("P")
T = TypeVar("T")

ProcessKind = Literal["receiver", "worker", "migrate", "operator"]

log = logging.getLogger(__name__)

VARIABLES: Mapping[ProcessKind, str] = {
    "receiver": "RECEIVER_DATABASE_URL",
    "worker": "WORKER_DATABASE_URL",
    "migrate": "MIGRATE_DATABASE_URL",
    "operator": "DATABASE_URL",
}
# A platform's container loses its disk at every deploy; each of these variables is set by one platform.
PLATFORMS = ("KUBERNETES_SERVICE_HOST", "FLY_APP_NAME", "RENDER", "DYNO", "RAILWAY_ENVIRONMENT")
NOT_MIGRATED = (
    postgres.UndefinedTable,
    postgres.UndefinedColumn,
    postgres.UndefinedFunction,
    postgres.InvalidSchemaName,
    # SET LOCAL ROLE, where the roles are missing too.
    postgres.InvalidParameterValue,
)

embedded_option = click.option(
    "--embedded", "is_embedded", is_flag=True, help="Use the embedded database, wherever this runs."
)


class Misconfigured(click.ClickException):
    """A configuration that can't be used: exit code 2, every fault on a line of its own."""

    exit_code = 2

    def format_message(self) -> str:
        """Put click's prefix before each line."""
        return self.message.replace("\n", "\nError: ")


@contextmanager
def refusals() -> Iterator[None]:
    """Say an expected failure in one sentence on stderr, with the contract's exit code and without a traceback."""
    try:
        yield
    except (BadSettings, SettingsMismatch, NoDatabase) as error:
        raise Misconfigured(str(error)) from error
    except ConsumerError as error:
        raise click.ClickException(str(error)) from error
    except NOT_MIGRATED as error:
        raise click.ClickException("The database lacks what this release needs: run `consumer migrate`.") from error
    except postgres.InsufficientPrivilege as error:
        raise click.ClickException("The login may not do this: `consumer doctor` says what it lacks.") from error
    except psycopg.OperationalError as error:
        raise click.ClickException(f"The database can't be used: {error_text(error)}") from error


def pass_settings(command: Callable[Concatenate[Settings, P], T]) -> Callable[P, T]:
    """Read the settings when the command runs, set up its log, and hand them to it first."""
    return pass_settings_unless(lambda _, **__: [])(command)


def pass_settings_unless(
    problems: Callable[..., list[str]],
) -> Callable[[Callable[Concatenate[Settings, P], T]], Callable[P, T]]:
    """Do as `pass_settings`, but refuse at once what is wrong with the variables and what *faults* finds.

    It is called as the command would be, even with settings of which some could not be read.
    """

    def decorate(command: Callable[Concatenate[Settings, P], T]) -> Callable[P, T]:
        def checked(*args: P.args, **kwargs: P.kwargs) -> T:
            settings, found = from_process(Path.cwd())
            logs.configure(settings.log_format, settings.log_level)
            refuse([*found, *problems(settings, *args, **kwargs)])
            for warning in settings.warnings:
                log.warning(logs.SETTINGS_WARNED, extra={"warning": warning})
            return command(settings, *args, **kwargs)

        return update_wrapper(checked, command)

    return decorate


def refuse(problems: list[str]) -> None:
    """Raise BadSettings with all faults, unless there are none."""
    if problems:
        raise BadSettings(problems)


def url(settings: Settings, kind: ProcessKind) -> str | None:
    """Return the connection string configured for this kind of process."""
    own = {
        "receiver": settings.receiver_database_url,
        "worker": settings.worker_database_url,
        "migrate": settings.migrate_database_url,
        "operator": None,
    }
    return own[kind] or settings.database_url


def data_dir(settings: Settings) -> Path:
    """Return where this installation's embedded database lives."""
    return settings.data_dir or embedded.default_data_dir()


def has_urls(settings: Settings) -> bool:
    """Tell whether any process of this installation was given a database: then none may fall back to another."""
    return any(url(settings, kind) for kind in VARIABLES)


def database_problems(settings: Settings, kind: ProcessKind, *, is_embedded: bool) -> list[str]:
    """Return why this kind of process has no database: a lost setting must not quietly start an empty one."""
    found = url(settings, kind)
    if found and is_embedded:
        return ["--embedded and DATABASE_URL name two databases; keep one of them."]
    if found:
        return []
    if has_urls(settings) and not is_embedded:
        return [f"{_named(kind)} is not set, though another process's database is."]
    if kind in {"receiver", "worker"} and not is_embedded:
        return ["DATABASE_URL is not set; --embedded would use the embedded database."]
    if not embedded.exists(data_dir(settings)):
        return [f"DATABASE_URL is not set, and `consumer up` has made no embedded database in {looked_in(settings)}."]
    return []


@contextmanager
def database(settings: Settings, kind: ProcessKind, *, is_embedded: bool = False) -> Iterator[str]:
    """Yield the connection string for this kind of process; BadSettings when the contract leaves it none.

    The embedded server that `up` made runs while the block does.
    """
    refuse(database_problems(settings, kind, is_embedded=is_embedded))
    if found := url(settings, kind):
        try:
            yield found
        except psycopg.OperationalError as error:
            trouble = (
                f"The database of {_variable(settings, kind)}, {address(found)}, can't be used: {error_text(error)}"
            )
            raise click.ClickException(trouble) from error
        return
    with embedded.server(data_dir(settings), create=False) as conninfo:
        yield conninfo


def operator_problems(settings: Settings, **_: object) -> list[str]:
    """Return why the command line has no database."""
    return database_problems(settings, "operator", is_embedded=False)


def as_operator(settings: Settings, work: Callable[[Connection, Access], Awaitable[T]]) -> T:
    """Run *work* on one operator's connection, which is autocommit and outside of any transaction."""
    access = operator_access(settings.role_prefix)

    async def connected(conninfo: str) -> T:
        async with await connect(conninfo, access) as conn:
            return await work(conn, access)

    with database(settings, "operator") as conninfo:
        return asyncio.run(connected(conninfo))


def looked_in(settings: Settings) -> str:
    """Name the data directory and the variable that would name another: a shell may lack what `up` was told."""
    hint = "from CONSUMER_DATA_DIR" if settings.data_dir else "CONSUMER_DATA_DIR names another folder"
    return f"{data_dir(settings)} ({hint})"


def _variable(settings: Settings, kind: ProcessKind) -> str:
    """Return the variable that this kind of process has its database from."""
    return "DATABASE_URL" if url(settings, kind) == settings.database_url else VARIABLES[kind]


def _named(kind: ProcessKind) -> str:
    own = VARIABLES[kind]
    return own if own == "DATABASE_URL" else f"{own} or DATABASE_URL"
