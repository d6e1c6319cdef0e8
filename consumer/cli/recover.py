"""`consumer recover`: bring in what Svix still holds, once or as it comes."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

import click
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from consumer.cli.cells import cell, printable
from consumer.cli.context import examples, pass_settings
from consumer.cli.database import database
from consumer.cli.decision import shell_action
from consumer.cli.filters import TimeParam, amount
from consumer.cli.output import as_called, console, json_option, present, show_rows
from consumer.cli.stack import AdminSession, admin_problems, cured, open_admin, project_id, with_svix_as_operator
from consumer.deadline import first_of
from consumer.lookup.times import instant
from consumer.operations import runs
from consumer.operations.recover import OVERLAP, RecoveredPage, Recovery, follow
from consumer.postgres import origin, session
from consumer.postgres.connections import Connection, connect, operator_access, transaction
from consumer.process.outage_log import error_text
from consumer.process.signals import run
from consumer.settings.settings import Settings
from consumer.stack_api.rate import RateLimit
from consumer.stack_api.svix import SvixApi

# Enough to look for in Svix's pages; the others are counted.
LOST_NAMED_MAX = 20


@dataclass
class RecoveryCounts:
    """What was found so far."""

    since: datetime
    new: Counter[str] = field(default_factory=Counter)
    known: Counter[str] = field(default_factory=Counter)
    unusable: int = 0
    lost: int = 0
    lost_ids: list[str] = field(default_factory=list)

    def add(self, page: RecoveredPage) -> None:
        """Count a page."""
        self.new.update(delivery.event_type or "" for delivery in page.new)
        self.known.update(delivery.event_type or "" for delivery in page.known)
        self.unusable += sum(delivery.error_code is not None for delivery in page.new)
        self.lost += len(page.lost)
        room = LOST_NAMED_MAX - len(self.lost_ids)
        self.lost_ids += [message.id for message in page.lost[:room]]

    @property
    def document(self) -> dict[str, object]:
        """Return the counts as they are printed."""
        types = sorted({*self.new, *self.known})
        return {
            "since": self.since,
            "new": self.new.total(),
            "known": self.known.total(),
            "unusable": self.unusable,
            "lost": self.lost,
            "lost_ids": self.lost_ids,
            "types": [{"type": each or None, "new": self.new[each], "known": self.known[each]} for each in types],
        }


@click.command(
    name="recover", epilog=examples("recover --since 7d --dry-run", "recover --since 7d", "recover --follow")
)
@click.option(
    "--since", type=TimeParam(), help="Sent since then: ISO 8601 (in UTC) or 90s, 2h, 3d ago. With --follow: now."
)
@click.option("--follow", "is_following", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@click.option("--dry-run", "is_dry_run", is_flag=True, help="Only count what is new and what is known.")
@json_option
@pass_settings("operator", admin_problems)
def command(
    settings: Settings, *, since: datetime | timedelta | None, is_following: bool, is_dry_run: bool, is_json: bool
) -> None:
    """Bring in what Svix still holds.

    Svix keeps what Stack sends for 90 days at most. What no receiver stored becomes a delivery, as if it had arrived;
    what is stored already is a repeat. A second call after a stop doubles nothing. With --follow a laptop gets the
    webhooks of a real project without a public address: run `consumer up` beside it.
    """
    if since is None and not is_following:
        raise click.UsageError("Name the time with --since, or follow what comes with --follow.")
    if is_following and is_dry_run:
        raise click.UsageError("--follow and --dry-run exclude each other; keep one of them.")
    if is_following:
        with database(settings, "operator") as conninfo:
            counts = run(partial(_followed, settings, conninfo, OVERLAP if since is None else since, is_json))
    else:
        recovery = _recovery(settings, is_dry_run=is_dry_run)
        counts = with_svix_as_operator(settings, partial(_recovered, recovery, since or timedelta()))
    present(counts.document, partial(_show, counts, is_dry_run=is_dry_run), is_json=is_json)


def _recovery(settings: Settings, *, is_dry_run: bool = False) -> Recovery:
    tolerance = timedelta(seconds=settings.tolerance_seconds)
    action = shell_action("recover", {})
    return Recovery(operator_access(settings.role_prefix), project_id(settings), tolerance, is_dry_run, action)


async def _recovered(recovery: Recovery, since: datetime | timedelta, opened: AdminSession) -> RecoveryCounts:
    """Recover once, with a bar on a terminal: pages go back in time."""
    now, counts = await _begun(recovery, opened.conn, since)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(), TextColumn("{task.fields[done]}"))
    out = console(is_error=True)
    with Progress(*columns, console=out, transient=True, disable=not out.is_terminal) as progress:
        task = progress.add_task("back to", total=(now - counts.since).total_seconds(), done="")
        async for page in recovery.pages(opened.conn, opened.svix, counts.since):
            counts.add(page)
            at = max(page.oldest or counts.since, counts.since)
            done = f"{counts.new.total():,} new, {counts.known.total():,} known"
            progress.update(
                task, description=f"back to {at:%Y-%m-%d %H:%M}Z", completed=(now - at).total_seconds(), done=done
            )
    return counts


async def _begun(recovery: Recovery, conn: Connection, since: datetime | timedelta) -> tuple[datetime, RecoveryCounts]:
    """Return the time and empty counts; refuse a time to come."""
    async with transaction(conn, recovery.access):
        now = await session.now(conn)
    if (at := instant(since, now)) > now:
        raise click.UsageError("--since lies in the future.")
    return now, RecoveryCounts(at)


async def _followed(
    settings: Settings, conninfo: str, since: datetime | timedelta, is_json: bool, stop: asyncio.Event
) -> RecoveryCounts:
    """Follow until *stop* is set, with a line for each delivery."""
    recovery = _recovery(settings)

    @asynccontextmanager
    async def opened() -> AsyncIterator[tuple[Connection, SvixApi]]:
        async with (
            await connect(conninfo, recovery.access) as conn,
            open_admin(settings, RateLimit(settings.stack_api_rps)) as (_, svix),
        ):
            yield conn, svix

    async with await connect(conninfo, recovery.access) as conn:
        await origin.refuse_copy(conn, recovery.access)
        async with transaction(conn, recovery.access):
            await runs.refuse_other_project(conn, recovery.project_id)
        _, counts = await _begun(recovery, conn, since)
    click.echo("Following what Stack sends, until Ctrl-C.", err=True)

    async def followed() -> None:
        async for page in follow(recovery, opened, counts.since, Outages().tell):
            counts.add(page)
            if not is_json:
                _show_each(page)

    await first_of(stop, cured(followed()))
    return counts


def _show_each(page: RecoveredPage) -> None:
    for delivery in reversed(page.new):
        unusable = f"  {delivery.error_code}" if delivery.error_code else ""
        kind = printable(delivery.event_type or "no type")
        click.echo(f"{cell(delivery.occurred_at)}  {kind}  {delivery.message_id}{unusable}")


class Outages:
    """Says the start and the end of an outage on stderr, once each."""

    def __init__(self) -> None:
        self._is_out = False

    def tell(self, error: Exception | None) -> None:
        """Say that a poll failed, or that one succeeded again."""
        if error and not self._is_out:
            click.echo(f"{error_text(error)} Trying again.", err=True)
        elif not error and self._is_out:
            click.echo("Going on.", err=True)
        self._is_out = error is not None


def _show(counts: RecoveryCounts, _: object, *, is_dry_run: bool) -> None:
    out = console()
    types = sorted({*counts.new, *counts.known})
    if types:
        rows = [{"type": each or "none", "new": counts.new[each], "known": counts.known[each]} for each in types]
        show_rows(rows, numbers={"new", "known"})
    verb = "would be" if is_dry_run else "was"
    if not (new := counts.new.total()):
        out.print(f"Nothing is new: no delivery {verb} stored.")
    else:
        out.print(f"{amount(new)} {'would be stored' if is_dry_run else 'stored, which workers apply'}.")
    if counts.unusable and not is_dry_run:
        out.print(as_called(f"{counts.unusable:,} of them can't be used and are dead: `consumer dead list`."))
    if counts.lost:
        named = ", ".join(counts.lost_ids) + (", …" if counts.lost > len(counts.lost_ids) else "")
        out.print(
            as_called(
                f"Svix keeps the body of {amount(counts.lost)} no more: {named}. `consumer backfill` brings in what is "
                "there now."
            ),
            style="yellow",
            soft_wrap=True,
        )
