"""`consumer adopt`: keep an application's existing tables in step with the profiles, step by step and reversibly."""

import asyncio
from functools import partial
from typing import TextIO
from uuid import UUID

import click
import psycopg
from psycopg import errors as postgres

from consumer.adopt.fill import FIRST, RefusedUser, fill
from consumer.adopt.plan import AdoptPlan, make
from consumer.cli.cells import printable
from consumer.cli.context import examples, pass_settings
from consumer.cli.database import as_operator, database, url
from consumer.cli.output import console, emit, json_option, show_rows
from consumer.errors import ConsumerError
from consumer.postgres import session
from consumer.postgres.connections import connect, operator_access, worker_access
from consumer.process.outage_log import error_text
from consumer.settings.settings import Settings

VARIABLE = "CONSUMER_PROJECTION_SQL"
# Milliseconds: a policy locks its whole table, and every later query on the table waits behind the one for the lock.
LOCK_TIMEOUT = 1000


def _note_step(ctx: click.Context, option: click.Parameter, is_named: bool) -> None:
    if is_named:
        ctx.ensure_object(list).append(option.name)


step_option = partial(click.option, is_flag=True, expose_value=False, callback=_note_step)


@click.command(
    name="adopt",
    epilog=examples("adopt --plan --write projection.sql", "adopt --grant", "adopt --fill", "adopt --undo"),
)
@step_option("--plan", help="Change nothing; print the columns, the grants and the SQL.")
@step_option("--grant", help="Give the worker's role the grants of the plan.")
@step_option("--fill", help=f"Run the file of {VARIABLE} for all users, page by page.")
@step_option("--undo", help="Take the grants back; your rows stay as they are.")
@click.option("--table", "users", help="Your table of users, as public.profiles. Default: found by its columns.")
@click.option("--companies", help="Your table of companies. Default: found by the foreign key of the users' company.")
@click.option(
    "--write",
    "target",
    type=click.File("x", encoding="utf-8", lazy=True),
    help="With --plan: write the SQL to this new file.",
)
@click.option("--after", type=click.UUID, default=FIRST, help="With --fill: start after this user id.")
@json_option
@pass_settings("operator")
def command(settings: Settings, /, *, target: TextIO | None, after: UUID, is_json: bool, **named: str | None) -> None:
    """Keep your own tables in step with the profiles.

    docs/ADOPT.md explains every step.
    """
    steps = click.get_current_context().ensure_object(list)
    if len(steps) != 1:
        raise click.UsageError("Name one step: --plan, --grant, --fill or --undo.")
    [action] = steps
    if target and action != "plan":
        raise click.UsageError("--write goes with --plan.")
    if after != FIRST and action != "fill":
        raise click.UsageError("--after goes with --fill.")
    if action == "fill":
        _fill(settings, after, is_json=is_json)
        return
    worker_role = worker_access(settings.role_prefix).role
    plan = as_operator(settings, lambda conn, _: make(conn, worker_role, **named))
    if action == "plan":
        _show(plan, target, is_json=is_json)
        return
    statements = plan.grants if action == "grant" else plan.revokes
    _execute(settings, statements)
    if is_json:
        emit({"executed": statements})
        return
    click.echo("\n".join(map(printable, statements)))
    click.echo(
        f"Now set {VARIABLE} for the worker, and run `consumer doctor`."
        if action == "grant"
        else f"Now unset {VARIABLE}, and restart the workers."
    )


def _show(plan: AdoptPlan, target: TextIO | None, *, is_json: bool) -> None:
    if target:
        target.write(plan.statement)
    if is_json:
        emit(plan)
        return
    out = console()
    steps = [
        {"table": step.table, "column": step.column, "value": " ".join(step.value.split()), "written": step.when}
        for step in plan.steps
    ]
    show_rows(steps, title=f"{plan.table} is kept in step by {plan.key}")
    for title, lines in (
        ("To decide", plan.decide),
        ("Triggers that fire; one that runs as the worker needs grants for other tables it uses", plan.triggers),
        ("Foreign keys to your users", plan.referrers),
        ("Unique indexes, which may refuse a user", plan.unique_indexes),
        ("Checks, which may refuse a user", plan.checks),
        ("Grants, which `consumer adopt --grant` gives and --undo takes back", plan.grants),
    ):
        if lines:
            out.print(f"\n[bold]{title}[/]")
        for line in lines:
            click.echo(f"  {printable(line)}")
    if target:
        click.echo(f"\nThe statement is in {target.name}: read it and change it as you like.")
    else:
        click.echo(plan.statement, nl=False)


def _execute(settings: Settings, statements: list[str]) -> None:
    """Run statements in one transaction as the login that migrates, because it often owns the application's tables."""

    async def execute(conninfo: str) -> None:
        async with await connect(conninfo, operator_access(settings.role_prefix)) as conn, conn.transaction():
            await session.set_lock_timeout(conn, LOCK_TIMEOUT)
            for statement in statements:
                await conn.execute(statement.encode())

    try:
        with database(settings, "operator") as conninfo:
            asyncio.run(execute(url(settings, "migrate") or conninfo))
    except postgres.InsufficientPrivilege as error:
        lines = "\n".join(statements)
        raise ConsumerError(f"The login does not own the tables. Their owner should run:\n{lines}") from error


def _fill(settings: Settings, after: UUID, *, is_json: bool) -> None:
    if settings.projection_sql is None:
        raise click.UsageError(f"{VARIABLE} is not set: `consumer adopt --plan --write FILE` makes a first version.")
    with database(settings, "operator") as conninfo:
        pages = _fill_pages(settings, url(settings, "worker") or conninfo, settings.projection_sql, after)
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
