"""`consumer adopt`: let an application's existing tables follow the profiles, step by step and reversibly."""

import asyncio
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal, TypedDict, Unpack
from uuid import UUID

import click
import psycopg
from psycopg import errors as postgres

from consumer.adopt import fill
from consumer.adopt.plan import AdoptPlan, make
from consumer.cli.cells import printable
from consumer.cli.context import as_operator, database, operator_problems, pass_settings_unless, url
from consumer.cli.output import console, emit, json_option, table
from consumer.errors import ConsumerError
from consumer.postgres import session
from consumer.postgres.connections import Access, Connection, connect, operator_access, worker_access
from consumer.postgres.error_classes import code, summary
from consumer.process.outage import error_text
from consumer.settings.settings import Settings
from consumer.worker.bisect import Failing

Action = Literal["plan", "grant", "fill", "undo"]
VARIABLE = "CONSUMER_PROJECTION_SQL"
# Milliseconds: a policy needs its table to itself, and whoever comes after waits behind it.
LOCK_TIMEOUT = 1000


class WantedTables(TypedDict):
    """Which tables are meant, where they were named."""

    users: str | None
    companies: str | None


@dataclass(frozen=True, slots=True)
class RefusedUser:
    """A user who could not be filled in."""

    user_id: UUID
    error_code: str
    error: str


@dataclass(slots=True)
class FillResult:
    """How many users were gone through, and who is left."""

    users: int = 0
    refused: list[RefusedUser] = field(default_factory=list)


@click.command(name="adopt")
@click.option(
    "--plan", "action", flag_value="plan", help="Change nothing; print what would be written, met and needed."
)
@click.option("--grant", "action", flag_value="grant", help="Grant the worker's role what the plan says.")
@click.option("--fill", "action", flag_value="fill", help=f"Run the file of {VARIABLE} for all users, page by page.")
@click.option("--undo", "action", flag_value="undo", help="Take the grants back; the application's rows stay.")
@click.option("--table", "users", help="The application's table of users, as public.profiles; else it is looked for.")
@click.option("--companies", help="Its table of companies; else the one that the users' company leads to.")
@click.option(
    "--write", "target", type=click.Path(path_type=Path), help="With --plan: write the statement to this file."
)
@click.option("--after", type=click.UUID, default=fill.FIRST, help="With --fill: go on behind this user.")
@json_option
@pass_settings_unless(operator_problems)
def command(
    settings: Settings,
    *,
    action: Action | None,
    target: Path | None,
    after: UUID,
    is_json: bool,
    **wanted: Unpack[WantedTables],
) -> None:
    """Let tables that an application already has follow the profiles: plan, grant, fill, and undo.

    Ours stand beside theirs; one statement of yours writes theirs in the worker's transaction. docs/ADOPT.md walks
    through it.
    """
    if action is None:
        raise click.UsageError("Say what to do: --plan, --grant, --fill or --undo.")
    if target and action != "plan":
        raise click.UsageError("--write goes with --plan.")
    if action == "fill":
        _fill(settings, after, is_json=is_json)
        return
    plan = as_operator(settings, partial(_make, settings, wanted))
    if action == "plan":
        _tell(plan, target, is_json=is_json)
    elif action == "grant":
        _execute(
            settings, plan.grants, f"Now set {VARIABLE} for the worker, and run `consumer doctor`.", is_json=is_json
        )
    else:
        _execute(settings, plan.revokes, f"Now unset {VARIABLE}, and start the workers anew.", is_json=is_json)


async def _make(settings: Settings, wanted: WantedTables, conn: Connection, _: Access) -> AdoptPlan:
    worker_role = worker_access(settings.role_prefix).role
    return await make(conn, worker_role, **wanted)


def _tell(plan: AdoptPlan, target: Path | None, *, is_json: bool) -> None:
    if target:
        _write(target, plan.statement)
    if is_json:
        emit(plan)
        return
    _show(plan)
    if target:
        click.echo(f"\nThe statement is in {target}: read it, and change what it should not do.")
    else:
        click.echo(plan.statement, nl=False)


def _write(target: Path, text: str) -> None:
    """Write a new file; one that is there may hold somebody's work."""
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise ConsumerError(f"{target} is there already; name another file.") from None
    except OSError as error:
        raise ConsumerError(f"{target} cannot be written ({type(error).__name__}).") from error


def _show(plan: AdoptPlan) -> None:
    out = console()
    made = table("table", "column", "value", "written", title=f"{plan.table} follows, by {plan.key}")
    for step in plan.steps:
        made.add_row(step.table, step.column, " ".join(step.value.split()), step.when)
    out.print(made)
    for title, lines in (
        ("To decide", plan.decide),
        ("Triggers that fire; as the worker, each needs a grant for what else it touches", plan.triggers),
        ("What refers to their rows", plan.referrers),
        ("Unique, so a user may be refused", plan.unique_indexes),
        ("Checked, so a user may be refused", plan.checks),
        ("Grants, which `consumer adopt --grant` gives and --undo takes back", plan.grants),
    ):
        if lines:
            out.print(f"\n[bold]{title}[/]")
        for line in lines:
            click.echo(f"  {printable(line)}")


def _execute(settings: Settings, statements: list[str], then: str, *, is_json: bool) -> None:
    """Run statements in one transaction as the login that migrates, who often owns the application's tables too."""
    with database(settings, "operator") as conninfo:
        asyncio.run(_run(settings, url(settings, "migrate") or conninfo, statements))
    if is_json:
        emit({"executed": statements})
        return
    for statement in statements:
        click.echo(printable(statement))
    click.echo(then)


async def _run(settings: Settings, conninfo: str, statements: list[str]) -> None:
    try:
        async with await connect(conninfo, operator_access(settings.role_prefix)) as conn, conn.transaction():
            await session.set_lock_timeout(conn, LOCK_TIMEOUT)
            for statement in statements:
                await conn.execute(statement.encode())
    except postgres.InsufficientPrivilege as error:
        lines = "\n".join(statements)
        raise ConsumerError(f"The login does not own the tables; let their owner run:\n{lines}") from error


def _fill(settings: Settings, after: UUID, *, is_json: bool) -> None:
    if settings.projection_sql is None:
        raise click.UsageError(f"{VARIABLE} is not set: `consumer adopt --plan --write FILE` makes a first version.")
    with database(settings, "operator") as conninfo:
        filled = asyncio.run(_filled(settings, url(settings, "worker") or conninfo, settings.projection_sql, after))
    if is_json:
        emit(filled)
    else:
        console().print(f"{filled.users:,} users gone through, {len(filled.refused):,} refused.")
        for refused in filled.refused:
            click.echo(f"  {refused.user_id}  {refused.error_code}  {printable(refused.error)}")
    if filled.refused:
        click.get_current_context().exit(1)


async def _filled(settings: Settings, conninfo: str, statement: bytes, after: UUID) -> FillResult:
    access, filled = worker_access(settings.role_prefix), FillResult()
    try:
        async with await connect(conninfo, access) as conn:
            with console(is_error=True).status("filling in") as status:
                async for page in fill.fill(conn, access, statement, after):
                    after = page.last_user_id
                    filled.users += page.users
                    filled.refused += _refused(page.refused)
                    status.update(f"{filled.users:,} users, up to {after}")
    except psycopg.OperationalError as error:
        raise ConsumerError(
            f"Stopped: {error_text(error)}. What is filled in stays; go on with --after {after}."
        ) from error
    return filled


def _refused(culprits: Failing[UUID]) -> list[RefusedUser]:
    return [RefusedUser(user_id, code(error), summary(error)) for user_id, error in culprits]
