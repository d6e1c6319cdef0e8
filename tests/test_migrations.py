import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from consumer.postgres import ledger, migrations, migrator
from consumer.postgres.preflight import DUTIES, MigrationRefused
from consumer.settings.settings import ShapingSettings
from tests.support.databases import record, roll_back, rows, scratch_database
from tests.support.names import own
from tests.support.schema import SCHEMA_FILE, dumped_schema

APPLY = "import sys; from consumer.postgres import migrations; print(migrations.apply(sys.argv[1], 'consumer'))"


@pytest.fixture
def bare_url(lone_server_url: str) -> Iterator[str]:
    with scratch_database(lone_server_url, "bare") as url:
        yield url


def start_migrator(url: str) -> subprocess.Popen[str]:
    root = Path(__file__).parent.parent
    return subprocess.Popen([sys.executable, "-c", APPLY, url], cwd=root, text=True, stdout=subprocess.PIPE)


def test_up_down_up_leaves_what_up_leaves(bare_url: str) -> None:
    migrations.apply(bare_url, "consumer")
    once = dumped_schema(bare_url)

    roll_back(bare_url, "consumer")
    tables_after_down = rows(bare_url, "SELECT tablename FROM pg_tables WHERE schemaname IN ('consumer', 'identity')")
    migrations.apply(bare_url, "consumer")

    assert all(str(row["tablename"]).startswith("_yoyo") for row in tables_after_down)
    assert dumped_schema(bare_url) == once


def test_schema_sql_is_what_the_migrations_add_up_to(bare_url: str) -> None:
    migrations.apply(bare_url, "consumer")

    assert dumped_schema(bare_url) == SCHEMA_FILE.read_text(), "run `python -m tests.support.schema`, read its diff"


def test_nothing_is_created_in_public(database_url: str) -> None:
    assert not rows(database_url, "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace")
    assert not rows(database_url, "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace")


def test_five_migrators_at_once_all_succeed_and_one_applies(bare_url: str) -> None:
    started = [start_migrator(bare_url) for _ in range(5)]

    outputs = sorted(process.communicate(timeout=60)[0].strip() for process in started)

    assert [process.returncode for process in started] == [0] * 5
    assert outputs == sorted([str(ledger.carried_ids()), *["[]"] * 4])


@pytest.mark.parametrize("statements", [1, 5, 12, 30, 45])
def test_a_killed_migrator_leaves_nothing_that_its_successor_minds(bare_url: str, statements: int) -> None:
    """Killed after so many of the ledger's and the migrations' statements have run."""
    killed = subprocess.run([sys.executable, "-c", KILLED_AFTER, bare_url, str(statements)], check=False, timeout=60)

    migrations.apply(bare_url, "consumer")

    assert killed.returncode == -signal.SIGKILL
    assert applied(bare_url) == ledger.carried_ids()


KILLED_AFTER = """
import os, signal, sys
import psycopg
from consumer.postgres import migrations
from consumer.settings.settings import ShapingSettings

left = int(sys.argv[2])
execute = psycopg.Cursor.execute

def counted(self, *args, **kwargs):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return execute(self, *args, **kwargs)

psycopg.Cursor.execute = counted
migrations.apply(sys.argv[1], "consumer")
"""


def test_a_migrator_waits_for_the_one_that_holds_the_lock(bare_url: str) -> None:
    with psycopg.connect(bare_url, autocommit=True) as holder:
        holder.execute("SELECT pg_advisory_lock(%s)", [migrator.LOCK_KEY])
        waiting = start_migrator(bare_url)
        time.sleep(0.5)
        still_waiting = waiting.poll() is None

    waiting.communicate(timeout=30)
    assert still_waiting
    assert waiting.returncode == 0


async def test_an_owner_without_superuser_rights_can_migrate_under_a_prefix_of_its_own(lone_server_url: str) -> None:
    with scratch_database(lone_server_url, "owned") as url, psycopg.connect(url, autocommit=True) as admin:
        admin.execute("DROP ROLE IF EXISTS plain_owner")
        admin.execute("CREATE ROLE plain_owner LOGIN CREATEROLE PASSWORD 'x'")
        admin.execute(f"ALTER DATABASE {own('owned')} OWNER TO plain_owner")
        try:
            owned = make_conninfo(url, user="plain_owner", password="x")
            migrations.apply(owned, "other")
            await record(owned, ShapingSettings(default_company_id=uuid4()), "other")
            with psycopg.connect(owned) as conn:
                conn.execute("SET ROLE other_worker")
                assert conn.execute("SELECT pending FROM consumer.queue_stats").fetchone() == (0,)
                assert conn.execute("SELECT count(*) FROM identity.companies").fetchone() == (1,)
            roll_back(owned, "other")
        finally:
            admin.execute("DROP OWNED BY plain_owner CASCADE")
            admin.execute(f"ALTER DATABASE {own('owned')} OWNER TO CURRENT_USER")
            admin.execute("DROP ROLE plain_owner")


@contextmanager
def login(url: str, rights: str) -> Iterator[str]:
    """A login with these rights of its own, and its conninfo."""
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute("DROP ROLE IF EXISTS some_login")
        admin.execute(f"CREATE ROLE some_login LOGIN PASSWORD 'x' {rights}")
        try:
            yield make_conninfo(url, user="some_login", password="x")
        finally:
            admin.execute("DROP OWNED BY some_login CASCADE")
            admin.execute("DROP ROLE some_login")


def test_a_login_that_could_not_finish_changes_nothing_and_is_told_all_that_it_lacks(bare_url: str) -> None:
    with login(bare_url, "NOCREATEROLE") as conninfo, pytest.raises(MigrationRefused) as refused:
        migrations.apply(conninfo, "fresh")

    reasons, schemas, roles = str(refused.value).split("\n")
    assert reasons == "Nothing was changed, for 2 reasons:"
    assert schemas == (
        "The login some_login may not create the schemas consumer, consumer_masked, identity: "
        f"GRANT CREATE ON DATABASE {own('bare')} TO some_login."
    )
    assert roles.startswith("The login some_login may not create the roles fresh_app, fresh_definer, ")
    assert not rows(bare_url, "SELECT nspname FROM pg_namespace WHERE nspname ~ '^(consumer|identity)'")


def test_a_login_that_owns_the_database_still_needs_the_roles(bare_url: str) -> None:
    with login(bare_url, "NOCREATEROLE") as conninfo, psycopg.connect(bare_url, autocommit=True) as admin:
        admin.execute(f"GRANT CREATE ON DATABASE {own('bare')} TO some_login")
        with pytest.raises(MigrationRefused, match=r"^The login some_login may not create the roles fresh_app"):
            migrations.apply(conninfo, "fresh")

    assert not rows(bare_url, "SELECT nspname FROM pg_namespace WHERE nspname ~ '^(consumer|identity)'")


@pytest.mark.usefixtures("lone_database_url")
def test_roles_that_somebody_else_made_must_be_granted_first(bare_url: str) -> None:
    with login(bare_url, "CREATEROLE") as conninfo, psycopg.connect(bare_url, autocommit=True) as admin:
        admin.execute(f"GRANT CREATE ON DATABASE {own('bare')} TO some_login")
        # Up to PostgreSQL 15 a login that may create roles may grant them too.
        if admin.info.server_version >= 160_000:
            sentence = (
                r"can't act as the roles consumer_app, .*, which somebody else made: GRANT consumer_app, .* TO"
                r" some_login WITH INHERIT TRUE, SET TRUE, or set another ROLE_PREFIX"
            )
            with pytest.raises(MigrationRefused, match=sentence):
                migrations.apply(conninfo, "consumer")
            for duty in DUTIES:
                admin.execute(f"GRANT consumer_{duty} TO some_login")

        assert migrations.apply(conninfo, "consumer") == ledger.carried_ids()


@pytest.mark.usefixtures("lone_database_url")
def test_a_login_that_was_given_the_roles_needs_not_make_any(bare_url: str) -> None:
    with login(bare_url, "NOCREATEROLE") as conninfo, psycopg.connect(bare_url, autocommit=True) as admin:
        admin.execute(f"GRANT CREATE ON DATABASE {own('bare')} TO some_login")
        for duty in DUTIES:
            admin.execute(f"GRANT consumer_{duty} TO some_login")

        assert migrations.apply(conninfo, "consumer") == ledger.carried_ids()


def test_the_schemas_of_another_login_are_named(bare_url: str) -> None:
    migrations.apply(bare_url, "consumer")
    with psycopg.connect(bare_url) as admin:
        admin.execute("DELETE FROM consumer._yoyo_migration")

    with login(bare_url, "SUPERUSER") as conninfo, psycopg.connect(bare_url, autocommit=True) as admin:
        admin.execute("ALTER ROLE some_login NOSUPERUSER")
        admin.execute("GRANT USAGE ON SCHEMA consumer TO some_login")
        admin.execute("GRANT SELECT ON ALL TABLES IN SCHEMA consumer TO some_login")
        with pytest.raises(
            MigrationRefused,
            match=r"lacks the rights of .*, the owner of the schema consumer, consumer_masked, identity",
        ):
            migrations.apply(conninfo, "consumer")


@pytest.mark.parametrize("grant", ["", "GRANT USAGE ON SCHEMA consumer TO some_login"], ids=["no right", "usage only"])
def test_a_login_that_may_not_read_the_ledger_is_told_what_it_lacks(bare_url: str, grant: str) -> None:
    """With nothing pending too: it was told to run `consumer migrate`, which it had just done."""
    migrations.apply(bare_url, "consumer")

    with login(bare_url, "NOCREATEROLE") as conninfo, psycopg.connect(bare_url, autocommit=True) as admin:
        admin.execute(grant or "SELECT")
        with pytest.raises(
            MigrationRefused,
            match=r"lacks the rights of .* the schema consumer, consumer_masked, identity: migrate as the owner",
        ):
            migrations.apply(conninfo, "consumer")


def test_with_nothing_pending_no_right_to_create_is_needed(bare_url: str) -> None:
    with login(bare_url, "CREATEROLE") as conninfo, psycopg.connect(bare_url, autocommit=True) as admin:
        admin.execute(f"GRANT CREATE ON DATABASE {own('bare')} TO some_login")
        migrations.apply(conninfo, "other_yet")
        admin.execute(f"REVOKE CREATE ON DATABASE {own('bare')} FROM some_login")
        admin.execute("ALTER ROLE some_login NOCREATEROLE")

        assert migrations.apply(conninfo, "other_yet") == []


@pytest.mark.parametrize("pending", [0, 1], ids=["nothing pending", "a release behind"])
def test_a_database_migrated_under_another_prefix_is_refused_and_unchanged(bare_url: str, pending: int) -> None:
    migrations.apply(bare_url, "consumer")
    with psycopg.connect(bare_url) as admin:
        admin.execute("DELETE FROM consumer._yoyo_migration WHERE migration_id = ANY(%s)", [_newest(pending)])
    before = applied(bare_url)

    with pytest.raises(MigrationRefused, match="under ROLE_PREFIX consumer, not forgotten: correct it"):
        migrations.apply(bare_url, "forgotten")

    assert applied(bare_url) == before
    assert not rows(bare_url, "SELECT rolname FROM pg_roles WHERE rolname LIKE 'forgotten%'")


def _newest(count: int) -> list[str]:
    return ledger.carried_ids()[len(ledger.carried_ids()) - count :]


def applied(url: str) -> list[object]:
    return [
        row["migration_id"]
        for row in rows(url, "SELECT migration_id FROM consumer._yoyo_migration ORDER BY migration_id")
    ]
