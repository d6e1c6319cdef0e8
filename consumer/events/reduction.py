"""Reduced bodies: null stands for each part that can't be applied and that no row needs.

End users and members of teams write such parts. A part is found by its place, so that it need not even be JSON.
"""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from consumer.errors import BadPayload
from consumer.events import json_limits
from consumer.events.json_members import JsonText
from consumer.events.registry import FIELDS, event_type
from consumer.providers.payload import Loose

# Stands for a field that is not known, whose name may be anything.
OTHER = "other"


class Reduced(NamedTuple):
    """A body that PostgreSQL can cast to jsonb, and by path why each part was left out."""

    body: bytes
    left_out: Mapping[str, BadPayload]


def reduce(body: bytes) -> Reduced | None:
    """Return a body without its unfit parts, None if it is no JSON object; linear on any bytes."""
    text, whole = JsonText(body), slice(0, len(body))
    reduction = _Reduction(text, {})
    reduced = reduction.object(whole, "$", {"data": event_type(_type(text, whole)).payload.loose})
    return None if reduced is None else Reduced(reduced, reduction.left_out)


def _type(text: JsonText, place: slice) -> str:
    members = {_string(text.body[key]): text.body[value] for key, value in text.members(place) or ()}
    return _string(members.get("type", b"")) or ""


class _Reduction(NamedTuple):
    text: JsonText
    left_out: dict[str, BadPayload]

    def object(self, place: slice, path: str, loose: Loose) -> bytes | None:
        """Return the object at *place* without its unfit values; None if there is no object."""
        members = self.text.members(place)
        if members is None:
            return None
        kept = (self._member(key, value, path, loose) for key, value in members)
        return b"{%b}" % b",".join(filter(None, kept))

    def _member(self, key: slice, value: slice, path: str, loose: Loose) -> bytes | None:
        name = _string(self.text.body[key])
        field = f"{path}.{name if name in FIELDS else OTHER}"
        if name is None:
            self.left_out[field] = BadPayload("not_json", field, "has a name that can't be stored")
            return None
        part, expected = self.text.body[value], loose.get(name, object)
        inner = self.object(value, field, expected) if isinstance(expected, Mapping) else None
        if inner is None and (error := _unfitness(part, field, expected)):
            self.left_out[field] = error
            inner = b"null"
        return b"%b:%b" % (self.text.body[key], inner or part)


def _string(text: bytes) -> str | None:
    try:
        value = json_limits.read(text)
    except BadPayload:
        return None
    return value if isinstance(value, str) else None


def _unfitness(part: bytes, path: str, expected: object) -> BadPayload | None:
    try:
        # Each dot of the path is an object around the part.
        value = json_limits.read(part, json_limits.DEPTH_MAX - path.count("."))
        if not isinstance(expected, Mapping):
            msgspec.convert(value, expected)
    except BadPayload as error:
        return BadPayload(error.code, path, error.reason)
    except msgspec.ValidationError as error:
        return BadPayload("bad_shape", path, str(error))
    return None
