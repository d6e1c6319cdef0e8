"""`consumer deliveries --follow`: a line for each change as it happens."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

import click
import orjson
from rich.text import Text

from consumer.cli.cells import cell
from consumer.cli.columns import fitted, show_line, took
from consumer.cli.database import database
from consumer.cli.listing import ListOptions, about, chosen, document, outcome
from consumer.lookup.following import Follower
from consumer.lookup.listing import ListedDelivery
from consumer.postgres import session
from consumer.postgres.connections import connect, operator_access, transaction
from consumer.process.signals import run
from consumer.settings.settings import Settings

# Between two looks.
POLL_SECONDS = 1.0


def follow(settings: Settings, options: ListOptions, *, is_json: bool) -> None:
    """Print what happens, from --since or from now on, until Ctrl-C; as JSON one document a line."""
    with database(settings, "operator") as conninfo:
        run(partial(_followed, settings, conninfo, options, _as_json if is_json else _as_text))


async def _followed(
    settings: Settings,
    conninfo: str,
    options: ListOptions,
    line: Callable[[ListedDelivery], None],
    stop: asyncio.Event,
) -> None:
    access = operator_access(settings.role_prefix)
    async with await connect(conninfo, access) as conn:
        async with transaction(conn, access):
            now = await session.now(conn)
            wanted = await chosen(conn, options, now)
        follower = Follower(wanted, wanted.since or now)
        click.echo("Following deliveries, until Ctrl-C. Times are in UTC.", err=True)
        while not stop.is_set():
            async with transaction(conn, access):
                found = await follower.changes(conn)
            for delivery in found:
                line(delivery)
            if follower.is_behind:
                continue
            try:
                await asyncio.wait_for(stop.wait(), POLL_SECONDS)
            except TimeoutError:
                continue


def _as_json(delivery: ListedDelivery) -> None:
    text = orjson.dumps({**document(delivery), "changed_fields": list(delivery.changed_fields)})
    click.echo(text.decode())


def _as_text(delivery: ListedDelivery) -> None:
    at = (delivery.at or delivery.received_at).astimezone(UTC)
    parts: list[str | Text] = [
        f"{_time(at)} {delivery.source:9} {fitted(cell(delivery.event_type).plain, 23)} ",
        f"{about(delivery.user_id, delivery.team_id) or '-':8} ",
        outcome(delivery.state, delivery.outcome, delivery.error_code),
        f" {took(delivery.received_at, delivery.at)}" if delivery.at else "",
        f"  {', '.join(delivery.changed_fields)}" if delivery.changed_fields else "",
    ]
    show_line(Text.assemble(*parts))


def _time(at: datetime) -> str:
    return f"{at:%H:%M:%S}.{at.microsecond // 1000:03}"
