"""What deliveries did to a user: applied one by one or side by side, and read from the tables."""

import asyncio
from uuid import UUID

from consumer.outbox.storage import Delivery
from consumer.postgres.connections import connect, transaction, worker_access
from consumer.settings.settings import DeletePolicy, ShapingSettings
from tests.support.databases import record, rows
from tests.support.factories import user_updated
from tests.support.kept import kept
from tests.support.outbox import apply_next, put, rehome_next

ACCESS = worker_access("consumer")


async def applied(url: str, *deliveries: Delivery) -> list[str]:
    """Store and apply deliveries, one batch each, and return their outcomes."""

    outcomes: list[str] = []
    async with kept(url, ACCESS) as conn:
        for each in deliveries:
            await put(conn, [each])
            outcomes += (await apply_next(conn, 10)).values()
    return outcomes


async def together(url: str, *deliveries: Delivery) -> list[str]:
    """Store and apply deliveries as one batch, and return their outcomes in the order given."""
    async with kept(url, ACCESS) as conn:
        await put(conn, deliveries)
        outcomes = await apply_next(conn, len(deliveries))
    by_id = {row["message_id"]: row["seq"] for row in rows(url, "SELECT message_id, seq FROM consumer.outbox")}
    return [outcomes[by_id[each.message_id]] for each in deliveries]


async def rehomed(url: str, page_size: int = 500) -> int:
    """Re-home until nobody waits; return the number of pages."""

    pages = 0
    async with kept(url, ACCESS) as conn:
        while await rehome_next(conn, page_size):
            pages += 1
    return pages


async def held_apart(url: str, first: Delivery, second: Delivery) -> bool:
    """Apply both at once, and return whether the second waited for the first.

    Either transaction has done its work when the other begins, and commits only when the other waits or is done.
    """
    async with await connect(url, ACCESS) as one, await connect(url, ACCESS) as other:
        await put(one, [first])
        async with transaction(one, ACCESS):
            await apply_next(one, 10)
            await put(other, [second])
            following = asyncio.create_task(apply_next(other, 10))
            is_waiting = not (await asyncio.wait({following}, timeout=0.3))[0]
        await following
        return is_waiting


async def under(url: str, policy: DeletePolicy) -> str:
    await record(url, ShapingSettings(delete_policy=policy))
    return url


def profile(url: str, user_id: UUID, columns: str = "*") -> dict[str, object]:
    [row] = rows(url, f"SELECT {columns} FROM identity.profiles WHERE user_id = '{user_id}'")
    return row


def audit(url: str, columns: str = "operation, changed_fields") -> list[tuple[object, ...]]:
    return [tuple(row.values()) for row in rows(url, f"SELECT {columns} FROM identity.profile_audit ORDER BY id")]


def home(url: str, user_id: UUID) -> object:
    mirrored = rows(url, f"SELECT company_id FROM identity.stack_user_profiles WHERE stack_user_id = '{user_id}'")
    assert mirrored == [profile(url, user_id, "company_id")]
    return mirrored[0]["company_id"]


def placed_in(team_id: UUID | str, user_id: UUID | None = None) -> Delivery:
    return user_updated(user_id, server_metadata={"company_id": str(team_id)})
