"""The migrator's connections: its lock and its settings, on odd servers and behind poolers."""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from bench.pooler import PROGRAM, pgbouncer
from consumer.postgres import ledger, migrations, migrator
from consumer.postgres.migrator import NoSecondConnection
from consumer.postgres.preflight import MigrationRefused
from tests.support.databases import change, rows
from tests.support.databases import migrator as locked
from tests.support.migrating import PREFIX, login, traces
from tests.support.names import own
from tests.support.pooler import pooled
from tests.support.releases import migrate
from tests.support.schema import dumped_schema

pytest_plugins = ["tests.support.migrating"]

ODD_SETTINGS = {
    "search_path": "nowhere",
    "default_transaction_read_only": "on",
    "default_transaction_isolation": "serializable",
    "statement_timeout": "200ms",
    "lock_timeout": "1ms",
    "idle_in_transaction_session_timeout": "50ms",
    "idle_session_timeout": "50ms",
    "row_security": "off",
    "check_function_bodies": "off",
    "client_encoding": "LATIN1",
    "quote_all_identifiers": "on",
    "standard_conforming_strings": "off",
    "transform_null_equals": "on",
    "array_nulls": "off",
    "datestyle": "SQL, DMY",
    "intervalstyle": "sql_standard",
    "timezone": "Asia/Kathmandu",
    "lc_messages": "C",
    "plan_cache_mode": "force_generic_plan",
    "role": "bystander",
}


@pytest.fixture
def expected(bare_url: str) -> str:
    """The schema as `migrate` makes it for a plain login; everything is removed again."""
    with login(bare_url) as conninfo:
        migrations.apply(conninfo, PREFIX)
        return dumped_schema(bare_url)


@pytest.mark.parametrize("known", [0, 4], ids=["at first", "on the tables of an earlier release"])
@pytest.mark.parametrize("place", ["DATABASE", "ROLE"])
def test_odd_settings_change_nothing_of_what_is_made(
    lone_server_url: str, bare_url: str, expected: str, place: str, known: int
) -> None:
    with login(bare_url) as conninfo:
        if known:
            migrate(conninfo, known, PREFIX)
        change(lone_server_url, "CREATE ROLE bystander; GRANT bystander TO some_login")
        name = own("bare") if place == "DATABASE" else "some_login"
        try:
            for setting, value in ODD_SETTINGS.items():
                change(lone_server_url, f"ALTER {place} {name} SET {setting} = '{value}'")

            applied = migrations.apply(conninfo, PREFIX)
        finally:
            change(lone_server_url, f"ALTER {place} {name} RESET ALL; DROP ROLE bystander")

        assert applied == ledger.carried_ids()[known:]
        assert dumped_schema(bare_url) == expected


def test_a_waiting_migrator_names_the_session_that_holds_the_lock(bare_url: str) -> None:
    root = Path(__file__).parents[1]
    environment = os.environ | {"DATABASE_URL": bare_url, "ROLE_PREFIX": PREFIX, "LOG_FORMAT": "text"}
    with psycopg.connect(bare_url, autocommit=True, application_name="a report") as holder:
        holder.execute("SELECT pg_advisory_lock(%s)", [migrator.LOCK_KEY])
        waiting = subprocess.Popen(
            [sys.executable, "-m", "consumer", "migrate"], cwd=root, env=environment, text=True, stderr=subprocess.PIPE
        )
        assert waiting.stderr
        pid, said = holder.info.backend_pid, waiting.stderr.readline()

    waiting.communicate(timeout=30)
    assert "migration_waited" in said
    assert f"pid={pid}" in said
    assert 'login=postgres application="a report"' in said
    assert waiting.returncode == 0


def test_a_wait_that_never_ends_is_given_up_and_names_the_session(
    bare_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrator, "LOCK_WAIT_SECONDS", 0.2)
    before = traces(bare_url)
    with psycopg.connect(bare_url, autocommit=True, application_name="a report") as holder:
        holder.execute("SELECT pg_advisory_lock(%s)", [migrator.LOCK_KEY])
        with pytest.raises(migrator.MigrationsBusy, match=rf"process {holder.info.backend_pid} .*application a report"):
            migrations.apply(bare_url, PREFIX)
        # A session that is closed may hold its locks for another moment.
        holder.execute("SELECT pg_advisory_unlock_all()")

    assert traces(bare_url) == before


def test_migrators_of_all_releases_wait_for_one_lock_ten_minutes_at_most() -> None:
    assert migrator.LOCK_KEY == 7_305_013_982_001
    assert (migrator.LOCK_WAIT_SECONDS, migrator.LOCK_POLL_SECONDS, migrator.QUIET_WAIT_SECONDS) == (600, 0.1, 1)
    assert (migrator.CONNECT_SECONDS, migrator.POOLER_WAIT_SECONDS) == ("10", 10)


def test_with_nothing_pending_nobody_waits(bare_url: str) -> None:
    migrations.apply(bare_url, PREFIX)
    with psycopg.connect(bare_url, autocommit=True) as holder:
        holder.execute("SELECT pg_advisory_lock(%s)", [migrator.LOCK_KEY])

        assert migrations.apply(bare_url, PREFIX) == []


def test_a_lost_lock_ends_the_migration(bare_url: str) -> None:
    before = traces(bare_url)
    with pytest.raises(psycopg.OperationalError), locked(bare_url) as backend:
        _lose_lock(bare_url, backend)

    assert traces(bare_url) == before


def _lose_lock(url: str, backend: migrations._Backend) -> None:
    change(url, f"SELECT pg_terminate_backend({backend.holder.info.backend_pid}, 5000)")
    backend.begin_schema()


def test_an_open_lock_does_not_hold_up_an_index_built_concurrently(bare_url: str) -> None:
    change(bare_url, "CREATE TABLE public.some_table (id int)")
    with locked(bare_url), psycopg.connect(bare_url, autocommit=True) as conn:
        conn.execute("SET statement_timeout = '10s'")
        conn.execute("CREATE INDEX CONCURRENTLY ON public.some_table (id)")


def test_one_connection_is_too_few_and_changes_nothing(bare_url: str) -> None:
    with login(bare_url) as conninfo:
        change(bare_url, "ALTER ROLE some_login CONNECTION LIMIT 1")
        before = traces(bare_url)

        with pytest.raises(NoSecondConnection, match=r"the server refuses it: .*Nothing was changed"):
            migrations.apply(conninfo, PREFIX)

        assert traces(bare_url) == before


def test_a_pooler_of_whole_sessions_is_no_hindrance(bare_url: str) -> None:
    with pooled(bare_url) as url:
        assert migrations.apply(url, PREFIX) == ledger.carried_ids()


needs_pgbouncer = pytest.mark.skipif(PROGRAM is None, reason="needs PgBouncer")


@contextmanager
def behind(url: str, mode: str, size: int) -> Iterator[str]:
    folder = Path(str(conninfo_to_dict(url)["host"])).parent
    with pgbouncer(url, folder, mode=mode, size=size) as through:
        yield make_conninfo(through, dbname=conninfo_to_dict(url)["dbname"])


@needs_pgbouncer
@pytest.mark.parametrize(("mode", "size"), [("transaction", 2), ("transaction", 9), ("session", 9)])
def test_three_migrators_behind_a_pooler_leave_no_lock_and_no_settings(bare_url: str, mode: str, size: int) -> None:
    with behind(bare_url, mode, size) as url:
        with ThreadPoolExecutor(3) as pool:
            applied = list(pool.map(lambda _: migrations.apply(url, PREFIX), range(3 if size > 2 else 1)))
        with psycopg.connect(url) as conn:
            left = conn.execute(
                "SELECT current_setting('search_path'), current_setting('statement_timeout')"
            ).fetchone()

        assert sorted(applied) == [[]] * (len(applied) - 1) + [ledger.carried_ids()]
        assert left == ('"$user", public', "0")
        assert not rows(bare_url, "SELECT 1 FROM pg_locks WHERE locktype = 'advisory'")
        assert migrations.apply(bare_url, PREFIX) == []


@needs_pgbouncer
def test_a_pool_of_one_connection_is_refused_and_nothing_is_left(
    bare_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrator, "POOLER_WAIT_SECONDS", 0.5)
    before = traces(bare_url)
    with behind(bare_url, "transaction", 1) as url:
        with pytest.raises(NoSecondConnection, match="the pooler has no other for it"):
            migrations.apply(url, PREFIX)

        assert traces(bare_url) == before
        assert migrations.apply(bare_url, PREFIX) == ledger.carried_ids()
        assert migrations.apply(url, PREFIX) == []


@needs_pgbouncer
def test_a_pooler_without_transactions_is_refused(bare_url: str) -> None:
    before = traces(bare_url)
    with (
        behind(bare_url, "statement", 9) as url,
        pytest.raises(MigrationRefused, match=r"^The pooler allows no transactions: let MIGRATE_DATABASE_URL"),
    ):
        migrations.apply(url, PREFIX)

    assert traces(bare_url) == before
