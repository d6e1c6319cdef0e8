import asyncio

import pytest

from consumer.database import Access, connect, operator_access, receiver_access, transaction, worker_access

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
