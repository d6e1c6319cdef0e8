"""`consumer dead`: what could not be applied, shown, tried again or given up."""

import getpass
from base64 import b64encode
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from typing import TypedDict, TypeVar, Unpack

import click

from consumer.cli.cells import cell, printable
from consumer.cli.context import as_operator, operator_problems, pass_settings_unless
from consumer.cli.failures import show_each, show_errors
from consumer.cli.output import console, emit, json_option, table
from consumer.cli.replay import all_option, amount, error_option, refuse_unless_meant, show_replayed, total, type_option
from consumer.operations import replay
from consumer.operations.discard import discard_dead
from consumer.operations.replay import Replayed
from consumer.outbox import deliveries
from consumer.outbox.deliveries import DeliveryDetails, ErrorGroup, Failed, Selection
from consumer.postgres.connections import Access, Connection, transaction
from consumer.settings.settings import Settings

T = TypeVar("T")

DEAD = ("dead",)
# More lines than these nobody reads.
LISTED = 100
# A few sentences; they are kept for as long as the delivery.
REASON_CHARACTERS_MAX = 1000

limit_option = click.option("--limit", type=click.IntRange(1), help="At most so many, the oldest first.")
ids_argument = click.argument("message_ids", metavar="[ID]...", nargs=-1)


class ListFilters(TypedDict):
    """What a list is narrowed to."""

    error_code: str | None
    event_type: str | None
    limit: int


class DeadFilters(TypedDict):
    """Which dead deliveries are meant, as the command line said it."""

    message_ids: tuple[str, ...]
    error_code: str | None
    event_type: str | None
    limit: int | None


class ReasonParam(click.ParamType[str]):
    """Why a delivery is given up: a few words, not none."""

    name = "text"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Refuse a blank one, and an essay."""
        text = value.strip()
        if not 0 < len(text) <= REASON_CHARACTERS_MAX or "\0" in text:
            self.fail(f"A reason has from 1 to {REASON_CHARACTERS_MAX} characters.", param, ctx)
        return text


@click.group(name="dead")
def command() -> None:
    """List, show, retry or discard what could not be applied."""


@command.command(name="list")
@error_option
@type_option
@click.option("--each", "is_each", is_flag=True, help="Each delivery by itself, the oldest first.")
@click.option("--limit", type=click.IntRange(1), default=LISTED, show_default=True, help="At most so many lines.")
@json_option
@pass_settings_unless(operator_problems)
def list_dead(settings: Settings, *, is_each: bool, is_json: bool, **wanted: Unpack[ListFilters]) -> None:
    """Group dead deliveries by error and event type, the most frequent first, each with its latest example."""

    async def grouped(conn: Connection, access: Access) -> list[ErrorGroup]:
        async with transaction(conn, access):
            return await deliveries.errors(conn, DEAD, **wanted)

    async def single(conn: Connection, access: Access) -> list[Failed]:
        async with transaction(conn, access):
            return await deliveries.failed(conn, DEAD, **wanted)

    if is_each:
        _tell("deliveries", as_operator(settings, single), show_each, is_json=is_json)
    else:
        _tell("groups", as_operator(settings, grouped), show_errors, is_json=is_json)


def _tell(name: str, found: list[T], show: Callable[[list[T]], None], *, is_json: bool) -> None:
    if is_json:
        emit({name: found})
    elif found:
        show(found)
    else:
        console().print("Nothing is dead.")


@command.command(name="show")
@click.argument("message_id", metavar="ID")
@click.option("--body", "with_body", is_flag=True, help="The signed body too: it is personal data.")
@json_option
@pass_settings_unless(operator_problems)
def show(settings: Settings, *, message_id: str, with_body: bool, is_json: bool) -> None:
    """Tell all that is known of the delivery with this message id, whatever its state."""

    async def found(conn: Connection, access: Access) -> list[DeliveryDetails]:
        async with transaction(conn, access):
            return await deliveries.find(conn, message_id, with_body=with_body)

    documents = [_document(delivery) for delivery in as_operator(settings, found)]
    if not documents:
        raise click.ClickException(f"No delivery has the message id {printable(message_id)}.")
    if is_json:
        emit({"deliveries": documents})
        return
    for document in documents:
        made = table("column", "value")
        for name, value in document.items():
            made.add_row(name, cell(value))
        console().print(made)


@command.command(name="retry")
@ids_argument
@error_option
@type_option
@limit_option
@all_option
@json_option
@pass_settings_unless(operator_problems)
def retry(settings: Settings, *, is_all: bool, is_json: bool, **filters: Unpack[DeadFilters]) -> None:
    """Check dead deliveries again with this release, and put those it can use back to pending.

    The others stay dead, with the reason of today.
    """
    refuse_unless_meant(filters, is_all=is_all)

    async def replayed(conn: Connection, access: Access) -> Replayed:
        return await total(replay.replay(conn, access, _selection(filters)))

    done = as_operator(settings, replayed)
    show_replayed(done, is_json=is_json)
    _refuse_missing(settings, filters, done.queued + done.unusable)


@command.command(name="discard")
@ids_argument
@error_option
@type_option
@limit_option
@all_option
@click.option("--reason", required=True, type=ReasonParam(), help="Why; kept beside the delivery, with its error.")
@click.option("--by", help="Whose decision it is; default this shell's user.")
@json_option
@pass_settings_unless(operator_problems)
def discard(
    settings: Settings, *, reason: str, by: str | None, is_all: bool, is_json: bool, **filters: Unpack[DeadFilters]
) -> None:
    """Exclude dead deliveries for good: neither a replay nor a repeat brings them back."""
    refuse_unless_meant(filters, is_all=is_all)
    who = by or _user()

    async def discarded(conn: Connection, access: Access) -> int:
        batches = discard_dead(conn, access, _selection(filters), by=who, reason=reason)
        return sum([n async for n in batches])

    done = as_operator(settings, discarded)
    if is_json:
        emit({"discarded": done})
    else:
        console().print(f"{amount(done)} excluded for good.")
    _refuse_missing(settings, filters, done)


def _selection(filters: DeadFilters, states: Sequence[str] = DEAD) -> Selection:
    return Selection(
        states=states,
        message_ids=filters["message_ids"] or None,
        error_code=filters["error_code"],
        event_type=filters["event_type"],
        limit=filters["limit"],
    )


def _refuse_missing(settings: Settings, filters: DeadFilters, found: int) -> None:
    """Fail when a filter matches nothing, or message ids name nothing dead; the others have been dealt with."""
    missing = len(set(filters["message_ids"])) - found
    if missing > 0 and filters["limit"] is None:
        trouble = f"{amount(missing)} of those named by message id: not dead, or filtered out"
    elif found == 0 and (filters["message_ids"] or filters["error_code"] or filters["event_type"]):
        trouble = "Nothing dead matches; `consumer dead list` shows what there is"
    else:
        return
    if retrying := as_operator(settings, partial(_retrying, filters)):
        trouble += f"; {amount(retrying)} retrying, which `consumer replay --state retrying` would put back at once"
    raise click.ClickException(f"{trouble}.")


async def _retrying(filters: DeadFilters, conn: Connection, access: Access) -> int:
    """Count what the filters would match among deliveries that are not dead yet."""
    async with transaction(conn, access):
        return sum((await deliveries.count(conn, _selection(filters, ("retrying",)))).values())


def _document(found: DeliveryDetails) -> dict[str, object]:
    """Return a delivery for printing, its body only if it was fetched: as text where it is text."""
    document = asdict(found)
    del document["body"]
    if found.body is not None:
        try:
            document["body"] = found.body.decode()
        except UnicodeDecodeError:
            document["body_base64"] = b64encode(found.body).decode()
    return document


def _user() -> str | None:
    """Return the shell's user; a container's may have no name."""
    with suppress(OSError, KeyError):
        return getpass.getuser()
    return None
