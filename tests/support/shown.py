"""What lookups return, made by hand: nothing is known but what a test names."""

from dataclasses import fields
from datetime import datetime
from typing import Any
from uuid import UUID

from consumer.lookup.audit import AuditRow
from consumer.lookup.listing import ListedDelivery
from consumer.lookup.one_delivery import OneDelivery
from consumer.lookup.one_user import KnownUser
from tests.support.factories import NOON

USER_ID, TEAM_ID, OTHER_ID = (UUID(int=0x1111_0000 + n, version=4) for n in range(3))


def known_user(**named: Any) -> KnownUser:
    """A user of whom nothing is known."""
    nothing = {each.name: None for each in fields(KnownUser)}
    flags = {each.name: False for each in fields(KnownUser) if each.type is bool or each.type == "bool"}
    return KnownUser(**{**nothing, **flags, "sync_version": 0, "user_id": USER_ID, **named})


def _stored(named: dict[str, Any]) -> dict[str, Any]:
    return {
        "seq": 7,
        "source": "stack",
        "message_id": "msg_7",
        "event_type": "user.updated",
        "user_id": USER_ID,
        "team_id": None,
        "occurred_at": NOON,
        "received_at": NOON,
        "verified_by": None,
        "state": "done",
        "outcome": "applied" if named.get("state", "done") == "done" else None,
        "at": NOON,
        "attempts": 0,
        "next_attempt_at": None,
        "error_code": None,
        "error": None,
        **named,
    }


def one_delivery(**named: Any) -> OneDelivery:
    """A snapshot from Stack that is applied."""
    return OneDelivery(**_stored({"excluded_by": None, "excluded_at": None, "excluded_reason": None, **named}))


def listed_delivery(**named: Any) -> ListedDelivery:
    """A snapshot from Stack that is applied, as a list has it."""
    return ListedDelivery(**_stored(named))


def audited(at: datetime, number: int = 1, fields: tuple[str, ...] = ("email",), operation: str = "update") -> AuditRow:
    """A change of these fields from old to new."""
    before, after = dict.fromkeys(fields, "old"), dict.fromkeys(fields, "new")
    return AuditRow(number, at, USER_ID, TEAM_ID, operation, fields, before, after, "stack", "msg_1", 3, None, None)
