"""The log: what `put` and `put_dead` leave of a delivery, column by column."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from consumer.outbox import storage
from consumer.outbox.storage import Delivery
from consumer.postgres.connections import receiver_access, transaction
from consumer.postgres.queries import query
from tests.support.databases import change, rows
from tests.support.kept import kept

ACCESS = receiver_access("consumer")
USER, TEAM, REQUEST = UUID(int=1), UUID(int=2), UUID(int=3)
AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
OUTBOX = (
    "SELECT source, message_id, event_type, user_id, team_id, occurred_at, verified_by, body, reduced, request_id "
    'FROM consumer.outbox ORDER BY message_id COLLATE "C"'
)
FULL = Delivery("app", "m1", "order.placed", USER, TEAM, AT, "0123abcd", b"{}", b"{ }", REQUEST)
BARE = Delivery("stack", "m2", "x.y", None, None, AT + timedelta(hours=1), "ffffffff", b"[]")
DEAD = FULL._replace(message_id="m3", reduced=None, error_code="bad_shape", error="$: missing")


async def put(url: str, *deliveries: Delivery) -> int:
    async with kept(url, ACCESS) as conn, transaction(conn, ACCESS):
        return await storage.put(conn, deliveries)


async def put_dead(url: str, delivery: Delivery) -> int:
    async with kept(url, ACCESS) as conn, transaction(conn, ACCESS):
        return await storage.put_dead(conn, delivery)


async def marked(url: str, name: str, values: dict[str, Any]) -> tuple[int, bool]:
    """Return what a query of the storage returns: how many were new, and whether its commit waits for the disk."""
    async with kept(url, ACCESS) as conn, transaction(conn, ACCESS):
        cursor = await conn.execute(query(f"storage/{name}"), values, binary=True)
        [(new_count, repeated_at)] = await cursor.fetchall()
    return new_count, repeated_at is not None


def columns(*deliveries: Delivery) -> dict[str, list[object]]:
    return {name: [each[place] for each in deliveries] for place, name in enumerate(storage.COLUMNS)}


def stored(url: str) -> list[tuple[object, ...]]:
    return [tuple(row.values()) for row in rows(url, OUTBOX)]


@pytest.mark.parametrize("deliveries", [[FULL], [BARE], [FULL, BARE]], ids=["full", "bare", "one of each"])
async def test_each_field_of_a_delivery_is_stored_or_null(emptied: str, deliveries: list[Delivery]) -> None:
    assert await put(emptied, *reversed(deliveries)) == len(deliveries)

    assert stored(emptied) == [each[: len(storage.COLUMNS)] for each in deliveries]
    assert rows(emptied, "SELECT seq, has_failed FROM consumer.pending ORDER BY seq") == [
        {"seq": row["seq"], "has_failed": False}
        for row in rows(emptied, "SELECT seq FROM consumer.outbox ORDER BY seq")
    ]


async def test_each_field_of_a_dead_delivery_is_stored(emptied: str) -> None:
    assert await put_dead(emptied, DEAD) == 1

    assert stored(emptied) == [DEAD[: len(storage.COLUMNS)]]
    failed = rows(emptied, "SELECT state, attempts, next_attempt_at, error_code, error FROM consumer.failures")
    assert [tuple(row.values()) for row in failed] == [("dead", 0, None, "bad_shape", "$: missing")]
    types = rows(emptied, "SELECT source, event_type FROM consumer.failures")
    assert types == [{"source": "app", "event_type": "order.placed"}]
    assert rows(emptied, "SELECT FROM consumer.pending") == []


async def test_of_new_ones_and_repeats_the_new_ones_are_counted_and_repeats_change_nothing(emptied: str) -> None:
    await put(emptied, FULL)
    await put_dead(emptied, DEAD)
    before = stored(emptied)

    assert await put(emptied, FULL._replace(body=b"other"), BARE, DEAD._replace(body=b"other")) == 1
    assert await put_dead(emptied, DEAD._replace(body=b"other")) == 0
    assert await put_dead(emptied, FULL._replace(error_code="c", error="e")) == 0

    assert stored(emptied) == sorted([*before, BARE[: len(storage.COLUMNS)]], key=lambda row: str(row[1]))
    assert len(rows(emptied, "SELECT FROM consumer.pending")) == 2
    assert len(rows(emptied, "SELECT FROM consumer.failures")) == 1


async def test_an_id_belongs_to_its_source(emptied: str) -> None:
    assert await put(emptied, FULL, FULL._replace(source="stack")) == 2
    assert await put_dead(emptied, DEAD) + await put_dead(emptied, DEAD._replace(source="stack")) == 2


async def test_only_a_commit_with_a_repeat_waits_for_what_the_first_copy_waits_for(emptied: str) -> None:
    dead = DEAD._asdict()

    assert await marked(emptied, "put", columns(FULL, BARE)) == (2, False)
    assert await marked(emptied, "put", columns(BARE, FULL._replace(message_id="m4"))) == (1, True)
    assert await marked(emptied, "put", columns(FULL)) == (0, True)
    assert [await marked(emptied, "put_dead", dead) for _ in range(2)] == [(1, False), (0, True)]


async def test_once_something_was_pruned_other_deliveries_are_stored_as_before(emptied: str) -> None:
    change(emptied, "INSERT INTO consumer.pruned (key) VALUES (gen_random_uuid())")

    assert await put(emptied, FULL, BARE) == 2
    assert await put_dead(emptied, DEAD) == 1
