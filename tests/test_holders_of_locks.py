"""The query of who holds our locks: which locks of which sessions it names, and since when."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from consumer.postgres.connections import (
    Access,
    operator_access,
    receiver_access,
    viewer_access,
    worker_access,
)
from consumer.postgres.migrator import LOCK_KEY
from consumer.postgres.queries import query
from tests.support.databases import change, scratch_database
from tests.support.processes import until

Conn = psycopg.Connection[Any]
COLUMNS = ("pid", "gid", "login", "application", "locks", "waited", "seconds", "is_hidden")
WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted AND pid = ANY(%s)"


@pytest.fixture
def asker(emptied: str) -> Iterator[Conn]:
    with psycopg.connect(emptied, autocommit=True) as conn:
        yield conn


@pytest.fixture
def sessions(emptied: str) -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def session(stack: ExitStack, url: str, *statements: str, name: str = "one") -> Conn:
    """Open a session that keeps what it locks until the test ends."""
    conn = psycopg.connect(url, autocommit=True, application_name=name)
    stack.callback(conn.close)
    for statement in statements:
        conn.execute(statement.encode())
    return conn


def waits(stack: ExitStack, asker: Conn, url: str, statement: str, name: str = "consumer worker") -> int:
    """Let a session wait for a lock; return its pid."""
    conn = session(stack, url, name=name)
    conn.pgconn.send_query(statement.encode())
    pid = conn.info.backend_pid
    until(lambda: asker.execute(WAITING, [[pid]]).fetchall() == [(1,)])
    return pid


def held(asker: Conn, readers_of: str | None = None) -> list[dict[str, Any]]:
    found = asker.execute(query("locks/holders"), {"migrations_key": LOCK_KEY, "readers_of": readers_of}).fetchall()
    return [dict(zip(COLUMNS, row, strict=True)) for row in found]


def locks(asker: Conn, readers_of: str | None = None) -> list[tuple[str, str]]:
    return [(each["application"], each["locks"]) for each in held(asker, readers_of)]


NAMED = ("SHARE", "SHARE ROW EXCLUSIVE", "EXCLUSIVE", "ACCESS EXCLUSIVE")
ORDINARY = ("ACCESS SHARE", "ROW SHARE", "ROW EXCLUSIVE", "SHARE UPDATE EXCLUSIVE")


@pytest.mark.parametrize("mode", NAMED + ORDINARY)
def test_a_table_that_is_locked_against_writers_is_named(
    emptied: str, asker: Conn, sessions: ExitStack, mode: str
) -> None:
    lock = f"BEGIN; LOCK TABLE identity.companies IN {mode} MODE"
    one = session(sessions, emptied, lock)

    name = ("one", "table identity.companies")
    assert locks(asker) == ([name] if mode in NAMED else [])
    assert locks(asker, "identity.companies") == [name]
    assert locks(asker, "identity.profiles") == ([name] if mode in NAMED else [])
    one.execute("ROLLBACK")
    assert locks(asker, "identity.companies") == []


def test_a_table_or_sequence_of_another_kind_is_not_named(emptied: str, asker: Conn, sessions: ExitStack) -> None:
    one = session(sessions, emptied, "CREATE TABLE IF NOT EXISTS public.held ()", "BEGIN", "LOCK TABLE public.held")
    one.execute("ALTER SEQUENCE consumer.edit_number CACHE 1")

    assert locks(asker) == []
    one.execute("ROLLBACK")
    change(emptied, "DROP TABLE public.held")


def advisory(name: str, key: int) -> str:
    return f"pg_advisory_lock(hashtext('{name}'), {key})"


def as_one_key(name: str, key: int) -> str:
    return f"pg_advisory_lock(((hashtext('{name}')::bigint & 4294967295) << 32) | {key})"


@pytest.mark.parametrize(
    ("lock", "name"),
    [
        (f"pg_advisory_lock({LOCK_KEY})", "the lock of migrations"),
        (advisory("consumer.companies", 0), "locks of companies"),
        (advisory("consumer.companies", 255), "locks of companies"),
        (advisory("consumer.maintenance", 7), "a lock of maintenance"),
        (advisory("consumer.companies", 256), None),
        (advisory("consumer.other", 7), None),
        (as_one_key("consumer.companies", 7), None),
        (as_one_key("consumer.maintenance", 7), None),
        (f"pg_advisory_lock({LOCK_KEY + 1})", None),
        (f"pg_advisory_lock({LOCK_KEY + 2**32})", None),
    ],
)
def test_an_advisory_lock_is_ours_by_its_whole_key(
    emptied: str, asker: Conn, sessions: ExitStack, lock: str, name: str | None
) -> None:
    one = session(sessions, emptied, f"SELECT {lock}")
    asker.execute(f"SELECT pg_advisory_lock_shared({LOCK_KEY + 9})".encode())
    [(login,)] = asker.execute("SELECT current_user").fetchall()
    found = held(asker)

    known = {"pid": one.info.backend_pid, "gid": None, "login": login, "application": "one", "locks": name}
    assert [{key: each[key] for key in known} for each in found] == ([known] if name else [])
    # It is idle: since its last statement.
    assert all(0 <= each["seconds"] < 60 and not each["is_hidden"] and each["waited"] is None for each in found)


def test_a_session_has_one_row_with_all_its_locks_by_name_and_who_asks_has_none(
    emptied: str, asker: Conn, sessions: ExitStack
) -> None:
    for name in ("one", ""):
        session(
            sessions,
            emptied,
            f"SELECT {advisory('consumer.maintenance', 1 if name else 2)}",
            f"SELECT {advisory('consumer.companies', 1 if name else 2)}, pg_advisory_lock_shared({LOCK_KEY})",
            "BEGIN",
            f"LOCK TABLE {'identity.profiles' if name else 'consumer.edits'} IN SHARE MODE",
            name=name,
        )
    asker.execute(f"SELECT pg_advisory_lock_shared({LOCK_KEY}), {advisory('consumer.companies', 3)}".encode())
    found = held(asker)
    asker.execute("SELECT pg_advisory_unlock_all()")

    shared = "a lock of maintenance, locks of companies, table {}, the lock of migrations"
    assert sorted([each["application"] or "", each["locks"]] for each in found) == [
        ["", shared.format("consumer.edits")],
        ["one", shared.format("identity.profiles")],
    ]
    assert {each["application"] for each in found} == {None, "one"}
    assert [each["pid"] for each in found] == sorted(each["pid"] for each in found)


@contextmanager
def company(url: str) -> Iterator[str]:
    """Yield the update of a row that is there meanwhile."""
    change(url, "INSERT INTO identity.companies (id) VALUES ('00000000-0000-0000-0000-000000000001')")
    yield "UPDATE identity.companies SET name = name"


def test_of_several_that_wait_for_a_session_the_longest_wait_is_told(
    emptied: str, asker: Conn, sessions: ExitStack
) -> None:
    with company(emptied) as update:
        one = session(sessions, emptied, "BEGIN", update)
        assert held(asker) == []
        waits(sessions, asker, emptied, update, name="psql")
        assert held(asker) == []
        one.execute("ROLLBACK")

        one = session(sessions, emptied, "BEGIN", "LOCK TABLE identity.companies IN SHARE MODE")
        waits(sessions, asker, emptied, update)
        until(lambda: held(asker)[0]["waited"] > 0.4)
        waits(sessions, asker, emptied, update, name="consumer other")
        [found] = held(asker)

    assert (found["pid"], found["locks"]) == (one.info.backend_pid, "a row, table identity.companies")
    assert found["waited"] > 0.4
    assert found["seconds"] >= found["waited"]


def test_a_row_that_one_of_ours_waits_for_is_told_with_its_holder(
    emptied: str, asker: Conn, sessions: ExitStack
) -> None:
    with company(emptied) as update:
        one = session(sessions, emptied, "BEGIN", update)
        waits(sessions, asker, emptied, update)
        found = held(asker)

    assert [(each["pid"], each["locks"]) for each in found] == [(one.info.backend_pid, "a row")]
    assert 0 < found[0]["waited"] <= found[0]["seconds"]


def test_one_of_ours_that_waits_in_another_database_is_its_own_affair(
    emptied: str, server_url: str, asker: Conn, sessions: ExitStack
) -> None:
    with scratch_database(server_url, "elsewhere") as url, ExitStack() as stack:
        change(url, "CREATE TABLE public.t AS SELECT 1 AS n")
        session(stack, url, "BEGIN", "UPDATE public.t SET n = 2", f"SELECT pg_advisory_lock({LOCK_KEY})")
        with psycopg.connect(url, autocommit=True) as other:
            waits(stack, other, url, "UPDATE public.t SET n = 3")

        assert held(asker) == []


def test_each_access_has_its_role_and_its_limits() -> None:
    def access(duty: str, *seconds: int, is_read_only: bool = False) -> Access:
        connect, unacknowledged, statement, lock, idle = (timedelta(seconds=limit) for limit in seconds)
        name, role = f"consumer {duty}", f"p_{duty}"
        return Access(name, role, connect, unacknowledged, statement, lock, idle, is_read_only=is_read_only)

    assert receiver_access("p") == access("receiver", 3, 4, 3, 2, 5)
    assert worker_access("p") == access("worker", 5, 10, 30, 3, 10)
    assert operator_access("p") == access("operator", 5, 10, 600, 5, 60)
    assert viewer_access("p") == access("viewer", 5, 10, 2, 1, 10, is_read_only=True)
