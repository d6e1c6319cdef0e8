"""A migration gives way: to workers, to readers, to the receiver; and what an ended migrator left is taken up."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

import psycopg
import pytest
from psycopg.errors import UniqueViolation

from consumer.postgres import migration_steps
from consumer.postgres.queries import sql_root
from tests.support.busy import UNFINISHED, crowded, killed_by, migrating, until_it_waits
from tests.support.databases import deadlocks, rows, scratch_database
from tests.support.processes import until
from tests.support.releases import IDS, migrate
from tests.support.schema import SCHEMA_FILE, dumped_schema

ALL = len(IDS)
SHARED = "SELECT FROM consumer.settings"
MIRROR, MEMBERS, PROFILES = (
    f"UPDATE identity.{table} SET company_id = company_id"
    for table in ("stack_user_profiles", "company_members", "profiles")
)
READ_COMPANIES, READ_MIRROR, READ_PROFILES = (
    f"SELECT count(*) FROM identity.{table}" for table in ("companies", "stack_user_profiles", "profiles")
)
OTHERS = {
    "a batch of users": ([SHARED, MIRROR], [MEMBERS, PROFILES]),
    "a batch of teams": ([SHARED, READ_COMPANIES], [READ_MIRROR, MEMBERS]),
    "a batch without the settings' lock": ([MIRROR], [MEMBERS, PROFILES]),
    "an application in another order": ([READ_PROFILES], [READ_COMPANIES, READ_MIRROR]),
}
FILES = """
SELECT c.oid::regclass::text AS name, pg_relation_filenode(c.oid) AS file FROM pg_class AS c
WHERE relnamespace IN ('consumer'::regnamespace, 'identity'::regnamespace) AND relkind = 'r' AND relname <> 'settings'
"""
# The beginning of a statement; what a function does stands further to the right.
ON_ROWS = re.compile(
    r"(?:\A|;\n)(?:\s*\n|--.*\n)*(WITH|UPDATE|DELETE|INSERT(?! INTO consumer.fence)|MERGE|CREATE MATERIALIZED)\b"
)
OLD = "SELECT FROM pg_stat_activity WHERE application_name = 'an old one' AND now() - xact_start > interval '1 s'"
# Of this database alone: others of the server have tables of the same numbers.
LOCKS = "pg_locks INNER JOIN pg_database ON database = pg_database.oid AND datname = current_database()"
WAITED = f"SELECT FROM {LOCKS} WHERE NOT granted AND clock_timestamp() - waitstart > interval '0.6 s'"
TAKEN = f"""
SELECT relation::regclass FROM {LOCKS} WHERE mode = 'AccessExclusiveLock' AND relation::regclass::text ~ '^identity'
"""
OUTBOX = "-- step: intake\nALTER TABLE consumer.outbox ADD COLUMN planted text;"


@pytest.fixture
def old_url(lone_server_url: str) -> Iterator[str]:
    with scratch_database(lone_server_url, "busy") as url:
        yield url


def held_up(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [vars(record) for record in caplog.records if record.message == "migration_held_up"]


@pytest.mark.parametrize(("first", "then"), OTHERS.values(), ids=OTHERS)
def test_who_locks_beside_a_migration_goes_on_and_nobody_meets_a_deadlock(
    old_url: str, first: list[str], then: list[str]
) -> None:
    crowded(old_url, 4)
    before = deadlocks(old_url)

    with psycopg.connect(old_url) as other, migrating(old_url) as applied:
        for statement in first:
            other.execute(statement)
        until_it_waits(old_url)
        for statement in then:
            other.execute(statement)
        other.commit()

    assert applied.result() == IDS[4:]
    assert deadlocks(old_url) == before
    assert not rows(old_url, UNFINISHED)


def test_a_migration_takes_its_tables_between_two_batches(old_url: str) -> None:
    crowded(old_url, 4)

    with psycopg.connect(old_url) as batch, migrating(old_url) as applied:
        batch.execute(SHARED)
        batch.execute(READ_COMPANIES)
        until_it_waits(old_url)
        taken = rows(old_url, TAKEN)
        batch.commit()

    assert taken == []
    assert applied.result() == IDS[4:]


def test_a_long_reader_holds_up_the_migration_and_no_other_reader(
    old_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    crowded(old_url, 4)

    with psycopg.connect(old_url, application_name="a report") as reader, migrating(old_url) as applied:
        reader.execute(READ_PROFILES)
        with psycopg.connect(old_url, autocommit=True, options="-c statement_timeout=3s") as other:
            until(lambda: other.execute(READ_PROFILES) and len(held_up(caplog)) >= 2)
        assert not applied.done()
        reader.commit()

    assert applied.result() == IDS[4:]
    first, second, *_ = held_up(caplog)
    assert (first["attempt"], second["attempt"]) == (1, 2)
    assert (first["migration"], first["step"], first["error_code"]) == ("0005.tenants", 1, "55P03")
    assert re.fullmatch(r"pid \d+ \(postgres, a report, \d+ s\)", first["holders"][0])


def test_one_lock_ends_in_time_however_many_tables_keep_it_waiting(
    old_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    crowded(old_url, 4)
    tables = [table for table in migration_steps.TABLES["identity"] if table.startswith("identity.")]

    with ExitStack() as stack:
        holders = [stack.enter_context(psycopg.connect(old_url)) for _ in tables]
        for holder, table in zip(holders, tables, strict=True):
            holder.execute(f"LOCK TABLE {table} IN ACCESS SHARE MODE")
        applied = stack.enter_context(migrating(old_url))
        # None of them long enough for the limit of a single wait.
        for holder in holders:
            until(lambda: held_up(caplog) or rows(old_url, WAITED))
            holder.rollback()

    assert held_up(caplog)[0]["error_code"] == "57014"
    assert applied.result() == IDS[4:]


def test_a_delivery_waits_for_no_migration_of_the_outbox(old_url: str, caplog: pytest.LogCaptureFixture) -> None:
    migrate(old_url)
    put = "INSERT INTO consumer.outbox (source, message_id, occurred_at, body) VALUES ('app', %s, now(), '')"
    change = partial(migrate, planted={"0008.planted": OUTBOX})

    with psycopg.connect(old_url) as reader, migrating(old_url, change) as applied:
        reader.execute("SELECT count(*) FROM consumer.outbox")
        with psycopg.connect(old_url, autocommit=True, options="-c lock_timeout=500ms") as receiver:
            numbers = iter(range(10_000_000))
            until(lambda: receiver.execute(put, [str(next(numbers))]) and len(held_up(caplog)) >= 2)
        reader.commit()

    assert applied.result() == ["0008.planted"]
    assert {record["error_code"] for record in held_up(caplog)} <= {"55P03", "57014"}


def test_a_migration_that_is_never_let_through_ends_and_names_who_keeps_it(
    old_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowded(old_url, 4)
    monkeypatch.setattr(migration_steps, "PATIENCE_SECONDS", 0.0)

    with psycopg.connect(old_url, application_name="pg_dump") as reader:
        reader.execute(READ_PROFILES)
        with pytest.raises(migration_steps.TablesHeld, match=r"tables of 0005.tenants .* pid \d+ \(postgres, pg_dump"):
            migrate(old_url)

    assert migrate(old_url) == IDS[4:]


def test_a_migration_waits_shorter_than_others_would_wait_for_it() -> None:
    assert migration_steps.LOCK_SECONDS == {"catalogue": 2, "identity": 2, "intake": 0.05}
    assert (migration_steps.WORKERS_WAIT_SECONDS, migration_steps.WAIT_SECONDS) == (2, 0.9)
    assert (migration_steps.PAUSE_SECONDS_MAX, migration_steps.PATIENCE_SECONDS) == (10, 600)


@pytest.mark.parametrize("is_twice", [False, True], ids=["once", "twice"])
@pytest.mark.parametrize(
    ("text", "times"),
    [
        ("ADD COLUMN guest_salt", 1),
        ("SET guest_key", 1),
        ("SET is_guest", 1),
        ("SET search_name = identity.folded", 3),
        ("CREATE INDEX CONCURRENTLY profiles_role_type", 1),
        ("CREATE POLICY tenant", 1),
        ("INSERT INTO consumer._yoyo_record", 2),
    ],
)
def test_what_a_killed_migrator_left_is_finished_by_the_next(
    old_url: str, text: str, times: int, is_twice: bool
) -> None:
    crowded(old_url, 4)
    killed_by(old_url, text, times)
    if is_twice:
        killed_by(old_url, text, 1)

    assert migrate(old_url) == IDS[4:]

    assert not rows(old_url, UNFINISHED)
    assert dumped_schema(old_url) == SCHEMA_FILE.read_text()


def test_pages_that_are_done_are_not_done_again(old_url: str) -> None:
    crowded(old_url, 4)
    killed_by(old_url, "SET search_name = identity.folded", 3)
    named = "SELECT user_id, xmin::text FROM identity.profiles WHERE search_name <> '' ORDER BY user_id"
    done = rows(old_url, named)

    migrate(old_url)

    assert len(done) == 2000
    assert rows(old_url, named)[:2000] == done


def test_an_index_that_was_left_invalid_is_made_again(old_url: str) -> None:
    crowded(old_url, 4)
    with psycopg.connect(old_url, autocommit=True) as conn, pytest.raises(UniqueViolation):
        conn.execute("CREATE UNIQUE INDEX CONCURRENTLY profiles_role_type ON identity.profiles (role_type)")

    migrate(old_url)

    assert dumped_schema(old_url) == SCHEMA_FILE.read_text()
    assert not rows(old_url, "SELECT indexrelid::regclass FROM pg_index WHERE NOT indisvalid")


def test_a_first_installation_can_be_one_transaction_of_the_caller(old_url: str) -> None:
    migrate(old_url, 1)
    text = "-- step: concurrently\nCREATE INDEX CONCURRENTLY planted ON consumer.outbox (occurred_at);"

    with psycopg.connect(old_url, autocommit=True) as conn, conn.transaction():
        migration_steps.StepRunner(conn, conn.transaction, "0002.planted", lambda *_: None).run(text, 0, None)
        made = conn.execute("SELECT to_regclass('consumer.planted') IS NOT NULL").fetchall()
        conn.execute("DROP INDEX consumer.planted")

    assert made == [(True,)]


def test_an_index_waits_for_an_old_transaction_that_holds_nothing_up_and_says_so(
    old_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    migrate(old_url)
    text = "-- step: concurrently\nCREATE INDEX CONCURRENTLY planted ON consumer.outbox (occurred_at);"

    with psycopg.connect(old_url, application_name="an old one") as other:
        other.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        other.execute("SELECT count(*) FROM consumer.outbox")
        until(lambda: rows(old_url, OLD))
        with migrating(old_url, partial(migrate, planted={"0008.planted": text})) as applied:
            until_it_waits(old_url)
            other.commit()

    assert applied.result() == ["0008.planted"]
    [said] = held_up(caplog)
    assert said["index"] == "planted"
    assert "an old one" in said["holders"][0]


@pytest.mark.parametrize("count", range(2, ALL))
def test_no_migration_writes_a_table_anew(old_url: str, count: int) -> None:
    migrate(old_url, count)
    files = {row["name"]: row["file"] for row in rows(old_url, FILES)}

    migrate(old_url, count + 1)

    after = {row["name"]: row["file"] for row in rows(old_url, FILES)}
    assert {name: after[name] for name in files} == files


@pytest.mark.parametrize("migration_id", IDS)
def test_a_step_that_locks_works_on_no_rows(migration_id: str) -> None:
    """Rows are worked on page by page, and an index of a table with rows is made concurrently."""
    text = (sql_root() / "migrations" / f"{migration_id}.sql").read_text()
    made = set(re.findall(r"^CREATE TABLE (\S+)", text, re.MULTILINE))
    steps = migration_steps.steps(text)

    locking = [step.text for step in steps if step.kind not in {"pages", "concurrently"}]

    assert steps
    for step in locking:
        assert not ON_ROWS.search(step)
        assert not re.search(r"GENERATED ALWAYS AS \(|ADD CONSTRAINT(?![^;,]* NOT VALID)", step)
        assert set(re.findall(r"^CREATE (?:UNIQUE )?INDEX \w+\s+ON (\S+)", step, re.MULTILINE)) <= made


def test_each_migration_depends_on_the_one_before_it() -> None:
    """Their numbers are the order in which they are applied."""
    named = {
        migration_id: re.findall(
            r"^-- depends: (.*)$", (sql_root() / "migrations" / f"{migration_id}.sql").read_text(), re.MULTILINE
        )
        for migration_id in IDS
    }

    assert named == {one: [before] if before else [] for before, one in zip([None, *IDS], IDS, strict=False)}


def test_a_step_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(AssertionError, match="concurently"):
        migration_steps.steps("-- step: concurently\nCREATE INDEX CONCURRENTLY one ON consumer.outbox (seq);")
