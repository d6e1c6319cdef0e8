"""What the page of recovery asks the database, in the transaction that fills the tables: its time is now."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from tests.support.asked import HOUR, ONE, OTHER, SECOND, TICK, asked, now, tuples
from tests.support.rolled_back import Conn

# Far enough apart that neither their order nor the opposite one is the order of the tables.
IDS = [UUID(int=n) for n in (7, 3, 9, 1, 5)]


def act(conn: Conn, action_id: UUID, action: str = "retry", ago: timedelta = timedelta(0)) -> None:
    conn.execute(
        "INSERT INTO consumer.actions (id, at, actor, via, role, action)"
        " VALUES (%s, now() - %s, 'kim', 'console', 'operator', %s)",
        (action_id, ago, action),
    )


def order(conn: Conn, order_id: UUID, begun: timedelta, finished: timedelta | None) -> None:
    """Store an order that began and finished so long ago."""
    act(conn, order_id)
    conn.execute(
        "INSERT INTO consumer.background (id, begun_at, finished_at) VALUES (%s, now() - %s, now() - %s::interval)",
        (order_id, begun, finished),
    )


def test_a_stage_of_the_queue_is_counted_to_its_most_by_id_and_what_is_due_now_is_not_postponed(conn: Conn) -> None:
    for stage, number, due, error in (
        (3, 9, -HOUR, "unseen"),
        (3, 1, TICK, None),
        (3, 5, timedelta(0), "a"),
        (3, 3, HOUR, "b"),
        (1, 9, timedelta(0), None),
    ):
        conn.execute(
            "INSERT INTO consumer.rebuild (stage, id, due_at, error) VALUES (%s, %s, now() + %s, %s)",
            (stage, UUID(int=number), due, error),
        )

    found = tuples(conn, "recovery/rebuild", stages=[3, 2, 1], look_max=[3, 10, 10])

    assert found == [(1, 1, 0, None), (3, 3, 2, "b")]


def test_homes_come_due_first_then_oldest_each_with_its_place_between_the_ids(conn: Conn) -> None:
    conn.execute(
        "INSERT INTO identity.companies (id, name, version) VALUES (%s, 'Northwind', '1'), (%s, 'Southwind', '1')",
        (ONE, OTHER),
    )
    for company_id, following, last, due in (
        (OTHER, "12345678", "9abcdef1", HOUR),
        (UUID(int=3), "00000001", "00000001", HOUR),
        (ONE, "00000000", "00000000", timedelta(0)),
        (ONE, "ffffffff", "ffffffff", 2 * HOUR),
    ):
        conn.execute(
            "INSERT INTO consumer.rehome (company_id, next_user_id, last_user_id, attempts, due_at, seq)"
            " VALUES (%s, %s, %s, 4, now() + %s, 1)",
            (company_id, f"{following}-f000-0000-0000-000000000000", f"{last}-f000-0000-0000-000000000000", due),
        )
    [(one, other)] = conn.execute(
        "SELECT consumer_masked.name('Northwind'), consumer_masked.name('Southwind')"
    ).fetchall()
    at = now(conn)

    assert tuples(conn, "recovery/rehome", size=3) == [
        (ONE, one, 4, at, 0.0),
        (OTHER, other, 4, at + HOUR, 0x12345678 / 0x9ABCDEF1),
        (UUID(int=3), None, 4, at + HOUR, 1.0),
    ]


# The order of orders: what goes on, the newest first, then what finished last.
ORDERED: list[tuple[UUID, timedelta, timedelta | None]] = [
    (IDS[2], HOUR, None),
    (IDS[0], HOUR, None),
    (IDS[1], 2 * HOUR, None),
    (UUID(int=20), 9 * HOUR, SECOND),
    (UUID(int=24), 3 * HOUR, HOUR),
    (UUID(int=23), 3 * HOUR, HOUR),
    (UUID(int=25), 4 * HOUR, HOUR),
    (UUID(int=29), 3 * HOUR, 2 * HOUR),
]


@pytest.mark.parametrize("before", [None, *range(len(ORDERED))])
@pytest.mark.parametrize("size", [2, 20])
def test_a_page_of_orders_begins_behind_the_one_before(conn: Conn, before: int | None, size: int) -> None:
    for values in sorted(ORDERED):
        order(conn, *values)
    ids = [each[0] for each in ORDERED]

    found = asked(conn, "recovery/orders", before=None if before is None else ids[before], size=size)

    begin = 0 if before is None else before + 1
    assert [each["id"] for each in found] == ids[begin : begin + size]
    ended = {each[0]: each[2] for each in ORDERED}
    assert all((each["finished_at"] is None) == (ended[each["id"]] is None) for each in found)


def test_the_newest_actions_are_of_orders_and_of_others_each_as_many_as_are_asked_for(conn: Conn) -> None:
    for place, number in enumerate((7, 3, 9, 1, 5)):
        order(conn, UUID(int=number), timedelta(0), None)
        act(conn, UUID(int=100 + number), "replay", HOUR)
        act(conn, UUID(int=200 + number), "discard", (5 + place) * HOUR)

    found = asked(conn, "recovery/actions", size=3)

    assert [(each["id"].int, each["is_order"]) for each in found] == [
        *((n, True) for n in (9, 7, 5)),
        *((n, False) for n in (109, 107, 105)),
    ]


def test_actions_come_newest_first_whatever_their_ids(conn: Conn) -> None:
    for number, hours in ((1, 2), (3, 4), (2, 1), (4, 3)):
        act(conn, UUID(int=number), ago=hours * HOUR)

    assert [each["id"].int for each in asked(conn, "recovery/actions", size=3)] == [2, 1, 4]


def test_what_sets_nothing_right_is_left_out(conn: Conn) -> None:
    for number, action in enumerate(("sign_in", "reveal", "refused", "export", "rebuild", "unheard_of"), 1):
        act(conn, UUID(int=number), action)

    assert [each["action"] for each in asked(conn, "recovery/actions", size=9)] == ["unheard_of", "rebuild"]


@pytest.mark.parametrize(("others", "is_seen"), [(999, True), (1000, False)])
@pytest.mark.parametrize("ago", [timedelta(0), TICK], ids=["by id", "by time"])
def test_only_the_newest_thousand_actions_are_looked_at(conn: Conn, others: int, is_seen: bool, ago: timedelta) -> None:
    """By time, or where that is the same by id."""
    act(conn, UUID(int=1) if not ago else UUID("ffffffff-0000-0000-0000-000000000000"), ago=ago)
    conn.execute(
        "INSERT INTO consumer.actions (id, actor, via, role, action)"
        " SELECT ('00000000-0000-0000-0001-' || lpad(n::text, 12, '0'))::uuid, 'kim', 'console', 'viewer', 'sign_in'"
        " FROM generate_series(1, %s) AS n",
        (others,),
    )

    assert len(asked(conn, "recovery/actions", size=9)) == is_seen


def run(conn: Conn, run_id: UUID, ago: timedelta, repaired: dict[str, int]) -> None:
    conn.execute(
        "INSERT INTO consumer.runs (id, kind, project_id, stage, begun_at, finished_at)"
        " VALUES (%s, 'reconcile', 'p', 'users', now() - %s, now())",
        (run_id, ago),
    )
    for kind, n in repaired.items():
        conn.execute("INSERT INTO consumer.run_repairs VALUES (%s, %s, %s)", (run_id, kind, n))


def test_runs_come_newest_first_each_with_what_it_alone_has_repaired(conn: Conn) -> None:
    for number, hours, repaired in ((2, 1, {"a": 1, "b": 2}), (4, 1, {}), (1, 0, {"a": 4}), (9, 5, {"a": 8})):
        run(conn, UUID(int=number), hours * HOUR, repaired)

    found = asked(conn, "recovery/runs", id=None, size=3)
    [one] = asked(conn, "recovery/runs", id=UUID(int=9), size=3)

    assert [(each["id"].int, each["repaired"]) for each in found] == [(1, 4), (4, 0), (2, 3)]
    assert (one["id"].int, one["repaired"]) == (9, 8)


def test_a_run_tells_what_it_repaired_and_what_it_suspects_by_kind(conn: Conn) -> None:
    run(conn, ONE, HOUR, {"undeleted_user": 3, "missing_user": 4})
    run(conn, OTHER, HOUR, {"undeleted_user": 50, "missing_team": 60})
    for run_id, kind, n in (
        (ONE, "undeleted_user", 2),
        (ONE, "extra_membership", 3),
        (ONE, "undeleted_team", 1),
        (OTHER, "extra_membership", 7),
    ):
        for _ in range(n):
            conn.execute(
                "INSERT INTO consumer.suspects (run_id, kind, team_id, user_id, permission_id)"
                " VALUES (%s, %s, gen_random_uuid(), gen_random_uuid(), 'p')",
                (run_id, kind),
            )

    assert tuples(conn, "recovery/repairs", id=ONE, look_max=10) == [
        ("extra_membership", 0, 3),
        ("missing_user", 4, 0),
        ("undeleted_team", 0, 1),
        ("undeleted_user", 3, 2),
    ]
    assert [each[2] for each in tuples(conn, "recovery/repairs", id=ONE, look_max=4)] == [3, 0, 1, 0]


def test_the_largest_tables_of_ours_come_first_and_by_name_where_they_are_alike(conn: Conn) -> None:
    conn.execute("CREATE TABLE consumer.zz_a (n integer); CREATE TABLE identity.zz_a (n integer)")
    conn.execute("CREATE TABLE public.zz_a AS SELECT n FROM generate_series(1, 100000) AS n")

    found = tuples(conn, "system/sizes", size=1000)

    assert found == sorted(found, key=lambda each: (-each[1], each[0]))
    names = [each[0] for each in found]
    assert names[-2:] == ["consumer.zz_a", "identity.zz_a"]
    assert {name.partition(".")[0] for name in names} == {"consumer", "identity"}
    assert "consumer.outbox" in names
    assert "consumer.deliveries" not in names
    assert "consumer.outbox_pkey" not in names
    assert tuples(conn, "system/sizes", size=2) == found[:2]


def test_migrations_come_newest_first_at_their_time_in_utc(conn: Conn) -> None:
    conn.execute("SET LOCAL TimeZone = 'Asia/Kolkata'")
    conn.execute("UPDATE consumer._yoyo_migration SET applied_at_utc = '2026-01-31 12:00'")

    found = tuples(conn, "system/migrations")

    assert len(found) > 1
    assert [each[0] for each in found] == sorted((each[0] for each in found), reverse=True)
    assert {each[1] for each in found} == {datetime(2026, 1, 31, 12, tzinfo=UTC)}
