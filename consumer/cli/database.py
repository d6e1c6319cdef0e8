"""The database of a command: the configured one, or the embedded one, or one sentence on why there is none."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TypeVar

import click
import psycopg

from consumer.cli.embedded_logins import EmbeddedLogin, embedded_uris
from consumer.embedded import server as embedded
from consumer.errors import BadSettings
from consumer.postgres.connections import Access, Connection, connect, operator_access, transaction
from consumer.process.outage_log import address, error_text
from consumer.settings.settings import Settings

T = TypeVar("T")

ProcessKind = Literal["receiver", "worker", "migrate", "operator"]

VARIABLES: Mapping[ProcessKind, str] = {
    "receiver": "RECEIVER_DATABASE_URL",
    "worker": "WORKER_DATABASE_URL",
    "migrate": "MIGRATE_DATABASE_URL",
    "operator": "DATABASE_URL",
}
# Of the running command: whether it has announced the embedded database.
IS_ANNOUNCED = "consumer.embedded_is_announced"
# Each of these variables is set by one platform, where a container loses its disk at every deploy.
PLATFORMS = ("KUBERNETES_SERVICE_HOST", "FLY_APP_NAME", "RENDER", "DYNO", "RAILWAY_ENVIRONMENT")


def refuse(problems: list[str]) -> None:
    """Raise BadSettings with all problems, if there are any."""
    if problems:
        raise BadSettings(problems)


def url(settings: Settings, kind: ProcessKind) -> str | None:
    """Return the connection string configured for this kind of process."""
    own: str | None = getattr(settings, VARIABLES[kind].lower())
    return own or settings.database_url


def data_dir(settings: Settings) -> Path:
    """Return the folder of this installation's embedded database."""
    return settings.data_dir or embedded.default_data_dir()


def has_urls(settings: Settings) -> bool:
    """Tell whether any process has a configured database: then no process may use the embedded one instead."""
    return any(url(settings, kind) for kind in VARIABLES)


def database_problems(settings: Settings, kind: ProcessKind, *, is_embedded: bool) -> list[str]:
    """Return why this kind of process has no database: a lost setting must not quietly start an empty one."""
    if is_embedded and has_urls(settings):
        named = next(name for name in ("DATABASE_URL", *VARIABLES.values()) if getattr(settings, name.lower()))
        return [f"--embedded and {named} name two databases; keep one of them."]
    if url(settings, kind):
        return []
    if has_urls(settings):
        named = VARIABLES[kind] if kind == "operator" else f"{VARIABLES[kind]} or DATABASE_URL"
        return [f"{named} is not set, though another process's database is."]
    if kind in {"receiver", "worker"} and not is_embedded:
        return ["DATABASE_URL is not set; --embedded would use the embedded database."]
    if problems := embedded.problems(data_dir(settings)):
        return problems
    if not embedded.exists(data_dir(settings)):
        return [f"DATABASE_URL is not set, and `consumer up` has made no embedded database in {looked_in(settings)}."]
    return []


def platform_problems(settings: Settings, *, is_embedded: bool) -> list[str]:
    """Return why the embedded database is refused here: a platform's disk is lost at every deploy."""
    seen = next((name for name in PLATFORMS if os.environ.get(name)), None)
    problem = f"DATABASE_URL is not set on a platform ({seen} is); --embedded would use its volatile disk."
    return [problem] if seen and not is_embedded and not has_urls(settings) else []


@contextmanager
def database(settings: Settings, kind: ProcessKind, *, is_embedded: bool = False) -> Iterator[str]:
    """Yield the connection string for this kind of process; raise BadSettings when there is none.

    The embedded server, which `up` made, runs until the block ends.
    """
    with databases(settings, kind, is_embedded=is_embedded) as conninfos:
        yield conninfos[kind]


@contextmanager
def databases(
    settings: Settings, kind: ProcessKind, *, is_embedded: bool = False
) -> Iterator[Mapping[EmbeddedLogin, str]]:
    """Yield the connection strings of all kinds of processes, as `database` does that of one.

    A superuser's is the migrator's, except on the embedded server.
    """
    refuse(database_problems(settings, kind, is_embedded=is_embedded))
    if not (found := url(settings, kind)):
        with embedded_database(data_dir(settings), settings.role_prefix, create=False) as uris:
            yield uris
        return
    conninfos: dict[EmbeddedLogin, str] = {each: url(settings, each) or found for each in VARIABLES}
    try:
        yield conninfos | {"superuser": conninfos["migrate"]}
    except psycopg.OperationalError as error:
        variable = "DATABASE_URL" if found == settings.database_url else VARIABLES[kind]
        place, text = address(found), error_text(error, found)
        raise click.ClickException(f"The database of {variable}, {place}, can't be used: {text}") from error


@contextmanager
def embedded_database(folder: Path, role_prefix: str, *, create: bool) -> Iterator[Mapping[EmbeddedLogin, str]]:
    """Say once in a command's first line that it uses the embedded database, and yield the URI of each login.

    The line goes to stderr where stdout is a JSON document. `up` says it for the processes that it starts.
    """
    context = click.get_current_context()
    is_json, is_supervised = (bool(context.params.get(name)) for name in ("is_json", "is_supervised"))
    if not is_supervised and not context.meta.setdefault(IS_ANNOUNCED, False):
        click.echo(f"The database is the embedded one in {folder}.", err=is_json)
        context.meta[IS_ANNOUNCED] = True
    with embedded_uris(folder, role_prefix, create=create) as uris:
        try:
            yield uris
        except psycopg.OperationalError as error:
            text = error_text(error)
            raise click.ClickException(f"The embedded database in {folder} can't be used: {text}") from error


def as_operator(settings: Settings, work: Callable[[Connection, Access], Awaitable[T]]) -> T:
    """Run *work* on an autocommit connection of the operator's."""
    access = operator_access(settings.role_prefix)

    async def connected(conninfo: str) -> T:
        async with await connect(conninfo, access) as conn:
            return await work(conn, access)

    with database(settings, "operator") as conninfo:
        return asyncio.run(connected(conninfo))


def read(settings: Settings, query: Callable[[Connection], Awaitable[T]]) -> T:
    """Run *query* in one transaction under the operator's role."""

    async def entered(conn: Connection, access: Access) -> T:
        async with transaction(conn, access):
            return await query(conn)

    return as_operator(settings, entered)


def looked_in(settings: Settings) -> str:
    """Name the data directory and CONSUMER_DATA_DIR, which may differ between this shell and the one of `up`."""
    hint = "from CONSUMER_DATA_DIR" if settings.data_dir else "CONSUMER_DATA_DIR names another folder"
    return f"{data_dir(settings)} ({hint})"
