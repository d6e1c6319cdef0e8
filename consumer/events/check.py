"""What an event is: its type, whom it concerns, and why a body can never be one."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

import msgspec

from consumer.errors import BadPayload
from consumer.events import json_limits
from consumer.events.json_limits import NOT_JSON, NUL, NUMBER_OUT_OF_RANGE, TOO_DEEP
from consumer.providers.stack.payloads import (
    BAD_SHAPE,
    UUID_PATTERN,
    DeletedUser,
    Edit,
    Issue,
    Membership,
    Payload,
    Ping,
    ProjectPermission,
    Reference,
    SignedIn,
    SignedOut,
    Team,
    TeamPermission,
    User,
)

NOT_AN_OBJECT = "not_an_object"
BAD_TYPE = "bad_type"
CODES = (NOT_JSON, NOT_AN_OBJECT, BAD_TYPE, BAD_SHAPE, NUL, TOO_DEEP, NUMBER_OUT_OF_RANGE)

# Svix allows a type no more.
TYPE_MAX = 256
# msgspec also takes 32 digits without hyphens; only the canonical form is an id here.
UUID_LENGTH = 36
# msgspec shows the pattern, which says to nobody what it is.
NO_UUID = f"Expected `str` matching regex {UUID_PATTERN!r}"
MISSING_FIELD = re.compile(r"Object missing required field `(\w+)`")


@dataclass(frozen=True, slots=True)
class Event:
    """A body that can be applied, or ignored."""

    type: str
    user_id: UUID | None
    team_id: UUID | None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Kind:
    """How a type is read: what `data` holds, from which sources, under which keys it names whom it concerns.

    *effect* names the SQL of a type of one's own: a file under sql/queries/effects, run with its claimed `seqs`, that
    returns one array of those which changed something.
    """

    payload: type[Payload]
    sources: frozenset[str]
    user: str | None = None
    team: str | None = None
    effect: str | None = None


STACK = frozenset({"stack", "backfill", "reconcile"})
SIGN_IN = frozenset({"stack", "app"})
APP = frozenset({"app"})
OPERATOR = frozenset({"operator"})
KNOWN_TYPES: Mapping[str, Kind] = {
    "user.created": Kind(User, STACK, user="id"),
    "user.updated": Kind(User, STACK, user="id"),
    "user.deleted": Kind(DeletedUser, STACK, user="id"),
    "user.signed_in": Kind(SignedIn, SIGN_IN, user="id"),
    "user.signed_out": Kind(SignedOut, SIGN_IN, user="id"),
    "profile.edited": Kind(Edit, APP, user="id"),
    "team.created": Kind(Team, STACK, team="id"),
    "team.updated": Kind(Team, STACK, team="id"),
    "team.deleted": Kind(Reference, STACK, team="id"),
    "company.declared": Kind(Reference, OPERATOR, team="id"),
    "team_membership.created": Kind(Membership, STACK, user="user_id", team="team_id"),
    "team_membership.deleted": Kind(Membership, STACK, user="user_id", team="team_id"),
    "team_permission.created": Kind(TeamPermission, STACK, user="user_id", team="team_id"),
    "team_permission.deleted": Kind(TeamPermission, STACK, user="user_id", team="team_id"),
    "project_permission.created": Kind(ProjectPermission, STACK, user="user_id"),
    "project_permission.deleted": Kind(ProjectPermission, STACK, user="user_id"),
    "issue.created": Kind(Issue, STACK),
    "issue.regressed": Kind(Issue, STACK),
    "issue.resolved": Kind(Issue, STACK),
    "issue.ignored": Kind(Issue, STACK),
    "issue.merged": Kind(Issue, STACK),
    "stack.test": Kind(Ping, STACK),
}
# Erasure must find a user in events of types yet to come: the keys they would use.
UNKNOWN_USER_TYPE = Kind(Payload, frozenset(), user="id", team="team_id")
UNKNOWN_TYPE = Kind(Payload, frozenset(), user="user_id", team="team_id")


def check(body: bytes, source: str) -> Event:
    """Read a body that may enter the outbox as pending, or raise BadPayload; no message holds any of its values.

    A type not known from *source* need only be named; whatever else passes, PostgreSQL can cast and read.
    """
    document = json_limits.parse(body)
    if not isinstance(document, dict):
        raise BadPayload(NOT_AN_OBJECT, "$", "Expected `object`")
    name, data = _name(document), document.get("data")
    kind = _kind(name)
    if source not in kind.sources:
        return Event(name, *_concerned(kind, data))
    json_limits.refuse_unstorable(body)
    payload = _payload(kind, data)
    return Event(name, *_concerned(kind, data), payload.warnings())


def subject(body: bytes) -> tuple[str | None, UUID | None, UUID | None]:
    """Return the type, user and team that an unusable body still tells, each None where it doesn't; never raise."""
    try:
        document = json_limits.parse(body)
    except BadPayload:
        return None, None, None
    if not isinstance(document, dict):
        return None, None, None
    name = document.get("type")
    usable = name if isinstance(name, str) and _is_storable(name) else None
    return usable, *_concerned(_kind(usable or ""), document.get("data"))


def _name(document: dict[str, object]) -> str:
    name = document.get("type")
    if not isinstance(name, str):
        raise BadPayload(BAD_TYPE, "$.type", "Expected `str`")
    if not _is_storable(name):
        raise BadPayload(BAD_TYPE, "$.type", f"Expected `str` of at most {TYPE_MAX} characters without NUL")
    return name


def _is_storable(name: str) -> bool:
    return len(name) <= TYPE_MAX and "\0" not in name


def _kind(name: str) -> Kind:
    return KNOWN_TYPES.get(name) or (UNKNOWN_USER_TYPE if name.startswith("user.") else UNKNOWN_TYPE)


def _concerned(kind: Kind, data: object) -> tuple[UUID | None, UUID | None]:
    fields = data if isinstance(data, dict) else {}
    return _uuid(fields.get(kind.user)), _uuid(fields.get(kind.team))


def _uuid(value: object) -> UUID | None:
    if not isinstance(value, str) or len(value) != UUID_LENGTH:
        return None
    try:
        return msgspec.convert(value, UUID)
    except msgspec.ValidationError:
        return None


def _payload(kind: Kind, data: object) -> Payload:
    try:
        return msgspec.convert(data, kind.payload)
    except msgspec.ValidationError as error:
        raise _bad_shape(str(error)) from error


def _bad_shape(message: str) -> BadPayload:
    """Turn msgspec's sentence, which names types and fields and no values, into a path and a reason."""
    reason, _, path = message.partition(" - at `$")
    path = f"$.data{path.rstrip('`')}"
    if missing := MISSING_FIELD.fullmatch(reason):
        return BadPayload(BAD_SHAPE, f"{path}.{missing[1]}", "Required field is missing")
    if reason == NO_UUID:
        return BadPayload(BAD_SHAPE, path, "Expected a UUID with its hyphens")
    return BadPayload(BAD_SHAPE, path, reason)
