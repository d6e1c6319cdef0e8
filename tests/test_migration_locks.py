"""What a migration's steps wait for and record, and what is told of those who hold its lock or its tables."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import psycopg
import pytest

from consumer.postgres import migration_steps, migrator
from consumer.postgres.migration_steps import MigrationStep, StepRunner, steps
from consumer.postgres.queries import query
from tests.support.databases import plain_owner, scratch_database, waits_for_locks
from tests.support.processes import until

Conn = psycopg.Connection[Any]


@pytest.fixture(scope="module")
def scratch_url(server_url: str) -> Iterator[str]:
    """A database with tables in our schemas and beside them, and a second one for locks elsewhere."""
    with scratch_database(server_url, "steps") as url, psycopg.connect(url, autocommit=True) as conn:
        for statement in (
            *(f"CREATE SCHEMA {schema}" for schema in ("consumer", "identity", "other")),
            *(f"CREATE TABLE {table} (id int)" for table in ("consumer.settings", "identity.profiles", "other.t")),
            "CREATE TABLE consumer.seen (n serial, wait text, statement text, role text, after text, last text)",
            "CREATE INDEX made ON consumer.seen (n)",
        ):
            conn.execute(statement.encode())
        yield url


@pytest.fixture
def conn(scratch_url: str) -> Iterator[Conn]:
    with psycopg.connect(scratch_url, autocommit=True, application_name="here") as conn:
        conn.execute("TRUNCATE consumer.seen RESTART IDENTITY")
        yield conn


@contextmanager
def waiting(url: str, statement: str) -> Iterator[None]:
    """Send a statement, and do not wait for its end."""
    conn = psycopg.connect(url, autocommit=True)
    conn.pgconn.send_query(statement.encode())
    try:
        yield
    finally:
        conn.close()


KEY = migrator.LOCK_KEY


def test_the_holder_of_the_lock_is_told_and_no_other_session(scratch_url: str, server_url: str, conn: Conn) -> None:
    ask = {"key": KEY}
    halves = f"({KEY}::bigint >> 32)::int, (({KEY}::bigint << 32) >> 32)::int"
    with ExitStack() as stack:

        def session(url: str, name: str) -> Conn:
            return stack.enter_context(psycopg.connect(url, autocommit=True, application_name=name))

        session(scratch_url, "another key").execute("SELECT pg_advisory_lock(%s)", [KEY + 1])
        session(scratch_url, "another kind").execute(f"SELECT pg_advisory_lock({halves})".encode())
        session(scratch_url, "a table").execute("BEGIN; LOCK TABLE other.t")
        session(server_url, "another database").execute("SELECT pg_advisory_lock(%s)", [KEY])
        nobody = conn.execute(query("migrator/lock_holder"), ask).fetchall()
        holder = session(scratch_url, "the holder")
        holder.execute("SELECT pg_advisory_lock(%s)", [KEY])
        known = (holder.info.backend_pid, holder.info.user, "the holder")
        stack.enter_context(waiting(scratch_url, f"SELECT pg_advisory_lock({KEY})"))
        until(lambda: waits_for_locks(scratch_url))
        found = conn.execute(query("migrator/lock_holder"), ask).fetchall()

    assert nobody == []
    assert found == [known]


def test_three_sessions_that_hold_our_tables_longest_are_told(scratch_url: str, conn: Conn) -> None:
    with ExitStack() as stack:
        pids = []
        for place, table in enumerate(
            ("other.t", "identity.profiles", "consumer.settings", "consumer.seen", "consumer.settings")
        ):
            one = stack.enter_context(psycopg.connect(scratch_url, application_name=f"s{place}"))
            one.execute(f"LOCK TABLE {table} IN ACCESS SHARE MODE".encode())
            one.execute("LOCK TABLE consumer.seen IN ACCESS SHARE MODE" if place == 1 else "SELECT 1")
            pids.append(one.info.backend_pid)
        stack.enter_context(waiting(scratch_url, "BEGIN; LOCK TABLE identity.profiles"))
        until(lambda: waits_for_locks(scratch_url))
        with conn.transaction():
            conn.execute("SELECT FROM consumer.settings")
            found = conn.execute(query("migration_steps/holders")).fetchall()
            named = StepRunner(conn, conn.transaction, "m", lambda *_: None)._holders()
            [(login,)] = conn.execute("SELECT current_user").fetchall()

    assert [(pid, user, program) for pid, user, program, _ in found] == [
        (pids[place], login, f"s{place}") for place in (1, 2, 3)
    ]
    assert all(0 <= seconds < 60 for *_, seconds in found)
    assert named == [f"pid {pids[place]} ({login}, s{place}, 0 s)" for place in (1, 2, 3)]


def test_holders_are_named_with_what_may_be_known_and_from_a_length_on() -> None:
    holders = [(1, "ada", "psql", 2.4), (2, "eve", "", 1.0), (3, "bo", None, None), (4, "al", "x", 0.9)]

    assert migration_steps._named(holders) == [
        "pid 1 (ada, psql, 2 s)",
        "pid 2 (eve, no name, 1 s)",
        "pid 3 (bo, no name)",
        "pid 4 (al, x, 1 s)",
    ]
    assert migration_steps._named(holders, 1.0) == ["pid 1 (ada, psql, 2 s)", "pid 2 (eve, no name, 1 s)"]


def test_tables_that_exist_come_in_the_order_asked(conn: Conn) -> None:
    tables = ["identity.profiles", "identity.none", "consumer.settings", "other.t"]
    found = conn.execute(query("migration_steps/existing"), {"tables": tables}).fetchall()

    assert found == [("identity", "profiles"), ("consumer", "settings"), ("other", "t")]


def test_an_index_is_valid_or_not_or_not_there(conn: Conn) -> None:
    with conn.transaction(force_rollback=True):
        conn.execute("CREATE INDEX half ON consumer.seen (n)")
        conn.execute("UPDATE pg_index SET indisvalid = FALSE WHERE indexrelid = 'consumer.half'::regclass")
        found = {
            name: conn.execute(query("migration_steps/is_valid"), {"index": f"consumer.{name}"}).fetchall()
            for name in ("made", "half", "none")
        }

    assert found == {"made": [(True,)], "half": [(False,)], "none": []}


def test_a_file_is_read_as_its_steps_and_their_statements() -> None:
    text = (
        "-- The head; of the file.\n-- step: identity\nA; -- not a comment\n\n-- step: pages as consumer_worker\n"
        "-- Why; so.\nB 1;\nC\n2;\n;\n-- step: concurrently\nD;"
    )
    kinds = [("identity", None), ("pages", "consumer_worker"), ("concurrently", None)]
    found = steps(text)

    assert [(step.kind, step.role) for step in found] == kinds
    assert found[1].statements == ["B 1", "C\n2"]
    assert found[2].statements == ["D"]
    assert [(step.kind, step.role) for step in steps("X;\n" + text)] == [("catalogue", None), *kinds]
    assert steps("X;") == [MigrationStep("catalogue", None, "X;")]
    assert steps("-- Nothing.\n") == []


SEEN = (
    "INSERT INTO consumer.seen (wait, statement, role{columns}) "
    "SELECT current_setting('lock_timeout'), current_setting('statement_timeout'), current_user{values}"
)
SEE = SEEN.format(columns="", values="")
SEE_PAGE = SEEN.format(columns=", after, last", values=", %(after)s, %(last)s")


def ran(conn: Conn, text: str, number: int = 0, page: str | None = None) -> list[tuple[int | None, str | None]]:
    """Take the steps of a text; return what was recorded."""
    advanced: list[tuple[int | None, str | None]] = []
    runner = StepRunner(conn, conn.transaction, "0099.m", lambda step, last: advanced.append((step, last)))
    runner.run(text, number, page)
    return advanced


def seen(conn: Conn) -> list[tuple[Any, ...]]:
    return conn.execute("SELECT wait, statement, role, after, last FROM consumer.seen ORDER BY n").fetchall()


def test_each_kind_of_step_has_its_limits_and_its_role(scratch_url: str, conn: Conn) -> None:
    with plain_owner(scratch_url, "pager") as url:
        role = psycopg.conninfo.conninfo_to_dict(url)["user"]
        for statement in (
            f"GRANT USAGE ON SCHEMA consumer TO {role}",
            f"GRANT ALL ON ALL TABLES IN SCHEMA consumer TO {role}",
            f"GRANT ALL ON ALL SEQUENCES IN SCHEMA consumer TO {role}",
        ):
            conn.execute(statement.encode())
        page = (
            f"-- step: pages as {role}\n"
            "SELECT CASE WHEN %(after)s::text IS NULL THEN 'a' WHEN %(after)s::text = 'a' THEN 'b' END;\n"
            f"{SEE_PAGE};\n{SEE_PAGE};\n"
        )
        text = f"{SEE};\n-- step: identity\n{SEE};\n-- step: intake\n{SEE};\n{page}-- step: catalogue\n{SEE};\n"
        advanced = ran(conn, text)
        found = seen(conn)
        conn.execute("TRUNCATE consumer.seen")
        resumed = ran(conn, text, 3, "a")
        after = [row[3:] for row in seen(conn)]
        [(login,)] = conn.execute("SELECT current_user").fetchall()
        conn.execute(f"REVOKE ALL ON SCHEMA consumer FROM {role}".encode())

    assert advanced == [(1, None), (2, None), (3, None), (3, "a"), (3, "b"), (4, None), (None, None)]
    assert found == [
        ("900ms", "0", login, None, None),
        ("900ms", "0", login, None, None),
        ("50ms", "0", login, None, None),
        *2 * [("900ms", "0", role, None, "a")],
        *2 * [("900ms", "0", role, "a", "b")],
        ("900ms", "0", login, None, None),
    ]
    assert resumed == [(3, "b"), (4, None), (None, None)]
    assert after == [*2 * [("a", "b")], (None, None)]
    assert conn.execute("SHOW lock_timeout").fetchall() == [("0",)]


def test_a_step_locks_the_settings_and_the_tables_of_its_kind_and_no_other(conn: Conn) -> None:
    locks = (
        "INSERT INTO consumer.seen (wait) "
        "SELECT string_agg(relation::regclass::text, ' ' ORDER BY relation::regclass::text) FROM pg_locks "
        "WHERE pid = pg_backend_pid() AND mode = 'AccessExclusiveLock' AND locktype = 'relation'"
    )
    ran(conn, f"{locks};\n-- step: identity\n{locks};\n-- step: intake\n{locks};\n")

    assert [row[0] for row in seen(conn)] == [
        "consumer.settings",
        "consumer.settings identity.profiles",
        "consumer.settings",
    ]


def test_an_index_that_is_made_is_left_and_a_wait_for_one_lasts_ten_minutes(conn: Conn) -> None:
    made = "SELECT indexrelid FROM pg_index WHERE indexrelid = 'consumer.{}'::regclass"
    before = conn.execute(made.format("made").encode()).fetchall()
    text = (
        "-- step: concurrently\nCREATE INDEX CONCURRENTLY made ON consumer.seen (n);\n"
        "CREATE UNIQUE INDEX CONCURRENTLY more\nON consumer.seen (wait);\n"
    )
    try:
        assert ran(conn, text) == [(None, None)]
        assert conn.execute(made.format("made").encode()).fetchall() == before
        assert len(conn.execute(made.format("more").encode()).fetchall()) == 1
        assert conn.execute("SHOW lock_timeout").fetchall() == [("10min",)]
        assert conn.execute("SHOW statement_timeout").fetchall() == [("0",)]
    finally:
        conn.execute("DROP INDEX IF EXISTS consumer.more")


def test_a_step_that_is_held_up_too_long_says_since_when_and_by_nobody(
    conn: Conn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migration_steps, "PATIENCE_SECONDS", -120.0)
    text = "DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = 'lock_not_available'; END $$;"

    with pytest.raises(migration_steps.TablesHeld) as raised:
        ran(conn, text)

    assert str(raised.value) == (
        "Others have held the tables of 0099.m for -2 minutes: nobody now. What is done stays done: run "
        "`consumer migrate` again."
    )


def test_attempts_are_a_second_apart_then_twice_as_long_and_ten_at_most(
    conn: Conn, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    conn.execute("CREATE SEQUENCE consumer.tries")
    pauses: list[float] = []
    monkeypatch.setattr("consumer.postgres.migration_steps.time.sleep", pauses.append)
    text = (
        "SELECT 1;\n-- step: catalogue\nDO $$ BEGIN IF nextval('consumer.tries') <= 6 THEN "
        "RAISE EXCEPTION 'x' USING ERRCODE = 'deadlock_detected'; END IF; END $$;"
    )
    try:
        assert ran(conn, text) == [(1, None), (None, None)]
    finally:
        conn.execute("DROP SEQUENCE consumer.tries")

    held = [vars(record) for record in caplog.records if record.message == "migration_held_up"]
    assert pauses == [1, 2, 4, 8, 10, 10]
    assert [(one["attempt"], one["step"], one["migration"], one["error_code"], one["holders"]) for one in held] == [
        (attempt, 1, "0099.m", "40P01", []) for attempt in range(1, 7)
    ]
