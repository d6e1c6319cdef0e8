"""`consumer user`: who set each field of a profile, and what happened to its user."""

from dataclasses import asdict
from datetime import datetime
from typing import Unpack
from uuid import UUID

import click

from consumer.cli.cells import cell
from consumer.cli.columns import clock, id_text, show_columns, show_line, show_rest, wrapped
from consumer.cli.context import examples, pass_settings
from consumer.cli.database import read
from consumer.cli.filters import amount
from consumer.cli.listing import document, outcome
from consumer.cli.output import as_called, console, emit, json_option
from consumer.cli.reveal import Reveal, is_masked, record, reveal_options
from consumer.cli.subject_ids import BEGINNING, the_only
from consumer.lookup import id_prefixes, one_user
from consumer.lookup.id_prefixes import id_range
from consumer.lookup.one_user import Entry, KnownMembership, KnownUser
from consumer.lookup.origins import FieldOrigin
from consumer.lookup.shown import ShownUser, show_user
from consumer.postgres.connections import Connection
from consumer.settings.settings import Settings
from consumer.verdict.durations import duration

# As many lines as fit on one screen below the fields.
LIMIT = 20
LEFT_OUT = "Not all changes are shown: choose a lower --limit, or `consumer deliveries show NUMBER`."


class UserOptions(Reveal):
    """The options of the command."""

    size: int
    before: int | None


@click.command(
    name="user",
    epilog=examples(
        "user 6f1c2f0e-9d3b-4a57-8c21-0b7d5e9a4f10",
        "user 6f1c2f0e",
        "user m.example@example.com",
        'user m.example@example.com --reveal --reason "ticket 4711"',
    ),
)
@click.argument("name", metavar="ID-OR-EMAIL")
@click.option("--limit", "size", type=click.IntRange(1, 1000), default=LIMIT, show_default=True, help="Deliveries.")
@click.option("--before", type=click.IntRange(1), help="Only deliveries below this number: the page says which.")
@reveal_options
@json_option
@pass_settings("operator")
def command(settings: Settings, *, name: str, is_json: bool, **options: Unpack[UserOptions]) -> None:
    """Show what is known of a user, who set it, and what happened.

    Each field with who set it: your backend's edit comes first, then the sender, then the default. Then the teams, and
    the deliveries about the user with what they changed, the newest first. Names, e-mail addresses and pictures are
    masked; an address finds only whole matches, an id its first 8 digits too.
    """
    masked = is_masked(options)

    async def found(conn: Connection) -> ShownUser:
        user_id = await _user_id(conn, name)
        if not masked:
            await record(conn, {"user_id": user_id}, options["reason"])
        return await show_user(conn, user_id, size=options["size"], before=options["before"], masked=masked)

    shown = read(settings, found)
    if not shown.is_stored:
        raise click.ClickException("No delivery about this user was ever stored.")
    if is_json:
        emit(_document(shown))
    else:
        _print(shown)


async def _user_id(conn: Connection, name: str) -> UUID:
    """Return the user with this id, beginning of an id, or e-mail address; refuse one of nobody or of several users."""
    try:
        return UUID(name)
    except ValueError:
        wanted = id_range(name)
    if wanted:
        return the_only(await id_prefixes.users(conn, wanted), "user", BEGINNING)
    found = await one_user.by_email(conn, name)
    if not found:
        raise click.ClickException("No stored user has this e-mail address, and it is no id or its first 8 digits.")
    return the_only(found, "user", "this e-mail address")


def _document(shown: ShownUser) -> dict[str, object]:
    return {
        "user": asdict(shown.user) | {"confirmed_at": shown.user.confirmed_at},
        "fields": [asdict(each) for each in shown.fields],
        "memberships": [asdict(each) for each in shown.memberships],
        "has_more_memberships": shown.memberships.is_more,
        "timeline": [
            {
                "at": entry.at,
                "seq": entry.seq,
                "delivery": entry.delivery and document(entry.delivery),
                "changes": [asdict(each) for each in entry.changes],
            }
            for entry in shown.timeline.entries
        ],
        "has_more_changes": shown.timeline.entries.is_more,
        "before": shown.timeline.before,
        "counts": asdict(shown.counts),
    }


def _print(shown: ShownUser) -> None:
    user, out = shown.user, console()
    for line in (" · ".join(filter(None, (user.full_name, user.email, _state(user)))), str(user.user_id)):
        show_line(cell(line))
    if shown.fields:
        out.print()
        show_columns(
            [_field(each, user, shown.now) for each in shown.fields],
            {"field": 14, "now": 16, "since (UTC)": 12},
        )
    if shown.memberships:
        out.print()
        show_columns([_membership(each, user, shown.now) for each in shown.memberships], {"team": 30, "joined": 12})
        show_rest(shown.memberships, f"`consumer export {user.user_id}` has all")
    if shown.timeline.entries:
        out.print()
        show_columns(
            [_entry(each, shown.now) for each in shown.timeline.entries],
            {"when (UTC)": 12, "event": 20, "outcome": 14},
        )
        if shown.timeline.entries.is_more:
            wrapped(as_called(LEFT_OUT))
    out.print()
    wrapped(as_called(_remark(shown)))


def _state(user: KnownUser) -> str:
    if user.is_erased:
        return "erased"
    if user.deleted_at:
        return f"deleted {cell(user.deleted_at)}"
    if not user.is_known:
        return "not applied yet"
    if not user.has_profile:
        return "anonymous, without a profile" if user.is_anonymous else "without a profile"
    return "active, restricted" if user.is_restricted else "active"


def _field(origin: FieldOrigin, user: KnownUser, now: datetime) -> dict[str, object]:
    value = user.company_name or origin.value if origin.field == "company_id" else origin.value
    beneath = f" (else {origin.beneath})" if origin.beneath else ""
    return {
        "field": origin.field,
        "now": value,
        "since (UTC)": clock(origin.since, now),
        "set by": f"{origin.explanation}{beneath}",
    }


def _membership(membership: KnownMembership, user: KnownUser, now: datetime) -> dict[str, object]:
    state = "home" if membership.company_id == user.company_id else "guest"
    if membership.removed_at:
        state = f"removed {clock(membership.removed_at, now)}"
    return {
        "team": membership.company_name or str(membership.company_id),
        "id": id_text(membership.company_id),
        "joined": clock(membership.joined_at, now),
        "state": state,
        "permissions": ", ".join(membership.permissions) or None,
    }


def _entry(entry: Entry, now: datetime) -> dict[str, object]:
    fields = list(dict.fromkeys(field for change in entry.changes for field in change.changed_fields))
    operations = list(dict.fromkeys(change.operation for change in entry.changes))
    delivery = entry.delivery
    return {
        "when (UTC)": clock(entry.at, now),
        "event": delivery.event_type if delivery else operations[0],
        "outcome": outcome(delivery.state, delivery.outcome, delivery.error_code) if delivery else "changed",
        "number": str(entry.seq),
        "changed": ", ".join(fields) or None,
    }


def _remark(shown: ShownUser) -> str:
    """Return how many deliveries there are, what waits, the last sign-in, and when the sender confirmed the user."""
    counts, user = shown.counts, shown.user
    waiting = [f"{n:,} {state}" for state in ("pending", "retrying", "dead") if (n := getattr(counts, state))]
    since = f" since {cell(counts.first_received_at)}" if counts.first_received_at else ""
    over = "Over " if counts.is_more else ""
    sentences = [f"{over}{amount(counts.deliveries)} stored{since}, {', '.join(waiting) or 'none waits'}."]
    if user.is_known:
        sentences.append(_signed(user))
    if user.is_rebuild_queued:
        sentences.append("The user's rows wait to be made anew.")
    if user.deleted_at:
        sentences.append(f"The sender deleted the user at {cell(user.deleted_at)}.")
    elif user.is_unlisted:
        sentences.append("The newest reconciliation did not find this user at the sender.")
    elif user.confirmed_at:
        age = duration((shown.now - user.confirmed_at).total_seconds())
        sentences.append(f"The sender confirmed the user {age} ago.")
    elif user.is_known:
        sentences.append("No snapshot of the sender's is stored: `consumer refresh` asks for one.")
    if shown.timeline.before:
        sentences.append(f"Older: --before {shown.timeline.before}.")
    return " ".join(sentences)


def _signed(user: KnownUser) -> str:
    last = {"in": user.last_sign_in_at, "out": user.last_sign_out_at}
    known = [f"{way} at {cell(at)}" for way, at in last.items() if at]
    return f"The user last signed {', '.join(known)}." if known else "No sign-in is known."
