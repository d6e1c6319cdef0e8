"""The functions that remove rows, or scrub them, with rights of their own: what they touch, and what they refuse."""

import asyncio
import hashlib
import threading
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege, InvalidParameterValue
from psycopg.types.json import Jsonb

from tests.support.databases import change, rows, waits_for_locks
from tests.support.polling import until
from tests.support.rolled_back import Conn

ADA, EVE = UUID(int=1), UUID(int=2)


def refused(conn: Conn, call: str, *values: Any, match: str = "") -> None:
    with pytest.raises((InsufficientPrivilege, InvalidParameterValue), match=match), conn.transaction():
        conn.execute(call.encode(), values or None)


def audit(conn: Conn, name: str, user: UUID = ADA, at: str = "now()", **values: Any) -> None:
    columns = ["user_id", "operation", "source", "message_id", "seq", *values]
    parts = [Jsonb(value) if isinstance(value, dict) else value for value in values.values()]
    conn.execute(
        f"INSERT INTO identity.profile_audit (at, {', '.join(columns)}) "
        f"VALUES ({at}, {', '.join(['%s'] * len(columns))})".encode(),
        [user, "updated", "app", name, 1, *parts],
    )


PERSONAL = {"full_name": "A", "email": "a@x.de", "email_verified": True, "avatar_url": "u"}
OTHERS = {"role_type": "r", "department": "d", "company_id": None, "is_restricted": False, "deleted_at": None}
CAUSES: dict[str, dict[str, Any]] = {
    **{f"previous {field}": {"previous_values": {field: value} | OTHERS} for field, value in PERSONAL.items()},
    **{f"new {field}": {"new_values": {field: value} | OTHERS} for field, value in PERSONAL.items()},
    "edited_by": {"edited_by": "eve"},
    "reason": {"reason": "ada asked"},
}


def forget(conn: Conn) -> None:
    conn.execute("DELETE FROM identity.profile_audit; DELETE FROM identity.stack_user_profiles")
    conn.execute(
        "INSERT INTO identity.stack_user_profiles (stack_user_id, is_forgotten) VALUES (%s, TRUE), (%s, FALSE)",
        [ADA, EVE],
    )


@pytest.mark.parametrize("cause", CAUSES)
def test_the_audit_of_a_forgotten_user_loses_the_person_and_keeps_the_rest(conn: Conn, cause: str) -> None:
    forget(conn)
    values = CAUSES[cause]
    audit(conn, "personal", **values)
    audit(conn, "plain", new_values=OTHERS)
    audit(conn, "other", EVE, **values)
    read = "SELECT message_id, previous_values, new_values, edited_by, reason FROM identity.profile_audit ORDER BY id"
    before = conn.execute(read.encode()).fetchall()

    conn.execute("SELECT identity.scrub_audit(%s)", [[EVE]])
    assert conn.execute(read.encode()).fetchall() == before
    conn.execute("SELECT identity.scrub_audit(%s)", [[ADA, EVE]])

    kept = {name: OTHERS for name in ("previous_values", "new_values") if name in values}
    assert conn.execute(read.encode()).fetchall() == [
        ("personal", kept.get("previous_values"), kept.get("new_values"), None, None),
        *before[1:],
    ]


@pytest.mark.parametrize("cause", CAUSES)
def test_an_audit_that_cannot_be_scrubbed_is_an_error(conn: Conn, cause: str) -> None:
    forget(conn)
    audit(conn, "personal", **CAUSES[cause])
    audit(conn, "plain", new_values=OTHERS)
    conn.execute("DROP POLICY definer ON identity.profile_audit")
    conn.execute("CREATE POLICY reads ON identity.profile_audit FOR SELECT TO consumer_definer USING (TRUE)")

    refused(conn, "SELECT identity.scrub_audit(%s)", [ADA], match="scrubbed 0 of 1 audit rows")


def pruned(conn: Conn, before: str, step: str = "1 hour") -> tuple[Any, ...]:
    """Prune the audit; return the rows removed, and the hours from a day ago to its new start."""
    [found] = conn.execute(
        "SELECT removed, (extract(EPOCH FROM reached - now() + interval '24 hours') / 3600)::float "
        f"FROM identity.prune_audit({before}, '{step}')".encode()
    ).fetchall()
    [(recorded,)] = conn.execute(
        "SELECT (extract(EPOCH FROM audited_since - now() + interval '24 hours') / 3600)::float FROM consumer.settings"
    ).fetchall()
    assert recorded == found[1]
    return tuple(found)


def hours(conn: Conn) -> list[str]:
    return [name for (name,) in conn.execute("SELECT message_id FROM identity.profile_audit ORDER BY at")]


def test_an_audit_is_pruned_slice_by_slice_from_its_first_row(conn: Conn) -> None:
    for hour in (0, 0.5, 1, 1.5, 2):
        audit(conn, str(hour), at=f"now() - interval '24 hours' + interval '{hour} hours'")

    assert pruned(conn, "now()") == (2, 1.0)
    assert hours(conn) == ["1", "1.5", "2"]
    audit(conn, "late", at="now() - interval '24 hours'")
    assert pruned(conn, "now() - interval '22.5 hours'") == (1, 1.5)
    assert hours(conn) == ["late", "1.5", "2"]
    assert pruned(conn, "now() - interval '23 hours'") == (0, 1.5)
    assert pruned(conn, "now() + interval '1 hour'", "9 days") == (2, 24.0)
    assert hours(conn) == ["late"]


def test_an_empty_audit_begins_where_it_was_pruned_to(conn: Conn) -> None:
    assert pruned(conn, "now() - interval '23 hours'") == (0, 1.0)


def test_a_slice_needs_both_an_instant_and_a_length(conn: Conn) -> None:
    for values in ("NULL, '1 hour'", "now(), NULL"):
        refused(conn, f"SELECT identity.prune_audit({values})", match="needs an instant and a length")


def test_an_audit_that_cannot_be_removed_is_an_error(conn: Conn) -> None:
    for hour in (0, 1, 2):
        audit(conn, str(hour), at=f"now() - interval '24 hours' + interval '{hour} hours'")
    conn.execute("DROP POLICY definer ON identity.profile_audit")
    conn.execute("CREATE POLICY reads ON identity.profile_audit FOR SELECT TO consumer_definer USING (TRUE)")

    refused(conn, "SELECT identity.prune_audit(now(), '1 hour')", match="removed 0 of 1 audit rows")
    conn.execute("UPDATE consumer.settings SET audited_since = now() - interval '23 hours'")
    refused(conn, "SELECT identity.prune_audit(now(), '1 hour')", match="removed 0 of 1 audit rows")
    refused(conn, "SELECT identity.prune_audit(now(), '1 day')", match="removed 0 of 2 audit rows")


def test_who_prunes_the_audit_after_another_goes_on_where_that_one_ended(emptied: str) -> None:
    change(emptied, "UPDATE consumer.settings SET audited_since = '2026-01-01 00:00+00'")
    found: list[Any] = []

    def second() -> None:
        with psycopg.connect(emptied) as conn:
            found.extend(conn.execute("SELECT reached FROM identity.prune_audit('2026-02-01', '1 day')").fetchall())

    with psycopg.connect(emptied) as first:
        first.execute("SELECT identity.prune_audit('2026-02-01', '1 day')")
        thread = threading.Thread(target=second)
        thread.start()
        asyncio.run(until(lambda: waits_for_locks(emptied)))
        first.commit()
    thread.join(30)

    assert [reached.isoformat()[:10] for (reached,) in found] == ["2026-01-03"]


def stored(conn: Conn, name: str, age: str, outcome: str | None, event: str | None = "e") -> int:
    [(seq,)] = conn.execute(
        "INSERT INTO consumer.outbox (source, message_id, event_type, occurred_at, received_at, body) "
        f"VALUES ('app', %s, %s, now(), now() - interval '{age}', '') RETURNING seq".encode(),
        [name, event],
    ).fetchall()
    if outcome:
        conn.execute("INSERT INTO consumer.outcomes (seq, outcome) VALUES (%s, %s)", [seq, outcome])
    return int(seq)


def test_the_instant_of_a_prune_has_passed_and_only_moves_on(conn: Conn) -> None:
    for instant in ("NULL", "now() + interval '1 microsecond'", "'infinity'"):
        refused(conn, f"SELECT consumer.begin_prune({instant})", match="instant that has passed")
    read = "SELECT now() - pruned_until FROM consumer.settings"
    found = []
    for ago in ("2 hours", "3 hours", "1 hour", "0"):
        conn.execute(f"SELECT consumer.begin_prune(now() - interval '{ago}')".encode())
        [(age,)] = conn.execute(read.encode()).fetchall()
        found.append(age.total_seconds() / 3600)

    assert found == [2, 2, 1, 0]


@pytest.mark.parametrize("outcome", ["applied", "unchanged", "stale"])
def test_a_delivery_that_is_done_and_old_is_removed_and_its_key_stays(conn: Conn, outcome: str) -> None:
    conn.execute("SELECT consumer.begin_prune(now() - interval '1 hour')")
    old, kept = stored(conn, "old", "1 hour 1 microsecond", outcome), stored(conn, "kept", "2 hours", outcome)

    conn.execute("SELECT consumer.prune(%s)", [[old]])
    conn.execute("SELECT consumer.prune('{}')")

    assert conn.execute("SELECT seq FROM consumer.outbox").fetchall() == [(kept,)]
    assert conn.execute("SELECT seq FROM consumer.outcomes").fetchall() == [(kept,)]
    key = UUID(bytes=hashlib.sha256(b"app old").digest()[:16])
    assert conn.execute("SELECT key FROM consumer.pruned").fetchall() == [(key,)]


@pytest.mark.parametrize(
    ("age", "outcome", "event"),
    [
        ("1 hour", "applied", "e"),
        ("2 hours", "ignored", "e"),
        ("2 hours", "discarded", "e"),
        ("2 hours", None, "e"),
        ("2 hours", "applied", "user.erased"),
    ],
    ids=["too young", "ignored", "discarded", "not done", "an erasure"],
)
def test_another_delivery_is_not_removed(conn: Conn, age: str, outcome: str | None, event: str) -> None:
    conn.execute("SELECT consumer.begin_prune(now() - interval '1 hour')")
    seqs = [stored(conn, "old", "2 hours", "applied"), stored(conn, "other", age, outcome, event)]

    refused(conn, "SELECT consumer.prune(%s)", seqs, match="only 1 of 2 deliveries are done and old")


def test_a_key_that_is_kept_already_is_no_error(emptied: str) -> None:
    with psycopg.connect(emptied) as conn:
        conn.execute("INSERT INTO consumer.pruned SELECT consumer.message_key('app', 'old')")
        conn.execute("SELECT consumer.begin_prune(now() - interval '1 hour')")
        conn.execute("SELECT consumer.prune(%s)", [[stored(conn, "old", "2 hours", "applied")]])

    assert rows(emptied, "SELECT count(*) FROM consumer.pruned") == [{"count": 1}]
