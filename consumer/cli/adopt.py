"""`consumer adopt`: keep an application's existing tables in step with the profiles, step by step and reversibly."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TextIO, TypedDict, TypeVar, Unpack
from uuid import UUID

import click
import psycopg
from psycopg import errors as postgres

from consumer.adopt.compare import Comparison, compare
from consumer.adopt.edits import StoredEdits, store_edits
from consumer.adopt.fill import FIRST, RefusedUser, fill
from consumer.adopt.plan import AdoptPlan, choose, make
from consumer.cli.adopt_output import show_comparison, show_plan, show_stored_edits
from consumer.cli.cells import printable
from consumer.cli.context import examples, pass_settings
from consumer.cli.database import as_operator, databases
from consumer.cli.output import as_called, console, emit, json_option, present
from consumer.errors import ConsumerError
from consumer.postgres import session
from consumer.postgres.connections import Access, Connection, as_login, connect, operator_access, worker_access
from consumer.process.outage_log import error_text
from consumer.settings.settings import Settings

T = TypeVar("T")

VARIABLE = "CONSUMER_PROJECTION_SQL"
# Milliseconds: a policy locks its whole table, and every later query on the table waits behind the one for the lock.
LOCK_TIMEOUT = 1000


class TableOptions(TypedDict):
    """The application's tables as the command line names them; None: found by their columns."""

    users: str | None
    companies: str | None


def tables_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that name the application's tables."""
    command = click.option(
        "--companies", help="Your table of companies. Default: found by the foreign key of the users' company."
    )(command)
    users = "Your table of users, as public.profiles. Default: found by its columns."
    return click.option("--table", "users", help=users)(command)


@click.group(name="adopt", epilog=examples("adopt plan --write projection.sql", "adopt compare", "adopt grant"))
def command() -> None:
    """Keep your own tables in step with the profiles.

    docs/ADOPT.md explains every step.
    """


@command.command(name="plan", epilog=examples("adopt plan", "adopt plan --table public.users --write projection.sql"))
@tables_options
@click.option(
    "--write", "target", type=click.File("x", encoding="utf-8", lazy=True), help="Write the statement to this new file."
)
@json_option
@pass_settings("operator")
def plan_tables(settings: Settings, *, target: TextIO | None, is_json: bool, **named: Unpack[TableOptions]) -> None:
    """Print the columns, the grants and the SQL; change nothing."""
    plan = _plan(settings, named)
    if target:
        target.write(plan.statement)
    if is_json:
        emit(plan)
    else:
        show_plan(plan, target)


@command.command(name="grant", epilog=examples("adopt grant --table public.users"))
@tables_options
@json_option
@pass_settings("operator")
def grant(settings: Settings, *, is_json: bool, **named: Unpack[TableOptions]) -> None:
    """Give the worker's role the grants of the plan."""
    next_step = as_called(f"Now set {VARIABLE} for the worker, and run `consumer doctor`.")
    _execute(settings, _plan(settings, named).grants, next_step, is_json=is_json)


@command.command(name="compare", epilog=examples("adopt compare", "adopt compare --table public.users --json"))
@tables_options
@json_option
@pass_settings("operator")
def compare_rows(settings: Settings, *, is_json: bool, **named: Unpack[TableOptions]) -> None:
    """Show what the plan would change in your rows.

    It changes nothing. The exit code is 1 while anything differs. Rows of users that no event has named are counted.
    """

    async def compared(conn: Connection) -> Comparison:
        adopted, _ = await choose(conn, **named)
        return await compare(conn, worker_access(settings.role_prefix).role, adopted)

    comparison = _as_migrator(settings, compared)
    present(comparison, show_comparison, is_json=is_json)
    if comparison.differences:
        click.get_current_context().exit(1)


@command.command(name="fill", epilog=examples("adopt fill --edits", "adopt fill"))
@tables_options
@click.option("--edits", "is_edits", is_flag=True, help="Store roles, departments and companies of your rows as edits.")
@click.option("--after", type=click.UUID, default=FIRST, help="Start after this user id.")
@json_option
@pass_settings("operator")
def fill_rows(settings: Settings, *, is_edits: bool, after: UUID, is_json: bool, **named: Unpack[TableOptions]) -> None:
    """Write the rows of all users, page by page.

    It runs the file of CONSUMER_PROJECTION_SQL, as often as you like.
    --edits stores the roles, departments and companies that only your rows have instead, and writes no row.
    """
    if is_edits:
        _fill_edits(settings, named, is_json=is_json)
    else:
        _fill(settings, after, is_json=is_json)


@command.command(name="undo", epilog=examples("adopt undo --table public.users"))
@tables_options
@json_option
@pass_settings("operator")
def undo(settings: Settings, *, is_json: bool, **named: Unpack[TableOptions]) -> None:
    """Take the grants back; your rows stay as they are.

    First unset CONSUMER_PROJECTION_SQL and restart the workers.
    """
    next_step = f"A worker that still has {VARIABLE} fails without the grants: unset it first, and restart the worker."
    _execute(settings, _plan(settings, named).revokes, next_step, is_json=is_json)


def _plan(settings: Settings, named: TableOptions) -> AdoptPlan:
    worker_role = worker_access(settings.role_prefix).role

    async def planned(conn: Connection, access: Access) -> AdoptPlan:
        async with as_login(conn, access):
            return await make(conn, worker_role, **named)

    return as_operator(settings, planned)


def _execute(settings: Settings, statements: list[str], next_step: str, *, is_json: bool) -> None:
    """Run statements in one transaction as the login that migrates, because it often owns the application's tables."""

    async def execute(conn: Connection) -> None:
        await session.set_lock_timeout(conn, LOCK_TIMEOUT)
        for statement in statements:
            await conn.execute(statement.encode())

    try:
        _as_migrator(settings, execute)
    except postgres.InsufficientPrivilege as error:
        lines = "\n".join(statements)
        raise ConsumerError(f"The login does not own the tables. Their owner should run:\n{lines}") from error
    if is_json:
        emit({"executed": statements})
        return
    click.echo("\n".join(map(printable, statements)))
    click.echo(next_step)


def _as_migrator(settings: Settings, work: Callable[[Connection], Awaitable[T]]) -> T:
    """Run *work* in one transaction of the login that migrates; on the embedded server of its superuser."""
    access = operator_access(settings.role_prefix)

    async def connected(conninfo: str) -> T:
        async with await connect(conninfo, access) as conn, as_login(conn, access):
            return await work(conn)

    with databases(settings, "operator") as conninfos:
        return asyncio.run(connected(conninfos["superuser"]))


def _fill_edits(settings: Settings, named: TableOptions, *, is_json: bool) -> None:
    worker_role = worker_access(settings.role_prefix).role

    async def store(conn: Connection) -> StoredEdits:
        plan = await make(conn, worker_role, **named)
        return await store_edits(conn, worker_role, plan.edits) if plan.edits else StoredEdits()

    present(_as_migrator(settings, store), show_stored_edits, is_json=is_json)


def _fill(settings: Settings, after: UUID, *, is_json: bool) -> None:
    if settings.projection_sql is None:
        hint = as_called("`consumer adopt plan --write FILE` makes a first version")
        raise click.UsageError(f"{VARIABLE} is not set: {hint}.")
    with databases(settings, "operator") as conninfos:
        pages = _fill_pages(settings, conninfos["worker"], settings.projection_sql, after)
        users, refused = asyncio.run(pages)
    if is_json:
        emit({"users": users, "refused": refused})
    else:
        console().print(f"{users:,} user{'s' * (users != 1)} processed, {len(refused):,} refused.")
        for user in refused:
            click.echo(f"  {user.user_id}  {user.error_code}  {printable(user.error)}")
    if refused:
        click.get_current_context().exit(1)


async def _fill_pages(
    settings: Settings, conninfo: str, statement: bytes, after: UUID
) -> tuple[int, list[RefusedUser]]:
    """Return the number of users that were processed, and the refused ones."""
    access = worker_access(settings.role_prefix)
    users, refused = 0, list[RefusedUser]()
    try:
        async with await connect(conninfo, access) as conn:
            with console(is_error=True).status("filling in") as status:
                async for page in fill(conn, access, statement, after):
                    after = page.last_user_id
                    users += page.users
                    refused += page.refused
                    status.update(f"{users:,} users, up to {after}")
    except psycopg.OperationalError as error:
        trouble = f"Stopped: {error_text(error)}. The users up to here stay filled in; continue with --after {after}."
        raise ConsumerError(trouble) from error
    return users, refused
