"""What the bodies of answers hold: objects as the server wrote them.

They are found, not parsed: end users write into them, as deep and as large as they like, and one of them must not keep
a page from being read. The check of each delivery (`consumer/events`) looks at their content.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import msgspec
import orjson

from consumer.errors import ConsumerError
from consumer.events.json_members import JsonText

Members = Mapping[str, bytes]

# Far beyond the year 9999, and within 64 bits.
MILLIS_DIGITS_MAX = 18

# What the fast decoders refuse: a thousand levels, half a surrogate pair, or anything that is no JSON at all.
UNREAD = (RecursionError, msgspec.DecodeError, UnicodeDecodeError)

# They build nothing of the values.
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ELEMENTS = msgspec.json.Decoder(list[msgspec.Raw])


class NotAnAnswer(ConsumerError):
    """The body has not the shape of the answer; the text says what is wrong, without the body."""


@dataclass(frozen=True, slots=True)
class ListedObject:
    """One user or team; *body* is its JSON text, which no text of this object shows.

    The times are milliseconds, None if the object has none. A user whose `signed_up_at_millis` changes during a scan
    has moved to its end.
    """

    id: str
    body: bytes = field(repr=False)
    signed_up_at_millis: int | None = None
    last_active_at_millis: int | None = None


@dataclass(frozen=True, slots=True)
class ListPage:
    """One page of a list; without a next cursor it is the last, but never a proof that an object is absent."""

    items: tuple[ListedObject, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class MemberProfile:
    """One member of a team; *user_body* is the JSON text of the whole user."""

    team_id: UUID
    user_id: UUID
    user_body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Permission:
    """A permission that a user has directly, in a team or in the project."""

    id: str
    user_id: UUID
    team_id: UUID | None = None


def members(body: bytes) -> Members:
    """Return the texts of an object's values by name."""
    try:
        return {name: bytes(found) for name, found in _MEMBERS.decode(body).items()}
    except UNREAD:
        return _found_members(body)


def elements(object_members: Members, name: str) -> Sequence[bytes]:
    """Return the texts of an array's elements."""
    array = object_members.get(name, b"")
    try:
        return [bytes(element) for element in _ELEMENTS.decode(array)]
    except UNREAD:
        return _found_elements(array)


def value(object_members: Members, name: str) -> object:
    """Return a parsed value, None where it is absent; for small values of the server alone."""
    try:
        parsed: object = orjson.loads(object_members.get(name, b"null"))
    except orjson.JSONDecodeError:
        raise NotAnAnswer(f"{name} is no JSON") from None
    return parsed


def text(object_members: Members, name: str) -> str:
    """Return a string that is not empty."""
    found = value(object_members, name)
    if not isinstance(found, str) or not found:
        raise NotAnAnswer(f"{name} is no text")
    return found


def one(body: bytes) -> ListedObject:
    """Return the object that the whole body is."""
    found = members(body)
    return ListedObject(text(found, "id"), body, _millis(found, "signed_up"), _millis(found, "last_active"))


def page(body: bytes) -> ListPage:
    """Return the objects of a page, and the cursor of the next one if the answer is paged."""
    answer = members(body)
    items = tuple(one(element) for element in elements(answer, "items"))
    # A list that ends early looks complete, so nothing that tells of the end may be missing.
    is_paginated = value(answer, "is_paginated")
    if not isinstance(is_paginated, bool):
        raise NotAnAnswer("is_paginated is no boolean")
    if not is_paginated:
        return ListPage(items, None)
    pagination = members(answer.get("pagination", b""))
    if "next_cursor" not in pagination:
        raise NotAnAnswer("next_cursor is missing")
    is_last = value(pagination, "next_cursor") is None
    return ListPage(items, None if is_last else text(pagination, "next_cursor"))


def member_profiles(body: bytes) -> tuple[MemberProfile, ...]:
    """Return the members of a team."""
    return tuple(_member_profile(element) for element in elements(members(body), "items"))


def permissions(body: bytes, *, of_teams: bool) -> tuple[Permission, ...]:
    """Return a list of permissions."""
    found = (members(element) for element in elements(members(body), "items"))
    return tuple(
        Permission(text(each, "id"), _uuid(each, "user_id"), _uuid(each, "team_id") if of_teams else None)
        for each in found
    )


def _member_profile(body: bytes) -> MemberProfile:
    member = members(body)
    user = member.get("user", b"")
    profile = MemberProfile(_uuid(member, "team_id"), _uuid(member, "user_id"), user)
    if _uuid(members(user), "id") != profile.user_id:
        raise NotAnAnswer("user is another one than user_id")
    return profile


def _uuid(object_members: Members, name: str) -> UUID:
    try:
        return UUID(text(object_members, name))
    except ValueError:
        raise NotAnAnswer(f"{name} is no UUID") from None


def _millis(object_members: Members, name: str) -> int | None:
    found = object_members.get(f"{name}_at_millis")
    return int(found) if found and found.isdigit() and len(found) <= MILLIS_DIGITS_MAX else None


def _found_members(body: bytes) -> Members:
    found = JsonText(body).members(slice(0, len(body)))
    if found is None:
        raise NotAnAnswer("no object where one was expected")
    return {body[member.key][1:-1].decode(errors="replace"): body[member.value] for member in found}


def _found_elements(body: bytes) -> list[bytes]:
    found = JsonText(body).elements(slice(0, len(body)))
    if found is None:
        raise NotAnAnswer("no list where one was expected")
    return [body[place] for place in found]
