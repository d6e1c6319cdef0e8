"""Sign-ins, sign-outs and users that an application in Python stores.

Each becomes a row of the outbox, in the caller's transaction and under the caller's role: `consumer_app` for sign-ins
and sign-outs, `consumer_operator` for users, because those count as Stack's. Workers apply it after that transaction
commits.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import orjson
from psycopg import AsyncConnection
from psycopg.rows import scalar_row

from consumer.errors import BadPayload
from consumer.events.check import check
from consumer.outbox import storage
from consumer.outbox.storage import Delivery
from consumer.postgres import session
from consumer.postgres.queries import rows

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
    conn: AsyncConnection[Any], user_id: UUID, *, at: datetime | None = None, message_id: str | None = None
) -> Stored:
    """Store a sign-in.

    *at* is the database's time by default. With your own *message_id*, such as the session's, repeats are recognised.
    Raises psycopg's InvalidParameterValue for an *at* or a *message_id* that `/webhooks/app` would refuse.
    """
    return await _sign(conn, "sync/sign_in", user_id, at, message_id)


async def handle_sign_out(
    conn: AsyncConnection[Any], user_id: UUID, *, at: datetime | None = None, message_id: str | None = None
) -> Stored:
    """Store a sign-out, as `handle_sign_in` stores a sign-in."""
    return await _sign(conn, "sync/sign_out", user_id, at, message_id)


async def sync_users(
    conn: AsyncConnection[Any], users: Iterable[Mapping[str, Any]], *, requested_at: datetime
) -> list[Synced]:
    """Store users that Stack's REST API returned for a request that began at *requested_at*.

    Return one result for each, in the same order. They count as Stack's data of that moment: a newer webhook wins. The
    caller acts as `consumer_operator`.
    """
    run, at = uuid4(), requested_at - REPLICA_LAG
    results, deliveries = [], []
    for number, user in enumerate(users):
        message_id = f"{run}:user:{user.get('id', number)}"
        try:
            deliveries.append(_delivery(message_id, at, {"type": "user.updated", "data": user}))
        except BadPayload as error:
            results.append(Synced(message_id, str(error)))
        else:
            results.append(Synced(message_id, None))
    await storage.put(conn, deliveries)
    await session.wake(conn)
    return results


async def _sign(
    conn: AsyncConnection[Any], name: str, user_id: UUID, at: datetime | None, message_id: str | None
) -> Stored:
    [stored_id] = await rows(conn, scalar_row, name, {"user_id": user_id, "at": at, "message_id": message_id})
    await session.wake(conn)
    return Stored(str(stored_id or message_id), stored_id is not None)


def _delivery(message_id: str, at: datetime, event: Mapping[str, object]) -> Delivery:
    body = _encoded(event)
    checked = check(body, "backfill")
    subject = (checked.user_id, checked.team_id)
    return Delivery("backfill", message_id, checked.type, *subject, at, None, body, checked.reduced)


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
