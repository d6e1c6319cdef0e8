"""What each of our sessions is limited to, by value: in a transaction, after it, in the pool and on the socket."""

import asyncio
import os
import socket
import sys
import time
from contextlib import nullcontext, suppress
from datetime import timedelta

import pytest
from psycopg.conninfo import make_conninfo
from psycopg_pool import PoolTimeout, TooManyRequests

from consumer.cli.serve import CONNECTION_TIMEOUT, CONNECTIONS
from consumer.postgres import session
from consumer.postgres.connections import (
    Access,
    Connection,
    as_login,
    autocommit,
    connect,
    enter,
    open_pool,
    operator_access,
    receiver_access,
    transaction,
    worker_access,
)
from tests.support.pooler import pooled

# As the server shows them: statement, lock and idle in transaction.
TIMEOUTS = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
LIMITS = {
    "receiver": (receiver_access, ("3s", "2s", "5s")),
    "worker": (worker_access, ("30s", "3s", "10s")),
    "operator": (operator_access, ("10min", "5s", "1min")),
}
# Seconds for a connect, and milliseconds for what is sent and not acknowledged.
WIRE = {"receiver": (3, 4_000), "worker": (5, 10_000), "operator": (5, 10_000)}
KEEPALIVE = {"keepalives": "1", "keepalives_idle": "30", "keepalives_interval": "5", "keepalives_count": "3"}
# What a server, a login or a pooler's last client may have left: the opposite of all that we rely on.
LEFT = {
    **dict.fromkeys(TIMEOUTS, "7777ms"),
    "synchronous_commit": "off",
    "client_min_messages": "error",
    "default_transaction_isolation": "serializable",
    "idle_session_timeout": "7777ms",
    "search_path": "odd,public",
    "row_security": "off",
    "array_nulls": "off",
    "standard_conforming_strings": "off",
    "quote_all_identifiers": "on",
    "exit_on_error": "on",
    "log_parameter_max_length_on_error": "77B",
    "plan_cache_mode": "force_generic_plan",
    "jit": "on",
    "role": "none",
}
# A command may leave its session idle for longer than a server allows: it would be ended.
CONNECTED = {**LEFT, "idle_session_timeout": "0"}
# What they become.
NEEDED = {
    "synchronous_commit": "on",
    "client_min_messages": "warning",
    "default_transaction_isolation": "read committed",
    "idle_session_timeout": "0",
    "search_path": "pg_catalog, odd,public",
    "row_security": "on",
    "array_nulls": "on",
    "standard_conforming_strings": "on",
    "quote_all_identifiers": "off",
    "exit_on_error": "off",
    "log_parameter_max_length_on_error": "0",
    "plan_cache_mode": "auto",
    "jit": "off",
}
ODD = " ".join(f"-c {name}={value}" for name, value in LEFT.items() if name != "role")
SHOW = "SELECT " + ", ".join(f"current_setting('{name}')" for name in LEFT)


def limits(duty: str) -> dict[str, str]:
    """Return the settings of whatever has its limits."""
    return {
        **dict(zip(TIMEOUTS, LIMITS[duty][1], strict=True)),
        **NEEDED,
        "role": f"consumer_{duty}",
    }


async def settings(conn: Connection) -> dict[str, str]:
    [row] = await (await conn.execute(SHOW)).fetchall()
    return dict(zip(LEFT, row, strict=True))


@pytest.mark.parametrize("duty", LIMITS)
def test_the_limits_of_a_transaction_end_with_it(duty: str, database_url: str) -> None:
    """A session that is not entered; so is each behind a pooler."""
    access = LIMITS[duty][0]("consumer")

    async def run() -> None:
        async with await connect(make_conninfo(database_url, options=ODD), access) as conn:
            for kind in (transaction, autocommit):
                async with kind(conn, access):
                    assert await settings(conn) == limits(duty)
                assert await settings(conn) == CONNECTED
            with suppress(ZeroDivisionError):
                async with transaction(conn, access):
                    raise ZeroDivisionError
            assert await settings(conn) == CONNECTED

    asyncio.run(run())


@pytest.mark.parametrize("is_direct", [True, False], ids=["direct", "behind a pooler"])
@pytest.mark.parametrize("duty", LIMITS)
def test_a_session_has_its_limits_as_a_whole_only_where_it_is_its_own(
    duty: str, is_direct: bool, database_url: str
) -> None:
    access = LIMITS[duty][0]("consumer")
    before, after = (CONNECTED, limits(duty)) if is_direct else (LEFT, LEFT)

    async def run(url: str) -> None:
        async with await connect(url, access) as conn:
            assert await settings(conn) == before
            assert await enter(conn, access) is conn.is_entered is is_direct
            assert await settings(conn) == after
            async with transaction(conn, access):
                assert await settings(conn) == limits(duty)
                [isolation] = await (await conn.execute("SHOW transaction_isolation")).fetchall()
                assert isolation == ("read committed",)
            async with autocommit(conn, access):
                assert await settings(conn) == limits(duty)
            assert await settings(conn) == after

    odd = make_conninfo(database_url, options=ODD)
    with nullcontext(odd) if is_direct else pooled(odd) as url:
        asyncio.run(run(url))


@pytest.mark.parametrize("is_direct", [True, False], ids=["direct", "behind a pooler"])
@pytest.mark.parametrize(
    ("default", "kept"),
    [("off", "on"), ("local", "on"), ("remote_write", "on"), ("on", "on"), ("remote_apply", "remote_apply")],
)
def test_no_session_waits_for_less_than_on_and_one_that_waits_for_more_still_does(
    default: str, kept: str, is_direct: bool, database_url: str
) -> None:
    access = receiver_access("consumer")

    async def run(url: str) -> None:
        async with await connect(url, access) as conn:
            await enter(conn, access)
            for kind in (transaction, autocommit):
                async with kind(conn, access):
                    assert (await settings(conn))["synchronous_commit"] == kept

    odd = make_conninfo(database_url, options=f"-c synchronous_commit={default}")
    with nullcontext(odd) if is_direct else pooled(odd) as url:
        asyncio.run(run(url))


@pytest.mark.parametrize("left", ["", "odd", "pg_catalog", '"$user", public', "odd, pg_catalog"])
def test_the_search_path_begins_with_postgresqls_own_functions(left: str, database_url: str) -> None:
    access = worker_access("consumer")

    async def run() -> list[str]:
        async with await connect(database_url, access) as conn:
            await conn.execute("SELECT set_config('search_path', %s, FALSE)", [left])
            await enter(conn, access)
            [(schemas,)] = await (await conn.execute("SELECT current_schemas(FALSE)::text[]")).fetchall()
            return list(schemas)

    assert asyncio.run(run())[0] == "pg_catalog"


def test_a_transaction_of_the_login_itself_has_the_settings_and_no_other_role(database_url: str) -> None:
    access = operator_access("consumer")

    async def run() -> None:
        async with await connect(make_conninfo(database_url, options=ODD), access) as conn:
            async with as_login(conn, access):
                assert await settings(conn) == limits("operator") | {"role": "none"}
            assert await settings(conn) == CONNECTED

    asyncio.run(run())


@pytest.mark.parametrize("milliseconds", [1, 300])
def test_a_shorter_wait_for_locks_ends_with_its_transaction(milliseconds: int, database_url: str) -> None:
    access = worker_access("consumer")

    async def run() -> None:
        async with await connect(make_conninfo(database_url, options=ODD), access) as conn:
            await enter(conn, access)
            async with transaction(conn, access):
                await session.set_lock_timeout(conn, milliseconds)
                assert await settings(conn) == limits("worker") | {"lock_timeout": f"{milliseconds}ms"}
            assert await settings(conn) == limits("worker")

    asyncio.run(run())


@pytest.mark.parametrize("duty", LIMITS)
def test_a_role_bears_the_prefix_it_is_told(duty: str) -> None:
    assert LIMITS[duty][0]("other").role == f"other_{duty}"


async def connected(conninfo: str, access: Access) -> tuple[dict[str, str], dict[str, str]]:
    """Return what libpq was told, and name and encoding as the server knows them."""
    async with await connect(conninfo, access) as conn:
        shown = "SELECT current_setting('application_name'), current_setting('client_encoding')"
        [(name, encoding)] = await (await conn.execute(shown)).fetchall()
        return conn.info.get_parameters(), {"application_name": name, "client_encoding": encoding}


@pytest.mark.parametrize("duty", LIMITS)
def test_a_connection_string_changes_no_limit_of_the_wire_nor_the_name_nor_the_encoding(
    duty: str, database_url: str
) -> None:
    seconds, milliseconds = WIRE[duty]
    identity = {"application_name": f"consumer {duty}", "client_encoding": "UTF8"}
    told = {"connect_timeout": str(seconds), "tcp_user_timeout": str(milliseconds), **KEEPALIVE, **identity}
    odd = make_conninfo(database_url, **dict.fromkeys(told, "77") | {"client_encoding": "LATIN1"})

    for conninfo in (database_url, odd):
        parameters, shown = asyncio.run(connected(conninfo, LIMITS[duty][0]("consumer")))
        assert {name: parameters[name] for name in told} == told
        assert shown == identity


@pytest.mark.skipif(sys.platform != "linux", reason="the options of a socket have other names")
@pytest.mark.parametrize("duty", LIMITS)
def test_a_peer_that_is_lost_is_noticed_by_the_socket(duty: str, database_url: str) -> None:
    options = ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_USER_TIMEOUT")

    async def run(url: str) -> list[int]:
        async with await connect(url, LIMITS[duty][0]("consumer")) as conn:
            with socket.socket(fileno=os.dup(conn.fileno())) as wire:
                is_kept_alive = wire.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
                values = [wire.getsockopt(socket.IPPROTO_TCP, getattr(socket, option)) for option in options]
        return [is_kept_alive, *values]

    with pooled(database_url) as url:
        assert asyncio.run(run(url)) == [1, 30, 5, 3, WIRE[duty][1]]


@pytest.mark.parametrize("size", [1, 3])
def test_a_pool_is_of_its_size_and_lets_four_times_as_many_wait(size: int, database_url: str) -> None:
    access, wait = receiver_access("consumer"), timedelta(seconds=0.2)

    async def run() -> list[type | None]:
        async with open_pool(database_url, access, size=size, wait_timeout=wait) as pool:
            assert (pool.min_size, pool.max_size, pool.max_waiting) == (size, size, 4 * size)
            assert (pool.timeout, pool.reconnect_timeout, pool.name) == (0.2, 1.0, "consumer receiver")
            lent = [await pool.getconn() for _ in range(size)]
            began = time.monotonic()
            waiting = [asyncio.ensure_future(pool.getconn()) for _ in range(4 * size + 1)]
            answers = await asyncio.gather(*waiting, return_exceptions=True)
            assert 0.19 < time.monotonic() - began < 2
            for conn in lent:
                assert (conn.is_entered, conn.prepare_threshold) == (True, 0)
                await pool.putconn(conn)
        return [type(answer) for answer in answers]

    assert asyncio.run(run()) == [PoolTimeout] * 4 * size + [TooManyRequests]


def test_a_pool_behind_a_pooler_prepares_nothing(database_url: str) -> None:
    async def run(url: str) -> None:
        wait = timedelta(seconds=5)
        async with (
            open_pool(url, receiver_access("consumer"), size=1, wait_timeout=wait) as pool,
            pool.connection() as conn,
        ):
            assert (conn.is_entered, conn.prepare_threshold, conn.autocommit) == (False, None, True)

    with pooled(database_url) as url:
        asyncio.run(run(url))


def test_a_receiver_has_a_connection_for_each_commit_and_one_for_who_only_asks() -> None:
    assert (3, timedelta(seconds=2)) == (CONNECTIONS, CONNECTION_TIMEOUT)
