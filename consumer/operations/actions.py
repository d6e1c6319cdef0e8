"""Actions: who did what to stored data, with which filter, to how many rows, and why."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Literal
from uuid import UUID, uuid4

import orjson
from psycopg.types.json import Jsonb

from consumer.postgres.connections import Connection
from consumer.postgres.queries import query

# As the table checks it: a login's name and a host's are shorter.
ACTOR_CHARACTERS_MAX = 256
# A few sentences; they are kept for as long as the action, or the discarded delivery.
REASON_CHARACTERS_MAX = 1000

ActionName = Literal[
    "retry",
    "discard",
    "undiscard",
    "replay",
    "rebuild",
    "check",
    "erase",
    "export",
    "reconcile",
    "refresh",
    "recover",
    "prune",
    "test",
    "reveal",
    "refused",
]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: a name, the door, and the role behind it."""

    name: str
    via: Literal["cli", "console"]
    role: Literal["viewer", "operator"] = "operator"


@dataclass(frozen=True, slots=True)
class Action:
    """One decision of an actor.

    *filter* says what was chosen, by ids and codes, never by a name or an address; a condition that is None or empty is
    left out. *seen_count* is how many matched when the actor decided, None if nobody counted.
    """

    actor: Actor
    action: ActionName
    filter: Mapping[str, object] = field(default_factory=dict)
    seen_count: int | None = None
    reason: str | None = None
    id: UUID = field(default_factory=uuid4)


async def record(conn: Connection, action: Action, affected: int) -> None:
    """Write an action down, in the transaction of what it does.

    Work of many transactions calls it in each of them with the same action: the row of the first one counts the others.
    """
    chosen = {name: value for name, value in action.filter.items() if value not in (None, False, ())}
    values = {
        "id": action.id,
        "actor": action.actor.name[:ACTOR_CHARACTERS_MAX],
        "via": action.actor.via,
        "role": action.actor.role,
        "action": action.action,
        "filter": Jsonb(chosen, dumps=partial(orjson.dumps, default=str)),
        "seen_count": action.seen_count,
        "affected": affected,
        "reason": action.reason,
    }
    await conn.execute(query("actions/record"), values)


async def scrub(conn: Connection, user_id: UUID) -> int:
    """Forget the reasons of actions about a user, in the caller's transaction; return how many there were."""
    return (await conn.execute(query("actions/scrub"), {"user_id": user_id})).rowcount
