"""What a sender like Svix sends: signed events of every kind, usable or not, each with the fate it must meet."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID

import orjson

from consumer.providers.stack.message_ids import RANDOM_BYTES, compose
from tests.support.factories import snapshot, team

Fate = Literal["done", "ignored", "dead"]

USERS_PER_WINDOW = 60
# Room for more users than a window has; the window stands above it in a user's id.
WINDOW_BITS = 12
TEAMS_PER_WINDOW = 4
# Teams are numbered above all users of their window.
TEAM_NUMBER_MIN = (1 << WINDOW_BITS) - TEAMS_PER_WINDOW
# An event reaches its sender's queue up to so long after it happened, hence before older ones.
DISORDER_SECONDS = 2.0
KINDS = {
    "updated": 790,
    "signed_in": 120,
    "signed_out": 40,
    "deleted": 5,
    "poison": 25,
    "unknown": 20,
    "member": 80,
    "placed": 80,
    "team": 20,
    "edited": 80,
}
# A team that is deleted stays so: most outlive their window.
TEAM_VERBS = {"created": 45, "updated": 50, "deleted": 5}


@dataclass(frozen=True, slots=True)
class Message:
    """One delivery as its sender keeps it until it is acknowledged."""

    source: str
    message_id: str
    body: bytes
    fate: Fate
    window: int


def user(window: int, number: int) -> UUID:
    """Return a user of one window only: what is wrong with a row then tells when it went wrong."""
    return UUID(int=window << WINDOW_BITS | number, version=4)


def window_of(user_id: UUID) -> int:
    """Return the window that a user belongs to."""
    return (user_id.int & 0xFFFFFFFFFFFF) >> WINDOW_BITS


def any_message(chance: random.Random, window: int) -> Message:
    """Return a message of any kind about any user or team of a window."""
    kind = chance.choices(list(KINDS), list(KINDS.values()))[0]
    at = datetime.now(UTC) - timedelta(seconds=chance.uniform(0, DISORDER_SECONDS))
    user_id = user(window, chance.randrange(USERS_PER_WINDOW))
    if kind == "updated":
        return updated(chance, window, user_id, at)
    if kind == "deleted":
        return deleted(chance, window, user_id, at)
    if kind == "placed":
        return _placed(chance, window, user_id, at)
    if kind == "member":
        return _member(chance, window, user_id, at)
    if kind == "team":
        return _team(chance, window, at)
    if kind == "edited":
        return _edited(chance, window, user_id, at)
    if kind == "poison":
        return _message(chance, window, at, _poison(chance, user_id), fate="dead")
    if kind == "unknown":
        body = _body(chance.choice(("user.teleported", "invoice.paid")), user_id)
        return _message(chance, window, at, body, fate="ignored")
    data = snapshot(display_name="Cached") if chance.random() < 0.3 else {}
    return _message(chance, window, at, _body(f"user.{kind}", user_id, **data), source="app")


def updated(chance: random.Random, window: int, user_id: UUID, at: datetime) -> Message:
    """Return a snapshot of a user at a time."""
    millis = int(at.timestamp() * 1000)
    data = snapshot(display_name=f"User {chance.randrange(1000)}", last_active_at_millis=millis)
    return _message(chance, window, at, _body("user.updated", user_id, **data))


def deleted(chance: random.Random, window: int, user_id: UUID, at: datetime) -> Message:
    """Return the deletion of a user at a time."""
    return _message(chance, window, at, _body("user.deleted", user_id))


def _placed(chance: random.Random, window: int, user_id: UUID, at: datetime) -> Message:
    selected = team(_any_team(chance, window))
    company = {"company_id": str(_any_team(chance, window))}
    data = snapshot(selected_team=selected, selected_team_id=selected["id"], server_metadata=company)
    return _message(chance, window, at, _body("user.updated", user_id, **data))


def _member(chance: random.Random, window: int, user_id: UUID, at: datetime) -> Message:
    data = {"team_id": str(_any_team(chance, window)), "user_id": str(user_id)}
    event_type = f"team_membership.{chance.choice(('created', 'deleted'))}"
    return _message(chance, window, at, orjson.dumps({"type": event_type, "data": data}))


def _team(chance: random.Random, window: int, at: datetime) -> Message:
    verb = chance.choices(list(TEAM_VERBS), list(TEAM_VERBS.values()))[0]
    data = team(_any_team(chance, window), display_name=f"Crew {chance.randrange(1000)}")
    return _message(chance, window, at, orjson.dumps({"type": f"team.{verb}", "data": data}))


def _edited(chance: random.Random, window: int, user_id: UUID, at: datetime) -> Message:
    offered = {"role_type": "owner", "department": "R&D", "company_id": str(_any_team(chance, window))}
    fields = {name: chance.choice((value, value, None)) for name, value in offered.items() if chance.random() < 0.5}
    return _message(chance, window, at, _body("profile.edited", user_id, **fields), source="app")


def _any_team(chance: random.Random, window: int) -> UUID:
    return user(window, TEAM_NUMBER_MIN + chance.randrange(TEAMS_PER_WINDOW))


def shuffled(chance: random.Random, messages: Sequence[Message]) -> list[Message]:
    """Return the messages in an order of their own."""
    return chance.sample(messages, len(messages))


def _poison(chance: random.Random, user_id: UUID) -> bytes:
    whole = orjson.dumps(snapshot(id=str(user_id)))
    return chance.choice(
        (
            _body("user.updated", user_id),
            _body("user.updated", user_id, **snapshot(display_name="NUL \0")),
            _body("user.updated", user_id, **snapshot(signed_up_at_millis=253_402_300_800_000)),
            _body("user.updated", user_id, **snapshot(display_name=["not", "text"])),
            b'{"type":"user.updated","data":' + whole.replace(b"Ada", b"\\ud800") + b"}",
            b'{"type":"user.updated","data":' + whole,
            b"\xff\xfe",
        )
    )


def _body(event_type: str, user_id: UUID, **data: object) -> bytes:
    return orjson.dumps({"type": event_type, "data": {"id": str(user_id), **data}})


def _message(
    chance: random.Random, window: int, at: datetime, body: bytes, *, source: str = "stack", fate: Fate = "done"
) -> Message:
    return Message(source, compose(at, chance.randbytes(RANDOM_BYTES)), body, fate, window)
