"""The one registry of event types: what each is, where it may come from, and which fact it tells."""

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple

from msgspec import structs

from consumer.providers.app import payloads as app
from consumer.providers.payload import Payload, Reference
from consumer.providers.stack import payloads as stack


class Fact(Enum):
    """What a delivery tells; effects/apply.py runs the SQL of each fact."""

    USER = "user"
    SIGN_IN = "sign_in"
    EDIT = "edit"
    TEAM = "team"
    MEMBERSHIP = "membership"
    PERMISSION = "permission"
    OWN = "own"
    NOTHING = "nothing"


class EventType(NamedTuple):
    """What `data` holds, the sources that may send it, its fact, and the keys in `data` of its user and team.

    *effect* names the SQL file of a type of your own (`Fact.OWN`) under sql/queries/effects. The file gets the claimed
    `seqs` and returns one array: the deliveries that changed something.
    """

    payload: type[Payload]
    sources: frozenset[str]
    fact: Fact = Fact.NOTHING
    user: str | None = None
    team: str | None = None
    effect: str = ""


# Stack's data, by webhook or by its REST API: `backfill` is what consumer/sync.py stores, `reconcile` is reserved.
STACK = frozenset({"stack", "backfill", "reconcile"})
STACK_OR_APP = frozenset({"stack", "app"})
APP = frozenset({"app"})
OPERATOR = frozenset({"operator"})
# An erasure wins over every other delivery about its user, earlier or later.
ERASED = "user.erased"
EVENT_TYPES: Mapping[str, EventType] = {
    "user.created": EventType(stack.User, STACK, Fact.USER, user="id"),
    "user.updated": EventType(stack.User, STACK, Fact.USER, user="id"),
    "user.deleted": EventType(stack.DeletedUser, STACK, Fact.USER, user="id"),
    ERASED: EventType(Reference, OPERATOR, Fact.USER, user="id"),
    "user.signed_in": EventType(app.SignedIn, STACK_OR_APP, Fact.SIGN_IN, user="id"),
    "user.signed_out": EventType(app.SignedOut, STACK_OR_APP, Fact.SIGN_IN, user="id"),
    "profile.edited": EventType(app.Edit, APP, Fact.EDIT, user="id"),
    "team.created": EventType(stack.Team, STACK, Fact.TEAM, team="id"),
    "team.updated": EventType(stack.Team, STACK, Fact.TEAM, team="id"),
    "team.deleted": EventType(Reference, STACK, Fact.TEAM, team="id"),
    "company.declared": EventType(Reference, OPERATOR, Fact.TEAM, team="id"),
    "team_membership.created": EventType(stack.Membership, STACK, Fact.MEMBERSHIP, user="user_id", team="team_id"),
    "team_membership.deleted": EventType(stack.Membership, STACK, Fact.MEMBERSHIP, user="user_id", team="team_id"),
    "team_permission.created": EventType(stack.TeamPermission, STACK, Fact.PERMISSION, user="user_id", team="team_id"),
    "team_permission.deleted": EventType(stack.TeamPermission, STACK, Fact.PERMISSION, user="user_id", team="team_id"),
    "project_permission.created": EventType(stack.ProjectPermission, STACK, user="user_id"),
    "project_permission.deleted": EventType(stack.ProjectPermission, STACK, user="user_id"),
    "issue.created": EventType(stack.Issue, STACK),
    "issue.regressed": EventType(stack.Issue, STACK),
    "issue.resolved": EventType(stack.Issue, STACK),
    "issue.ignored": EventType(stack.Issue, STACK),
    "issue.merged": EventType(stack.Issue, STACK),
    "stack.test": EventType(stack.Ping, STACK),
}
# Erasure must find a user in events of types yet to come: the keys that they would use.
UNKNOWN_USER_TYPE = EventType(Payload, frozenset(), user="id", team="team_id")
UNKNOWN_TYPE = EventType(Payload, frozenset(), user="user_id", team="team_id")
# All fields that are documented of Stack's events or read in one: words that logs and metrics may hold.
FIELDS = frozenset(
    field.encode_name
    for known in EVENT_TYPES.values()
    for fields in (known.payload, known.payload.unread)
    for field in structs.fields(fields)
) | {"type", "data"}


def event_type(name: str) -> EventType:
    """Return what is known of a type; of an unknown one only the keys under which it would name user and team."""
    return EVENT_TYPES.get(name) or (UNKNOWN_USER_TYPE if name.startswith("user.") else UNKNOWN_TYPE)


def is_known(name: str, source: str) -> bool:
    """Tell whether this release knows the type as one that the source may send."""
    return source in event_type(name).sources


def known_types() -> list[tuple[str, str]]:
    """Return each source with each type that it may send."""
    return [(source, name) for name, known in EVENT_TYPES.items() for source in known.sources]


def types_from(source: str) -> list[str]:
    """Return the names of the types that a source may send."""
    return [name for name, known in EVENT_TYPES.items() if source in known.sources]
