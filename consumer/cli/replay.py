"""`consumer replay`: let stored deliveries be applied again."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict
from functools import partial
from typing import Unpack

import click
from click.core import ParameterSource

from consumer.cli import matches
from consumer.cli.cells import printable
from consumer.cli.context import examples, pass_settings
from consumer.cli.database import as_operator, read
from consumer.cli.decision import shell_action
from consumer.cli.filters import Filters, all_option, amount, filter_options, refuse_unless_meant, selection
from consumer.cli.output import console, json_option, present
from consumer.operations import replay
from consumer.operations.replay import Replayed
from consumer.outbox import deliveries
from consumer.outbox.deliveries import DeliveryCount
from consumer.postgres import session
from consumer.postgres.connections import Access, Connection
from consumer.settings.settings import Settings

STATES = ("done", "dead", "retrying")
# They would be tried again anyway.
RETRYING = ("retrying",)


def _states(_: click.Context, __: click.Parameter, text: str) -> tuple[str, ...]:
    states = tuple(part.strip() for part in text.split(","))
    if unknown := [state for state in states if state not in STATES]:
        raise click.BadParameter(f"{unknown[0]!r} is not one of {', '.join(STATES)}.")
    return states


@click.command(
    name="replay", epilog=examples("replay --since 2h --dry-run", "replay --type user.updated", "replay --all")
)
@filter_options
@click.option(
    "--state", "states", callback=_states, default="done,dead", show_default=True, help="Of done, dead, retrying."
)
@all_option
@click.option("--dry-run", "is_dry_run", is_flag=True, help="Only count the matches, by state, type and outcome.")
@json_option
@pass_settings("operator")
def command(
    settings: Settings,
    *,
    states: tuple[str, ...],
    is_all: bool,
    is_dry_run: bool,
    is_json: bool,
    **filters: Unpack[Filters],
) -> None:
    """Let stored deliveries be applied again.

    Workers do it, beside new ones. A delivery must match all filters. Failed ones are put back to pending; dead ones
    are checked again by this release and stay dead if they are still unusable. Of applied ones the users and companies
    are rebuilt: their rows are made anew from all their deliveries, by this release. Where nothing differs nothing is
    written, so a replay may be repeated. Discarded ones are never replayed. Without a filter name --all, except with
    --state retrying, and in a dry run with any --state.
    """
    is_named = click.get_current_context().get_parameter_source("states") != ParameterSource.DEFAULT
    if is_all or not (is_named and (is_dry_run or states == RETRYING)):
        refuse_unless_meant(filters, is_all=is_all)

    async def counted(conn: Connection) -> list[DeliveryCount]:
        return await deliveries.count(conn, selection(filters, states, await session.now(conn)))

    async def replayed(conn: Connection, access: Access) -> Replayed:
        chosen = selection(filters, states, await session.now(conn))
        return await total(replay.replay(conn, access, chosen, shell_action("replay", asdict(chosen))))

    if is_dry_run:
        counts = read(settings, counted)
        matches.show(counts, states, is_json=is_json)
        found = matches.total(counts)
    else:
        done = as_operator(settings, replayed)
        present(done, show_replayed, is_json=is_json)
        found = done.queued + done.unusable
    # A count of nothing is an answer, unless an id, a user or an error is expected to be there.
    is_expected = any((filters["message_ids"], filters["user_id"], filters["error_code"]))
    if not found and (is_expected or not is_dry_run):
        raise click.ClickException(read(settings, partial(_mismatch, filters, states)))


async def total(batches: AsyncIterator[Replayed]) -> Replayed:
    """Add up the transactions, and show the progress on a terminal."""
    done = Replayed(queued=0, unusable=0)
    with console(is_error=True).status("replaying") as status:
        async for batch in batches:
            done += batch
            status.update(f"{done.queued:,} queued again")
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


async def _mismatch(filters: Filters, states: tuple[str, ...], conn: Connection) -> str:
    """Return why these filters match nothing."""
    if filters["user_id"] and not await deliveries.has_user(conn, filters["user_id"]):
        return "No stored delivery concerns this user."
    sentence = f"Nothing that is {' or '.join(states)} matches; pending deliveries are applied without a replay."
    return await discarded(conn, filters["message_ids"]) or sentence


def show_replayed(replayed: Replayed) -> None:
    """Print the result of a replay."""
    out = console()
    if waiting := replayed.queued - replayed.rebuilt:
        out.print(f"{amount(waiting)} put back to pending.")
    if replayed.rebuilt:
        out.print(f"{amount(replayed.rebuilt)} applied before: their users and companies are queued to be rebuilt.")
    if n := replayed.unusable:
        stay = "stays" if n == 1 else "stay"
        out.print(f"{amount(n)} can't be used by this release either and {stay} dead.", style="yellow")
