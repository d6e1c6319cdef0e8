"""One delivery: by which name it is found, its body, and who acted on it."""

from uuid import UUID

import pytest

from consumer.lookup import one_delivery
from consumer.lookup.one_delivery import ACTIONS_MAX, OneDelivery
from consumer.outbox.storage import Delivery
from consumer.postgres.connections import operator_access, transaction, viewer_access
from tests.support.databases import change
from tests.support.factories import NOON
from tests.support.kept import kept

VIEWER, OPERATOR = viewer_access("consumer"), operator_access("consumer")
COLUMNS = "INSERT INTO consumer.outbox (seq, source, message_id, occurred_at, body) OVERRIDING SYSTEM VALUE "


async def found(url: str, name: str) -> list[int]:
    async with kept(url, VIEWER) as conn, transaction(conn, VIEWER):
        return [each.seq for each in await one_delivery.find(conn, name)]


async def acted(url: str, message_id: str) -> list[tuple[str, str | None]]:
    async with kept(url, VIEWER) as conn, transaction(conn, VIEWER):
        delivery: OneDelivery = (await one_delivery.find(conn, message_id))[0]
        return [(each.action, each.reason) for each in await one_delivery.actions(conn, delivery)]


async def test_a_name_is_a_number_or_a_message_id_of_any_source(emptied: str) -> None:
    sources = ("stack", "app", "backfill", "reconcile", "operator")
    for number, source in enumerate(sources, 1):
        change(emptied, f"{COLUMNS} VALUES ({number}, '{source}', 'same', now(), '')")
    change(emptied, f"{COLUMNS} VALUES (10, 'stack', '3', now(), ''), ({10**18 - 1}, 'stack', 'far', now(), '')")

    assert await found(emptied, "same") == [1, 2, 3, 4, 5]
    assert await found(emptied, "2") == [2]
    assert await found(emptied, "3") == [3, 10]
    assert await found(emptied, "9" * 18) == [10**18 - 1]
    assert [await found(emptied, name) for name in ("9" * 19, "٣", "3x", "")] == [[], [], [], []]


async def test_who_excluded_a_delivery_is_shown(emptied: str) -> None:
    change(
        emptied,
        f"{COLUMNS} VALUES (1, 'stack', 'a', now(), ''), (2, 'stack', 'b', now(), ''); "
        "INSERT INTO consumer.exclusions (seq, excluded_by, reason, excluded_at) "
        f"VALUES (1, 'me@here', 'wrong', '{NOON}')",
    )
    async with kept(emptied, VIEWER) as conn, transaction(conn, VIEWER):
        shown = [each for name in "ab" for each in await one_delivery.find(conn, name)]

    assert [(each.excluded_by, each.excluded_at, each.excluded_reason) for each in shown] == [
        ("me@here", NOON, "wrong"),
        (None, None, None),
    ]


async def test_the_actions_on_a_delivery_are_those_that_named_it_the_newest_first(emptied: str) -> None:
    change(emptied, f"{COLUMNS} VALUES (1, 'stack', 'a', now(), ''), (2, 'app', 'a', now(), '')")
    filters = {
        "retry": '{"seqs": [1, 7]}',
        "replay": '{"message_ids": ["x", "a"]}',
        "discard": '{"message_ids": ["a"], "source": "app"}',
        "undiscard": '{"message_ids": ["a"], "source": "stack"}',
        "reveal": '{"seqs": [1]}',
        "erase": '{"message_ids": ["a"]}',
    }
    for number, (action, named) in enumerate(filters.items()):
        insert(emptied, number, action, named, minutes=number)
    insert(emptied, 10, "retry", '{"seqs": [2]}', minutes=10)
    insert(emptied, 11, "replay", '{"event_type": "user.*"}', minutes=11)

    assert await acted(emptied, "1") == [("undiscard", "3"), ("replay", "1"), ("retry", "0")]
    assert await acted(emptied, "2") == [("retry", "10"), ("discard", "2"), ("replay", "1")]


async def test_of_actions_at_one_instant_the_greater_id_comes_first_and_only_twenty_are_shown(emptied: str) -> None:
    change(emptied, f"{COLUMNS} VALUES (1, 'stack', 'a', now(), '')")
    for number in range(ACTIONS_MAX):
        insert(emptied, number, "retry", '{"seqs": [1]}', minutes=0)
    exactly = await shown(emptied)
    insert(emptied, ACTIONS_MAX, "retry", '{"seqs": [1]}', minutes=0)

    assert exactly == ([str(number) for number in reversed(range(20))], False)
    assert await shown(emptied) == ([str(number) for number in reversed(range(1, 21))], True)


async def test_only_the_newest_thousand_actions_are_searched(emptied: str) -> None:
    change(emptied, f"{COLUMNS} VALUES (1, 'stack', 'a', now(), '')")
    insert(emptied, 0, "retry", '{"seqs": [1]}', minutes=0)
    change(
        emptied,
        "INSERT INTO consumer.actions (id, at, actor, via, role, action) SELECT gen_random_uuid(), "
        f"'{NOON}'::timestamptz + n * interval '1 second', 'a', 'cli', 'operator', 'x' FROM generate_series(1, 999) n",
    )
    last = await acted(emptied, "a")
    insert(emptied, 1, "replay", "{}", minutes=60)

    assert (last, await acted(emptied, "a")) == ([("retry", "0")], [])


def insert(url: str, number: int, action: str, named: str, *, minutes: int) -> None:
    """Store an action whose reason is its number."""
    change(
        url,
        "INSERT INTO consumer.actions (id, at, actor, via, role, action, filter, reason) VALUES "
        f"('{UUID(int=number)}', '{NOON}'::timestamptz + interval '{minutes} minutes', 'a', 'cli', 'operator', "
        f"'{action}', '{named}', '{number}')",
    )


async def shown(url: str) -> tuple[list[str | None], bool]:
    async with kept(url, VIEWER) as conn, transaction(conn, VIEWER):
        [delivery] = await one_delivery.find(conn, "a")
        found = await one_delivery.actions(conn, delivery)
    return [each.reason for each in found], found.is_more


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"type": "x.y", "data": {"id": 7}}', {"type": "x.y", "data": {"id": 7}}),
        (b"[1]", None),
        (b"no json", None),
        (b"", None),
    ],
    ids=["an object", "a list", "no JSON", "nothing"],
)
async def test_a_body_is_a_json_object_or_none(emptied: str, body: bytes, expected: object) -> None:
    stored = Delivery("stack", "a", "x.y", None, None, NOON, None, body)
    change(emptied, f"{COLUMNS} VALUES (1, 'stack', 'a', now(), '\\x{stored.body.hex()}')")

    async with kept(emptied, OPERATOR) as conn, transaction(conn, OPERATOR):
        assert await one_delivery.body(conn, 1, masked=False) == expected
        assert await one_delivery.body(conn, 2, masked=False) is None
        assert await one_delivery.body(conn, 2) is None
        assert (await one_delivery.body(conn, 1) is None) == (expected is None)


@pytest.mark.parametrize(
    ("attempts", "state", "told"),
    [(3, "dead", "3"), (0, "retrying", "none counted"), (0, "pending", "none counted"), (1, "done", "1")],
)
def test_the_attempts_are_told_in_words(attempts: int, state: str, told: str) -> None:
    assert one(attempts, state).attempts_told == told
    assert one(0, "done").attempts_told.startswith("failed ones are not kept once it is done")


def one(attempts: int, state: str) -> OneDelivery:
    known = ("stack", "a", "x.y", None, None, NOON, NOON, None)
    return OneDelivery(1, *known, state, None, None, attempts, None, None, None, None, None, None)
