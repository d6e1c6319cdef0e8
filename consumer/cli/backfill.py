"""`consumer backfill`: bring everything in that Stack's API lists."""

import time

import click
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from consumer.cli.cells import duration
from consumer.cli.context import examples, pass_settings
from consumer.cli.output import as_called, console, json_option, present, show_facts
from consumer.cli.stack import access_problems, project_id, with_api, with_api_as_operator
from consumer.operations import runs
from consumer.operations.backfill import backfill, calls_expected
from consumer.operations.runs import BegunRun, Run
from consumer.postgres.connections import Access, Connection
from consumer.settings.settings import Settings
from consumer.stack_api.client import StackApi

# What is said of the size of a run: a product of some years.
MANY = 80_000
COUNTS = ("users", "teams", "memberships", "permissions", "stored", "unusable", "calls")


@click.command(name="backfill", epilog=examples("backfill --dry-run", "backfill", "backfill --new"))
@click.option("--new", "is_new", is_flag=True, help="Begin another run, and give up one that is not complete.")
@click.option("--dry-run", "is_dry_run", is_flag=True, help="Only list the first page, and count the calls of a run.")
@json_option
@pass_settings("operator", access_problems)
def command(settings: Settings, *, is_new: bool, is_dry_run: bool, is_json: bool) -> None:
    """Bring users and teams in from Stack's REST API.

    The members of teams and their permissions come too. Each finding that would change a row is stored as a delivery,
    which workers apply: a newer webhook wins. Nothing is deleted. A second call goes on with a run that was stopped.
    Project permissions have no effect and are left out.
    """
    if is_dry_run:
        document = with_api(settings, lambda api: _first_page(settings, api))
        present(document, _show_first_page, is_json=is_json)
        return

    async def filled(conn: Connection, access: Access, api: StackApi) -> BegunRun:
        begun = await runs.begin(conn, access, "backfill", project_id(settings), is_new=is_new)
        if begun.is_resumed:
            _say_resumed(begun.run)
        return begun._replace(run=await _shown(conn, access, api, begun.run))

    begun = with_api_as_operator(settings, filled)
    present(_document(begun), lambda _: _show(begun.run), is_json=is_json)
    if begun.run.abandoned_at:
        raise click.ClickException("Another process gave this run up with --new; that one's run goes on.")


async def _shown(conn: Connection, access: Access, api: StackApi, run: Run) -> Run:
    """Run to the end, with a bar on a terminal: users and teams are lists of unknown length."""
    last, started = run, time.monotonic()
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(), TextColumn("{task.fields[done]}"))
    out = console(is_error=True)
    with Progress(*columns, console=out, transient=True, disable=not out.is_terminal) as progress:
        task = progress.add_task(run.stage, total=None, done="")
        async for page in backfill(conn, access, api, run):
            last = page
            rate = api.requests / max(time.monotonic() - started, 1.0)
            done = f"{page.users:,} users, {page.teams:,} teams; {api.requests:,} calls, {rate:.1f}/s"
            total = page.teams if page.stage == "members" else None
            progress.update(
                task, description=page.stage, total=total, completed=page.teams - page.teams_left, done=done
            )
    return last


async def _first_page(settings: Settings, api: StackApi) -> dict[str, object]:
    page = await api.users()
    calls = calls_expected(MANY, MANY)
    return {
        "users_listed": len(page.items),
        "is_whole_list": page.next_cursor is None,
        "calls": calls_expected(len(page.items), len(page.items)) if page.next_cursor is None else None,
        "calls_for_80000": calls,
        "hours_for_80000": round(calls / settings.stack_api_rps / 3600, 1),
        "calls_a_second": settings.stack_api_rps,
    }


def _show_first_page(document: dict[str, object]) -> None:
    out = console()
    if document["is_whole_list"]:
        out.print(
            f"Stack lists {document['users_listed']:,} users. With a personal team each a run takes "
            f"{document['calls']:,} calls."
        )
    else:
        out.print(f"Stack lists {document['users_listed']:,} users on the first page, and more follow.")
    out.print(
        f"80,000 users with a personal team each take {document['calls_for_80000']:,} calls: "
        f"{document['hours_for_80000']} hours at {document['calls_a_second']:g} a second (STACK_API_RPS)."
    )


def _say_resumed(run: Run) -> None:
    click.echo(
        as_called(
            f"Going on with the run of {run.begun_at:%Y-%m-%d %H:%M}Z at its {run.stage}; "
            "`consumer backfill --new` begins another."
        ),
        err=True,
    )


def _document(begun: BegunRun) -> dict[str, object]:
    run = begun.run
    counts = {name: getattr(run, name) for name in COUNTS}
    return {"run": run.id, "is_complete": run.finished_at is not None, "is_resumed": begun.is_resumed, **counts}


def _show(run: Run) -> None:
    counts = {name: f"{getattr(run, name):,}" for name in ("users", "teams", "memberships", "permissions", "calls")}
    show_facts({**counts, "took": duration(((run.finished_at or run.now) - run.begun_at).total_seconds())})
    out = console()
    out.print(f"{run.stored:,} new deliveries wait for the workers; the rest brings nothing new.")
    if run.unusable:
        out.print(
            as_called(f"{run.unusable:,} of them can't be used and are dead: `consumer dead list`."), style="yellow"
        )
