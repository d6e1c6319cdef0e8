"""`consumer replay`: put stored deliveries back to pending."""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypedDict, Unpack
from uuid import UUID

import click
from click.core import ParameterSource

from consumer.cli.cells import printable
from consumer.cli.context import examples, pass_settings
from consumer.cli.database import as_operator, read
from consumer.cli.output import console, json_option, present, show_rows
from consumer.events.registry import EVENT_TYPES
from consumer.operations import replay
from consumer.operations.replay import Replayed
from consumer.outbox import deliveries
from consumer.outbox.deliveries import Selection
from consumer.postgres import session
from consumer.postgres.connections import Access, Connection
from consumer.settings.settings import Settings

STATES = ("done", "dead", "retrying")
# They would be tried again anyway.
RETRYING = ("retrying",)
DURATION = re.compile(r"([0-9]{1,6})([smhdw])")
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
# A century: longer than any delivery was stored, and still a date that PostgreSQL and Python can represent.
DURATION_MAX = timedelta(days=36_500)


class TimeParam(click.ParamType[datetime | timedelta]):
    """ISO 8601, in UTC unless it names a zone, or a duration: that long before now."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime | timedelta:
        """Return the instant or the duration; `instant` resolves a duration by the database's clock."""
        if isinstance(value, datetime | timedelta):
            return value
        if duration := DURATION.fullmatch(value):
            return min(timedelta(**{UNITS[duration[2]]: int(duration[1])}), DURATION_MAX)
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            self.fail(
                f"{value!r} is neither ISO 8601 (2026-01-31T12:00:00Z) nor a duration (90s, 15m, 2h, 3d, 1w).",
                param,
                ctx,
            )
        return at if at.tzinfo else at.replace(tzinfo=UTC)


def _known_type(_: click.Context, __: click.Parameter, event_type: str | None) -> str | None:
    """Warn of a type that this release does not know: some are stored, but most are typing errors."""
    if event_type is not None and event_type not in EVENT_TYPES:
        click.echo(f"Warning: this release knows no event type {printable(event_type)}.", err=True)
    return event_type


def _states(_: click.Context, __: click.Parameter, text: str) -> tuple[str, ...]:
    states = tuple(part.strip() for part in text.split(","))
    if unknown := [state for state in states if state not in STATES]:
        raise click.BadParameter(f"{unknown[0]!r} is not one of {', '.join(STATES)}.")
    return states


error_option = click.option("--error", "error_code", help="Only with this error code, as `dead list` shows it.")
type_option = click.option(
    "--type", "event_type", callback=_known_type, help="Only of this event type, such as user.updated."
)
all_option = click.option("--all", "is_all", is_flag=True, help="Take all of them, without a filter.")


class ReplayFilters(TypedDict):
    """The filters of the command line beside the states."""

    since: datetime | timedelta | None
    until: datetime | timedelta | None
    event_type: str | None
    user_id: UUID | None
    message_ids: tuple[str, ...]
    error_code: str | None


@click.command(
    name="replay", epilog=examples("replay --since 2h --dry-run", "replay --type user.updated", "replay --all")
)
@click.option("--since", type=TimeParam(), help="Only received since then: ISO 8601 (in UTC) or 90s, 2h, 3d ago.")
@click.option("--until", type=TimeParam(), help="Only received before then.")
@type_option
@click.option("--user", "user_id", type=click.UUID, help="Only about this user.")
@click.option("--message-id", "message_ids", multiple=True, help="Only with this message id; may be repeated.")
@error_option
@click.option(
    "--state", "states", callback=_states, default="done,dead", show_default=True, help="Of done, dead, retrying."
)
@all_option
@click.option("--dry-run", "is_dry_run", is_flag=True, help="Only count the matches.")
@json_option
@pass_settings("operator")
def command(
    settings: Settings,
    *,
    states: tuple[str, ...],
    is_all: bool,
    is_dry_run: bool,
    is_json: bool,
    **filters: Unpack[ReplayFilters],
) -> None:
    """Put stored deliveries back to pending.

    Workers apply them again, beside new ones. A delivery must match all filters. Applying twice changes nothing, so a
    replay may be repeated, and a second call finishes an interrupted one. Dead deliveries are checked again by this
    release and stay dead if they are still unusable. Discarded ones are never replayed. --state retrying needs neither
    a filter nor --all, and with --dry-run no --state does.
    """
    is_named = click.get_current_context().get_parameter_source("states") != ParameterSource.DEFAULT
    if is_all or not (is_named and (is_dry_run or states == RETRYING)):
        refuse_unless_meant(filters, is_all=is_all)

    async def counted(conn: Connection) -> dict[str, int]:
        return await deliveries.count(conn, _selection(filters, states, await session.now(conn)))

    async def replayed(conn: Connection, access: Access) -> Replayed:
        return await total(replay.replay(conn, access, _selection(filters, states, await session.now(conn))))

    if is_dry_run:
        matches = dict.fromkeys(states, 0) | read(settings, counted)
        present({"matches": matches}, _show_matches, is_json=is_json)
        found = sum(matches.values())
    else:
        done = as_operator(settings, replayed)
        present(done, show_replayed, is_json=is_json)
        found = done.queued + done.unusable
    # A time or a type may match nothing. An id, a user or an error is expected to be there.
    if not found and (filters["message_ids"] or filters["user_id"] or filters["error_code"]):
        raise click.ClickException(read(settings, partial(_mismatch, filters, states)))


def refuse_unless_meant(filters: Mapping[str, object], *, is_all: bool) -> None:
    """Refuse a call that names neither a filter nor --all, and one that names both."""
    is_filtered = any(value is not None and value != () for value in filters.values())
    if not is_filtered and not is_all:
        raise click.UsageError("Name the deliveries by a filter, or --all.")
    if is_filtered and is_all:
        raise click.UsageError("--all and a filter exclude each other; keep one of them.")


async def total(batches: AsyncIterator[Replayed]) -> Replayed:
    """Add up the transactions, and show the progress on a terminal."""
    done = Replayed(queued=0, unusable=0)
    with console(is_error=True).status("replaying") as status:
        async for batch in batches:
            done = Replayed(queued=done.queued + batch.queued, unusable=done.unusable + batch.unusable)
            status.update(f"{done.queued:,} put back to pending")
    return done


async def discarded(conn: Connection, message_ids: Sequence[str]) -> str:
    """Return a sentence on each of these deliveries that was discarded."""
    found = [one for message_id in message_ids for one in await deliveries.find(conn, message_id, with_body=False)]
    return " ".join(
        f"Delivery {printable(one['message_id'])} was discarded by {printable(one['excluded_by'])} on "
        f"{one['excluded_at']:%Y-%m-%d}; discarded deliveries are never replayed."
        for one in found
        if one["excluded_at"]
    )


async def _mismatch(filters: ReplayFilters, states: tuple[str, ...], conn: Connection) -> str:
    """Return why these filters match nothing."""
    if filters["user_id"] and not await deliveries.has_user(conn, filters["user_id"]):
        return "No stored delivery concerns this user."
    sentence = f"Nothing that is {' or '.join(states)} matches; pending deliveries are applied without a replay."
    return await discarded(conn, filters["message_ids"]) or sentence


def show_replayed(replayed: Replayed) -> None:
    """Print the result of a replay."""
    out = console()
    out.print(f"{amount(replayed.queued)} put back to pending.")
    if n := replayed.unusable:
        stay = "stays" if n == 1 else "stay"
        out.print(f"{amount(n)} can't be used by this release either and {stay} dead.", style="yellow")


def _show_matches(document: Mapping[str, Mapping[str, int]]) -> None:
    rows = [{"state": state, "deliveries": f"{n:,}"} for state, n in document["matches"].items()]
    show_rows(rows, numbers={"deliveries"})


def amount(n: int) -> str:
    """Return a number of deliveries with its noun."""
    return "1 delivery" if n == 1 else f"{n:,} deliveries"


def instant(time: datetime | timedelta, now: datetime) -> datetime:
    """Return the instant, which for a duration is that long before *now*."""
    return time if isinstance(time, datetime) else now - time


def _selection(filters: ReplayFilters, states: tuple[str, ...], now: datetime) -> Selection:
    """Fix the times; without an end, a replay would also take the deliveries that are done while it runs."""
    since = None if filters["since"] is None else instant(filters["since"], now)
    until = now if filters["until"] is None else instant(filters["until"], now)
    if since and since >= until:
        raise click.UsageError("--since must lie before --until, which is now by default.")
    return Selection(
        states=states,
        since=since,
        until=until,
        event_type=filters["event_type"],
        user_id=filters["user_id"],
        message_ids=filters["message_ids"] or None,
        error_code=filters["error_code"],
    )
