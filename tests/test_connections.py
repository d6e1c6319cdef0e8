import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from psycopg import OperationalError
from psycopg.conninfo import make_conninfo
from psycopg_pool import PoolTimeout, TooManyRequests

from consumer.postgres.connections import (
    Access,
    Connection,
    Pool,
    RoleRefused,
    autocommit,
    connect,
    enter,
    open_pool,
    operator_access,
    receiver_access,
    transaction,
    worker_access,
)
from tests.faults.proxy import wire
from tests.support.polling import until
from tests.support.pooler import pooled

# More than one round of attempts makes before it is given up.
ATTEMPTS = 5
ALL = [make("consumer") for make in (receiver_access, worker_access, operator_access)]


@pytest.mark.parametrize("access", ALL, ids=lambda access: str(access.role))
async def test_a_transaction_says_its_role_its_limits_and_that_a_commit_is_durable(
    database_url: str, access: Access
) -> None:
    names = ("role", "synchronous_commit", "lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")

    show = "SELECT " + ", ".join(f"current_setting('{name}')" for name in names)

    async with await connect(database_url, access) as conn:
        # A server may be configured to lose what it has acknowledged.
        await conn.execute("SET synchronous_commit = off")
        async with transaction(conn, access):
            inside = await (await conn.execute(show)).fetchone() or ()
        outside = await (await conn.execute(show)).fetchone()

    assert inside[:2] == (access.role, "on")
    assert "0" not in inside[2:]
    assert outside == ("none", "off", "0", "0", "0")


async def test_a_connect_that_is_cancelled_at_its_last_step_leaves_no_session(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Connection] = []
    reached = asyncio.Event()

    async def held(self: Connection, _: object) -> None:
        opened.append(self)
        reached.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(Connection, "set_isolation_level", held)
    connecting = asyncio.create_task(connect(database_url, operator_access("consumer")))
    await reached.wait()
    connecting.cancel()
    await asyncio.wait([connecting])

    assert connecting.cancelled()
    assert [conn.closed for conn in opened] == [True]


async def test_a_connect_whose_last_statement_fails_leaves_no_session(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Connection] = []

    async def failing(self: Connection, *_: object) -> None:
        opened.append(self)
        raise OperationalError

    monkeypatch.setattr(Connection, "execute", failing)
    with pytest.raises(OperationalError):
        await connect(database_url, operator_access("consumer"))

    assert [conn.closed for conn in opened] == [True]


ROLE = "SELECT current_setting('role'), current_setting('lock_timeout'), current_setting('synchronous_commit')"


async def test_what_the_server_is_set_to_changes_neither_encoding_nor_isolation(database_url: str) -> None:
    access = receiver_access("consumer")
    odd = make_conninfo(database_url, client_encoding="LATIN1", options="-c default_transaction_isolation=serializable")
    asked = "SELECT current_setting('transaction_isolation'), '\u2603'"

    async with await connect(odd, access) as conn:
        async with transaction(conn, access):
            alone = await (await conn.execute(asked)).fetchone()
        await enter(conn, access)
        async with autocommit(conn, access):
            entered = await (await conn.execute(asked)).fetchone()

    assert alone == entered == ("read committed", "\u2603")


async def test_a_connection_that_may_not_take_its_role_is_told_of(database_url: str) -> None:
    access = replace(receiver_access("consumer"), role="nobody_knows")
    told: list[Exception | None] = []

    wait = timedelta(seconds=1)
    async with open_pool(database_url, access, size=1, wait_timeout=wait, attempted=told.append) as pool:
        with pytest.raises(PoolTimeout):
            async with pool.connection():
                pass

    assert {type(error) for error in told} == {RoleRefused}


async def test_a_pool_tries_to_connect_for_as_long_as_its_database_is_away(database_url: str) -> None:
    """Also when borrowers who gave up have filled the queue, so that none gets as far as asking for a connection."""
    told: list[Exception | None] = []

    wait, access = timedelta(seconds=0.05), receiver_access("consumer")

    with wire(database_url) as cable:
        async with open_pool(cable.url, access, size=1, wait_timeout=wait, attempted=told.append) as pool:
            await pool.wait()
            cable.cut()
            while not isinstance(await failure(pool), TooManyRequests):
                pass
            await until(lambda: sum(error is not None for error in told) > ATTEMPTS)
            cable.mend()
            await until(lambda: told[-1] is None)

            assert await failure(pool) is None


async def failure(pool: Pool) -> OperationalError | None:
    """Return what came of borrowing a connection and using it."""
    try:
        async with pool.connection() as conn:
            await conn.execute("SELECT 1")
    except OperationalError as error:
        return error
    return None


async def roles(conn: Connection, access: Access) -> tuple[object, object]:
    """Return what rules one statement, and what rules the session after it."""
    await conn.execute("SET synchronous_commit = off")
    await enter(conn, access)
    async with autocommit(conn, access):
        inside = await (await conn.execute(ROLE)).fetchone()
    return inside, await (await conn.execute(ROLE)).fetchone()


@pytest.mark.parametrize("access", ALL, ids=lambda access: str(access.role))
async def test_a_direct_session_is_entered_once_for_all(database_url: str, access: Access) -> None:
    async with await connect(database_url, access) as conn:
        inside, outside = await roles(conn, access)

    lock_timeout = f"{access.lock_timeout.total_seconds():g}s"
    assert inside == outside == (access.role, lock_timeout, "on")


async def test_a_session_behind_a_pooler_is_left_as_it_was(database_url: str) -> None:
    access = receiver_access("consumer")

    with pooled(database_url) as url:
        async with await connect(url, access) as conn:
            inside, outside = await roles(conn, access)

    assert inside == (access.role, "2s", "on")
    assert outside == ("none", "0", "off")
