"""The functions that replace what is stored, or answer for it, with rights of their own: what they touch and refuse."""

from typing import Any
from uuid import UUID

import pytest
from psycopg.errors import InsufficientPrivilege, SerializationFailure

from tests.support.rolled_back import Conn

USER, OTHER = UUID(int=1), UUID(int=2)
MINE, THEIRS = UUID(int=11), UUID(int=12)


def stored(conn: Conn, name: str, state: str = "pending", **values: Any) -> int:
    """Store a delivery, in a state; return its number."""
    columns = {"source": "app", "message_id": name, "body": b"old", "reduced": b"older"} | values
    [(seq,)] = conn.execute(
        f"INSERT INTO consumer.outbox (occurred_at, {', '.join(columns)}) "
        f"VALUES (now(), {', '.join(['%s'] * len(columns))}) RETURNING seq".encode(),
        list(columns.values()),
    ).fetchall()
    if state == "done":
        conn.execute("INSERT INTO consumer.outcomes (seq, outcome) VALUES (%s, 'applied')", [seq])
    elif state in ("dead", "retrying"):
        conn.execute(
            "INSERT INTO consumer.failures (seq, state, attempts, next_attempt_at, error_code, error) "
            "VALUES (%s, %s, 1, CASE WHEN %s = 'retrying' THEN now() END, 'code', 'error')",
            [seq, state, state],
        )
    else:
        conn.execute("INSERT INTO consumer.pending (seq) VALUES (%s)", [seq])
    return int(seq)


def bodies(conn: Conn) -> list[tuple[Any, ...]]:
    return conn.execute("SELECT body, reduced FROM consumer.outbox ORDER BY seq").fetchall()


ERASED = f"erase:{USER}"
ERASURE: dict[str, Any] = {"source": "operator", "message_id": ERASED, "event_type": "user.erased", "user_id": USER}
OLD = (b"old", b"older")


@pytest.mark.parametrize(
    ("difference", "is_erasure"),
    [
        ({}, True),
        ({"source": "app"}, False),
        ({"message_id": f"erase:{OTHER}"}, False),
        ({"event_type": "user.deleted"}, False),
        ({"user_id": OTHER}, False),
        ({"user_id": None}, False),
    ],
)
def test_bodies_are_replaced_for_a_stored_erasure_of_this_user(
    conn: Conn, difference: dict[str, Any], is_erasure: bool
) -> None:
    row = ERASURE | difference
    stored(conn, str(row.pop("message_id")), **row)
    first, second, _ = (stored(conn, name) for name in "abc")
    call = "SELECT consumer.erase_bodies(%s, %s, %b, %b)"
    values = [USER, [second, first, 10**9], [b"2", b"1", b""], [None, b"r", b""]]

    assert conn.execute("SELECT consumer.is_erasure_stored(%s)", [USER]).fetchall() == [(is_erasure,)]
    assert conn.execute("SELECT consumer.is_erasure_stored(NULL)").fetchall() == [(False,)]
    if not is_erasure:
        with pytest.raises(InsufficientPrivilege, match="no erasure of this user is stored"):
            conn.execute(call.encode(), values)
        return
    conn.execute(call.encode(), values)

    assert bodies(conn) == [OLD, (b"1", b"r"), (b"2", None), OLD]


def test_a_body_that_may_not_be_changed_stops_an_erasure(conn: Conn) -> None:
    row = ERASURE.copy()
    stored(conn, row.pop("message_id"), **row)
    seqs = [stored(conn, name) for name in "ab"]
    conn.execute("DROP POLICY definer_rereads ON consumer.outbox")
    rereads = "CREATE POLICY definer_rereads ON consumer.outbox FOR UPDATE TO consumer_definer USING (seq = {})"
    conn.execute(rereads.format(seqs[0]).encode())

    with pytest.raises(InsufficientPrivilege, match="only 1 of 2 deliveries may be changed"):
        conn.execute("SELECT consumer.erase_bodies(%s, %s, %b, %b)", [USER, seqs, 2 * [b""], 2 * [None]])


def test_only_bodies_about_erased_users_are_reduced_late(conn: Conn) -> None:
    conn.execute(
        "INSERT INTO identity.stack_user_profiles (stack_user_id, is_erased) VALUES (%s, TRUE), (%s, FALSE)",
        [USER, OTHER],
    )
    mine = [stored(conn, name, user_id=USER) for name in "ab"]
    others = [stored(conn, "c", user_id=OTHER), stored(conn, "d", user_id=UUID(int=3)), stored(conn, "e")]
    stored(conn, "f", user_id=USER)
    call = "SELECT consumer.reduce_late(%s, %b)"

    for other in others:
        with (
            pytest.raises(InsufficientPrivilege, match="only 1 of 2 deliveries are about an erased"),
            conn.transaction(),
        ):
            conn.execute(call.encode(), [[mine[0], other], [b"1", b"2"]])
    conn.execute(call.encode(), [[mine[1], mine[0]], [b"2", b"1"]])

    assert bodies(conn) == [(b"1", None), (b"2", None), OLD, OLD, OLD, OLD]


def test_only_what_is_done_and_reduced_as_before_is_reduced_again(conn: Conn) -> None:
    first, second, _ = (stored(conn, name, "done") for name in "abc")
    others = [
        stored(conn, "d", "done", reduced=b"x"),
        stored(conn, "e", "done", reduced=None),
        stored(conn, "f", "dead"),
    ]
    call = "SELECT consumer.reduce_again(%s, %b, %b)"

    for other in others:
        with (
            pytest.raises(SerializationFailure, match="only 1 of 2 deliveries are done and reduced"),
            conn.transaction(),
        ):
            conn.execute(call.encode(), [[first, other], [b"older", b"older"], [b"1", b"2"]])
    conn.execute(call.encode(), [[second, first], [b"older", b"older"], [b"2", b"1"]])

    assert [reduced for _, reduced in bodies(conn)] == [b"1", b"2", b"older", b"x", None, b"older"]
    assert {body for body, _ in bodies(conn)} == {b"old"}


def test_only_dead_deliveries_are_read_again(conn: Conn) -> None:
    first, second, _ = (stored(conn, name, "dead") for name in "abc")
    others = [stored(conn, "d"), stored(conn, "e", "retrying"), stored(conn, "f", "done")]
    call = "SELECT consumer.reread(%s, %s, %s, %s, %b)"
    values = [["t2", "t1"], [OTHER, USER], [None, MINE], [b"2", None]]

    for other in others:
        with pytest.raises(InsufficientPrivilege, match="only 1 of 2 deliveries are dead"), conn.transaction():
            conn.execute(call.encode(), [[first, other], *values])
    conn.execute(call.encode(), [[second, first], *values])

    found = conn.execute(
        "SELECT event_type, user_id, team_id, reduced, body FROM consumer.outbox ORDER BY seq"
    ).fetchall()
    assert found[:2] == [("t1", USER, MINE, None, b"old"), ("t2", OTHER, None, b"2", b"old")]
    assert found[2:] == 4 * [(None, None, None, b"older", b"old")]


PROFILE = (
    *("user_id", "company_id", "full_name", "email", "email_verified", "avatar_url", "role_type", "department"),
    *(
        "is_restricted",
        "last_active_at",
        "last_sign_in_at",
        "last_sign_out_at",
        "created_at",
        "updated_at",
        "deleted_at",
    ),
)


@pytest.mark.parametrize("asks", [MINE, THEIRS, None], ids=["the request", "another one", "none"])
def test_a_request_learns_the_state_of_a_delivery_and_of_its_own_more(conn: Conn, asks: UUID | None) -> None:
    conn.execute(
        "INSERT INTO identity.profiles (user_id, full_name, role_type, department) VALUES (%s, 'Ada', 'r', 'd')", [USER]
    )
    states = ("pending", "retrying", "dead", "done")
    for state in states:
        stored(conn, state, state, user_id=USER, request_id=MINE)
    stored(conn, "without", "done", user_id=OTHER, request_id=MINE)
    stored(conn, "dead", "done", source="stack", user_id=USER, request_id=MINE)
    names = [*states, "without", "unknown"]
    found = conn.execute(
        "SELECT request_id, state, is_repeat, error_code, error, profile FROM consumer.app_deliveries(%s, %s::uuid[])",
        [names, [asks] * len(names)],
    ).fetchall()

    is_mine = asks == MINE
    told = ("code", "error") if is_mine else (None, None)
    profiles = [profile for *_, profile in found if profile]
    assert sorted((row[1:5] for row in found), key=str) == sorted(
        [
            ("pending", not is_mine, None, None),
            ("retrying", not is_mine, *told),
            ("dead", not is_mine, *told),
            *2 * [("done", not is_mine, None, None)],
        ],
        key=str,
    )
    assert {row[0] for row in found} == {asks}
    assert [profile["full_name"] for profile in profiles] == (["Ada"] if is_mine else [])
    assert all(profile.keys() == set(PROFILE) for profile in profiles)
    assert all(profile["created_at"].endswith("+00:00") for profile in profiles)


def test_a_delivery_is_stored_now_if_this_transaction_stored_it(conn: Conn) -> None:
    now, before = stored(conn, "a"), stored(conn, "b")
    conn.execute("UPDATE consumer.outbox SET received_at = now() - interval '1 microsecond' WHERE seq = %s", [before])

    found = [conn.execute("SELECT consumer.is_stored_now(%s)", [seq]).fetchone() for seq in (now, before, 10**9)]
    assert found == [(True,), (False,), (False,)]


def test_work_begins_with_the_greatest_release_of_the_fence_and_all_migrations(conn: Conn) -> None:
    ids = [name for (name,) in conn.execute("SELECT migration_id FROM consumer._yoyo_migration").fetchall()]
    conn.execute("INSERT INTO consumer.fence (migration, oldest_release) VALUES (98, 97), (99, 3)")
    [(release, migrations)] = conn.execute("SELECT * FROM consumer.begin_work()").fetchall()
    conn.execute("DELETE FROM consumer.fence")
    [(unfenced,)] = conn.execute("SELECT oldest_release FROM consumer.begin_work()").fetchall()

    assert (release, unfenced) == (97, 0)
    assert sorted(migrations) == sorted(ids)


def test_an_event_of_the_application_is_stored_and_queued_once_and_not_after_a_prune(
    conn: Conn,
) -> None:
    call = "SELECT consumer.store_app_event(%s, 'e', '2026-11-03 12:00+00', jsonb_build_object('id', %s::text, 'k', 1))"

    def store(name: str) -> Any:
        return conn.execute(call.encode(), [name, USER]).fetchall()[0][0]

    answers = [store("a"), store("a")]
    conn.execute(
        "INSERT INTO consumer.pruned SELECT consumer.message_key(source, message_id) "
        "FROM (VALUES ('app', 'b'), ('stack', 'c')) AS k (source, message_id)"
    )
    answers += [store("b"), store("c"), store("c"), store("a")]
    found = conn.execute(
        "SELECT source, message_id, event_type, user_id, occurred_at::text, convert_from(body, 'UTF8')::jsonb, "
        "EXISTS (SELECT FROM consumer.pending AS p WHERE p.seq = o.seq) FROM consumer.outbox AS o ORDER BY seq"
    ).fetchall()

    assert answers == ["a", None, None, "c", None, None]
    body = {"type": "e", "data": {"id": str(USER), "k": 1}}
    assert [(row[:4], row[5:]) for row in found] == [(("app", name, "e", USER), (body, True)) for name in "ac"]
