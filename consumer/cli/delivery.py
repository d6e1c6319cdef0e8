"""`consumer deliveries show`: one delivery, what it changed, what did not follow from it, and why."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Unpack

import click

from consumer.cli.cells import printable
from consumer.cli.columns import ID_DIGITS, clock, id_text, show_columns, show_rest, took, wrapped
from consumer.cli.context import examples, pass_settings
from consumer.cli.database import read
from consumer.cli.listing import document, outcome
from consumer.cli.output import as_called, console, emit, json_option, show_facts
from consumer.cli.reveal import Reveal, is_masked, record, reveal_options
from consumer.lookup import one_delivery
from consumer.lookup.audit import AuditRow
from consumer.lookup.listing import ListedDelivery
from consumer.lookup.one_delivery import DeliveryAction, OneDelivery
from consumer.lookup.shown import ShownDelivery, show_delivery
from consumer.postgres.connections import Connection
from consumer.settings.settings import Settings

# Audit rows of one delivery: a screen, and what is read of a longer list.
CHANGES, CHANGES_MAX = 20, 1_000


@click.command(
    name="show",
    epilog=examples("deliveries show msg_2xkA8bJcV1nQe7sTgYh4Zr9dPqL", "deliveries show 18204771 --body"),
)
@click.argument("name", metavar="ID")
@click.option(
    "--limit",
    type=click.IntRange(1, CHANGES_MAX),
    default=CHANGES,
    show_default=True,
    help="At most this many changes.",
)
@click.option("--body", "with_body", is_flag=True, help="Show the body too; personal data in it is masked.")
@reveal_options
@json_option
@pass_settings("operator")
def show(
    settings: Settings, *, name: str, limit: int, with_body: bool, is_json: bool, **reveal: Unpack[Reveal]
) -> None:
    """Show the delivery with this message id or number.

    It tells what the delivery changed, what it says that did not follow and why, what a replay would do, and which
    deliveries about the same user lie around it. Names, e-mail addresses, pictures and metadata are masked.
    """
    masked = is_masked(reveal)

    async def found(conn: Connection) -> list[ShownDelivery]:
        deliveries = await one_delivery.find(conn, name)
        if deliveries and not masked:
            message_ids, user_ids = zip(*((each.message_id, each.user_id) for each in deliveries), strict=True)
            await record(conn, {"message_ids": message_ids, "user_ids": user_ids}, reveal["reason"])
        return [
            await show_delivery(conn, each, changes_max=limit, is_operators=True, masked=masked) for each in deliveries
        ]

    deliveries = read(settings, found)
    if not deliveries:
        raise click.ClickException(f"No delivery has the message id or number {printable(name)}.")
    if is_json:
        emit({"deliveries": [_document(each, with_body=with_body) for each in deliveries]})
        return
    for each in deliveries:
        _print(each, with_body=with_body)


def _document(shown: ShownDelivery, *, with_body: bool) -> dict[str, object]:
    facts = asdict(shown.delivery) | {
        "actions": [asdict(each) for each in shown.actions],
        "has_more_actions": shown.actions.is_more,
        "changes": [asdict(each) for each in shown.changes],
        "has_more_changes": shown.changes.is_more,
        "unfollowed": [asdict(each) for each in shown.unfollowed],
        "replay": shown.replay,
        "neighbours": [document(each) for each in shown.neighbours],
    }
    return facts | {"body": shown.body} if with_body else facts


def _print(shown: ShownDelivery, *, with_body: bool) -> None:
    delivery, now = shown.delivery, shown.now
    show_facts(_facts(delivery))
    _head("What happened")
    show_columns(_way(delivery, now))
    if shown.actions:
        _head("What people did with it")
        show_columns([_action(each, now) for each in shown.actions], {"by": 30})
        show_rest(shown.actions)
    _head("What it changed")
    if rows := [row for each in shown.changes for row in _changes(each)]:
        show_columns(rows, {"user": ID_DIGITS, "field": 14, "before": 25})
        show_rest(shown.changes, "choose a higher --limit")
    else:
        wrapped("No profile.")
    if shown.unfollowed:
        _head("What it says and what did not follow")
        for each in shown.unfollowed:
            says = f" says {each.says}, the profile has {each.has or 'none'}" if each.says else ""
            wrapped(printable(f"{each.field}{says}: {each.because}."))
    _head("If it were replayed")
    wrapped(as_called(printable(shown.replay)))
    if shown.neighbours:
        _head("Around it")
        show_columns([_neighbour(each, now) for each in shown.neighbours], {"event": 23, "outcome": 16})
    if with_body:
        _head("Body")
        emit(shown.body)
    console().print()


def _head(title: str) -> None:
    console().print()
    console().print(title, style="bold")


def _facts(delivery: OneDelivery) -> dict[str, object]:
    return {
        "message id": delivery.message_id,
        "number": delivery.seq,
        "event": delivery.event_type,
        "source": delivery.source,
        "user": delivery.user_id,
        "team": delivery.team_id,
        "verified by": delivery.verified_by,
        "state": outcome(delivery.state, delivery.outcome, delivery.error_code),
        "attempts": delivery.attempts_told,
    } | ({"error": delivery.error} if delivery.error else {})


def _way(delivery: OneDelivery, now: datetime) -> list[dict[str, object]]:
    steps: list[tuple[str, datetime | None, str]] = [
        ("occurred", delivery.occurred_at, ""),
        ("received", delivery.received_at, f"{took(delivery.occurred_at, delivery.received_at)} later"),
    ]
    if delivery.at:
        attempt = f", attempt {delivery.attempts}" if delivery.attempts else ""
        word = delivery.outcome or ("refused" if delivery.attempts else "unusable")
        steps.append((word, delivery.at, f"{took(delivery.received_at, delivery.at)} later{attempt}"))
    if delivery.next_attempt_at:
        steps.append(("next attempt", delivery.next_attempt_at, ""))
    if delivery.excluded_at:
        by = f"by {delivery.excluded_by}: {delivery.excluded_reason}"
        steps.append(("excluded", delivery.excluded_at, by))
    return [{"step": step, "at (UTC)": clock(at, now), "": remark} for step, at, remark in steps]


def _action(action: DeliveryAction, now: datetime) -> dict[str, object]:
    return {"at (UTC)": clock(action.at, now), "action": action.action, "by": action.actor, "reason": action.reason}


def _changes(row: AuditRow) -> Sequence[dict[str, object]]:
    user = id_text(row.user_id)
    if not row.changed_fields:
        return [{"user": user, "field": row.operation, "before": None, "after": None}]
    return [
        {"user": user, "field": field, "before": before, "after": after}
        for field, (before, after) in row.changes().items()
    ]


def _neighbour(delivery: ListedDelivery, now: datetime) -> dict[str, object]:
    return {
        "received": clock(delivery.received_at, now),
        "event": delivery.event_type,
        "outcome": outcome(delivery.state, delivery.outcome, delivery.error_code),
        "message": delivery.message_id,
    }
