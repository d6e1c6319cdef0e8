"""Actions and what goes on in the background, row by row: those just inside and just outside of each condition."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from psycopg.rows import args_row, scalar_row
from psycopg.types.json import Jsonb

from consumer.operations import actions, connect
from consumer.operations.background import Order
from consumer.postgres.connections import Connection, operator_access, transaction
from consumer.postgres.queries import query, rows
from tests.support.databases import change
from tests.support.databases import rows as read
from tests.support.factories import NOON
from tests.support.kept import kept

OPERATOR = operator_access("consumer")
USER, OTHER = UUID(int=1), UUID(int=2)
OUTBOX = (
    "INSERT INTO consumer.outbox (seq, source, message_id, event_type, user_id, verified_by, occurred_at, body) "
    "OVERRIDING SYSTEM VALUE VALUES "
)
ACTIONS = "INSERT INTO consumer.actions (id, actor, via, role, action, filter, reason) VALUES "


def stored(
    number: int, user: UUID | None = None, event_type: str = "x", source: str = "stack", by: str = "NULL"
) -> str:
    user_id = f"'{user}'" if user else "NULL"
    return f"({number}, '{source}', 'm{number}', '{event_type}', {user_id}, {by}, '{NOON}', '')"


def acted(number: int, filter_: str = "{}", name: str = "x") -> str:
    return f"('{UUID(int=number)}', 'a', 'cli', 'operator', '{name}', '{filter_}', 'why')"


async def test_reasons_of_actions_about_a_user_or_their_deliveries_are_forgotten(emptied: str) -> None:
    change(emptied, OUTBOX + ", ".join([stored(7, USER), stored(8, OTHER)]))
    aimed = [
        f'{{"user_id": "{USER}"}}',
        f'{{"user_ids": ["{USER}"]}}',
        '{"message_ids": ["x", "m7"]}',
        '{"seqs": [7, 9]}',
    ]
    others = [f'{{"user_id": "{OTHER}"}}', '{"message_ids": ["m8"]}', '{"seqs": [8]}', "{}"]
    change(emptied, ACTIONS + ", ".join(acted(n, each) for n, each in enumerate([*aimed, *others], 1)))

    async with kept(emptied, OPERATOR) as conn, transaction(conn, OPERATOR):
        assert await actions.scrub(conn, USER) == 4
        assert await actions.scrub(conn, USER) == 0

    left = read(emptied, "SELECT id FROM consumer.actions WHERE reason IS NOT NULL ORDER BY id")
    assert [row["id"].int for row in left] == [5, 6, 7, 8]


async def next_order(conn: Connection, pending_max: int = 2, known: tuple[str, ...] = ("replay", "rebuild")) -> int:
    """Return the number of the action that is next in the background, 0 without any."""
    found = await rows(conn, args_row(Order), "background/next", {"pending_max": pending_max, "known": list(known)})
    return found[0].id.int if found else 0


def ordered(number: int, name: str, seconds: int, *, finished: bool = False, error: str | None = None) -> str:
    """Return statements that store an action, stepped so many seconds ago."""
    ended, text = "now()" if finished else "NULL", "NULL" if error is None else f"'{error}'"
    return (
        f"{ACTIONS}{acted(number, name=name)}; INSERT INTO consumer.background (id, stepped_at, finished_at, error) "
        f"VALUES ('{UUID(int=number)}', now() - interval '{seconds} s', {ended}, {text});"
    )


async def test_the_action_that_has_waited_longest_is_next(emptied: str) -> None:
    change(emptied, ordered(1, "replay", 5) + ordered(2, "rebuild", 9) + ordered(3, "rebuild", 99, finished=True))
    async with kept(emptied, OPERATOR) as conn, transaction(conn, OPERATOR):
        found = [
            await next_order(conn),
            await next_order(conn, known=("replay",)),
            await next_order(conn, known=("x",)),
        ]

    assert found == [2, 1, 0]


@pytest.mark.parametrize(("name", "waits"), [("retry", True), ("replay", True), ("undiscard", True), ("check", False)])
async def test_what_puts_back_to_pending_waits_until_few_are_pending(emptied: str, name: str, *, waits: bool) -> None:
    change(emptied, ordered(1, name, 5) + OUTBOX + ", ".join(map(stored, range(1, 4))))
    change(emptied, "INSERT INTO consumer.pending (seq) VALUES (1), (2)")
    async with kept(emptied, OPERATOR) as conn, transaction(conn, OPERATOR):
        found = [await next_order(conn, pending_max=most, known=(name,)) for most in (1, 2, 3)]

    assert found == ([0, 0, 1] if waits else [1, 1, 1])


async def test_what_failed_waits_ten_seconds(emptied: str) -> None:
    change(emptied, ordered(1, "rebuild", 9, error="x") + ordered(2, "rebuild", 11, error="x"))
    async with kept(emptied, OPERATOR) as conn, transaction(conn, OPERATOR):
        first = await next_order(conn)
        change(emptied, f"UPDATE consumer.background SET finished_at = now() WHERE id = '{UUID(int=2)}'")

    async with kept(emptied, OPERATOR) as conn, transaction(conn, OPERATOR):
        assert (first, await next_order(conn)) == (2, 0)


async def test_an_action_is_locked_only_at_its_place_while_it_is_open(emptied: str) -> None:
    change(emptied, ordered(1, "rebuild", 5) + ordered(2, "rebuild", 5, finished=True))
    change(emptied, "UPDATE consumer.background SET place = '{\"after_seq\": 7}'")

    async def lock(conn: Connection, number: int, place: dict[str, int]) -> list[UUID]:
        values = {"id": UUID(int=number), "place": Jsonb(place)}
        return await rows(conn, scalar_row, "background/lock", values)

    async with kept(emptied, OPERATOR) as conn, transaction(conn, OPERATOR):
        assert await lock(conn, 1, {"after_seq": 7}) == [UUID(int=1)]
        assert await lock(conn, 1, {"after_seq": 8}) == []
        assert await lock(conn, 2, {"after_seq": 7}) == []
        async with kept(emptied, OPERATOR) as other, transaction(other, OPERATOR):
            assert await lock(other, 1, {"after_seq": 7}) == []


BACKGROUND = (
    "SELECT place, result, error, stepped_at > now() - interval '1 min' AS is_new, finished_at FROM consumer.background"
)


async def test_a_page_moves_its_action_alone_and_counts(emptied: str) -> None:
    change(emptied, ordered(1, "rebuild", 500, error="x") + ordered(2, "rebuild", 500, error="y"))
    values: dict[str, Any] = {"id": UUID(int=1), "place": Jsonb({"a": 1}), "result": Jsonb({"b": 2}), "affected": 3}
    async with kept(emptied, OPERATOR) as conn, transaction(conn, OPERATOR):
        await conn.execute(query("background/advance"), {**values, "is_finished": False})
        await conn.execute(query("background/advance"), {**values, "is_finished": False})
    moved, other = read(emptied, f"{BACKGROUND} ORDER BY id")
    async with kept(emptied, OPERATOR) as conn, transaction(conn, OPERATOR):
        await conn.execute(query("background/advance"), {**values, "is_finished": True})
    [ended] = read(emptied, f"{BACKGROUND} WHERE finished_at IS NOT NULL")

    assert (moved["place"], moved["result"], moved["error"], moved["is_new"], moved["finished_at"]) == (
        {"a": 1},
        {"b": 2},
        None,
        True,
        None,
    )
    assert (other["place"], other["error"], other["is_new"], ended["place"]) == ({}, "y", False, {"a": 1})
    affected = read(emptied, "SELECT affected FROM consumer.actions ORDER BY id")
    assert [row["affected"] for row in affected] == [9, 0]


@pytest.mark.parametrize("is_final", [False, True])
async def test_a_failure_is_noted_with_an_open_action(emptied: str, *, is_final: bool) -> None:
    change(emptied, ordered(1, "rebuild", 500) + ordered(2, "rebuild", 500, finished=True))
    async with kept(emptied, OPERATOR) as conn, transaction(conn, OPERATOR):
        for number in (1, 2):
            values = {"id": UUID(int=number), "error": "why", "is_final": is_final}
            await conn.execute(query("background/fail"), values)

    first, second = read(emptied, f"{BACKGROUND} ORDER BY id")
    assert (first["error"], first["is_new"], first["finished_at"] is not None) == ("why", True, is_final)
    assert (second["error"], second["is_new"]) == (None, False)


async def test_the_endpoint_is_recorded_once_it_is_known_and_read_back(emptied: str) -> None:
    async with kept(emptied, OPERATOR) as conn:
        async with transaction(conn, OPERATOR):
            found = [await connect.endpoint_url(conn)]
        change(emptied, "INSERT INTO consumer.project (project_id) VALUES ('p')")
        async with transaction(conn, OPERATOR):
            found.append(await connect.endpoint_url(conn))
        for url in ("https://a", "https://b"):
            await connect.record(conn, OPERATOR, "p", url)
            async with transaction(conn, OPERATOR):
                found.append(await connect.endpoint_url(conn))

    assert found == [None, None, "https://a", "https://b"]


async def test_only_test_events_of_stack_behind_a_number_show_an_arrival(emptied: str) -> None:
    listed = [
        stored(1, event_type="stack.test", by="'11111111'"),
        stored(2, event_type="stack.test", by="'22222222'"),
        stored(3, event_type="stack.test"),
        stored(4, by="'44444444'"),
        stored(5, event_type="stack.test", source="app", by="'55555555'"),
    ]
    change(emptied, OUTBOX + ", ".join(listed))
    async with kept(emptied, OPERATOR) as conn, transaction(conn, OPERATOR):
        found = await rows(conn, scalar_row, "connect/test_events", {"after_seq": 1})

    assert sorted(found, key=str) == ["22222222", None]


@pytest.mark.parametrize(
    ("stored_by", "is_taken", "sentence"),
    [
        (["b", "a", "b", None], True, "The test event arrived, verified with another secret (a, b): put the"),
        ([None], True, "`consumer recover` stored the test event before the webhook came"),
        ([], True, "https://x took the test event, but not into this database"),
        ([], False, "No test event arrived within 30 s: does a receiver run, is https://x its address"),
    ],
)
def test_a_test_event_that_is_not_there_says_what_is(
    stored_by: list[str | None], sentence: str, *, is_taken: bool
) -> None:
    assert connect._reason("https://x", stored_by, is_taken=is_taken).startswith(sentence)


async def test_deliveries_are_counted_by_source_and_hour_of_arrival(emptied: str) -> None:
    change(emptied, OUTBOX + ", ".join([*(stored(n) for n in range(1, 6)), stored(6, source="app")]))
    change(emptied, f"UPDATE consumer.outbox SET received_at = '{NOON}'::timestamptz + (seq - 1) * interval '20 min'")
    async with kept(emptied, OPERATOR) as conn, transaction(conn, OPERATOR):
        await conn.execute(query("hours/fold"), {"after_seq": 1, "until_seq": 3})
        await conn.execute(query("hours/fold"), {"after_seq": 3, "until_seq": 6})
        await conn.execute(query("hours/fold"), {"after_seq": 4, "until_seq": 5})

    found = read(emptied, "SELECT source, hour, n FROM consumer.hours ORDER BY source, hour")
    assert [tuple(row.values()) for row in found] == [
        ("app", NOON + timedelta(hours=1), 1),
        ("stack", NOON, 2),
        ("stack", NOON + timedelta(hours=1), 3),
    ]
