"""Late deliveries: those about a user that is erased. They are not applied, and lose the user's data.

A delivery that holds no more than the erased one would is applied like any other: it may have been reduced before, or
tell only of ids, as a membership does.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple, TypeVar
from uuid import UUID

from psycopg.rows import args_row, scalar_row

from consumer.errors import UsersErased
from consumer.events import personal
from consumer.outbox import queue
from consumer.outbox.queue import Claimed
from consumer.postgres.connections import Connection
from consumer.postgres.queries import query, rows

T = TypeVar("T")


class LateBody(NamedTuple):
    """The stored body of a delivery about an erased user."""

    seq: int
    user_id: UUID
    body: bytes


async def apply_around(
    conn: Connection, claimed: Sequence[Claimed], apply: Callable[[Sequence[Claimed]], Awaitable[T]]
) -> tuple[dict[int, str], T]:
    """Discard late deliveries, and apply the others, in the caller's transaction; return outcomes and the result.

    A user may be erased by another worker while *apply* waits for the user's lock: it raises UsersErased then.
    """
    outcomes: dict[int, str] = {}
    bodies = await _reduced(conn, claimed)
    while True:
        outcomes |= await _discard(conn, bodies)
        try:
            return outcomes, await apply([delivery for delivery in claimed if delivery.seq not in outcomes])
        except UsersErased as error:
            bodies = error.bodies


async def require_none(conn: Connection, applied: Sequence[Claimed]) -> None:
    """Raise UsersErased if any of these deliveries, whose users are locked, is late."""
    if bodies := await _reduced(conn, applied):
        raise UsersErased(bodies)


async def _reduced(conn: Connection, claimed: Sequence[Claimed]) -> Mapping[int, bytes]:
    """Return the bodies of the late ones of these deliveries, without the users' data."""
    if await rows(conn, scalar_row, "late/any_erased") == [False]:
        return {}
    user_ids = list({delivery.user_id for delivery in claimed if delivery.user_id})
    erased = set(await rows(conn, scalar_row, "late/erased", {"user_ids": user_ids}))
    if not erased:
        return {}
    seqs = [delivery.seq for delivery in claimed if delivery.user_id in erased]
    bodies = {}
    for late in await rows(conn, args_row(LateBody), "late/bodies", {"seqs": seqs}):
        reduced = personal.erased(late.body, late.user_id)
        if reduced != late.body:
            bodies[late.seq] = personal.EMPTY if reduced is None else reduced
    return bodies


async def _discard(conn: Connection, bodies: Mapping[int, bytes]) -> dict[int, str]:
    outcomes = dict.fromkeys(bodies, "discarded")
    if bodies:
        await conn.execute(query("late/reduce"), {"seqs": list(bodies), "bodies": list(bodies.values())})
        await queue.finish(conn, outcomes)
    return outcomes
