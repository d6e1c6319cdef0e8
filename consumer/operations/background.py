"""Actions in the background: an operator orders one, and it is done page by page.

Each page commits together with the place where the action goes on. After a kill any process goes on there, and no page
is done twice.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from psycopg.rows import args_row, scalar_row
from psycopg.types.json import Jsonb

from consumer import logs
from consumer.errors import ConsumerError, SettingsMismatch, TryLater, WrongRelease
from consumer.operations import actions
from consumer.operations.actions import Action
from consumer.postgres import ledger
from consumer.postgres.connections import Access, Connection, transaction
from consumer.postgres.error_classes import code
from consumer.postgres.queries import query, rows

# Nothing is put back to pending while so many deliveries wait there: workers go by the number, so they would apply the
# old ones first. A fifth of a worker's batch: a live delivery waits some milliseconds longer.
PENDING_MAX = 200
# As the table checks it.
ERROR_CHARACTERS_MAX = 1000
# An upgrade, another console or some minutes end these.
TEMPORARY = (TryLater, WrongRelease, SettingsMismatch)

log = logging.getLogger(__name__)


class Order(NamedTuple):
    """An action that is not finished, as it was recorded, and how far it is."""

    id: UUID
    actor: str
    action: str
    filter: Mapping[str, Any]
    reason: str | None
    place: Mapping[str, Any]
    result: Mapping[str, Any]


class PageDone(NamedTuple):
    """What one transaction did: the place to go on from, None at the end; the rows affected; the result so far."""

    place: Mapping[str, Any] | None
    affected: int
    result: Mapping[str, Any]


# Does a page in the caller's transaction.
Commit = Callable[[Connection], Awaitable[PageDone]]
# Asks what must be known before, outside of any transaction. Another console may do the same page, so it is short.
OrderWork = Callable[[Connection, Access, Order], Awaitable[Commit]]


async def is_known(conn: Connection, action_id: UUID) -> bool:
    """Tell whether an action with this id was recorded: then a form was sent twice."""
    return await rows(conn, scalar_row, "background/is_known", {"id": action_id}) == [True]


async def put(conn: Connection, action: Action) -> None:
    """Queue an action that is not known, in the caller's transaction."""
    await actions.record(conn, action, 0)
    await conn.execute(query("background/put"), {"id": action.id})


async def is_any(conn: Connection, access: Access) -> bool:
    """Tell whether an action is not finished."""
    async with transaction(conn, access):
        return await rows(conn, scalar_row, "background/is_any") == [True]


async def run_once(conn: Connection, access: Access, works: Mapping[str, OrderWork]) -> bool:
    """Do one page of the action that has waited longest; return False if none can go on now.

    A ConsumerError ends the action and is its result, unless it is TEMPORARY. After that and any other error the page
    is tried again later, and another action goes on first. An error is raised only if it has closed the connection.
    """
    async with transaction(conn, access):
        values = {"pending_max": PENDING_MAX, "known": list(works)}
        found = await rows(conn, args_row(Order), "background/next", values)
    if not found:
        return False
    [order] = found
    try:
        commit = await works[order.action](conn, access, order)
        async with transaction(conn, access):
            await ledger.begin_work(conn)
            # Another process does the page, or has done it since.
            if not await rows(conn, scalar_row, "background/lock", {"id": order.id, "place": Jsonb(order.place)}):
                return False
            await _advance(conn, order, await commit(conn))
    except ConsumerError as error:
        await _fail(conn, access, order, str(error), is_final=not isinstance(error, TEMPORARY))
    # A bug of ours, or an error that PostgreSQL names.
    except Exception as error:
        if conn.closed:
            raise
        log.exception(logs.TASK_FAILED, extra={"task": f"action {order.action}"})
        name = code(error) if isinstance(error, psycopg.Error) else type(error).__name__
        await _fail(conn, access, order, name, is_final=False)
    return True


async def _advance(conn: Connection, order: Order, done: PageDone) -> None:
    values = {
        "id": order.id,
        "place": Jsonb(done.place or {}),
        "is_finished": done.place is None,
        "result": Jsonb(done.result),
        "affected": done.affected,
    }
    await conn.execute(query("background/advance"), values)


async def _fail(conn: Connection, access: Access, order: Order, error: str, *, is_final: bool) -> None:
    values = {"id": order.id, "error": error[:ERROR_CHARACTERS_MAX], "is_final": is_final}
    async with transaction(conn, access):
        await conn.execute(query("background/fail"), values)
