"""What the page of dead letters asks the database: which ones count, in which hour, and in which order."""

from datetime import timedelta
from uuid import UUID

from tests.support.asked import (
    HOUR,
    ONE,
    OTHER,
    TICK,
    asked,
    died,
    failed,
    log,
    now,
    tuples,
)
from tests.support.rolled_back import Conn


def test_an_hour_in_a_group_begins_with_its_first_moment_and_a_day_ends_before_the_25th(conn: Conn) -> None:
    for seq, ago in enumerate((timedelta(0), HOUR, HOUR + TICK, 23 * HOUR, 24 * HOUR, 24 * HOUR + TICK, 48 * HOUR)):
        failed(conn, seq, "dead", ago)
    for seq in (10, 11, 12):
        failed(conn, seq, "retrying", due=HOUR)

    [found] = asked(conn, "dead/groups", by_type=False, look_max=100, size=10, named=3)

    assert found["deaths"] == [1, 1] + [0] * 20 + [1, 2]
    assert (found["deliveries"], found["total"], found["last_seq"]) == (7, 7, 6)
    assert (found["first_at"], found["last_at"]) == (now(conn) - 48 * HOUR, now(conn))


def test_groups_come_largest_first_then_newest_with_their_most_frequent_reasons_and_types(conn: Conn) -> None:
    seq = iter(range(1, 100))
    for code, event_type, error, n in (
        ("a", "t1", "r1", 1),
        ("a", "t2", "r2", 2),
        ("a", "t3", "r3", 3),
        ("a", None, "r4", 1),
        ("d", "t1", "d1", 2),
        ("b", "t1", "b1", 2),
        ("c", "t9", "c1", 1),
    ):
        for place in range(n):
            died(conn, next(seq), code, event_type, error, (place + 1) * HOUR)

    found = asked(conn, "dead/groups", by_type=False, look_max=100, size=3, named=2)
    two = asked(conn, "dead/groups", by_type=False, look_max=100, size=2, named=4)
    by_type = asked(conn, "dead/groups", by_type=True, look_max=100, size=10, named=3)

    at = now(conn)
    assert [(each["key"], each["deliveries"], each["total"], each["last_seq"]) for each in found] == [
        ("a", 7, 12, 7),
        ("b", 2, 12, 11),
        ("d", 2, 12, 9),
    ]
    assert [(each["key"], each["others"]) for each in two] == [("a", ["t3", "t2", "t1", "unreadable"]), ("b", ["t1"])]
    assert [(each["reasons"], each["others"]) for each in found] == [
        (["r3", "r2"], ["t3", "t2"]),
        (["b1"], ["t1"]),
        (["d1"], ["t1"]),
    ]
    assert [each["deaths"][-3:] for each in found] == [[1, 2, 4], [0, 1, 1], [0, 1, 1]]
    assert [(each["first_at"], each["last_at"]) for each in found] == [
        (at - 3 * HOUR, at - HOUR),
        (at - 2 * HOUR, at - HOUR),
        (at - 2 * HOUR, at - HOUR),
    ]
    assert [(each["key"], each["deliveries"], each["others"]) for each in by_type] == [
        ("t1", 5, ["b", "d", "a"]),
        ("t3", 3, ["a"]),
        ("t2", 2, ["a"]),
        ("t9", 1, ["c"]),
        ("unreadable", 1, ["a"]),
    ]


def test_of_too_many_dead_deliveries_the_newest_are_looked_at(conn: Conn) -> None:
    for seq, code in ((1, "old"), (3, "new"), (2, "new"), (4, "newest")):
        died(conn, seq, code, "t")
        log(conn, range(seq, seq + 1), user_id=UUID(int=seq))

    found = asked(conn, "dead/groups", by_type=False, look_max=3, size=10, named=3)

    assert [(each["key"], each["deliveries"]) for each in found] == [("new", 2), ("newest", 1)]
    assert sorted(tuples(conn, "dead/users", by_type=False, look_max=3)) == [("new", 2), ("newest", 1)]


def test_the_users_of_a_group_are_each_counted_once_and_nobody_is_no_user(conn: Conn) -> None:
    for seq, (code, event_type, user_id) in enumerate(
        [("a", "t", ONE), ("a", "t", ONE), ("a", None, OTHER), ("b", "t", OTHER), ("b", None, None)], 1
    ):
        died(conn, seq, code, event_type)
        log(conn, range(seq, seq + 1), user_id=user_id)
    failed(conn, 9, "retrying", due=HOUR)
    log(conn, range(9, 10), user_id=UUID(int=9))

    assert sorted(tuples(conn, "dead/users", by_type=False, look_max=10)) == [("a", 2), ("b", 1)]
    assert sorted(tuples(conn, "dead/users", by_type=True, look_max=10)) == [("t", 2), ("unreadable", 1)]
