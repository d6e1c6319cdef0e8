"""What the judge reads in a delivery."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson

from consumer.outbox.storage import Delivery

Row = dict[str, Any]
Version = tuple[bool, datetime, bytes, str]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def data(delivery: Delivery) -> Row:
    found = orjson.loads(delivery.body)["data"]
    assert isinstance(found, dict)
    return found


def is_snapshot(delivery: Delivery) -> bool:
    if delivery.event_type in {"user.signed_in", "user.signed_out"}:
        return "primary_email" in data(delivery)
    return delivery.event_type in {"user.created", "user.updated"}


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
