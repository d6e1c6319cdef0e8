"""Brings one user in from Stack's API, now."""

from typing import NamedTuple
from uuid import UUID, uuid4

from consumer.operations import imports, runs
from consumer.outbox import storage
from consumer.postgres import ledger, session
from consumer.postgres.connections import Access, Connection, transaction
from consumer.stack_api.client import StackApi


class Refreshed(NamedTuple):
    """The user's message id in the outbox, None if Stack has no such user; *error* is why it is dead."""

    message_id: str | None
    error: str | None = None


async def refresh(conn: Connection, access: Access, api: StackApi, project_id: str, user_id: UUID) -> Refreshed:
    """Ask for a user, and store the answer; of a user that Stack does not have nothing is stored.

    The answer shows the user alive, as no list does. Raises ApiError, and BadSettings for another project.
    """
    async with transaction(conn, access):
        await runs.refuse_other_project(conn, project_id)
        requested_at = await session.now(conn)
    if (body := await api.user(user_id)) is None:
        return Refreshed(None)
    delivery = imports.Finder(uuid4(), requested_at, "reconcile").user(str(user_id), body, "user")
    async with transaction(conn, access):
        await ledger.begin_work(conn)
        if delivery.error_code:
            await storage.put_dead(conn, delivery)
        else:
            await storage.put(conn, [delivery])
        await session.wake(conn)
    return Refreshed(delivery.message_id, delivery.error)
