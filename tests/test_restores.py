"""A database restored without roles, owners or privileges: `migrate` puts it right, or changes nothing and says why."""

from uuid import uuid4

import psycopg
import pytest

from consumer.postgres.migrations import renamed
from consumer.postgres.queries import sql_root
from tests.support.cli import call, examined, facts
from tests.support.databases import rows, scratch_database
from tests.support.restores import OWNER, PREFIX, ROLES, drop_roles, dumped, owned_database, restore
from tests.support.rights import catalogue

PREFIXED = {"ROLE_PREFIX": PREFIX}
COMPANY = uuid4()
ROWS = f"""
INSERT INTO identity.companies (id, name) VALUES ('{COMPANY}', 'Acme');
INSERT INTO identity.profiles (user_id, company_id, full_name, role_type, department)
VALUES (gen_random_uuid(), '{COMPANY}', 'Ann', 'member', 'General');
INSERT INTO identity.profile_audit (user_id, operation, source, message_id, seq, at)
VALUES (gen_random_uuid(), 'created', 'stack', 'm', 1, now() - interval '400 days')
"""


def seen_by_tenant(url: str) -> int:
    with psycopg.connect(url) as conn:
        conn.execute(f"SET LOCAL ROLE {PREFIX}_tenant; SET LOCAL app.company_id = '{COMPANY}'")
        return len(conn.execute("SELECT user_id FROM identity.profiles").fetchall())


def rights(url: str) -> list[str]:
    return [line for line in catalogue(url, ROLES) if ": member" not in line]


def test_a_restore_without_roles_is_put_right_by_a_superuser_and_refused_to_the_owner(lone_server_url: str) -> None:
    with owned_database(lone_server_url, "first") as (url, owners):
        facts(owners, "migrate", **PREFIXED)
        new = rights(url)
        with dumped(url) as file, psycopg.connect(url, autocommit=True) as admin:
            admin.execute("DROP SCHEMA consumer, consumer_masked, identity CASCADE")
            drop_roles(url)
            restore(file, url)
        damaged = rights(url)

        refused = call(owners, "migrate", **PREFIXED)
        left = rights(url)
        mended = call(owners, "migrate", MIGRATE_DATABASE_URL=url, **PREFIXED)
        again = call(owners, "migrate", **PREFIXED)
        _, checks = examined(owners, **PREFIXED)

        assert (refused.exit_code, left) == (1, damaged)
        assert f"The login {OWNER} can't put the roles, owners, policies and grants of " in refused.stderr
        assert "nothing was changed: ALTER FUNCTION " in refused.stderr
        assert (mended.exit_code, rights(url)) == (0, new)
        assert (again.exit_code, again.stdout) == (0, "The database is up to date.\n")
        assert {name for name, check in checks.items() if check["state"] == "failing"} == set()
        assert checks["migrator's roles"]["state"] == "ok"


@pytest.mark.parametrize("attributes", ["INHERIT", "NOINHERIT"])
@pytest.mark.parametrize("options", [["--no-owner"], ["--no-owner", "--no-acl"]], ids=["no owner", "no owner, no acl"])
def test_a_restore_by_the_owner_alone_hides_rows_until_migrate(
    lone_server_url: str, attributes: str, options: list[str]
) -> None:
    with (
        owned_database(lone_server_url, "first", attributes) as (url, owners),
        scratch_database(lone_server_url, "second") as other,
        psycopg.connect(other, autocommit=True) as admin,
    ):
        facts(owners, "migrate", **PREFIXED)
        new = rights(url)
        with psycopg.connect(url) as conn:
            conn.execute(ROWS)
        admin.execute(f'ALTER DATABASE {admin.info.dbname} OWNER TO "{OWNER}"')
        others = psycopg.conninfo.make_conninfo(other, user=OWNER, password="x")
        with dumped(url) as file:
            restore(file, others, *options)
        exit_code, checks = examined(others, **PREFIXED)

        report = facts(others, "migrate", **PREFIXED)
        pruned = call(others, "prune", AUDIT_RETENTION_DAYS="30", **PREFIXED)

        assert (exit_code, checks["owners"]["state"]) == (1, "failing")
        assert "FUNCTION identity.scrub_audit(user_ids uuid[]) OWNER TO restored_definer;" in checks["owners"]["cure"]
        assert len(report["mended"]) > 8
        assert rights(other) == new
        assert (seen_by_tenant(other), pruned.exit_code) == (1, 0)
        assert rows(other, "SELECT FROM identity.profile_audit") == []


def test_a_release_behind_gets_its_roles_before_its_migrations(lone_server_url: str) -> None:
    with owned_database(lone_server_url, "first") as (url, owners):
        facts(owners, "migrate", **PREFIXED)
        new = rights(url)
        with psycopg.connect(url, autocommit=True) as admin:
            undo = (sql_root() / "migrations" / "0016.reread.rollback.sql").read_text()
            admin.execute(renamed(undo, PREFIX).encode())
            admin.execute("DELETE FROM consumer._yoyo_migration WHERE migration_id = '0016.reread'")
            for role in ROLES:
                admin.execute(f'REASSIGN OWNED BY {role} TO "{OWNER}"; DROP OWNED BY {role}; DROP ROLE {role}')

        report = facts(owners, "migrate", **PREFIXED)

        assert report["applied"] == ["0016.reread"]
        assert rights(url) == new
