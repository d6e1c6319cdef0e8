"""Pools: how their connections are set up, what is reported, and what happens when none is left."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import timedelta

import psycopg
import pytest
from psycopg import IsolationLevel
from psycopg.conninfo import make_conninfo
from psycopg_pool import AsyncConnectionPool, PoolTimeout, TooManyRequests

from consumer.postgres.connections import (
    Connection,
    Pool,
    RoleRefused,
    autocommit,
    open_pool,
    receiver_access,
)
from tests.support.databases import end_sessions
from tests.support.intake import backends
from tests.support.names import own
from tests.support.pooler import pooled
from tests.support.processes import until
from tests.support.still_clock import StillLoop, advance, run_still, settle

RECEIVER = receiver_access("consumer")
SHOW = "SELECT current_setting('role'), current_setting('synchronous_commit'), current_setting('lock_timeout')"
ENTERED = ["consumer_receiver", "on", "2s"]
SECOND = timedelta(seconds=1)


async def shown(conn: Connection) -> list[object]:
    return list(await (await conn.execute(SHOW)).fetchone() or ())


def odd(url: str) -> str:
    """Return a conninfo whose sessions are set up otherwise than we need them."""
    return make_conninfo(url, options="-c synchronous_commit=off -c default_transaction_isolation=serializable")


def with_pool(
    url: str,
    act: Callable[[Pool], Awaitable[None]],
    *,
    size: int = 2,
    attempted: Callable[[Exception | None], None] = lambda _: None,
) -> None:
    async def run(_: StillLoop) -> None:
        async with open_pool(url, RECEIVER, size=size, wait_timeout=SECOND, attempted=attempted) as pool:
            await pool.wait()
            await act(pool)
        assert pool.closed

    run_still(run)


@pytest.mark.parametrize("is_pooled", [False, True], ids=["direct", "behind a pooler"])
def test_a_pool_s_connections_are_entered_and_prepare_at_once_unless_a_pooler_lends_them(
    database_url: str, is_pooled: bool
) -> None:
    async def act(pool: Pool) -> None:
        async with pool.connection() as conn:
            assert (conn.is_entered, conn.prepare_threshold) == ((False, None) if is_pooled else (True, 0))
            assert (conn.autocommit, conn.isolation_level) == (True, IsolationLevel.READ_COMMITTED)
            assert (await shown(conn) == ENTERED) is not is_pooled
            async with autocommit(conn, RECEIVER):
                assert await shown(conn) == ENTERED

    with pooled(odd(database_url)) if is_pooled else nullcontext(odd(database_url)) as url:
        with_pool(url, act)


def test_a_pool_has_its_size_from_the_start_and_names_itself(database_url: str) -> None:
    async def act(pool: Pool) -> None:
        assert (pool.min_size, pool.max_size, pool.name, pool.timeout) == (2, 2, "consumer receiver", 1)
        assert len(backends(database_url)) == 2
        async with pool.connection(), pool.connection():
            assert len(backends(database_url)) == 2

    with_pool(database_url, act)

    until(lambda: not backends(database_url))


def test_a_pool_lends_a_lost_connection_unchecked_and_its_drain_replaces_all(database_url: str) -> None:
    async def act(pool: Pool) -> None:
        before = backends(database_url)
        end_sessions(database_url, "receiver")
        with pytest.raises(psycopg.OperationalError):
            async with pool.connection() as conn:
                await conn.execute("SELECT")
        await pool.drain()
        for _round in range(2):
            async with pool.connection() as conn:
                assert conn.info.backend_pid not in before

    with_pool(database_url, act)


def test_a_borrower_waits_a_second_and_four_times_the_size_may_wait(database_url: str) -> None:
    async def act(pool: Pool) -> None:
        async with pool.connection(), pool.connection():
            waiting = [asyncio.create_task(pool.getconn()) for _ in range(8)]
            await settle()
            with pytest.raises(TooManyRequests):
                await pool.getconn()
            await advance(1 - 0.25)
            assert not any(task.done() for task in waiting)
            await advance(0.25)
            await asyncio.wait(waiting)
            assert {type(task.exception()) for task in waiting} == {PoolTimeout}

    with_pool(database_url, act)


def test_a_pool_s_end_waits_a_second_for_its_attempts(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    patience: list[float] = []
    close = AsyncConnectionPool.close

    async def noting(pool: Pool, **named: float) -> None:
        patience.append(named["timeout"])
        await close(pool, **named)

    monkeypatch.setattr(AsyncConnectionPool, "close", noting)

    async def act(_: Pool) -> None:
        assert not patience

    with_pool(database_url, act)

    assert patience == [1.0]


def test_each_attempt_to_connect_is_reported_once(database_url: str) -> None:
    told: list[Exception | None] = []

    async def act(_: Pool) -> None:
        assert told == [None, None, None]

    with_pool(database_url, act, size=3, attempted=told.append)


def test_a_pool_that_cannot_connect_reports_it_and_has_a_second_a_round() -> None:
    told: list[Exception | None] = []

    async def run(_: StillLoop) -> None:
        nowhere = "host=127.0.0.1 port=1 dbname=x user=x"
        async with open_pool(nowhere, RECEIVER, size=1, wait_timeout=SECOND, attempted=told.append) as pool:
            assert (pool.reconnect_timeout, pool.reconnect_failed is None) == (1, False)
            await asyncio.to_thread(until, lambda: len(told) == 1)

    run_still(run)

    assert [type(error) for error in told] == [psycopg.OperationalError]


@contextmanager
def without_role(url: str) -> Iterator[str]:
    """Yield a conninfo whose login may not take a role."""
    with psycopg.connect(url, autocommit=True) as conn:
        login = own("nobody_much")
        conn.execute(f"CREATE ROLE {login} LOGIN PASSWORD 'x'")
        try:
            yield make_conninfo(url, user=login, password="x")
        finally:
            conn.execute(f"DROP OWNED BY {login}; DROP ROLE {login}")


def test_a_connection_that_may_not_take_its_role_is_reported_as_such_and_never_lent(database_url: str) -> None:
    told: list[Exception | None] = []

    async def run(_: StillLoop) -> None:
        with without_role(database_url) as url:
            async with open_pool(url, RECEIVER, size=1, wait_timeout=SECOND, attempted=told.append) as pool:
                await asyncio.to_thread(until, lambda: told)
                assert pool.get_stats()["pool_available"] == 0

    run_still(run)

    assert {type(error) for error in told} == {RoleRefused}
