"""Sign-ins, sign-outs and users that an application in Python stores.

Each becomes a row of the outbox, in the caller's transaction and under the caller's role, which needs the privileges of
`consumer_receiver`. Workers apply it after that transaction commits.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import orjson
from psycopg import AsyncConnection

from consumer.errors import BadPayload
from consumer.events.check import check
from consumer.outbox import storage
from consumer.outbox.storage import Delivery
from consumer.postgres import session

# Stack's replicas may lag this far behind; a webhook about the same moment must win.
REPLICA_LAG = timedelta(seconds=60)


class Stored(NamedTuple):
    """The event's id in the outbox; *is_new* is False for a repeat, which changes nothing."""

    message_id: str
    is_new: bool


class Synced(NamedTuple):
    """The user's message id in the outbox, or the *error* for which nothing was stored."""

    message_id: str
    error: str | None


async def handle_sign_in(
    conn: AsyncConnection[Any],
    user: UUID | Mapping[str, Any],
    *,
    at: datetime | None = None,
    message_id: str | None = None,
) -> Stored:
    """Store a sign-in of a user, given by id or as a whole user object.

    *at* is the database's time by default. With your own *message_id*, such as the session's, repeats are recognised.
    Raises BadPayload for an invalid user object.
    """
    return await _handle(conn, "in", user, at, message_id)


async def handle_sign_out(
    conn: AsyncConnection[Any],
    user: UUID | Mapping[str, Any],
    *,
    at: datetime | None = None,
    message_id: str | None = None,
) -> Stored:
    """Store a sign-out, as `handle_sign_in` stores a sign-in."""
    return await _handle(conn, "out", user, at, message_id)


async def sync_users(
    conn: AsyncConnection[Any], users: Iterable[Mapping[str, Any]], *, requested_at: datetime
) -> list[Synced]:
    """Store users that Stack's REST API returned for a request that began at *requested_at*.

    Return one result for each, in the same order. They count as Stack's data of that moment: a newer webhook wins.
    """
    run, at = uuid4(), requested_at - REPLICA_LAG
    results, deliveries = [], []
    for number, user in enumerate(users):
        message_id = f"{run}:user:{user.get('id', number)}"
        try:
            deliveries.append(_delivery("backfill", message_id, at, {"type": "user.updated", "data": user}))
        except BadPayload as error:
            results.append(Synced(message_id, str(error)))
        else:
            results.append(Synced(message_id, None))
    await _put(conn, deliveries)
    return results


async def _handle(
    conn: AsyncConnection[Any], verb: str, user: UUID | Mapping[str, Any], at: datetime | None, message_id: str | None
) -> Stored:
    occurred_at = at or await session.now(conn)
    data: dict[str, Any] = {"id": str(user)} if isinstance(user, UUID) else dict(user)
    data[f"signed_{verb}_at_millis"] = int(occurred_at.timestamp() * 1000)
    chosen_id = message_id or f"signed_{verb}_{uuid4()}"
    delivery = _delivery("app", chosen_id, occurred_at, {"type": f"user.signed_{verb}", "data": data})
    return Stored(chosen_id, await _put(conn, [delivery]) == 1)


def _delivery(source: str, message_id: str, at: datetime, event: Mapping[str, object]) -> Delivery:
    body = _encoded(event)
    checked = check(body, source)
    subject = (checked.user_id, checked.team_id)
    return Delivery(source, message_id, checked.type, *subject, at, None, body, checked.reduced)


def _encoded(event: Mapping[str, object]) -> bytes:
    try:
        return orjson.dumps(event)
    # orjson ends at 254 levels and 64 bits and takes no lone surrogate: a user may have any of these in metadata.
    except orjson.JSONEncodeError:
        try:
            return json.dumps(event, default=lambda value: orjson.loads(orjson.dumps(value))).encode()
        except RecursionError as error:
            raise BadPayload("too_deep", "$", "nests too many levels to be encoded") from error
        except (TypeError, ValueError) as error:
            raise BadPayload("not_json", "$", "holds a value that JSON has no form for") from error


async def _put(conn: AsyncConnection[Any], deliveries: list[Delivery]) -> int:
    count = await storage.put(conn, deliveries)
    await session.wake(conn)
    return count
