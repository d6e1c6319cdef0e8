"""What the database tells a request of a delivery that is pending, done, pruned, or pruned and stored again."""

from uuid import UUID

import pytest

from tests.support.asked import tuples
from tests.support.rolled_back import Conn

FIRST, LATER = ([UUID(int=10 * n + offset) for n in range(6)] for offset in (1, 2))


def store(conn: Conn, seq: int, source: str, name: str, request_id: UUID) -> None:
    conn.execute(
        "INSERT INTO consumer.outbox (seq, source, message_id, event_type, occurred_at, body, request_id)"
        " OVERRIDING SYSTEM VALUE VALUES (%s, %s, %s, 'user.signed_in', now(), '', %s)",
        (seq, source, name, request_id),
    )


def prune(conn: Conn, source: str, *names: str) -> None:
    for name in names:
        conn.execute("INSERT INTO consumer.pruned (key) VALUES (consumer.message_key(%s, %s))", (source, name))


def found(conn: Conn, names: list[str], request_ids: list[UUID]) -> list[tuple[str, str, bool]]:
    """Return the name, the state and whether it is a repeat of what is known, by name."""
    rows = tuples(conn, "waits/find", message_ids=names, request_ids=request_ids)
    assert all(row[3:] == (None, None, None) for row in rows)
    return sorted((names[request_ids.index(row[0])], row[1], row[2]) for row in rows)


NAMES = ["pending", "done", "again", "gone", "other", "never"]


@pytest.mark.parametrize("is_first", [True, False])
def test_what_was_pruned_is_done_and_a_repeat_unless_it_is_stored_again(conn: Conn, is_first: bool) -> None:
    for seq, name in enumerate(("pending", "done", "again"), 1):
        store(conn, seq, "app", name, FIRST[seq - 1])
    conn.execute("INSERT INTO consumer.pending (seq) VALUES (1), (3)")
    conn.execute("INSERT INTO consumer.outcomes (seq, outcome) VALUES (2, 'applied')")
    # The sender of the same name is another one.
    store(conn, 4, "stack", "gone", FIRST[3])
    prune(conn, "app", "again", "gone")
    prune(conn, "stack", "other", "pending")

    assert found(conn, NAMES, FIRST if is_first else LATER) == [
        ("again", "pending", not is_first),
        ("done", "done", not is_first),
        ("gone", "done", True),
        ("pending", "pending", not is_first),
    ]


def test_where_nothing_was_pruned_only_what_is_stored_is_known(conn: Conn) -> None:
    store(conn, 1, "app", "pending", FIRST[0])
    conn.execute("INSERT INTO consumer.pending (seq) VALUES (1)")

    assert found(conn, NAMES, FIRST) == [("pending", "pending", False)]
    assert tuples(conn, "waits/find", message_ids=[], request_ids=[]) == []
