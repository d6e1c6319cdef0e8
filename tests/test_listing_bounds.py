"""Lists of deliveries to the last row: each field of a row, and the row just inside and just outside of each bound."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from psycopg.rows import tuple_row

from consumer.lookup import listing, one_delivery
from consumer.lookup.listing import ChangePlace, ListFilter
from consumer.postgres.connections import Connection, transaction, viewer_access
from consumer.postgres.queries import rows
from tests.support.databases import change
from tests.support.factories import NOON
from tests.support.kept import kept

VIEWER = viewer_access("consumer")
ONE, OTHER, TEAM = UUID(int=1), UUID(int=2), UUID(int=3)
MINUTE = timedelta(minutes=1)
# Deliveries 1 to 6, each received a minute after the one before.
LOG = f"""
    INSERT INTO consumer.outbox
        (seq, source, message_id, event_type, user_id, team_id, occurred_at, received_at, verified_by, body)
    OVERRIDING SYSTEM VALUE
    SELECT n, 'stack', 'd' || n, 'user.updated', CASE WHEN n < 5 THEN '{ONE}'::uuid ELSE '{OTHER}'::uuid END,
        CASE WHEN n IN (2, 6) THEN '{TEAM}'::uuid END, '{NOON}'::timestamptz - interval '1 hour' * n,
        '{NOON}'::timestamptz + interval '1 minute' * n, '0000000' || n, ''
    FROM generate_series(1, 6) AS n;
    INSERT INTO consumer.outcomes (seq, outcome, at)
    VALUES (1, 'applied', '{NOON + 61 * MINUTE}'), (2, 'stale', '{NOON + 62 * MINUTE}');
    INSERT INTO consumer.failures
        (seq, state, attempts, next_attempt_at, error_code, error, failed_at, source, event_type)
    VALUES
        (3, 'dead', 12, NULL, '23505', 'Twice', '{NOON + 63 * MINUTE}', 'stack', 'user.updated'),
        (4, 'retrying', 2, '{NOON + 99 * MINUTE}', '40P01', 'Dead lock', '{NOON + 64 * MINUTE}', NULL, NULL);
    INSERT INTO consumer.pending (seq) VALUES (5), (6);
"""


def at(minutes: int) -> datetime:
    return NOON + minutes * MINUTE


# What each delivery's row says behind what all of them have.
FATES: dict[int, tuple[object, ...]] = {
    1: ("done", "applied", at(61), 0, None, None, None),
    2: ("done", "stale", at(62), 0, None, None, None),
    3: ("dead", None, at(63), 12, None, "23505", "Twice"),
    4: ("retrying", None, at(64), 2, at(99), "40P01", "Dead lock"),
    5: ("pending", None, None, 0, None, None, None),
    6: ("pending", None, None, 0, None, None, None),
}


def row(seq: int) -> tuple[object, ...]:
    user_id, team_id = ONE if seq < 5 else OTHER, TEAM if seq in {2, 6} else None
    known = (seq, "stack", f"d{seq}", "user.updated", user_id, team_id, NOON - timedelta(hours=seq), at(seq))
    return (*known, f"0000000{seq}", *FATES[seq])


def values(listed: Any) -> tuple[object, ...]:
    names = ("seq", "source", "message_id", "event_type", "user_id", "team_id", "occurred_at", "received_at")
    fate = ("verified_by", "state", "outcome", "at", "attempts", "next_attempt_at", "error_code", "error")
    return tuple(getattr(listed, name) for name in (*names, *fate))


@pytest.fixture
def log(emptied: str) -> str:
    change(emptied, LOG)
    return emptied


async def paged(url: str, wanted: ListFilter, *, size: int = 9, before: int | None = None) -> list[int]:
    async with kept(url, VIEWER) as conn, transaction(conn, VIEWER):
        return [each.seq for each in (await listing.page(conn, wanted, size=size, before=before)).deliveries]


async def recent(url: str, wanted: ListFilter, after: ChangePlace, until: datetime, size: int = 9) -> list[int]:
    async with kept(url, VIEWER) as conn, transaction(conn, VIEWER):
        return [each.seq for each in await listing.recent(conn, wanted, after, until, size=size)]


async def test_each_list_has_each_field_of_each_delivery(log: str) -> None:
    async with kept(log, VIEWER) as conn, transaction(conn, VIEWER):
        everything = (await listing.page(conn, ListFilter(), size=9)).deliveries
        chosen = await listing.chosen(conn, [6, 5, 4, 3, 2, 1], ListFilter(), size=9)
        changed = await listing.recent(conn, ListFilter(), ChangePlace(NOON), at(99), size=9)
        found = [each for n in range(1, 7) for each in await one_delivery.find(conn, f"d{n}")]

    assert [values(each) for each in everything] == [row(seq) for seq in (6, 5, 4, 3, 2, 1)]
    assert [values(each) for each in chosen] == [row(seq) for seq in (6, 5, 4, 3, 2, 1)]
    assert [values(each) for each in changed] == [row(seq) for seq in (5, 6, 1, 2, 3, 4)]
    assert [values(each) for each in found] == [row(seq) for seq in range(1, 7)]


async def test_numbers_are_read_in_parts_until_a_page_is_full(log: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "CHOSEN_MAX", 2)
    wanted = ListFilter(states=["pending", "dead", "done"])

    async with kept(log, VIEWER) as conn, transaction(conn, VIEWER):
        found = [
            [each.seq for each in await listing.chosen(conn, [6, 5, 4, 3, 2, 1], wanted, size=size)]
            for size in (1, 2, 3, 4, 5, 6)
        ]

    assert found == [[6], [6, 5], [6, 5, 3], [6, 5, 3, 2], [6, 5, 3, 2, 1], [6, 5, 3, 2, 1]]


BOTH = [ListFilter(), ListFilter(user_ids=[ONE, OTHER])]


@pytest.mark.parametrize("subject", BOTH, ids=["by number", "by user"])
async def test_a_list_begins_with_since_and_ends_before_until(log: str, subject: ListFilter) -> None:
    def within(since: datetime | None, until: datetime | None) -> ListFilter:
        return ListFilter(user_ids=subject.user_ids, since=since, until=until)

    assert await paged(log, within(at(3), None)) == [6, 5, 4, 3]
    assert await paged(log, within(None, at(3))) == [2, 1]
    assert await paged(log, within(at(2), at(5))) == [4, 3, 2]
    assert await paged(log, within(at(7), None)) == []


@pytest.mark.parametrize("subject", BOTH, ids=["by number", "by user"])
async def test_a_page_has_its_size_and_lies_below_a_number(log: str, subject: ListFilter) -> None:
    assert await paged(log, subject, size=2) == [6, 5]
    assert await paged(log, subject, size=2, before=5) == [4, 3]
    assert await paged(log, subject, before=1) == []


@pytest.mark.parametrize(
    ("states", "others", "expected"),
    [
        (["pending"], {}, [6, 5]),
        (["dead"], {}, [3]),
        (["retrying"], {}, [4]),
        (["retrying", "pending"], {}, [6, 5, 4]),
        (["dead", "retrying"], {}, [4, 3]),
        (["dead", "retrying"], {"error_code": "40P01"}, [4]),
        (["dead", "retrying", "pending"], {"event_type": "user.*"}, [6, 5, 4, 3]),
        (["dead", "retrying", "pending"], {"event_type": "team.*"}, []),
        (["dead", "retrying", "pending"], {"source": "stack"}, [6, 5, 4, 3]),
        (["dead", "retrying", "pending"], {"source": "app"}, []),
        (["dead", "retrying", "pending"], {"since": at(4), "until": at(6)}, [5, 4]),
        (["dead", "retrying", "pending"], {"verified_by": "00000005"}, [5]),
        (["pending", "done"], {}, [6, 5, 2, 1]),
        (["done"], {"outcome": "stale"}, [2]),
        (["done"], {"team_id": TEAM}, [2]),
    ],
)
async def test_states_are_listed_with_each_other_condition(
    log: str, states: list[str], others: dict[str, Any], expected: list[int]
) -> None:
    assert await paged(log, ListFilter(states=states, **others)) == expected


async def few(conn: Connection, before: int, floor: int, *, size: int, **named: Any) -> tuple[list[int], int | None]:
    wanted = ListFilter(states=["dead", "retrying", "pending"], **named).values()
    bounds = {"before": before, "floor": floor, "look_max": size}
    [(seqs, rest)] = await rows(conn, tuple_row, "listing/few", {**wanted, **bounds})
    return seqs, rest


async def test_a_look_at_the_small_tables_lies_between_two_numbers_and_says_where_it_ended(log: str) -> None:
    async with kept(log, VIEWER) as conn, transaction(conn, VIEWER):
        assert await few(conn, 7, 0, size=9) == ([6, 5, 4, 3], None)
        assert await few(conn, 6, 3, size=9) == ([5, 4], None)
        assert await few(conn, 7, 0, size=4) == ([6, 5, 4, 3], None)
        assert await few(conn, 7, 0, size=3) == ([6, 5, 4], 4)
        assert await few(conn, 7, 0, size=1) == ([6], 6)
        assert await few(conn, 5, 0, size=1) == ([4], 4)
        assert await few(conn, 4, 0, size=1) == ([3], None)
        assert await few(conn, 7, 0, size=9, error_code="23505") == ([3], None)


async def test_a_look_leaves_the_delivery_behind_its_last_one_to_the_next(log: str) -> None:
    async with kept(log, VIEWER) as conn, transaction(conn, VIEWER):
        ends = [await listing._look_end(conn, before, floor) for before, floor in ((7, 0), (3, 0))]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(listing, "LOOK_MAX", 2)
            ends += [await listing._look_end(conn, before, floor) for before, floor in ((7, 0), (4, 0), (3, 0), (7, 4))]
        newest = await listing.newest(conn)
        older = [await listing._older(conn, floor) for floor in (6, 2, 1, 0)]

    assert ends == [None, None, (4, at(4)), (1, at(1)), None, None]
    assert newest == 6
    assert older == [(6, at(6)), (2, at(2)), (1, at(1)), None]


async def test_what_changed_lies_behind_a_place_and_before_an_instant(log: str) -> None:
    everything = ListFilter()

    assert await recent(log, everything, ChangePlace(at(61), 0), at(64)) == [1, 2, 3]
    assert await recent(log, everything, ChangePlace(at(61), 1), at(64)) == [2, 3]
    assert await recent(log, everything, ChangePlace(at(61), 0), at(65)) == [1, 2, 3, 4]
    assert await recent(log, everything, ChangePlace(at(63), 0), at(65)) == [3, 4]
    assert await recent(log, everything, ChangePlace(at(5), 0), at(6)) == [5]
    assert await recent(log, everything, ChangePlace(at(5), 5), at(7)) == [6]
    assert await recent(log, everything, ChangePlace(NOON), at(99), size=3) == [5, 6, 1]
    assert await recent(log, ListFilter(user_ids=[OTHER]), ChangePlace(NOON), at(99)) == [5, 6]


async def test_of_changes_at_one_instant_the_lower_number_comes_first(log: str) -> None:
    change(log, f"UPDATE consumer.outcomes SET at = '{at(70)}'; UPDATE consumer.failures SET failed_at = '{at(70)}'")

    assert await recent(log, ListFilter(), ChangePlace(at(70), 0), at(71)) == [1, 2, 3, 4]
    assert await recent(log, ListFilter(), ChangePlace(at(70), 2), at(71), size=1) == [3]


async def test_of_a_subject_with_more_deliveries_than_are_read_none_is_named(
    log: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(log, f"UPDATE consumer.outbox SET user_id = '{ONE}', team_id = NULL")
    found = []
    for limit in (7, 6, 5):
        monkeypatch.setattr(listing, "ABOUT_MAX", limit)
        async with kept(log, VIEWER) as conn, transaction(conn, VIEWER):
            found.append(await listing.about(conn, user_id=ONE))

    assert found == [[6, 5, 4, 3, 2, 1], [6, 5, 4, 3, 2, 1], None]


async def around(url: str, name: str) -> list[int]:
    async with kept(url, VIEWER) as conn, transaction(conn, VIEWER):
        [delivery] = await one_delivery.find(conn, name)
        return [each.seq for each in await one_delivery.neighbours(conn, delivery)]


@pytest.mark.parametrize("limit", [5_000, 0], ids=["by the index", "by number"])
async def test_the_neighbours_are_the_nearest_three_on_either_side(
    log: str, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(listing, "ABOUT_MAX", limit)
    change(log, f"UPDATE consumer.outbox SET user_id = '{ONE}'")
    change(
        log,
        "INSERT INTO consumer.outbox (seq, source, message_id, user_id, occurred_at, body) OVERRIDING SYSTEM VALUE "
        f"SELECT n, 'stack', 'd' || n, '{ONE}', now(), '' FROM generate_series(7, 9) AS n",
    )

    assert await around(log, "d5") == [8, 7, 6, 4, 3, 2]
    assert await around(log, "d1") == [4, 3, 2]
    assert await around(log, "d9") == [8, 7, 6]


@pytest.mark.parametrize("limit", [5_000, 0], ids=["by the index", "by number"])
async def test_neighbours_are_about_the_same_user_or_else_the_same_team(
    log: str, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(listing, "ABOUT_MAX", limit)

    assert await around(log, "d2") == [4, 3, 1]
    assert await around(log, "d6") == [5]
    change(log, "UPDATE consumer.outbox SET user_id = NULL WHERE seq IN (2, 6)")
    assert await around(log, "d2") == [6]
    assert await around(log, "d6") == [2]


async def test_neighbours_of_a_subject_with_many_lie_within_a_window(log: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "ABOUT_MAX", 0)
    monkeypatch.setattr(one_delivery, "WINDOW", 2)
    change(log, f"UPDATE consumer.outbox SET user_id = '{ONE}'")

    assert await around(log, "d3") == [5, 4, 2, 1]
    assert await around(log, "d4") == [6, 5, 3, 2]
