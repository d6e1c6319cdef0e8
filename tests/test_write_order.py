"""Rows are written and locked in the order of their keys, in every worker the same: no two wait for each other."""

import asyncio
from typing import Any
from uuid import UUID

import psycopg
import pytest

from consumer.postgres.connections import connect, transaction
from consumer.postgres.queries import query
from tests.support.databases import rows
from tests.support.queries import ACCESS, DEAR, ran, unordered, written_down, written_keys
from tests.test_anew_rows import company, fill, joined, mirror, profile

IDS = [UUID(int=0xA0 + n) for n in range(9)]
MIXED = [IDS[n] for n in (4, 8, 0, 6, 2, 7, 1, 5, 3)]
COMPANIES = [UUID(int=0xC0 + n) for n in range(9)]
MIXED_COMPANIES = [COMPANIES[n] for n in (4, 8, 0, 6, 2, 7, 1, 5, 3)]
HELD = """
SELECT l.objid::int AS stripe FROM pg_locks AS l INNER JOIN pg_database AS d ON l.database = d.oid
WHERE l.locktype = 'advisory' AND l.granted AND d.datname = current_database() AND l.pid <> pg_backend_pid()
    AND l.classid = (hashtext('consumer.companies')::bigint & 4294967295)::oid
ORDER BY 1
"""
USER_IDS = {"user_ids": MIXED}
# By query: its values, the written table, and the keys in the order of the writing.
WRITES: dict[str, tuple[dict[str, Any], str, str, list[str]]] = {
    "users/lock": (USER_IDS, "identity.stack_user_profiles", "NEW.stack_user_id", [str(one) for one in IDS]),
    "rebuild_queue/put_users": (USER_IDS, "consumer.rebuild", "NEW.id", [str(one) for one in IDS]),
    "rebuild_queue/put_companies": (
        {"company_ids": MIXED, "stages": [3, 1]},
        "consumer.rebuild",
        "NEW.stage, NEW.id",
        [f"{stage} {one}" for stage in (1, 3) for one in IDS],
    ),
    "rebuild_queue/put_revived": (USER_IDS, "consumer.rebuild", "NEW.id", [str(one) for one in IDS]),
    "anew/rehome": (
        {"company_ids": MIXED, "seqs": list(range(9))},
        "consumer.rehome",
        "NEW.company_id",
        [str(one) for one in IDS],
    ),
    "anew/requeue": (
        {"user_ids": MIXED, "company_ids": MIXED_COMPANIES},
        "consumer.rebuild",
        "NEW.stage, NEW.id",
        # The users are queued by a part of the statement that runs after its main part.
        [*(f"3 {one}" for one in COMPANIES), *(f"2 {one}" for one in IDS)],
    ),
    "members/put": (
        USER_IDS,
        "identity.company_members",
        "NEW.company_id, NEW.user_id",
        [f"{where} {one}" for where in COMPANIES[:2] for one in IDS],
    ),
}


@pytest.mark.parametrize("name", WRITES)
async def test_a_statement_writes_in_the_order_of_the_keys(emptied: str, name: str) -> None:
    values, table, key, expected = WRITES[name]
    if name != "users/lock":
        fill(emptied, *(mirror(one, is_forgotten="TRUE") for one in MIXED))
    fill(emptied, *(company(one) for one in COMPANIES[:2]))
    fill(emptied, *(joined(one, where) for one in MIXED for where in (COMPANIES[1], COMPANIES[0])))

    with written_down(emptied, table, key):
        await ran(emptied, name, **values)
        assert written_keys(emptied) == expected


async def test_companies_that_are_made_anew_are_locked_from_the_lowest_stripe_up(emptied: str) -> None:
    async with await psycopg.AsyncConnection.connect(emptied) as stranger, await connect(emptied, ACCESS) as conn:
        await stranger.execute("SELECT pg_advisory_xact_lock(hashtext('consumer.companies'), 199)")

        async def lock() -> None:
            async with transaction(conn, ACCESS):
                await conn.execute(DEAR)
                await conn.execute(query("anew/lock_companies"), {"company_ids": MIXED_COMPANIES})

        locking = asyncio.create_task(lock())
        waiting = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        while not await asyncio.to_thread(rows, emptied, waiting):
            assert not locking.done()
            await asyncio.sleep(0.01)
        held = await asyncio.to_thread(rows, emptied, HELD)
        await stranger.rollback()
        await locking

    # The stranger holds 199.
    assert [row["stripe"] for row in held] == [*range(192, 199), 199]


async def test_users_that_are_locked_keep_their_rows_and_only_new_ones_are_told(emptied: str) -> None:
    fill(emptied, *(mirror(one, sync_version="7") for one in IDS[3:]))
    before = rows(emptied, "SELECT * FROM identity.stack_user_profiles ORDER BY stack_user_id")

    inserted = await ran(emptied, "users/lock", user_ids=MIXED)

    assert inserted == [(one,) for one in IDS[:3]]
    after = rows(emptied, "SELECT * FROM identity.stack_user_profiles ORDER BY stack_user_id")
    assert after[3:] == before


async def test_who_is_locked_is_locked_against_others_even_where_nothing_changes(emptied: str) -> None:
    fill(emptied, mirror(IDS[0]), mirror(IDS[1]), profile(IDS[0]))
    async with unordered(emptied) as conn:
        await conn.execute(query("users/lock"), {"user_ids": IDS[:1]})
        with psycopg.connect(emptied) as other:
            free = other.execute(
                "SELECT stack_user_id FROM identity.stack_user_profiles FOR UPDATE SKIP LOCKED"
            ).fetchall()

    assert free == [(IDS[1],)]
