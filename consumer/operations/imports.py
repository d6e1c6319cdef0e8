"""What Stack's API answered as deliveries for the outbox, without those that would change no row."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Literal, NamedTuple
from uuid import UUID

import orjson
from psycopg.rows import tuple_row

from consumer.errors import BadPayload
from consumer.events.check import check, subject
from consumer.outbox import storage
from consumer.outbox.storage import Delivery
from consumer.postgres import session
from consumer.postgres.connections import Connection
from consumer.postgres.queries import rows
from consumer.sync import REPLICA_LAG

# Deliveries a statement: an old server lists all teams at once.
PUT_MAX = 1_000
# What is listed, and the query for what of it the rows show already.
TYPES = {
    "user.updated": "imports/known_users",
    "team.updated": "imports/known_teams",
    "team_membership.created": "imports/known_memberships",
    "team_permission.created": "imports/known_permissions",
}
# Of an id in a message id, which has at most 256 characters and up to three ids.
ID_CHARACTERS_MAX = 100


class PutCounts(NamedTuple):
    """How many deliveries were new, and how many of these are dead."""

    stored: int
    unusable: int


class Finder(NamedTuple):
    """The run or call that asked, when its request began, by the database's clock, and the source of its findings.

    A message id is `<run>:<kind>:<subject>`, so that a run stores each finding once.
    """

    run_id: UUID
    requested_at: datetime
    source: Literal["backfill", "reconcile"]

    def user(self, user_id: str, body: bytes, kind: str = "users") -> Delivery:
        """Return a user that a list names; of the *kind* `user`, the answer about this user alone."""
        return self._delivery("user.updated", body, kind, user_id)

    def team(self, team_id: str, body: bytes, kind: str = "teams") -> Delivery:
        """Return a team that a list names; of the *kind* `team`, the answer about this team alone."""
        return self._delivery("team.updated", body, kind, team_id)

    def membership(self, team_id: UUID, user_id: UUID) -> Delivery:
        """Return a listed membership."""
        body = orjson.dumps({"team_id": team_id, "user_id": user_id})
        return self._delivery("team_membership.created", body, "memberships", str(team_id), str(user_id))

    def permission(self, team_id: UUID, user_id: UUID, permission_id: str) -> Delivery:
        """Return a permission that a member has directly."""
        body = orjson.dumps({"team_id": team_id, "user_id": user_id, "id": permission_id})
        subjects = (str(team_id), str(user_id), permission_id)
        return self._delivery("team_permission.created", body, "permissions", *subjects)

    def deletion(
        self, kind: str, team_id: UUID | None, user_id: UUID | None, permission_id: str | None = None
    ) -> Delivery:
        """Return the deletion of a user or team, or the removal of a member or of a permission, of this *kind*."""
        ids = [str(each) for each in (team_id, user_id, permission_id) if each]
        if len(ids) == 1:
            body = orjson.dumps({"id": ids[0]})
            return self._delivery("team.deleted" if team_id else "user.deleted", body, kind, *ids)
        pair = {"team_id": team_id, "user_id": user_id}
        if permission_id is None:
            return self._delivery("team_membership.deleted", orjson.dumps(pair), kind, *ids)
        return self._delivery("team_permission.deleted", orjson.dumps({**pair, "id": permission_id}), kind, *ids)

    def _delivery(self, event_type: str, data: bytes, kind: str, *subjects: str) -> Delivery:
        """Wrap the server's own text: what can't be stored of it is reduced or dead, and keeps no other from coming."""
        message_id = ":".join((str(self.run_id), kind, *map(_id_text, subjects)))
        body = b'{"type":"' + event_type.encode() + b'","data":' + data + b"}"
        return checked(self.source, message_id, self.requested_at - REPLICA_LAG, body)


def checked(source: str, message_id: str, at: datetime, body: bytes) -> Delivery:
    """Return a body that nobody signed as a delivery of the time *at*: usable, or dead with its reason."""
    try:
        event = check(body, source)
    except BadPayload as error:
        what = (*subject(body), at, None, body)
        return Delivery(source, message_id, *what, error_code=error.code, error=str(error))
    return Delivery(source, message_id, event.type, event.user_id, event.team_id, at, None, body, event.reduced)


async def news(conn: Connection, deliveries: Sequence[Delivery]) -> list[Delivery]:
    """Return the deliveries that would change a row, as the rows are now, and those that can't be used."""
    found = [delivery for delivery in deliveries if delivery.error_code]
    for event_type, known_already in TYPES.items():
        listed = [each for each in deliveries if each.event_type == event_type and not each.error_code]
        for part in parts(listed):
            known = set(await rows(conn, tuple_row, known_already, columns(part)))
            found += [each for each in part if _subject(each) not in known]
    return found


async def put(conn: Connection, deliveries: Sequence[Delivery]) -> PutCounts:
    """Store deliveries in the caller's transaction, unusable ones dead, with their reason; wake the workers.

    A message id that is stored already changes nothing.
    """
    stored = unusable = 0
    for delivery in deliveries:
        if delivery.error_code:
            unusable += await storage.put_dead(conn, delivery)
    for part in parts([delivery for delivery in deliveries if not delivery.error_code]):
        stored += await storage.put(conn, part)
    await session.wake(conn)
    return PutCounts(stored + unusable, unusable)


def parts(deliveries: Sequence[Delivery]) -> Iterator[Sequence[Delivery]]:
    """Yield the deliveries of each statement."""
    for first in range(0, len(deliveries), PUT_MAX):
        yield deliveries[first : first + PUT_MAX]


def columns(listed: Sequence[Delivery]) -> dict[str, object]:
    """Return what queries ask of usable deliveries, an array for each."""
    return {
        "message_ids": [delivery.message_id for delivery in listed],
        "user_ids": [delivery.user_id for delivery in listed],
        "team_ids": [delivery.team_id for delivery in listed],
        "documents": [(delivery.reduced or delivery.body).decode() for delivery in listed],
        "permission_ids": [_permission_id(delivery) for delivery in listed],
    }


def _subject(delivery: Delivery) -> tuple[object, ...]:
    """Return what a delivery is about, as the queries name it."""
    parts = (delivery.team_id, delivery.user_id, _permission_id(delivery))
    return tuple(part for part in parts if part is not None)


def _permission_id(delivery: Delivery) -> str | None:
    """Return the permission that a delivery tells of; its body is one that we made."""
    if delivery.event_type != "team_permission.created":
        return None
    return str(orjson.loads(delivery.reduced or delivery.body)["data"]["id"])


def _id_text(text: str) -> str:
    """Return an id as a part of a message id; what is no plain text of some length stands there as its hash."""
    is_plain = text.isascii() and text.isprintable() and 0 < len(text) <= ID_CHARACTERS_MAX
    return text if is_plain else sha256(text.encode()).hexdigest()
