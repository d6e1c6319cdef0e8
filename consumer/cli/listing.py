"""The list of `consumer deliveries`: its filters, its lines, and what it says of how far it looked."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, TypedDict, TypeVar
from uuid import UUID

import click
from rich.text import Text

from consumer.cli.cells import cell, printable
from consumer.cli.columns import ID_DIGITS, clock, id_text, show_columns, took, wrapped
from consumer.cli.database import read
from consumer.cli.filters import amount, error_option, secret_option, since_option, until_option
from consumer.cli.output import as_called, emit
from consumer.cli.subject_ids import BEGINNING, SubjectId, the_only
from consumer.events.registry import EVENT_TYPES
from consumer.lookup import id_prefixes, listing, one_user
from consumer.lookup.id_prefixes import IdRange
from consumer.lookup.listing import ANY_END, DeliveryPage, ListedDelivery, ListFilter
from consumer.lookup.times import instant
from consumer.postgres import session
from consumer.postgres.connections import Connection
from consumer.settings.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])

STATES = ("pending", "retrying", "dead", "done")
OUTCOMES = ("applied", "unchanged", "stale", "ignored", "discarded")
SOURCES = ("stack", "app", "backfill", "reconcile", "operator")
# Two screens.
SIZE = 50
# No longer list is read, and a page of it takes some milliseconds.
SIZE_MAX = 1_000
COLOURS = {"dead": "red", "retrying": "yellow", "pending": "cyan", "applied": "green"}
# A message id has no room in 80 columns, and what is cut can't be pasted: the number names a delivery too.
WIDTHS = {"received": 12, "event": 20, "about": ID_DIGITS, "outcome": 14, "took": 7}


class ListOptions(TypedDict):
    """The options of the list; None where one is not given."""

    user_id: UUID | IdRange | None
    email: str | None
    team_id: UUID | IdRange | None
    event_type: str | None
    state: str | None
    source: str | None
    outcome: str | None
    error_code: str | None
    verified_by: str | None
    since: datetime | timedelta | None
    until: datetime | timedelta | None
    before: int | None
    size: int


def _type(_: click.Context, __: click.Parameter, event_type: str | None) -> str | None:
    """Warn of a type that this release does not know; a `*` at the end stands for any."""
    stem = (event_type or "").removesuffix(ANY_END)
    is_any = event_type is not None and event_type.endswith(ANY_END)
    if event_type is not None and not any(name.startswith(stem) if is_any else name == stem for name in EVENT_TYPES):
        click.echo(f"Warning: this release knows no event type {printable(event_type)}.", err=True)
    return event_type


LIST_OPTIONS = (
    click.option("--user", "user_id", type=SubjectId(), help="Only about this user."),
    click.option("--email", help="Only about the users with this e-mail address."),
    click.option("--team", "team_id", type=SubjectId(), help="Only about this team."),
    click.option("--type", "event_type", callback=_type, help="Only of this event type, or of several: 'user.*'."),
    click.option("--state", type=click.Choice(STATES), help="Only in this state."),
    click.option("--outcome", type=click.Choice(OUTCOMES), help="Only done with this outcome."),
    click.option("--source", type=click.Choice(SOURCES), help="Only from this source."),
    error_option,
    secret_option,
    since_option,
    until_option,
    click.option("--before", type=click.IntRange(1), help="Only below this number: the list says where it goes on."),
    click.option(
        "--limit", "size", type=click.IntRange(1, SIZE_MAX), default=SIZE, show_default=True, help="At most this many."
    ),
)


def list_options(command: F) -> F:
    """Add the options of `ListOptions` to a command."""
    for option in reversed(LIST_OPTIONS):
        command = option(command)
    return command


def show_list(settings: Settings, options: ListOptions, *, is_json: bool) -> None:
    """Print one page of the list."""

    async def found(conn: Connection) -> tuple[DeliveryPage, datetime]:
        now = await session.now(conn)
        wanted = await chosen(conn, options, now)
        return await listing.page(conn, wanted, size=options["size"], before=options["before"]), now

    page, now = read(settings, found)
    if is_json:
        documents = [document(each) for each in page.deliveries]
        emit({"deliveries": documents, "before": page.before, "looked_back_to": page.looked_back_to})
        return
    if page.deliveries:
        show_columns([_row(each, now) for each in page.deliveries], WIDTHS)
    wrapped(as_called(_remark(page)))


async def chosen(conn: Connection, options: ListOptions, now: datetime) -> ListFilter:
    """Return the filter of the options; an e-mail address is looked up, and goes no further."""
    user_id, team_id = options["user_id"], options["team_id"]
    if isinstance(user_id, IdRange):
        user_id = the_only(await id_prefixes.users(conn, user_id), "user", BEGINNING)
    if isinstance(team_id, IdRange):
        team_id = the_only(await id_prefixes.teams(conn, team_id), "team", BEGINNING)
    user_ids = None if user_id is None else [user_id]
    if options["email"] is not None:
        found = await one_user.by_email(conn, options["email"])
        if found.is_more:
            click.echo(f"Warning: over {len(found)} users have this e-mail address; the others are left out.", err=True)
        user_ids = found if user_ids is None else [each for each in found if each in user_ids]
    return ListFilter(
        states=None if options["state"] is None else [options["state"]],
        event_type=options["event_type"],
        user_ids=user_ids,
        team_id=team_id,
        source=options["source"],
        outcome=options["outcome"],
        error_code=options["error_code"],
        verified_by=options["verified_by"],
        since=None if options["since"] is None else instant(options["since"], now),
        until=None if options["until"] is None else instant(options["until"], now),
    )


def document(delivery: ListedDelivery) -> dict[str, object]:
    """Return a delivery for printing as JSON."""
    return {name: value for name, value in asdict(delivery).items() if name != "changed_fields"}


def outcome(state: str, outcome: str | None, error_code: str | None) -> Text:
    """Return how a delivery ended, or where it stands."""
    word = outcome or state
    return Text(printable(f"{word} {error_code}" if error_code else word), style=COLOURS.get(word, ""))


def about(user_id: UUID | None, team_id: UUID | None) -> str | None:
    """Return the user, else the team."""
    subject = user_id or team_id
    return id_text(subject) if subject else None


def _row(delivery: ListedDelivery, now: datetime) -> dict[str, object]:
    return {
        "received": clock(delivery.received_at, now),
        "event": delivery.event_type,
        "about": about(delivery.user_id, delivery.team_id),
        "outcome": outcome(delivery.state, delivery.outcome, delivery.error_code),
        "took": took(delivery.received_at, delivery.at),
        "number": str(delivery.seq),
    }


def _remark(page: DeliveryPage) -> str:
    """Return how many match, how far was looked, and how to go on."""
    found = amount(len(page.deliveries)) if page.deliveries else "No delivery"
    if page.looked_back_to:
        found += f" among those back to {cell(page.looked_back_to)}"
    if not page.deliveries and not page.before:
        return "No delivery matches."
    older = f" Older: --before {page.before}." if page.before else " Nothing older matches."
    one = " One: `consumer deliveries show NUMBER`." if page.deliveries else ""
    return f"{found}.{older}{one} Times are in UTC."
