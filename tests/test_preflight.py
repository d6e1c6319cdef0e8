"""The look before `migrate` changes anything: each state is made right, or refused with nothing changed."""

from collections.abc import Sequence

import psycopg
import pytest

from consumer.postgres import ledger, migrations, preflight
from consumer.postgres.carried_objects import made_by
from consumer.postgres.preflight import SCHEMAS, MigrationRefused, look
from consumer.postgres.queries import query
from consumer.postgres.refusals import MigrationTarget, judge_target
from tests.support.cli import call, examined
from tests.support.databases import change, rows, scratch_database
from tests.support.migrating import PREFIX, login, traces
from tests.support.names import own
from tests.support.releases import migrate

pytest_plugins = ["tests.support.migrating"]

# What is in a fresh database, and what of the sentence names it.
TAKEN = {
    "a table": ("CREATE TABLE identity.users (id int)", "table identity.users"),
    "a view": ("CREATE VIEW identity.people AS SELECT 1 AS id", "view identity.people"),
    "a function": ("CREATE FUNCTION identity.f() RETURNS int RETURN 1", "function identity.f"),
    "a type": ("CREATE TYPE identity.mood AS ENUM ('good')", "type identity.mood"),
    "a sequence": ("CREATE SEQUENCE identity.counter", "sequence identity.counter"),
    "a collation": ('CREATE COLLATION identity.plain FROM "C"', "collation identity.plain"),
    "a foreign table": (
        "CREATE FOREIGN DATA WRAPPER nothing; CREATE SERVER far FOREIGN DATA WRAPPER nothing; "
        "CREATE FOREIGN TABLE identity.far (id int) SERVER far",
        "foreign table identity.far",
    ),
    "five tables": (
        ";".join(f"CREATE TABLE identity.t{number} (id int)" for number in range(5)),
        "table identity.t0, table identity.t1, table identity.t2 and 2 more",
    ),
}


def refused(url: str, role_prefix: str = PREFIX) -> str:
    """Return the sentences of a refusal, after which everything is as it was."""
    before = traces(url)
    with pytest.raises(MigrationRefused) as refusal:
        migrations.apply(url, role_prefix)
    assert traces(url) == before
    return str(refusal.value)


@pytest.mark.parametrize(("statement", "named"), TAKEN.values(), ids=TAKEN)
def test_a_schema_that_somebody_else_uses_is_refused(bare_url: str, statement: str, named: str) -> None:
    change(bare_url, f"CREATE SCHEMA identity; {statement}")

    assert refused(bare_url) == (
        f"The schema identity is taken: it holds what is not ours ({named}): rename it (ALTER SCHEMA identity RENAME "
        "TO …), empty it, or use another database. Nothing was changed."
    )


def test_the_schema_of_the_machinery_may_be_taken_too(bare_url: str) -> None:
    change(bare_url, "CREATE SCHEMA consumer; CREATE TABLE consumer.goods (id int)")

    assert "The schema consumer is taken" in refused(bare_url)


def test_empty_schemas_that_an_administrator_made_are_used(bare_url: str) -> None:
    """Without the right to create schemas, and with default privileges, which are no object."""
    with login(bare_url) as conninfo:
        for name in SCHEMAS:
            change(bare_url, f"CREATE SCHEMA {name} AUTHORIZATION some_login")
        change(bare_url, "ALTER DEFAULT PRIVILEGES IN SCHEMA identity GRANT SELECT ON TABLES TO some_login")
        change(bare_url, f"REVOKE CREATE ON DATABASE {own('bare')} FROM some_login")

        assert migrations.apply(conninfo, PREFIX) == ledger.carried_ids()


def test_a_schema_of_an_extension_is_refused(bare_url: str) -> None:
    change(bare_url, "CREATE SCHEMA identity; ALTER EXTENSION plpgsql ADD SCHEMA identity")

    assert "The schema identity belongs to the extension plpgsql" in refused(bare_url)


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_an_encoding_that_cannot_hold_every_name_is_refused(lone_server_url: str, bare_url: str, encoding: str) -> None:
    name = own("encoded")
    change(lone_server_url, f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'")
    try:
        url = psycopg.conninfo.make_conninfo(bare_url, dbname=name)

        assert refused(url) == (
            f"The database {name} has the encoding {encoding}, which can't hold every name: use a database made with "
            "ENCODING 'UTF8' TEMPLATE template0. Nothing was changed."
        )
        assert call(url, "migrate", "--check").exit_code == 1
    finally:
        change(lone_server_url, f"DROP DATABASE {name} WITH (FORCE)")


DAMAGES = {
    "a table is missing": ("DROP TABLE identity.profile_audit CASCADE", "no table identity.profile_audit"),
    "a view is missing": ("DROP VIEW identity.profiles_needing_sync", "no view identity.profiles_needing_sync"),
    "a schema is missing": ("DROP SCHEMA identity CASCADE", "function identity.changed_fields"),
    "a view is a table": (
        "DROP VIEW identity.profiles_needing_sync; CREATE TABLE identity.profiles_needing_sync ()",
        "no view identity.profiles_needing_sync",
    ),
    "the ledger is missing": (
        "DROP TABLE consumer._yoyo_migration, consumer._yoyo_log, consumer._yoyo_version CASCADE",
        "does not know of what is there (function consumer.app_deliveries,",
    ),
    "a part of the ledger is missing": ("DROP TABLE consumer._yoyo_version", "no table consumer._yoyo_version"),
    "the ledger is empty": ("DELETE FROM consumer._yoyo_migration", "does not know of what is there"),
    "the ledger is of another backup": (
        "DELETE FROM consumer._yoyo_migration WHERE migration_id > '0002'",
        "does not know of what is there",
    ),
}


@pytest.mark.parametrize(("damage", "named"), DAMAGES.values(), ids=DAMAGES)
def test_a_half_restored_database_is_refused(bare_url: str, damage: str, named: str) -> None:
    migrations.apply(bare_url, PREFIX)
    change(bare_url, damage)

    assert named in refused(bare_url)
    exit_code, checks = examined(bare_url, ROLE_PREFIX=PREFIX)
    named_by = {"missing objects", "unknown objects"} & checks.keys()
    assert (exit_code, {checks[name]["state"] for name in named_by}, "migrations" in checks) == (1, {"failing"}, False)


def test_a_renamed_database_is_as_before(lone_server_url: str, bare_url: str) -> None:
    migrations.apply(bare_url, PREFIX)
    change(lone_server_url, f"ALTER DATABASE {own('bare')} RENAME TO {own('renamed')}")
    try:
        found = look(psycopg.conninfo.make_conninfo(bare_url, dbname=own("renamed")), PREFIX)

        assert (found.pending, found.refusals) == ([], [])
    finally:
        change(lone_server_url, f"ALTER DATABASE {own('renamed')} RENAME TO {own('bare')}")


def test_a_database_ahead_of_this_release_is_left_as_it_is(bare_url: str) -> None:
    """Its objects may be others, and its settings are not this release's to record."""
    migrations.apply(bare_url, PREFIX)
    newer(bare_url, "9999.newer")
    change(bare_url, "DROP VIEW identity.profiles_needing_sync")
    before = traces(bare_url)

    done = call(bare_url, "migrate", ROLE_PREFIX=PREFIX)
    checked = call(bare_url, "migrate", "--check", ROLE_PREFIX=PREFIX)

    assert (done.exit_code, checked.exit_code) == (0, 0)
    assert done.stdout == "A newer release has migrated this database (9999.newer): nothing was changed.\n"
    assert traces(bare_url) == before
    assert not rows(bare_url, "SELECT 1 FROM consumer.settings")


def test_a_ledger_of_two_releases_that_went_apart_is_refused(bare_url: str) -> None:
    migrate(bare_url, len(ledger.carried_ids()) - 1, PREFIX)
    newer(bare_url, "9999.newer")

    assert "has 9999.newer of another release and lacks" in refused(bare_url)


def newer(url: str, migration_id: str) -> None:
    with psycopg.connect(url) as conn:
        conn.execute(
            "INSERT INTO consumer._yoyo_migration (migration_hash, migration_id, applied_at_utc) "
            "VALUES (%s, %s, now())",
            [migration_id, migration_id],
        )


def test_each_release_makes_what_its_migrations_are_read_to_make(bare_url: str) -> None:
    for count, _ in enumerate(ledger.carried_ids(), start=1):
        migrate(bare_url, count, PREFIX)
        existing = {(kind, name) for kind, name in objects(bare_url) if not name.startswith("consumer._yoyo_")}
        made = made_by(ledger.carried_ids()[:count])

        assert made <= existing
        assert {one for one in existing - made if one[0] != "sequence"} == set()


def objects(url: str) -> Sequence[tuple[str, str]]:
    with psycopg.connect(url) as conn:
        found = conn.execute(query("preflight/objects"), {"schemas": list(preflight.SCHEMAS)})
        return [(kind, name) for kind, name in found.fetchall()]


def test_all_reasons_are_told_at_once_by_check_and_doctor_too(bare_url: str) -> None:
    change(bare_url, "CREATE SCHEMA identity; CREATE TABLE identity.users (id int)")
    with login(bare_url, "NOCREATEROLE") as conninfo:
        change(bare_url, f"REVOKE CREATE ON DATABASE {own('bare')} FROM some_login")
        called = [call(conninfo, "migrate", *option, ROLE_PREFIX=PREFIX) for option in ([], ["--check"])]
        exit_code, checks = examined(conninfo, ROLE_PREFIX=PREFIX)

    assert [result.exit_code for result in called] == [1, 1]
    assert called[0].stderr == called[1].stderr
    assert called[0].stderr.startswith("Error: Nothing was changed, for 4 reasons:\nThe schema identity is taken")
    assert exit_code == 1
    assert checks["schemas"]["finding"].startswith("the schema identity is taken")
    assert checks["schemas"]["cure"].startswith("Rename it (ALTER SCHEMA identity RENAME TO …)")


def test_an_event_trigger_that_forbids_a_statement_leaves_nothing_behind(bare_url: str) -> None:
    change(
        bare_url,
        "CREATE FUNCTION forbid() RETURNS event_trigger LANGUAGE plpgsql AS "
        "$$ BEGIN IF tg_tag = 'CREATE POLICY' THEN RAISE 'no policies here'; END IF; END $$;"
        "CREATE EVENT TRIGGER forbid ON ddl_command_start EXECUTE FUNCTION forbid()",
    )
    before = traces(bare_url)

    done = call(bare_url, "migrate", ROLE_PREFIX=PREFIX)

    assert done.exit_code == 1
    assert done.stderr == (
        "Error: The database refused the migration 0001.outbox (P0001), and nothing was changed: no policies here.\n"
    )
    assert traces(bare_url) == before


def test_a_login_named_like_a_schema_of_ours_is_told_of_its_search_path(bare_url: str) -> None:
    with login(bare_url, name="consumer") as conninfo:
        done = call(conninfo, "migrate", ROLE_PREFIX=PREFIX)
        _, checks = examined(conninfo, ROLE_PREFIX=PREFIX)
        change(bare_url, "ALTER ROLE consumer SET search_path = public")
        cured = call(conninfo, "migrate", ROLE_PREFIX=PREFIX)

    assert done.exit_code == 0
    assert 'warning  the search_path of the login consumer ("$user", public) reaches the schema consumer' in done.stdout
    assert checks["search_path"]["state"] == "warning"
    assert checks["search_path"]["cure"].startswith("ALTER ROLE consumer SET search_path = public")
    assert cured.stdout == "The database is up to date.\n"


def test_an_old_server_is_refused_by_its_version_alone() -> None:
    found = judge_target(OLD)

    assert [(refusal.name, refusal.finding) for refusal in found] == [
        ("server version", "PostgreSQL 14.9 is too old"),
        ("writable", "the server is a standby"),
    ]


OLD = MigrationTarget(
    version="14.9",
    version_number=140_009,
    encoding="UTF8",
    is_standby=True,
    database="app",
    quoted_database="app",
    login="deploy",
    quoted_login="deploy",
    may_create_schemas=True,
    may_create_roles=True,
    has_ledger=False,
    may_read_ledger=False,
    search_path='"$user", public',
    languages_lacking=[],
)


def test_the_look_needs_only_one_connection_and_no_write(bare_url: str) -> None:
    with scratch_database(bare_url, "one") as url:
        change(url, f"ALTER DATABASE {own('one')} SET default_transaction_read_only = on")

        assert look(url, PREFIX).pending == ledger.carried_ids()
