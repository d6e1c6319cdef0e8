"""Where a person's data lies in stored bodies, by event type, and the same bodies without it; pure functions.

Of a body about the person only its type and the ids stay that its fact is made of. In other bodies the structured
places are replaced, byte by byte, so that numbers and order of all else stay as signed.
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

import orjson

from consumer.errors import BadPayload
from consumer.events import json_limits
from consumer.events.check import check
from consumer.events.json_members import JsonText
from consumer.events.reduction import reduce
from consumer.events.registry import EventType, event_type
from consumer.providers.payload import UUID_PATTERN
from consumer.providers.stack import payloads as stack

# What a fact is made of beside the ids of its user and team: the name of a permission says nothing of a person.
FACTS: Mapping[type, tuple[str, ...]] = {stack.TeamPermission: ("id",), stack.ProjectPermission: ("id",)}
# Members of `data` that hold a whole user, in events of any type: Stack's REST API puts one into a team's member.
USER_OBJECTS = ("user",)
# Members of `data` that hold the name and the picture of a team.
TEAM_TEXTS: Mapping[type, tuple[str, ...]] = {stack.Team: ("display_name", "profile_image_url")}
# Members of a user object whose values are searched for elsewhere.
NAMES, EMAILS = ("display_name",), ("primary_email",)

# What is kept of a body that nobody can read.
EMPTY = b""

STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
IS_KEY = re.compile(rb"[ \t\n\r]*+:")
UUID_TEXT = re.compile(UUID_PATTERN)


class ErasedBody(NamedTuple):
    """A body without a person's data, and what the effects read instead of it, as in `Delivery.reduced`."""

    body: bytes
    reduced: bytes | None


@dataclass(frozen=True, slots=True)
class Traces:
    """The values of a person that may stand in bodies about others, and the teams that the person has selected."""

    names: frozenset[str] = frozenset()
    emails: frozenset[str] = frozenset()
    team_ids: frozenset[UUID] = frozenset()

    def __or__(self, other: "Traces") -> "Traces":
        return Traces(self.names | other.names, self.emails | other.emails, self.team_ids | other.team_ids)


@dataclass(frozen=True, slots=True)
class Person:
    """An erased user: the id, the teams without any other member, and the e-mail addresses that nobody else has."""

    user_id: UUID
    team_ids: Collection[UUID] = ()
    emails: Collection[str] = ()


def erased(body: bytes, user_id: UUID) -> bytes | None:
    """Return a body about the user with type and ids only, the same bytes if it has no more; None if it is no JSON.

    A part that PostgreSQL can't store does not stop it.
    """
    document = _document(body)
    if document is None:
        return None
    name = document.get("type")
    known = event_type(name if isinstance(name, str) else "")
    data = document.get("data")
    kept = _kept(known, data if isinstance(data, dict) else {}, user_id)
    reached = {"type": name, "data": kept} if isinstance(name, str) else {"data": kept}
    return body if _is_same(document, reached, known, user_id) else orjson.dumps(reached)


def traces(body: bytes) -> Traces:
    """Return the names, the e-mail addresses and the selected team that a body about the user gives."""
    data = (_document(body) or {}).get("data")
    if not isinstance(data, dict):
        return Traces()
    providers = data.get("oauth_providers")
    accounts = [each for each in providers if isinstance(each, dict)] if isinstance(providers, list) else []
    emails = {*_texts(data, EMAILS), *(text for each in accounts for text in _texts(each, ("email",)))}
    selected = data.get("selected_team")
    team_ids = _texts(selected, ("id",)) if isinstance(selected, dict) else ()
    return Traces(
        frozenset(name.strip() for name in _texts(data, NAMES)),
        frozenset(emails),
        frozenset(UUID(team_id) for team_id in team_ids if UUID_TEXT.fullmatch(team_id)),
    )


def without(body: bytes, source: str, person: Person) -> ErasedBody | None:
    """Return a body about somebody or something else without the person's data in structured places; None: it has none.

    They are the user objects with that id, names and pictures of the person's own teams, and JSON strings that are
    exactly an e-mail address.
    """
    text = JsonText(body)
    cuts = dict(_objects(text, person))
    cuts |= dict.fromkeys(_addresses(body, person.emails, inside=list(cuts)), b"null")
    if not cuts:
        return None
    parts, at = [], 0
    for (start, stop), replacement in sorted(cuts.items()):
        is_key = IS_KEY.match(body, stop) is not None
        parts += [body[at:start], b'""' if is_key else replacement]
        at = stop
    made = b"".join([*parts, body[at:]])
    try:
        return ErasedBody(made, check(made, source).reduced)
    except BadPayload:
        return ErasedBody(made, None)


def needles(texts: Collection[str]) -> list[bytes]:
    """Return the bytes by which a body with one of the texts is found: as UTF-8, and with JSON's escapes."""
    found = {json.dumps(text, ensure_ascii=is_ascii) for text in texts if text for is_ascii in (False, True)}
    return sorted(text.encode(errors="replace")[1:-1] for text in found)


def _document(body: bytes) -> dict[str, object] | None:
    try:
        document = json_limits.read(body)
    except BadPayload:
        reduced = reduce(body)
        document = None if reduced is None else json_limits.parse(reduced.body)
    return document if isinstance(document, dict) else None


def _kept(known: EventType, data: Mapping[str, object], user_id: UUID) -> dict[str, object]:
    kept: dict[str, object] = {}
    team_id = data.get(known.team or "")
    if known.team and isinstance(team_id, str) and UUID_TEXT.fullmatch(team_id):
        kept[known.team] = team_id
    kept |= {name: data[name] for name in FACTS.get(known.payload, ()) if isinstance(data.get(name), str)}
    return kept | {known.user or "id": str(user_id)}


def _is_same(document: Mapping[str, object], reached: Mapping[str, object], known: EventType, user_id: UUID) -> bool:
    """Tell whether nothing has to go: ids may be in capitals."""
    data = document.get("data")
    if not isinstance(data, dict) or document.keys() != reached.keys():
        return False
    key = known.user or "id"
    named = data.get(key)
    return isinstance(named, str) and named.lower() == str(user_id) and {**data, key: str(user_id)} == reached["data"]


def _texts(fields: Mapping[str, object], names: Collection[str]) -> Iterator[str]:
    for name in names:
        value = fields.get(name)
        if isinstance(value, str) and value.strip():
            yield value


def _objects(text: JsonText, person: Person) -> Iterator[tuple[tuple[int, int], bytes]]:
    """Yield the place of each user object and of each text of an own team, with what replaces it."""
    top = _members(text, slice(0, len(text.body)))
    data = _members(text, top["data"]) if "data" in top else {}
    for name in USER_OBJECTS:
        if name in data and _id(text, _members(text, data[name]).get("id")) == person.user_id:
            yield (data[name].start, data[name].stop), orjson.dumps({"id": str(person.user_id)})
    known = event_type(_string(text.body[top["type"]]) or "") if "type" in top else event_type("")
    if known.team and _id(text, data.get(known.team)) in person.team_ids:
        for name in TEAM_TEXTS.get(known.payload, ()):
            if name in data and text.body[data[name]] != b"null":
                yield (data[name].start, data[name].stop), b"null"


def _members(text: JsonText, place: slice) -> dict[str, slice]:
    found = text.members(place) or ()
    return {name: value for key, value in found if (name := _string(text.body[key])) is not None}


def _addresses(
    body: bytes, emails: Collection[str], *, inside: Collection[tuple[int, int]]
) -> Iterator[tuple[int, int]]:
    """Yield the places of the strings that are exactly an address, outside the given places."""
    if not emails:
        return
    for found in STRING.finditer(body):
        start, stop = found.span()
        if _string(found[0]) in emails and not any(first <= start and stop <= last for first, last in inside):
            yield start, stop


def _id(text: JsonText, place: slice | None) -> UUID | None:
    value = _string(text.body[place]) if place else None
    return UUID(value) if value and UUID_TEXT.fullmatch(value) else None


def _string(token: bytes) -> str | None:
    try:
        value = json_limits.parse(token)
    except BadPayload:
        return None
    return value if isinstance(value, str) else None
