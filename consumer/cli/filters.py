"""The filters that choose stored deliveries, alike in every command that has them."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypedDict, TypeVar
from uuid import UUID

import click

from consumer.cli.cells import printable
from consumer.events.registry import EVENT_TYPES
from consumer.lookup.times import instant, read_time
from consumer.outbox.deliveries import Selection

F = TypeVar("F", bound=Callable[..., Any])


class TimeParam(click.ParamType[datetime | timedelta]):
    """ISO 8601, in UTC unless it names a zone, or a duration: that long before now."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime | timedelta:
        """Return the instant or the duration; `instant` resolves a duration by the database's clock."""
        if isinstance(value, datetime | timedelta):
            return value
        try:
            return read_time(value)
        except ValueError:
            self.fail(
                f"{value!r} is neither ISO 8601 (2026-01-31T12:00:00Z) nor a duration (90s, 15m, 2h, 3d, 1w).",
                param,
                ctx,
            )


def _known_type(_: click.Context, __: click.Parameter, event_type: str | None) -> str | None:
    """Warn of a type that this release does not know: some are stored, but most are typing errors."""
    if event_type is not None and event_type not in EVENT_TYPES:
        click.echo(f"Warning: this release knows no event type {printable(event_type)}.", err=True)
    return event_type


error_option = click.option("--error", "error_code", help="Only with this error code, as `dead list` shows it.")
type_option = click.option(
    "--type", "event_type", callback=_known_type, help="Only of this event type, such as user.updated."
)
since_option = click.option(
    "--since", type=TimeParam(), help="Only received since then: ISO 8601 (in UTC) or 90s, 2h, 3d ago."
)
until_option = click.option("--until", type=TimeParam(), help="Only received before then.")
user_option = click.option("--user", "user_id", type=click.UUID, help="Only about this user.")
team_option = click.option("--team", "team_id", type=click.UUID, help="Only about this team.")
secret_option = click.option(
    "--verified-by", help="Only signed with this secret: the first 8 hex digits of its SHA-256."
)
ids_option = click.option(
    "--message-id", "message_ids", multiple=True, help="Only with this message id; may be repeated."
)
all_option = click.option("--all", "is_all", is_flag=True, help="Take all of them, without a filter.")


class Filters(TypedDict):
    """The filters of the command line beside the states; None, or no id, where one is not given."""

    since: datetime | timedelta | None
    until: datetime | timedelta | None
    event_type: str | None
    user_id: UUID | None
    team_id: UUID | None
    message_ids: tuple[str, ...]
    error_code: str | None
    verified_by: str | None


def filter_options(command: F) -> F:
    """Add the options of `Filters` to a command."""
    options = (
        since_option,
        until_option,
        type_option,
        user_option,
        team_option,
        ids_option,
        error_option,
        secret_option,
    )
    for option in reversed(options):
        command = option(command)
    return command


def refuse_unless_meant(filters: Mapping[str, object], *, is_all: bool) -> None:
    """Refuse a call that names neither a filter nor --all, and one that names both."""
    is_filtered = any(value is not None and value != () for value in filters.values())
    if not is_filtered and not is_all:
        raise click.UsageError("Name the deliveries by a filter, or --all.")
    if is_filtered and is_all:
        raise click.UsageError("--all and a filter exclude each other; keep one of them.")


def selection(filters: Filters, states: Sequence[str], now: datetime, *, is_discarded: bool = False) -> Selection:
    """Fix the times; without an end, a command would also take the deliveries that are done while it runs."""
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
        team_id=filters["team_id"],
        message_ids=filters["message_ids"] or None,
        error_code=filters["error_code"],
        verified_by=filters["verified_by"],
        is_discarded=is_discarded,
    )


def amount(n: int) -> str:
    """Return a number of deliveries with its noun."""
    return "1 delivery" if n == 1 else f"{n:,} deliveries"
