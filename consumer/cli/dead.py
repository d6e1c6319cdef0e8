"""`consumer dead`: deliveries that could not be applied, to show, retry or discard."""

from base64 import b64encode
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from typing import TypedDict, TypeVar, Unpack

import click

from consumer.cli import matches
from consumer.cli.cells import printable
from consumer.cli.columns import show_rest
from consumer.cli.context import Group, examples, pass_settings
from consumer.cli.database import as_operator, read
from consumer.cli.decision import by_option, reason_option, refuse_left_out, shell_action, shell_user
from consumer.cli.failures import show_each, show_errors
from consumer.cli.filters import all_option, amount, error_option, refuse_unless_meant, type_option
from consumer.cli.output import console, emit, json_option, present, show_facts
from consumer.cli.replay import discarded, show_replayed, total
from consumer.operations import exclusions, replay
from consumer.operations.exclusions import Decision, Excluded
from consumer.operations.replay import Replayed
from consumer.outbox import deliveries
from consumer.outbox.deliveries import Selection
from consumer.postgres.connections import Access, Connection, transaction
from consumer.postgres.first_rows import FirstRows
from consumer.settings.settings import Settings

T = TypeVar("T")

DEAD = ("dead",)
# A longer list would not be read.
LISTED = 100
# More ids would hide the sentence behind them.
NAMED = 5

limit_option = click.option("--limit", type=click.IntRange(1), help="At most this many, the oldest first.")
ids_argument = click.argument(
    "message_ids", metavar="[ID]...", nargs=-1, callback=lambda _, __, message_ids: message_ids or None
)


class ListFilters(TypedDict):
    """The filters of a list."""

    error_code: str | None
    event_type: str | None
    limit: int


class DeadFilters(TypedDict):
    """The conditions of a `Selection` that the command line sets."""

    message_ids: tuple[str, ...] | None
    error_code: str | None
    event_type: str | None
    limit: int | None


@click.group(name="dead", cls=Group, epilog=examples("dead list", "dead retry --all"))
def command() -> None:
    """List, show, retry or discard dead deliveries."""


@command.command(name="list", epilog=examples("dead list", "dead list --each --error 23505"))
@error_option
@type_option
@click.option("--each", "is_each", is_flag=True, help="Show each delivery, the oldest first.")
@click.option("--limit", type=click.IntRange(1), default=LISTED, show_default=True, help="At most this many lines.")
@json_option
@pass_settings("operator")
def list_dead(settings: Settings, *, is_each: bool, is_json: bool, **filters: Unpack[ListFilters]) -> None:
    """List dead deliveries.

    They are grouped by error and event type, the most frequent first, with the latest delivery as the example.
    """
    if is_each:
        failed = read(settings, lambda conn: deliveries.failed(conn, DEAD, **filters))
        _print(settings, "deliveries", failed, show_each, is_json=is_json)
    else:
        groups = read(settings, lambda conn: deliveries.errors(conn, DEAD, **filters))
        _print(settings, "groups", groups, show_errors, is_json=is_json)


def _print(
    settings: Settings, name: str, found: FirstRows[T], show: Callable[[FirstRows[T]], None], *, is_json: bool
) -> None:
    if is_json:
        emit({name: found, "is_more": found.is_more})
    elif found:
        show(found)
        show_rest(found, "choose a higher --limit")
    elif dead := read(settings, deliveries.stats).dead:
        console().print(f"Nothing dead matches; {amount(dead)} {'is' if dead == 1 else 'are'} dead.")
    else:
        console().print("Nothing is dead.")


@command.command(name="show", epilog=examples("dead show msg_2xkA8bJcV1nQe7sTgYh4Zr9dPqL --body"))
@click.argument("message_id", metavar="ID")
@click.option("--body", "with_body", is_flag=True, help="Show the signed body too: it is personal data.")
@json_option
@pass_settings("operator")
def show(settings: Settings, *, message_id: str, with_body: bool, is_json: bool) -> None:
    """Show the delivery with this message id.

    It is shown in any state, dead or not.
    """
    found = read(settings, lambda conn: deliveries.find(conn, message_id, with_body=with_body))
    if not found:
        raise click.ClickException(f"No delivery has the message id {printable(message_id)}.")
    documents = [_document(**delivery) for delivery in found]
    if is_json:
        emit({"deliveries": documents})
        return
    for document in documents:
        show_facts(document)
        console().print()


@command.command(name="retry", epilog=examples("dead retry --error 23505", "dead retry --all"))
@ids_argument
@error_option
@type_option
@limit_option
@all_option
@json_option
@pass_settings("operator")
def retry(settings: Settings, *, is_all: bool, is_json: bool, **filters: Unpack[DeadFilters]) -> None:
    """Check dead deliveries again and put usable ones back to pending.

    The others stay dead, with the reason that this release finds.
    """
    refuse_unless_meant(filters, is_all=is_all)
    selection = Selection(DEAD, **filters)

    async def replayed(conn: Connection, access: Access) -> tuple[list[str], Replayed]:
        replays = replay.replay(conn, access, selection, shell_action("retry", asdict(selection)))
        return await _missing(conn, access, selection), await total(replays)

    missing, done = as_operator(settings, replayed)
    document = {"queued": done.queued, "unusable": done.unusable}
    present(document, lambda _: show_replayed(done), is_json=is_json)
    _refuse_missing(settings, selection, done.queued + done.unusable, missing)


@command.command(name="discard", epilog=examples('dead discard --error bad_shape --reason "sent by a test"'))
@ids_argument
@error_option
@type_option
@limit_option
@all_option
@reason_option
@by_option
@json_option
@pass_settings("operator")
def discard(
    settings: Settings, *, reason: str, by: str | None, is_all: bool, is_json: bool, **filters: Unpack[DeadFilters]
) -> None:
    """Exclude dead deliveries.

    Neither a replay nor a repeat by the sender brings them back; `deliveries undiscard` does.
    """
    refuse_unless_meant(filters, is_all=is_all)
    selection = Selection(DEAD, **filters)

    async def discarding(conn: Connection, access: Access) -> tuple[list[str], list[Excluded]]:
        action = shell_action("discard", asdict(selection), reason=reason)
        discards = exclusions.exclude(conn, access, selection, Decision(by or shell_user(), reason), action)
        return await _missing(conn, access, selection), [page async for page in discards]

    missing, pages = as_operator(settings, discarding)
    done = sum(page.deliveries for page in pages)
    present({"discarded": done}, lambda _: console().print(f"{amount(done)} excluded."), is_json=is_json)
    refuse_left_out(sum(page.left_out for page in pages))
    _refuse_missing(settings, selection, done, missing)


async def _missing(conn: Connection, access: Access, selection: Selection) -> list[str]:
    """Return the message ids that name no matching dead delivery; one id may name those of two sources."""
    async with transaction(conn, access):
        named = dict.fromkeys(selection.message_ids or ())
        return [each for each in named if not await deliveries.count(conn, replace(selection, message_ids=(each,)))]


def _refuse_missing(settings: Settings, selection: Selection, found: int, missing: list[str]) -> None:
    """Fail if a filter matched nothing, or a message id names no dead delivery; the other deliveries are done."""
    if missing and selection.limit is None:
        named = ", ".join(map(printable, missing[:NAMED])) + f" and {len(missing) - NAMED:,} more" * (
            len(missing) > NAMED
        )
        problem = f"{named}: unknown, not dead, or filtered out"
    elif found == 0 and (selection.message_ids or selection.error_code or selection.event_type):
        problem = "Nothing dead matches; `consumer dead list` shows the dead deliveries"
    else:
        return
    raise click.ClickException(read(settings, partial(_explained, problem, selection)))


async def _explained(problem: str, selection: Selection, conn: Connection) -> str:
    """Add the deliveries that match but are not dead yet, and those that were discarded."""
    if retrying := matches.total(await deliveries.count(conn, replace(selection, states=("retrying",)))):
        problem += f"; {amount(retrying)} retrying, which `consumer replay --state retrying` would put back at once"
    return f"{problem}. {await discarded(conn, selection.message_ids or ())}".rstrip()


def _document(*, body: bytes | None, **document: object) -> dict[str, object]:
    """Return a delivery for printing; its body, if it was fetched, as text where it is text."""
    if body is not None:
        try:
            document["body"] = body.decode()
        except UnicodeDecodeError:
            document["body_base64"] = b64encode(body).decode()
    return document
