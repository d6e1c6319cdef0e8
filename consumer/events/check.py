"""Whether a body is an event that can ever be applied, and its type, user and team."""

import re
from collections.abc import Mapping
from typing import NamedTuple
from uuid import UUID

import msgspec

from consumer.errors import BadPayload
from consumer.events import json_limits
from consumer.events.reduction import reduce
from consumer.events.registry import EventType, event_type, types_from
from consumer.providers.payload import UUID_PATTERN, Payload, Unread

# Svix allows at most this many characters.
TYPE_CHARACTERS_MAX = 256
# msgspec also takes 32 digits without hyphens; only the canonical form is an id here.
UUID_LENGTH = 36
# msgspec shows the pattern, in which nobody recognises a UUID.
NO_UUID = f"Expected `str` matching regex {UUID_PATTERN!r}"
DATA = "$.data."
NOTHING: Mapping[str, BadPayload] = {}
MISSING_FIELD = re.compile(r"Object missing required field `(\w+)`")


class Event(NamedTuple):
    """A body that can be applied, or ignored."""

    type: str
    user_id: UUID | None
    team_id: UUID | None
    warnings: tuple[str, ...] = ()
    # Fields of which no row is made, and which the sender has changed or omits.
    changed_fields: tuple[str, ...] = ()
    # Parts that can't be applied and that no row needs, and the body without them; None if there are none.
    left_out: tuple[str, ...] = ()
    reduced: bytes | None = None


def check(body: bytes, source: str) -> Event:
    """Read a body that may enter the outbox as pending, or raise BadPayload, whose message holds no value of the body.

    A type that *source* may not send needs only a name; your own backend's is refused, because it can be corrected.
    Every other body that passes, or its reduced one, can be cast to jsonb.
    """
    try:
        return _event(json_limits.read(body), source)
    except BadPayload:
        reduced = reduce(body)
        if reduced is None:
            raise
    event = _event(json_limits.parse(reduced.body), source, reduced.left_out)
    left_out = tuple(path.removeprefix(DATA) for path in reduced.left_out)
    return event._replace(left_out=left_out, reduced=reduced.body if left_out else None)


def subject(body: bytes) -> tuple[str | None, UUID | None, UUID | None]:
    """Return type, user and team of an unusable body, each None where it cannot be read; never raise."""
    reduced = reduce(body)
    if reduced is None:
        return None, None, None
    document = json_limits.parse(reduced.body)
    assert isinstance(document, dict)
    name = document.get("type")
    usable = name if isinstance(name, str) and _is_storable(name) else None
    return usable, *_subject(event_type(usable or ""), document.get("data"))


def _event(document: object, source: str, left_out: Mapping[str, BadPayload] = NOTHING) -> Event:
    if not isinstance(document, dict):
        raise BadPayload("not_an_object", "$", "Expected `object`")
    name, data = _name(document), document.get("data")
    known = event_type(name)
    if source not in known.sources:
        if source == "app":
            raise BadPayload("unknown_type", "$.type", f"Expected one of {', '.join(types_from(source))}")
        return Event(name, *_subject(known, data))
    if left_out:
        _refuse_without_needed(known.payload, left_out)
    if source == "app" and isinstance(data, dict):
        known.payload.refuse_misnamed(data)
    try:
        payload = msgspec.convert(data, known.payload)
    except msgspec.ValidationError as error:
        raise _bad_shape(str(error)) from error
    changed = _changed_fields(data, known.payload.unread)
    if left_out:
        changed = tuple(field for field in changed if f"{DATA}{field}" not in left_out)
    return Event(name, *_subject(known, data), payload.warnings(), changed)


def _refuse_without_needed(payload: type[Payload], left_out: Mapping[str, BadPayload]) -> None:
    # Of an object in `loose` only the fields are.
    needed = (name for name in payload.__struct_fields__ if isinstance(payload.loose.get(name, {}), Mapping))
    for path in ("$.data", *(f"{DATA}{name}" for name in needed)):
        if error := left_out.get(path):
            raise error


def _name(document: dict[str, object]) -> str:
    name = document.get("type")
    if not isinstance(name, str):
        raise BadPayload("bad_type", "$.type", "Expected `str`")
    if not _is_storable(name):
        reason = f"Expected `str` of at most {TYPE_CHARACTERS_MAX} characters without NUL"
        raise BadPayload("bad_type", "$.type", reason)
    return name


def _is_storable(name: str) -> bool:
    return len(name) <= TYPE_CHARACTERS_MAX and "\0" not in name


def _subject(known: EventType, data: object) -> tuple[UUID | None, UUID | None]:
    fields = data if isinstance(data, dict) else {}
    return _uuid(fields.get(known.user)), _uuid(fields.get(known.team))


def _changed_fields(data: object, unread: type[Unread]) -> tuple[str, ...]:
    """Return the fields of *data* that are not as the sender documents them."""
    if _is(data, unread):
        return ()
    assert isinstance(data, dict)
    return tuple(
        field.encode_name
        for field in msgspec.structs.fields(unread)
        if (not _is(data[field.encode_name], field.type) if field.encode_name in data else field.required)
    )


def _is(value: object, expected: object) -> bool:
    try:
        msgspec.convert(value, expected)
    except msgspec.ValidationError:
        return False
    return True


def _uuid(value: object) -> UUID | None:
    if not isinstance(value, str) or len(value) != UUID_LENGTH:
        return None
    try:
        return msgspec.convert(value, UUID)
    except msgspec.ValidationError:
        return None


def _bad_shape(message: str) -> BadPayload:
    """Turn msgspec's sentence, which names types and fields but no values, into a path and a reason."""
    reason, _, path = message.partition(" - at `$")
    path = f"$.data{path.rstrip('`')}"
    if missing := MISSING_FIELD.fullmatch(reason):
        return BadPayload("bad_shape", f"{path}.{missing[1]}", "Required field is missing")
    if reason == NO_UUID:
        return BadPayload("bad_shape", path, "Expected a UUID with its hyphens")
    return BadPayload("bad_shape", path, reason)
