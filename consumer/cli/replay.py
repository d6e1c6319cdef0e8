"""`consumer replay`: put stored deliveries back to pending."""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from typing import TypedDict, Unpack
from uuid import UUID

import click

from consumer.cli.cells import printable
from consumer.cli.context import as_operator, operator_problems, pass_settings_unless
from consumer.cli.output import console, emit, json_option, table
from consumer.cli.time_param import TimeParam, instant
from consumer.events.registry import EVENT_TYPES
from consumer.operations import replay
from consumer.operations.replay import Replayed
from consumer.outbox import deliveries
from consumer.outbox.deliveries import Selection
from consumer.postgres import session
from consumer.postgres.connections import Access, Connection, transaction
from consumer.settings.settings import Settings

STATES = ("done", "dead", "retrying")


def _known_type(_: click.Context, __: click.Parameter, event_type: str | None) -> str | None:
    """Doubt a type that this release does not know: it may be stored, and more often it is mistyped."""
    if event_type is not None and event_type not in EVENT_TYPES:
        click.echo(f"Warning: this release knows no event type {printable(event_type)}.", err=True)
    return event_type


error_option = click.option("--error", "error_code", help="With this error code, as `dead list` and `status` show it.")
type_option = click.option("--type", "event_type", callback=_known_type, help="Of this event type, as user.updated.")
all_option = click.option("--all", "is_all", is_flag=True, help="Instead of a filter: all of them.")


class StatesParam(click.ParamType[tuple[str, ...]]):
    """States with commas between them."""

    name = "states"

    def convert(
        self, value: str | tuple[str, ...], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """Refuse a state that no stored delivery can be taken out of."""
        states = tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value
        if unknown := [state for state in states if state not in STATES]:
            self.fail(f"{unknown[0]!r} is not one of {', '.join(STATES)}.", param, ctx)
        return states


class ReplayFilters(TypedDict):
    """Which deliveries are meant, as the command line said it; the states alone are no filter."""

    since: datetime | timedelta | None
    until: datetime | timedelta | None
    event_type: str | None
    user_id: UUID | None
    message_ids: tuple[str, ...]
    error_code: str | None


@click.command(name="replay")
@click.option(
    "--since", type=TimeParam(), help="Received from then on: ISO 8601, in UTC unless it says otherwise, or 2h, 3d ago."
)
@click.option("--until", type=TimeParam(), help="Received before then.")
@type_option
@click.option("--user", "user_id", type=click.UUID, help="Concerning this user.")
@click.option("--message-id", "message_ids", multiple=True, help="With this message id; may be repeated.")
@error_option
@click.option(
    "--state",
    "states",
    type=StatesParam(),
    default="done,dead",
    show_default=True,
    help="Any of done, dead and retrying.",
)
@all_option
@click.option("--dry-run", "is_dry_run", is_flag=True, help="Only count what matches.")
@json_option
@pass_settings_unless(operator_problems)
def command(
    settings: Settings,
    *,
    states: tuple[str, ...],
    is_all: bool,
    is_dry_run: bool,
    is_json: bool,
    **filters: Unpack[ReplayFilters],
) -> None:
    """Put stored deliveries back to pending; workers then apply them again, beside what arrives.

    All filters hold at once. Applying twice changes nothing, so a replay may be repeated, and one that was interrupted
    is finished by a second call. Dead deliveries are checked again by this release; those it can't use either stay
    dead. Discarded ones are never replayed.
    """
    refuse_unless_meant(filters, is_all=is_all)

    async def counted(conn: Connection, access: Access) -> dict[str, int]:
        selection = _selection(filters, states, await session.now(conn))
        async with transaction(conn, access):
            return await deliveries.count(conn, selection)

    async def replayed(conn: Connection, access: Access) -> Replayed:
        return await total(replay.replay(conn, access, _selection(filters, states, await session.now(conn))))

    if is_dry_run:
        matches = dict.fromkeys(states, 0) | as_operator(settings, counted)
        show_matches(matches, is_json=is_json)
        found = sum(matches.values())
    else:
        done = as_operator(settings, replayed)
        show_replayed(done, is_json=is_json)
        found = done.queued + done.unusable
    # Nothing may have come in a time or of a type; who names an id or an error expects that it is there.
    if not found and (filters["message_ids"] or filters["error_code"]):
        raise click.ClickException(f"Nothing that is {' or '.join(states)} matches; what is pending is due anyway.")


def refuse_unless_meant(filters: Mapping[str, object], *, is_all: bool) -> None:
    """Refuse a call that names neither a filter nor --all, and one that names both."""
    is_filtered = any(value is not None and value != () for value in filters.values())
    if not is_filtered and not is_all:
        raise click.UsageError("Say which deliveries by a filter, or --all.")
    if is_filtered and is_all:
        raise click.UsageError("--all leaves no room for a filter; keep one of them.")


async def total(batches: AsyncIterator[Replayed]) -> Replayed:
    """Add up what each transaction did, and say on a terminal how far it is."""
    done = Replayed(queued=0, unusable=0)
    with console(is_error=True).status("replaying") as status:
        async for batch in batches:
            done = Replayed(queued=done.queued + batch.queued, unusable=done.unusable + batch.unusable)
            status.update(f"{done.queued:,} put back to pending")
    return done


def show_replayed(replayed: Replayed, *, is_json: bool) -> None:
    """Print what a replay did."""
    if is_json:
        emit(replayed)
        return
    out = console()
    out.print(f"{amount(replayed.queued)} put back to pending.")
    if n := replayed.unusable:
        stay = "stays" if n == 1 else "stay"
        out.print(f"{amount(n)} can't be used by this release either and {stay} dead.", style="yellow")


def show_matches(matches: Mapping[str, int], *, is_json: bool) -> None:
    """Print what a replay would take, by state."""
    if is_json:
        emit({"matches": matches})
        return
    made = table("state", "deliveries", numbers=frozenset({"deliveries"}))
    for state, n in matches.items():
        made.add_row(state, f"{n:,}")
    console().print(made)


def amount(n: int) -> str:
    """Return a number of deliveries in words."""
    return "1 delivery" if n == 1 else f"{n:,} deliveries"


def _selection(filters: ReplayFilters, states: tuple[str, ...], now: datetime) -> Selection:
    """Fix the times; without an end, a replay would run after the deliveries that are done while it runs."""
    since = None if filters["since"] is None else instant(filters["since"], now)
    until = now if filters["until"] is None else instant(filters["until"], now)
    if since and since >= until:
        raise click.UsageError("--since must lie before --until, which is now unless told.")
    return Selection(
        states=states,
        since=since,
        until=until,
        event_type=filters["event_type"],
        user_id=filters["user_id"],
        message_ids=filters["message_ids"] or None,
        error_code=filters["error_code"],
    )
