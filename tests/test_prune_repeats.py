"""Repeats of what a prune has removed: they are known by their key, and change nothing."""

import asyncio
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

from consumer.outbox import storage
from consumer.outbox.storage import Delivery
from consumer.postgres.connections import connect, operator_access, receiver_access, transaction, worker_access
from consumer.postgres.queries import query
from tests.laws.test_function_of_the_set import written
from tests.support.databases import rows
from tests.support.factories import delivery, edited, team, team_event, user_updated
from tests.support.outbox import arrive, pruned, put, rebuild_everything, replayed, work
from tests.support.polling import until

OPERATOR, WORKER, RECEIVER = operator_access("consumer"), worker_access("consumer"), receiver_access("consumer")
USER, TEAM = UUID(int=1), UUID(int=2)
WAITING = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
STORED = "SELECT message_id, state, outcome FROM consumer.deliveries ORDER BY seq"


async def prune(url: str) -> None:
    async with await connect(url, OPERATOR) as conn:
        await pruned(conn)


async def rebuilt(url: str) -> list[object]:
    async with await connect(url, WORKER) as conn:
        await rebuild_everything(conn)
    return written(url)


def later(told: Delivery) -> Delivery:
    """The sender's next attempt, under another time because its id holds none."""
    return told._replace(occurred_at=told.occurred_at + timedelta(hours=1))


SELECTED = user_updated(USER, selected_team=team(TEAM))
FIRST = {"a selected team": [SELECTED]}
# What is superseded, and what supersedes it; applied again under a later time it would win.
PAIRS = {
    "an edit": (edited(USER, role_type="owner"), edited(USER, role_type="admin")),
    "a snapshot": (user_updated(USER, display_name="Old"), user_updated(USER, display_name="New")),
    "a selected team": (
        user_updated(USER, selected_team=team(TEAM, display_name="Old")),
        user_updated(USER, selected_team=team(TEAM, display_name="New")),
    ),
    "a sign-in": (delivery("user.signed_in", USER, "app"), delivery("user.signed_in", USER, "app")),
    "a team's event": (
        team_event("updated", TEAM, display_name="Old"),
        team_event("updated", TEAM, display_name="New"),
    ),
}


@pytest.mark.parametrize(("kind", "pair"), PAIRS.items(), ids=PAIRS)
async def test_a_late_repeat_is_not_stored(kind: str, pair: tuple[Delivery, Delivery], emptied: str) -> None:
    await arrive(emptied, *FIRST.get(kind, ()), *pair)
    await work(emptied)
    await prune(emptied)
    left, before = rows(emptied, STORED), written(emptied)

    await arrive(emptied, later(pair[0]), later(pair[0])._replace(error_code="not_json", error="$"))
    await work(emptied)

    assert pair[0].message_id not in {row["message_id"] for row in left}
    assert rows(emptied, STORED) == left
    assert written(emptied) == before


@pytest.mark.parametrize(("kind", "pair"), PAIRS.items(), ids=PAIRS)
async def test_a_repeat_in_flight_is_stored_once_more_and_changes_no_row(
    kind: str, pair: tuple[Delivery, Delivery], emptied: str
) -> None:
    await arrive(emptied, *FIRST.get(kind, ()), *pair)
    await work(emptied)
    before = written(emptied)
    repeat = later(pair[0])

    with psycopg.connect(emptied) as pruning:
        pruning.execute("SELECT consumer.begin_prune(now())")
        pruning.execute(
            "SELECT consumer.prune(array_agg(seq)) FROM consumer.outbox WHERE message_id = %s", [repeat.message_id]
        )
        async with await connect(emptied, RECEIVER) as conn:
            storing = asyncio.create_task(put(conn, [repeat]))
            await until(lambda: rows(emptied, WAITING))
            pruning.commit()
            await storing
            await put(conn, [repeat])
    await work(emptied)

    copies = [row for row in rows(emptied, STORED) if row["message_id"] == repeat.message_id]
    assert copies == [{"message_id": repeat.message_id, "state": "done", "outcome": "stale"}]
    assert written(emptied) == before
    assert await rebuilt(emptied) == before
    await replayed(emptied)
    await work(emptied)
    assert written(emptied) == before

    await prune(emptied)
    await arrive(emptied, repeat)
    assert repeat.message_id not in {row["message_id"] for row in rows(emptied, STORED)}


@pytest.mark.parametrize("verb", ["in", "out"])
async def test_sql_functions_know_a_repeat(verb: str, emptied: str) -> None:
    signed = f"SELECT identity.sign_{verb}('{USER}', %s, %s)"
    with psycopg.connect(emptied, autocommit=True) as conn:
        for at, message_id in (("2026-11-02", "s1"), ("2026-11-03", "s2")):
            conn.execute(signed, [at, message_id])
        await work(emptied)
        await prune(emptied)
        [(repeated,)] = conn.execute(signed, ["2026-11-02", "s1"]).fetchall()
        [(new,)] = conn.execute(signed, ["2026-11-02", "s3"]).fetchall()

    assert (repeated, new) == (None, "s3")


async def test_a_request_that_waits_learns_that_a_removed_delivery_is_done(emptied: str) -> None:
    old, new = (delivery("user.signed_in", USER, "app") for _ in range(2))
    await arrive(emptied, old, new)
    await work(emptied)
    await prune(emptied)

    asked = {"message_ids": [old.message_id, new.message_id, "unknown"], "request_ids": [UUID(int=n) for n in range(3)]}
    async with await connect(emptied, RECEIVER) as conn, transaction(conn, RECEIVER):
        cursor = await conn.execute(query("waits/find"), asked, binary=True)
        found = await cursor.fetchall()

    repeat = ("done", True, None, None, None)
    assert sorted(found) == [(UUID(int=0), *repeat), (UUID(int=1), *repeat)]


async def test_the_commit_of_a_repeat_waits_as_that_of_the_first_copy(emptied: str) -> None:
    old, new = (user_updated(USER) for _ in range(2))
    await arrive(emptied, old, new)
    await work(emptied)
    await prune(emptied)

    dead = old._replace(error_code="c", error="e")._asdict()
    async with await connect(emptied, RECEIVER) as conn:
        for name, values in (("put", columns(old)), ("put_dead", dead)):
            async with transaction(conn, RECEIVER):
                cursor = await conn.execute(query(f"storage/{name}"), values, binary=True)
                [(new_count, repeated_at)] = await cursor.fetchall()
            assert new_count == 0
            assert repeated_at is not None


def columns(told: Delivery) -> dict[str, list[object]]:
    return {
        name: [] if name in storage.NULLABLE and told[place] is None else [told[place]]
        for place, name in enumerate(storage.COLUMNS)
    }


def plan(conn: psycopg.Connection[Any], statement: bytes, values: Mapping[str, object] | None = None) -> str:
    [(found,)] = conn.execute(b"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + statement, values, binary=False).fetchall()
    return json.dumps(found)


def buffers(found: str) -> int:
    top = json.loads(found)[0]["Plan"]
    return int(top["Shared Hit Blocks"] + top["Shared Read Blocks"])


async def test_before_anything_is_pruned_the_intake_looks_nothing_up(emptied: str) -> None:
    with psycopg.connect(emptied) as conn:
        conn.execute("TRUNCATE consumer.pruned")
        looked = b"SELECT CASE WHEN EXISTS (SELECT FROM consumer.pruned) THEN consumer.pruned_places('{a}', '{b}') END"
        assert buffers(plan(conn, looked)) == 0


async def test_a_look_up_is_one_probe_of_an_index_however_many_keys_there_are(emptied: str) -> None:
    """Three pages for each message: the index has three levels, and none is read of the table beyond the match."""
    count, asked = 100_000, 100
    with psycopg.connect(emptied) as conn:
        # A session that planned while the table was empty.
        conn.execute("SET plan_cache_mode = force_generic_plan")
        look = "SELECT consumer.pruned_places(array_fill('app'::text, ARRAY[%(n)s]), %(ids)s)"
        values = {"n": asked, "ids": [f"m{n}" for n in range(asked)]}
        assert conn.execute(look, values).fetchall() == [([],)]
        conn.execute(
            "INSERT INTO consumer.pruned SELECT consumer.message_key('x', n::text) FROM generate_series(1, %s) AS n",
            [count],
        )
        cost = buffers(plan(conn, look.encode(), values))
        [(size,)] = conn.execute("SELECT pg_total_relation_size('consumer.pruned')").fetchall()

    assert cost <= 4 * asked
    assert size / count <= 100


async def test_only_a_repeat_writes_a_message_into_the_log_of_changes(
    emptied: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    has_message: list[bool] = []

    async def noting(conn: Any, _: object, name: str, values: Mapping[str, object]) -> list[int]:
        [(new_count, repeated_at)] = await (await conn.execute(query(name), values)).fetchall()
        has_message.append(repeated_at is not None)
        return [new_count]

    monkeypatch.setattr(storage, "rows", noting)
    first, second = user_updated(), user_updated()

    await arrive(emptied, first)
    await arrive(emptied, first)
    await arrive(emptied, first, second)

    assert has_message == [False, True, True]
