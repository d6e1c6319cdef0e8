"""`consumer rebuild`: make rows anew from the stored deliveries."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import TypedDict, TypeVar, Unpack
from uuid import UUID

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from consumer.cli import as_of
from consumer.cli.context import examples, pass_settings
from consumer.cli.database import as_operator, database, has_urls
from consumer.cli.decision import shell_action
from consumer.cli.filters import TimeParam, secret_option, since_option
from consumer.cli.output import console, json_option, present, show_rows
from consumer.lookup.times import instant
from consumer.operations import rebuild
from consumer.operations.rebuild import Drift, Subjects
from consumer.outbox import rebuild_queue
from consumer.outbox.deliveries import Selection
from consumer.postgres import session
from consumer.postgres.connections import Access, Connection, connect, transaction, worker_access
from consumer.process.readiness import not_ready_reason
from consumer.settings.settings import Settings
from consumer.worker.batch import rebuild_page
from consumer.worker.rebuild import RebuiltPage

# While other workers hold all that is left.
WAIT_SECONDS = 0.2
# Between two counts of what is left: of a million users one takes as long as six pages.
COUNT_SECONDS = 10.0
T = TypeVar("T")


class Chosen(TypedDict):
    """The filters of the command line; without any, everybody is chosen."""

    user_ids: tuple[UUID, ...]
    team_ids: tuple[UUID, ...]
    since: datetime | timedelta | None
    verified_by: str | None


@dataclass(slots=True)
class Rebuilt:
    """What a rebuild did: rows made anew, those that differed by kind, and what could not be made anew."""

    users: int = 0
    companies: int = 0
    differing: Counter[str] = field(default_factory=Counter)
    postponed: int = 0
    error: str | None = None

    @property
    def done(self) -> int:
        """How many users and companies were made anew."""
        return self.users + self.companies

    def add(self, page: RebuiltPage) -> None:
        """Count a page."""
        self.differing += page.differing
        if page.stage is rebuild_queue.Stage.USER:
            self.users += page.done
        else:
            self.companies += page.done


@click.command(
    name="rebuild",
    epilog=examples(
        "rebuild --check",
        "rebuild",
        "rebuild --user 6f1c2f0e-9d3b-4a57-8c21-0b7d5e9a4f10",
        "rebuild --since 2h",
        "rebuild --as-of 3d --user 6f1c2f0e-9d3b-4a57-8c21-0b7d5e9a4f10",
    ),
)
@click.option("--user", "user_ids", type=click.UUID, multiple=True, help="Only this user; may be repeated.")
@click.option(
    "--team", "team_ids", type=click.UUID, multiple=True, help="Only this team and its users; may be repeated."
)
@since_option
@secret_option
@click.option("--check", "is_check", is_flag=True, help="Only compare; exit with 1 if anything differs.")
@click.option(
    "--as-of",
    "past",
    type=TimeParam(),
    help="Only print the rows as they were then: ISO 8601 (in UTC) or 90s, 2h, 3d ago. Needs a filter.",
)
@json_option
@pass_settings("operator")
def command(
    settings: Settings,
    *,
    is_check: bool,
    past: datetime | timedelta | None,
    is_json: bool,
    **chosen: Unpack[Chosen],
) -> None:
    """Make rows anew from the stored deliveries.

    Without a filter it takes everybody; with --since or --verified-by the users and teams of these deliveries. It works
    page by page beside live work, and workers take pages too. A row that comes out different is written and audited as
    `rebuilt`; a row that does not stays as it is; a row that no delivery tells of goes. After a kill a second call goes
    on. Call it with the settings of the workers.

    --as-of prints users and companies as the deliveries received until then make them, under today's exclusions and
    settings. It changes nothing. What it prints is personal data, one JSON document.
    """
    if past is not None and (is_check or not any(chosen.values())):
        raise click.UsageError("--as-of needs --user, --team, --since or --verified-by, and excludes --check.")
    subjects = None
    if any(chosen.values()):
        subjects = as_operator(settings, lambda conn, access: _subjects(conn, access, chosen))
    if subjects and not (subjects.user_ids or subjects.company_ids):
        raise click.ClickException("No stored delivery matches.")
    if subjects and past is not None:
        _as_worker(settings, lambda conn, access: as_of.show(conn, access, past, subjects))
        return
    if is_check:
        compared = _as_worker(settings, lambda conn, access: _compare(conn, access, subjects))
        present(compared, _show_drift, is_json=is_json)
        if compared.differing:
            click.get_current_context().exit(1)
        return
    queued = as_operator(settings, lambda conn, access: _queue(conn, access, subjects, chosen))
    rebuilt = _as_worker(settings, lambda conn, access: _drain(conn, access, settings.projection_sql))
    present(rebuilt, partial(_show_rebuilt, queued), is_json=is_json)
    if rebuilt.postponed:
        reason = rebuilt.error or "locked"
        raise click.ClickException(f"{rebuilt.postponed:,} could not be made anew, and are tried again: {reason}.")


async def _subjects(conn: Connection, access: Access, chosen: Chosen) -> Subjects:
    """Return the named users, the named teams with their users, all that the filters choose, and what these name."""
    named = Subjects(chosen["user_ids"], chosen["team_ids"])
    if unknown := await rebuild.unknown(conn, access, named):
        raise click.ClickException(f"Neither a delivery nor a row is about {', '.join(map(str, unknown))}.")
    applied = None
    if chosen["since"] or chosen["verified_by"]:
        async with transaction(conn, access):
            now = await session.now(conn)
        since = None if chosen["since"] is None else instant(chosen["since"], now)
        applied = Selection(rebuild.APPLIED, since=since, until=now, verified_by=chosen["verified_by"])
    return await rebuild.chosen(conn, access, named, applied)


def _as_worker(settings: Settings, work: Callable[[Connection, Access], Awaitable[T]]) -> T:
    """Run *work* on a connection of the worker's, if it may work."""
    access = worker_access(settings.role_prefix)

    async def connected(conninfo: str) -> T:
        if reason := await not_ready_reason(conninfo, access, settings.shaping, applies=True):
            raise click.ClickException(f"Nothing was made anew: {reason}.")
        async with await connect(conninfo, access) as conn:
            return await work(conn, access)

    with database(settings, "worker", is_embedded=not has_urls(settings)) as conninfo:
        return asyncio.run(connected(conninfo))


async def _queue(conn: Connection, access: Access, subjects: Subjects | None, chosen: Chosen) -> int:
    """Queue these subjects, or all there are, and return how many rows of the queue that takes."""
    action = shell_action("rebuild", chosen)
    if subjects is not None:
        return await rebuild.queue(conn, access, subjects, action)
    with console(is_error=True).status("finding users and companies"):
        return sum([number async for number in rebuild.queue_all(conn, access, action)])


async def _compare(conn: Connection, access: Access, subjects: Subjects | None) -> Drift:
    found = Drift()
    with console(is_error=True).status("comparing") as status:
        async for found in rebuild.compare(conn, access, subjects):
            status.update(f"{_named(found.users, found.companies)} compared")
    return found


async def _drain(conn: Connection, access: Access, projection_sql: bytes | None) -> Rebuilt:
    """Make pages anew until nothing waits but what failed; other workers may take pages too."""
    rebuilt = Rebuilt()
    columns = (TextColumn("rebuilding"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console(is_error=True), transient=True) as progress:
        task = progress.add_task("", total=None)
        counted_at = float("-inf")
        while True:
            page = await rebuild_page(conn, access, projection_sql=projection_sql)
            if page:
                rebuilt.add(page)
                progress.update(task, completed=rebuilt.done)
                if time.monotonic() < counted_at + COUNT_SECONDS:
                    continue
            counted_at = time.monotonic()
            async with transaction(conn, access):
                depth = await rebuild_queue.depth(conn)
            waiting, postponed = (sum(getattr(one, name) for one in depth) for name in ("waiting", "postponed"))
            progress.update(task, total=rebuilt.done + waiting, completed=rebuilt.done)
            if not page and waiting == postponed:
                rebuilt.postponed = postponed
                rebuilt.error = next((one.error for one in depth if one.error), None)
                return rebuilt
            if not page:
                await asyncio.sleep(WAIT_SECONDS)


def _show_drift(compared: Drift) -> None:
    out, checked = console(), f"{_named(compared.users, compared.companies)} compared"
    if compared.first is None:
        out.print(f"{checked}: a rebuild would change nothing.")
        return
    out.print(f"{checked}. A rebuild would change:")
    _show_kinds(compared.differing)
    subject_id, kinds = compared.first
    out.print(f"The first: {subject_id} ({', '.join(kinds)}).")


def _named(users: int, companies: int) -> str:
    """Return both numbers with their nouns."""
    return f"{users:,} user{'s' * (users != 1)} and {companies:,} compan{'y' if companies == 1 else 'ies'}"


def summary(queued: int, rebuilt: Rebuilt) -> str:
    """Return who made anew what was queued, as a sentence."""
    if not queued:
        return "No delivery and no row is about anybody: nothing was made anew."
    if rebuilt.done or rebuilt.postponed:
        return f"{_named(rebuilt.users, rebuilt.companies)} made anew here; workers may have taken others."
    return "Workers made all of it anew; the audit has a row `rebuilt` for each profile that differed."


def _show_rebuilt(queued: int, rebuilt: Rebuilt) -> None:
    console().print(summary(queued, rebuilt), soft_wrap=True)
    if rebuilt.differing:
        _show_kinds(rebuilt.differing)


def _show_kinds(differing: Mapping[str, int]) -> None:
    show_rows([{"rows": kind, "differ": f"{n:,}"} for kind, n in sorted(differing.items())], numbers={"differ"})
