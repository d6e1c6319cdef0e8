import asyncio

import pytest

from consumer.database import (
    Access,
    Connection,
    connect,
    enter,
    operator_access,
    receiver_access,
    statement,
    transaction,
    worker_access,
)
from tests.pooler import pooled

ALL = [make("consumer") for make in (receiver_access, worker_access, operator_access)]


@pytest.mark.parametrize("access", ALL, ids=lambda access: str(access.role))
def test_a_transaction_says_its_role_its_limits_and_that_a_commit_is_durable(database_url: str, access: Access) -> None:
    names = ("role", "synchronous_commit", "lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")

    async def settings() -> tuple[list[object], list[object]]:
        async with await connect(database_url, access) as conn:
            # A server may be configured to lose what it has acknowledged.
            await conn.execute("SET synchronous_commit = off")
            show = "SELECT " + ", ".join(f"current_setting('{name}')" for name in names)
            async with transaction(conn, access):
                inside = await (await conn.execute(show)).fetchone()
            outside = await (await conn.execute(show)).fetchone()
        return list(inside or ()), list(outside or ())

    inside, outside = asyncio.run(settings())

    assert inside[:2] == [access.role, "on"]
    assert "0" not in inside[2:]
    assert outside == ["none", "off", "0", "0", "0"]


ROLE = "SELECT current_setting('role'), current_setting('lock_timeout'), current_setting('synchronous_commit')"


async def roles(conn: Connection, access: Access) -> tuple[object, object]:
    """Return what rules one statement, and what rules the session after it."""
    await conn.execute("SET synchronous_commit = off")
    await enter(conn, access)
    async with statement(conn, access):
        inside = await (await conn.execute(ROLE)).fetchone()
    return inside, await (await conn.execute(ROLE)).fetchone()


@pytest.mark.parametrize("access", ALL, ids=lambda access: str(access.role))
def test_a_direct_session_is_entered_once_for_all(database_url: str, access: Access) -> None:
    async def run() -> tuple[object, object]:
        async with await connect(database_url, access) as conn:
            return await roles(conn, access)

    inside, outside = asyncio.run(run())

    lock_timeout = f"{access.lock_timeout.total_seconds():g}s"
    assert inside == outside == (access.role, lock_timeout, "on")


def test_a_session_behind_a_pooler_is_left_as_it_was(database_url: str) -> None:
    access = receiver_access("consumer")

    async def run() -> tuple[object, object]:
        with pooled(database_url) as url:
            async with await connect(url, access) as conn:
                return await roles(conn, access)

    inside, outside = asyncio.run(run())

    assert inside == (access.role, "2s", "on")
    assert outside == ("none", "0", "off")
