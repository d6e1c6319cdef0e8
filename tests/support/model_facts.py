"""What the judge reads in a delivery."""

import json
import re
from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from consumer.outbox.storage import Delivery

Row = dict[str, Any]
Version = tuple[bool, datetime, bytes, str]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TIMES = range(946_684_800_000, 4_102_444_800_001)
UNSTORABLE = re.compile("[\0\ud800-\udfff]")


class Number(float):
    """A number that keeps its text."""

    def __new__(cls, text: str) -> "Number":
        number = super().__new__(cls, text)
        number.text = text
        return number

    text: str


def data(delivery: Delivery) -> Row:
    """Return `data` with null for each part that users write and nobody can store."""
    found = json.loads(delivery.body.decode(errors="surrogateescape"), parse_float=Number)["data"]
    assert isinstance(found, dict)
    if is_about_a_user := str(delivery.event_type).startswith("user."):
        leave_out(found, 2, client_metadata=any_json, client_read_only_metadata=any_json, last_active_at_millis=is_time)
    team = found.get("selected_team") if is_about_a_user else found
    if isinstance(team, dict):
        leave_out(team, 3 if is_about_a_user else 2, display_name=is_short, profile_image_url=is_short)
    return found


def leave_out(fields: Row, levels: int, **wanted: Callable[[Any], bool]) -> None:
    for name, is_wanted in wanted.items():
        value = fields.get(name)
        if not is_wanted(value) or depth(value) + levels > 512 or not is_storable(value):
            fields |= {name: None} if name in fields else {}


def any_json(_: object) -> bool:
    return True


def is_time(value: object) -> bool:
    return value is None or (type(value) is int and value in TIMES)


def is_short(value: object) -> bool:
    return value is None or (isinstance(value, str) and len(value) <= 1_000_000)


def depth(value: object) -> int:
    if not isinstance(value, dict | list):
        return 0
    return 1 + max(map(depth, value.values() if isinstance(value, dict) else value), default=0)


def is_storable(value: object) -> bool:
    match value:
        case str():
            return not UNSTORABLE.search(value)
        case dict():
            return all(map(is_storable, [*value, *value.values()]))
        case list():
            return all(map(is_storable, value))
        case Number():
            mantissa, _, exponent = value.text.lower().partition("e")
            fraction_digits = len(mantissa.partition(".")[2]) - int(exponent or 0)
            return abs(value) != float("inf") and fraction_digits <= 2000
        case _:
            return True


def is_snapshot(delivery: Delivery) -> bool:
    if delivery.event_type in {"user.signed_in", "user.signed_out"}:
        return "primary_email" in data(delivery)
    return delivery.event_type in {"user.created", "user.updated"}


def ended(known: Collection[Delivery], what: str) -> datetime | None:
    """Return when a user or team was deleted; None if not, or if reconcile was wrong about it."""
    deletions = [d for d in known if d.event_type == f"{what}.deleted"]
    told = [d.occurred_at for d in deletions if d.source != "reconcile"]
    told += [d.occurred_at for d in known if what == "user" and d.event_type == "user.erased"]
    missing = max((d.occurred_at for d in deletions if d.source == "reconcile"), default=None)
    seen = max((d.occurred_at for d in known if shows_alive(d, what)), default=None)
    if missing and (seen is None or missing > seen):
        told.append(missing)
    return min(told, default=None)


def shows_alive(delivery: Delivery, what: str) -> bool:
    """Whether it is a webhook's snapshot, or one answer about this user or team alone."""
    is_whole = is_snapshot(delivery) if what == "user" else delivery.event_type in {"team.created", "team.updated"}
    is_answer = delivery.source == "reconcile" and f":{what}:" in delivery.message_id
    return is_whole and (delivery.source == "stack" or is_answer)


def version(delivery: Delivery) -> Version:
    return delivery.source != "app", delivery.occurred_at, delivery.message_id.encode(), delivery.source


def edited(user_id: str, known: Iterable[Delivery], field: str) -> str | None:
    """Return the newest edit of a field; None where it is a withdrawal, or there is none."""
    edits = [d for d in known if d.event_type == "profile.edited" and str(d.user_id) == user_id and field in data(d)]
    return data(max(edits, key=version))[field] if edits else None


def instant(millis: int | None) -> datetime | None:
    return None if millis is None else EPOCH + timedelta(milliseconds=millis)


def text(metadata: object, key: str) -> str | None:
    value = metadata.get(key) if isinstance(metadata, dict) else None
    return value if isinstance(value, str) and value.strip() else None


def identifier(metadata: object, key: str) -> str | None:
    """Return a canonical UUID in lower case."""
    try:
        value = str(UUID(text(metadata, key) or ""))
    except ValueError:
        return None
    return value if value == str(text(metadata, key)).lower() else None
