"""The progress bar of a run over Stack's API, and its summary."""

import time
from collections.abc import AsyncIterator

import click
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from consumer.cli.filters import amount
from consumer.cli.output import as_called, console, show_facts
from consumer.operations.runs import BegunRun, Run
from consumer.stack_api.client import StackApi
from consumer.verdict.durations import duration

COUNTS = ("users", "teams", "memberships", "permissions", "stored", "unusable", "calls")


async def followed(pages: AsyncIterator[Run], api: StackApi, run: Run) -> Run:
    """Follow a run to the end of its pages, with a bar on a terminal: users and teams are lists of unknown length."""
    last, started = run, time.monotonic()
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(), TextColumn("{task.fields[done]}"))
    out = console(is_error=True)
    with Progress(*columns, console=out, transient=True, disable=not out.is_terminal) as progress:
        task = progress.add_task(run.stage, total=None, done="")
        async for page in pages:
            last = page
            rate = api.requests / max(time.monotonic() - started, 1.0)
            done = f"{page.users:,} users, {page.teams:,} teams; {api.requests:,} calls, {rate:.1f}/s"
            # After the scan it is asked about suspects, of which each answer may leave or add some.
            description = "suspects" if page.finished_at else page.stage
            total = page.teams if description == "members" else None
            completed = page.teams - page.teams_left
            progress.update(task, description=description, total=total, completed=completed, done=done)
    return last


def say_resumed(run: Run) -> None:
    """Say on stderr that a run goes on, and where."""
    place = "suspects" if run.finished_at else run.stage
    click.echo(
        as_called(
            f"Going on with the run of {run.begun_at:%Y-%m-%d %H:%M}Z at its {place}; "
            f"`consumer {run.kind} --new` begins another."
        ),
        err=True,
    )


def refuse_abandoned(run: Run) -> None:
    """Raise if another process has begun another run in this one's place."""
    if run.abandoned_at:
        raise click.ClickException("Another process gave this run up with --new; that one's run goes on.")


def document(begun: BegunRun) -> dict[str, object]:
    """Return a run as a JSON document."""
    run = begun.run
    counts = {name: getattr(run, name) for name in COUNTS}
    return {"run": run.id, "is_complete": run.finished_at is not None, "is_resumed": begun.is_resumed, **counts}


def show(run: Run) -> None:
    """Show to people what a run listed and stored."""
    counts = {name: f"{getattr(run, name):,}" for name in ("users", "teams", "memberships", "permissions", "calls")}
    show_facts({**counts, "scan took": duration(((run.finished_at or run.now) - run.begun_at).total_seconds())})
    out = console()
    if run.stored:
        out.print(f"{amount(run.stored)} stored, which workers apply; the rest brings nothing new.")
    else:
        out.print("Nothing is new: no delivery was stored.")
    if run.unusable:
        out.print(
            as_called(f"{run.unusable:,} of them can't be used and are dead: `consumer dead list`."), style="yellow"
        )
