"""What the doctor reads of the server's activity: every session and snapshot counts as it should, and no other."""

from collections.abc import Sequence

import pytest

from consumer.doctor.server import Activity, activity
from tests.support.passing import passing

# What PostgreSQL shows of sessions, prepared transactions and slots, as tables that a test may fill.
SHOWN = """
    CREATE TEMP TABLE pg_stat_activity (
        datname text DEFAULT current_database(), pid int DEFAULT 0, usesysid oid DEFAULT 10,
        application_name text DEFAULT '', backend_xmin xid, xact_start timestamptz,
        backend_type text DEFAULT 'client backend'
    );
    CREATE TEMP TABLE pg_prepared_xacts (database text DEFAULT current_database(), transaction xid);
    CREATE TEMP TABLE slots (own_xmin xid, catalog_xmin xid);
    CREATE TEMP VIEW pg_replication_slots AS SELECT own_xmin AS xmin, catalog_xmin FROM slots;
    SET LOCAL search_path = pg_temp, pg_catalog;
"""
EMPTY = Activity(0, 0, 0, None, 0, 0)
SESSION, PREPARED, SLOT = "pg_stat_activity", "pg_prepared_xacts", "slots"


def xid(age: int) -> str:
    """Return in SQL the transaction id of that age."""
    return f"(pg_current_xact_id()::text::bigint - {age})::text::xid"


async def seen(url: str, *shown: tuple[str, dict[str, str]]) -> Activity:
    """Return the activity of a server that shows these rows, whose values are SQL."""
    async with passing(url, SHOWN) as conn:
        for table, values in shown:
            names, texts = ", ".join(values), ", ".join(values.values())
            await conn.execute(f"INSERT INTO {table} ({names}) VALUES ({texts})".encode())
        return await activity(conn)


def session(**values: str) -> tuple[str, dict[str, str]]:
    return SESSION, {"datname": "current_database()"} | values


def began(seconds: int, name: str, **values: str) -> tuple[str, dict[str, str]]:
    started = f"now() - interval '{seconds} seconds'"
    return session(xact_start=started, application_name=f"'{name}'", **values)


async def test_a_server_without_activity_has_zeros(emptied: str) -> None:
    assert await seen(emptied) == EMPTY


async def test_every_client_s_connection_counts_also_a_hidden_one(emptied: str) -> None:
    kinds = ("NULL", "'client backend'", "'autovacuum worker'", "'walsender'")
    shown = [session(backend_type=kind, datname="'other'") for kind in kinds]

    assert (await seen(emptied, *shown)).connections == 2


async def test_the_oldest_transaction_of_this_database_and_of_another_session_is_named(emptied: str) -> None:
    found = await seen(
        emptied,
        began(5, "young"),
        began(9, "old"),
        began(7, "middle"),
        began(99, "elsewhere", datname="'other'"),
        began(99, "own", pid="pg_backend_pid()"),
        session(application_name="'idle'"),
    )

    assert (found.transaction_seconds, found.transaction_application) == (9, "old")


async def test_a_worker_s_session_is_told_by_its_name_and_by_what_its_login_may_do(emptied: str) -> None:
    worker, receiver = ("'consumer_worker'::regrole", "'consumer_receiver'::regrole")
    name = "'consumer worker'"

    found = await seen(
        emptied,
        session(application_name=name, usesysid=worker),
        session(application_name=name, usesysid="10"),
        session(application_name=name, usesysid=receiver),
        session(application_name="'consumer workers'", usesysid=worker),
        session(application_name=name, usesysid=worker, datname="'other'"),
    )

    assert found.workers == 2


@pytest.mark.parametrize(
    ("shown", "age"),
    [
        ([session(backend_xmin=xid(7)), session(backend_xmin=xid(9)), session(backend_xmin=xid(8))], 9),
        ([session(backend_xmin=xid(9), datname="'other'"), session(backend_xmin=xid(7))], 7),
        ([session(backend_xmin=xid(9), pid="pg_backend_pid()")], 0),
        ([(PREPARED, {"transaction": xid(7)}), (PREPARED, {"transaction": xid(8)})], 8),
        ([(PREPARED, {"transaction": xid(9), "database": "'other'"}), (PREPARED, {"transaction": xid(7)})], 7),
        ([(SLOT, {"own_xmin": xid(7)}), (SLOT, {"own_xmin": xid(8)})], 8),
        ([(SLOT, {"own_xmin": xid(7), "catalog_xmin": xid(8)}), (SLOT, {"catalog_xmin": xid(9)})], 9),
        ([(SLOT, {"own_xmin": xid(8), "catalog_xmin": xid(7)})], 8),
        ([session(backend_xmin=xid(9)), (PREPARED, {"transaction": xid(7)}), (SLOT, {"own_xmin": xid(8)})], 9),
        ([session(backend_xmin=xid(8)), (PREPARED, {"transaction": xid(9)}), (SLOT, {"own_xmin": xid(7)})], 9),
        ([session(backend_xmin=xid(7)), (PREPARED, {"transaction": xid(8)}), (SLOT, {"own_xmin": xid(9)})], 9),
    ],
)
async def test_the_oldest_snapshot_may_be_a_session_s_a_prepared_one_s_or_a_slot_s(
    emptied: str, shown: Sequence[tuple[str, dict[str, str]]], age: int
) -> None:
    assert (await seen(emptied, *shown)).xmin_age == age


async def test_prepared_transactions_of_this_database_are_counted(emptied: str) -> None:
    other = (PREPARED, {"transaction": xid(1), "database": "'other'"})
    own = (PREPARED, {"transaction": xid(1)})

    assert (await seen(emptied, own, other, own)).prepared_transactions == 2
