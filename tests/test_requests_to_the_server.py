"""Requests to the server itself, and the small helpers that read its answers."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.errors import Diagnostic, ReadOnlySqlTransaction
from psycopg.rows import scalar_row

from consumer.postgres import queries, session
from consumer.postgres.connections import Connection, connect, operator_access, viewer_access
from consumer.postgres.connections import transaction as access_transaction
from consumer.postgres.first_rows import FirstRows, first_rows
from consumer.postgres.standby import NotReplicated, StandbyWait
from tests.support.databases import change, scratch_database
from tests.support.names import own

OPERATOR = operator_access("consumer")


async def shown(conn: Connection, name: str) -> object:
    [(value,)] = await (await conn.execute("SELECT current_setting(%s)", [name])).fetchall()
    return value


def warning(function: str | None) -> Diagnostic:
    return cast("Diagnostic", SimpleNamespace(source_function=function))


def test_a_commit_that_waited_in_vain_for_its_standby_is_no_commit_of_ours() -> None:
    wait = StandbyWait()
    wait.note(warning("CommitTransaction"))
    wait.note(warning(None))
    with wait.required():
        pass
    with pytest.raises(NotReplicated, match="this server alone has the commit"), wait.required():
        wait.note(warning("SyncRepWaitForLSN"))

    wait.note(warning("SyncRepWaitForLSN"))
    with wait.required():
        wait.note(warning("CommitTransaction"))


def test_a_list_of_first_rows_is_whole_unless_told() -> None:
    assert (FirstRows(), FirstRows().is_more) == ([], False)
    assert FirstRows([1], is_more=True).remark() == "The first 1, and more."
    assert FirstRows(range(1200), is_more=True).remark("there") == "The first 1,200, and more: there."
    assert FirstRows([1]).remark("there") == ""


async def test_first_rows_ask_for_one_more_than_they_show(database_url: str) -> None:
    async with await connect(database_url, OPERATOR) as conn:
        found = [await first_rows(conn, scalar_row, "system/sizes", {}, size=size) for size in (2, 1000)]

    assert [len(each) for each in found] == [2, len(found[1])]
    assert [each.is_more for each in found] == [True, False]
    assert found[1][:2] == found[0]


async def test_a_role_and_a_limit_last_until_the_transaction_ends(database_url: str) -> None:
    async with await connect(database_url, OPERATOR) as conn:
        before = [await shown(conn, name) for name in ("role", "lock_timeout", "transaction_read_only")]
        async with conn.transaction():
            await session.set_role(conn, "consumer_worker")
            await session.set_lock_timeout(conn, 1234)
            await session.forbid_writes(conn)
            inside = [await shown(conn, name) for name in ("role", "lock_timeout", "transaction_read_only")]
        after = [await shown(conn, name) for name in ("role", "lock_timeout", "transaction_read_only")]

    assert inside == ["consumer_worker", "1234ms", "on"]
    assert after == before


async def test_rights_of_another_role_are_those_that_are_inherited(database_url: str) -> None:
    async with await connect(database_url, OPERATOR) as conn, conn.transaction(force_rollback=True):
        for statement in (f"CREATE ROLE {own('heir')} INHERIT", f"CREATE ROLE {own('head')}"):
            await conn.execute(statement.encode())
        await conn.execute(f"GRANT {own('head')} TO {own('heir')}".encode())
        await conn.execute(f"SET LOCAL ROLE {own('heir')}".encode())
        found = [await session.has_rights_of(conn, role) for role in (own("head"), own("heir"), "consumer_worker")]

    assert found == [True, True, False]


async def test_constraints_are_checked_when_asked(database_url: str) -> None:
    async with await connect(database_url, OPERATOR) as conn, conn.transaction(force_rollback=True):
        await conn.execute("CREATE TEMPORARY TABLE t (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)")
        await conn.execute("INSERT INTO t VALUES (1), (1)")
        with pytest.raises(psycopg.errors.UniqueViolation):
            await session.check_constraints(conn)


async def test_who_listens_is_woken_by_a_commit_only(database_url: str) -> None:
    async with await connect(database_url, OPERATOR) as listener, await connect(database_url, OPERATOR) as conn:
        await session.listen(listener)
        async with conn.transaction(force_rollback=True):
            await session.wake(conn)
        nothing = [one async for one in listener.notifies(timeout=0)]
        async with conn.transaction():
            await session.wake(conn)
        found = [one.channel async for one in listener.notifies(timeout=5, stop_after=1)]

    assert (nothing, found) == ([], ["consumer_wake"])


async def test_the_clock_is_that_of_the_transaction(database_url: str) -> None:
    async with await connect(database_url, OPERATOR) as conn, conn.transaction():
        at = await session.now(conn)
        assert await session.now(conn) == at

    assert abs((datetime.now(UTC) - at).total_seconds()) < 600


async def test_the_oldest_transaction_is_anothers_of_this_database(server_url: str) -> None:
    with scratch_database(server_url, "ages") as url:
        await ages(server_url, url)


async def ages(server_url: str, database_url: str) -> None:
    async with (
        await connect(database_url, OPERATOR) as conn,
        await connect(server_url, OPERATOR) as elsewhere,
        elsewhere.transaction(),
    ):
        await elsewhere.execute("SELECT 1")
        async with conn.transaction():
            alone, at = await session.oldest_xmin(conn)
        async with await connect(database_url, OPERATOR) as other, other.transaction():
            [(begun,)] = await (await other.execute("SELECT now()")).fetchall()
            async with await connect(database_url, OPERATOR) as third, third.transaction():
                await third.execute("SELECT 1")
                seconds, later = await session.oldest_xmin(conn)

    assert (alone, at <= later) == (0.0, True)
    assert seconds == pytest.approx((later - begun).total_seconds(), abs=0.01)


async def read_only(url: str, *, allow: bool) -> Any:
    async with await connect(url, OPERATOR) as conn:
        if allow:
            await session.allow_writes(conn)
        async with access_transaction(conn, OPERATOR):
            return await shown(conn, "transaction_read_only")


@pytest.mark.parametrize("allow", [False, True])
async def test_a_default_that_forbids_writes_is_passed_by_when_asked(database_url: str, allow: bool) -> None:
    forbidden = make_conninfo(database_url, options="-c default_transaction_read_only=on")

    assert await read_only(forbidden, allow=allow) == ("off" if allow else "on")


@pytest.mark.parametrize("place", ["ROLE {login}", "ROLE {login} IN DATABASE {database}", "DATABASE {database}"])
async def test_only_a_login_of_its_own_is_read_only_without_meaning_it(server_url: str, place: str) -> None:
    """The same default of a database is a brake that somebody has pulled."""
    login, database = own("reads"), own("brake")
    where = place.format(login=login, database=database)
    change(server_url, f"CREATE DATABASE {database}")
    change(server_url, f"CREATE ROLE {login} LOGIN PASSWORD 'x'")
    try:
        change(server_url, f"ALTER {where} SET default_transaction_read_only = on")
        url = make_conninfo(server_url, dbname=database, user=login, password="x")
        async with await connect(url, OPERATOR) as conn, conn.transaction():
            found = await shown(conn, "transaction_read_only")
    finally:
        change(server_url, f"DROP DATABASE {database} WITH (FORCE)")
        change(server_url, f"DROP ROLE {login}")

    assert found == ("on" if place.startswith("DATABASE") else "off")


async def test_a_viewer_writes_nothing_even_where_writes_are_allowed(database_url: str) -> None:
    viewer = viewer_access("consumer")
    async with await connect(database_url, viewer) as conn:
        await session.allow_writes(conn)
        with pytest.raises(ReadOnlySqlTransaction):
            async with access_transaction(conn, viewer):
                await conn.execute("CREATE TABLE public.t (n int)")


def test_a_query_bears_its_name_behind_it_without_its_semicolon() -> None:
    assert queries.query("session/now").endswith(b"SELECT now() AS now\n/* consumer session/now */\n")
    assert {"session/now", "privileges/read"} < set(queries.names())
    assert queries.names() == sorted(queries.names())
    with pytest.raises(FileNotFoundError):
        queries.query("session/none")
    assert (queries.sql_root() / "queries" / "session").is_dir()
