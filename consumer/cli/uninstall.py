"""`consumer uninstall`: remove the product and leave the data."""

import asyncio
from typing import TypedDict, Unpack

import click

from consumer.cli.context import examples, pass_settings
from consumer.cli.database import database, has_urls
from consumer.cli.erase import is_terminal
from consumer.cli.output import as_called, console, emit, json_option
from consumer.operations import uninstall
from consumer.operations.uninstall import Uninstall
from consumer.postgres import migrations, session
from consumer.postgres.connections import connect, operator_access
from consumer.settings.settings import Settings

NOT_ALL = (
    "uninstall needs --keep-profiles. To drop the users' data too, run "
    "DROP SCHEMA consumer, consumer_masked, identity CASCADE, and then DROP ROLE for each role with your ROLE_PREFIX."
)
EMBEDDED = (
    "The embedded server runs only while a command of ours does, so nobody could read the tables afterwards. Move the "
    "database to a server of yours first (pg_dump, pg_restore), and uninstall there."
)
UNCONFIRMED = "There is no terminal to ask on: --yes confirms, --dry-run only prints."
OPEN = "Row-level security goes: every role with SELECT on the tables of identity sees the rows of all companies."


class UninstallOptions(TypedDict):
    """The switches of the command line."""

    is_kept: bool
    is_dry_run: bool
    is_confirmed: bool
    is_forced: bool


def _problems(
    settings: Settings, *, is_kept: bool, is_dry_run: bool, is_confirmed: bool, is_json: bool, **__: object
) -> list[str]:
    found = [] if is_kept else [NOT_ALL]
    if not has_urls(settings):
        found.append(EMBEDDED)
    if not (is_dry_run or is_confirmed) and (is_json or not is_terminal()):
        found.append(UNCONFIRMED)
    return found


@click.command(
    name="uninstall", epilog=examples("uninstall --keep-profiles --dry-run", "uninstall --keep-profiles --yes")
)
@click.option("--keep-profiles", "is_kept", is_flag=True, help="Leave the tables of identity, with their rows.")
@click.option("--dry-run", "is_dry_run", is_flag=True, help="Only print the statements.")
@click.option("--yes", "is_confirmed", is_flag=True, help="Do not ask for a confirmation.")
@click.option("--force", "is_forced", is_flag=True, help="Go on while receivers or workers are connected.")
@json_option
@pass_settings("migrate", _problems)
def command(settings: Settings, *, is_json: bool, **options: Unpack[UninstallOptions]) -> None:
    """Remove the product and leave the users' data.

    It prints the statements and runs them in one transaction. Schema consumer goes, with every stored delivery; so do
    functions, policies and row-level security of identity. Its tables stay, and so do your keys and views on them. A
    role stays that has members outside or that something else in the cluster needs.
    """
    is_dry_run = options["is_dry_run"]
    with database(settings, "migrate") as conninfo:
        planned = asyncio.run(_plan(conninfo, settings))
        if not is_dry_run:
            _refuse_connected(planned, is_forced=options["is_forced"])
        if not is_json:
            _show(planned)
        if not (is_dry_run or options["is_confirmed"]):
            click.confirm(f"{OPEN} Remove the product now?", abort=True, err=True)
        refused = {} if is_dry_run else _run(conninfo, settings, planned)
    if is_json:
        emit(_document(planned, refused, is_dry_run=is_dry_run))
    elif not is_dry_run:
        _show_result(planned, refused)


async def _plan(conninfo: str, settings: Settings) -> Uninstall:
    access = operator_access(settings.role_prefix)
    async with await connect(conninfo, access) as conn:
        return await uninstall.plan(conn, access, settings.role_prefix)


def _run(conninfo: str, settings: Settings, planned: Uninstall) -> dict[str, str]:
    access = operator_access(settings.role_prefix)

    async def run() -> dict[str, str]:
        async with await connect(conninfo, access) as conn:
            await session.allow_writes(conn)
            return await uninstall.run(conn, access, planned)

    with migrations.turn(conninfo):
        return asyncio.run(run())


def _refuse_connected(planned: Uninstall, *, is_forced: bool) -> None:
    if planned.connected and not is_forced:
        named = ", ".join(f"{count} {name}" for name, count in planned.connected.items())
        raise click.ClickException(
            f"Processes are still connected ({named}), and nothing was changed: stop them, or pass --force."
        )


def _show(planned: Uninstall) -> None:
    out = console()
    for statement in [*planned.statements, *planned.drops]:
        out.print(statement, markup=False, soft_wrap=True)
    for role, members in planned.kept.items():
        comment = f"-- {role} stays, for {', '.join(members)}: as a member it reads identity."
        # A line break of ours would end the comment.
        out.print(comment, markup=False, soft_wrap=True)
    out.print(f"-- {OPEN}", markup=False, soft_wrap=True)


def _show_result(planned: Uninstall, refused: dict[str, str]) -> None:
    out = console()
    out.print("Removed. The tables of identity are yours.")
    for statement, reason in refused.items():
        out.print(f"left: {statement} {reason}", markup=False, soft_wrap=True)
    if refused:
        out.print(as_called("`consumer adopt undo` takes back rights on your tables; then run what is left yourself."))


def _document(planned: Uninstall, refused: dict[str, str], *, is_dry_run: bool) -> dict[str, object]:
    return {
        "is_dry_run": is_dry_run,
        "statements": planned.statements + planned.drops,
        "kept_roles": planned.kept,
        "refused": refused,
        "connected": planned.connected,
    }
