"""Brings one user in from Stack's API, now."""

from typing import NamedTuple
from uuid import UUID, uuid4

from consumer.operations import actions, imports, runs
from consumer.operations.actions import Action
from consumer.outbox import storage
from consumer.outbox.storage import Delivery
from consumer.postgres import ledger, session
from consumer.postgres.connections import Access, Connection, transaction
from consumer.stack_api.client import StackApi


class Refresh(NamedTuple):
    """The user to bring in, of which project, and the action that asks for it."""

    project_id: str
    user_id: UUID
    action: Action


class Refreshed(NamedTuple):
    """The user's message id in the outbox, None if Stack has no such user; *error* is why it is dead."""

    message_id: str | None
    error: str | None = None


async def refresh(conn: Connection, access: Access, api: StackApi, wanted: Refresh) -> Refreshed:
    """Ask for a user, and store the answer; of a user that Stack does not have nothing is stored.

    The answer shows the user alive, as no list does. Raises ApiError, and BadSettings for another project.
    """
    if (delivery := await ask(conn, access, api, wanted.project_id, wanted.user_id)) is None:
        return Refreshed(None)
    async with transaction(conn, access):
        await ledger.begin_work(conn)
        await actions.record(conn, wanted.action, 1)
        return await store(conn, delivery)


async def ask(conn: Connection, access: Access, api: StackApi, project_id: str, user_id: UUID) -> Delivery | None:
    """Return the delivery that shows the user as Stack has it, None if Stack has no such user; raises as `refresh`."""
    async with transaction(conn, access):
        await runs.refuse_other_project(conn, project_id)
        requested_at = await session.now(conn)
    if (body := await api.user(user_id)) is None:
        return None
    return imports.Finder(uuid4(), requested_at, "reconcile").user(str(user_id), body, "user")


async def store(conn: Connection, delivery: Delivery) -> Refreshed:
    """Store a user's delivery, in the caller's transaction."""
    if delivery.error_code:
        await storage.put_dead(conn, delivery)
    else:
        await storage.put(conn, [delivery])
    await session.wake(conn)
    return Refreshed(delivery.message_id, delivery.error)
