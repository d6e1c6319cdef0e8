"""The doctor on the schema: what breaks the isolation of tenants, or the schema, is named with its cure."""

import pytest

from tests.support.cli import examined
from tests.support.databases import schema_change

# Some of these make logins that pass every policy, or let a role pass them.
pytestmark = pytest.mark.lone_server


@pytest.mark.parametrize(
    ("doing", "undoing", "name", "finding"),
    [
        pytest.param(
            "ALTER TABLE identity.profiles NO FORCE ROW LEVEL SECURITY",
            "ALTER TABLE identity.profiles FORCE ROW LEVEL SECURITY",
            "row-level security",
            "not forced on identity.profiles",
            id="not forced",
        ),
        pytest.param(
            "ALTER TABLE identity.companies DISABLE ROW LEVEL SECURITY",
            "ALTER TABLE identity.companies ENABLE ROW LEVEL SECURITY",
            "row-level security",
            "not forced on identity.companies",
            id="switched off",
        ),
        pytest.param(
            "ALTER POLICY tenant ON identity.profiles TO consumer_definer",
            "ALTER POLICY tenant ON identity.profiles TO consumer_tenant",
            "policies",
            "none on identity.profiles for consumer_tenant",
            id="a policy that is gone",
        ),
        pytest.param(
            "CREATE POLICY handy ON identity.profiles USING (TRUE)",
            "DROP POLICY handy ON identity.profiles",
            "policies",
            "not ours: handy on identity.profiles for PUBLIC",
            id="a policy for everybody",
        ),
        pytest.param(
            "CREATE POLICY handy ON identity.profiles TO consumer_tenant USING (TRUE)",
            "DROP POLICY handy ON identity.profiles",
            "policies",
            "not ours: handy on identity.profiles for consumer_tenant",
            id="a policy that shows a tenant everybody",
        ),
        pytest.param(
            "ALTER POLICY definer ON identity.company_members TO consumer_operator",
            "ALTER POLICY definer ON identity.company_members TO consumer_definer",
            "policies",
            "none on identity.company_members for consumer_definer",
            id="a policy that functions need",
        ),
        pytest.param(
            "CREATE ROLE shop LOGIN BYPASSRLS IN ROLE consumer_tenant",
            "DROP ROLE shop",
            "application's logins",
            "pass row-level security: shop",
            id="an application that passes the policies",
        ),
        pytest.param(
            "CREATE ROLE shops IN ROLE consumer_app; CREATE ROLE shop LOGIN SUPERUSER IN ROLE shops",
            "DROP ROLE shop; DROP ROLE shops",
            "application's logins",
            "pass row-level security: shop",
            id="an application that is a superuser",
        ),
        pytest.param(
            "GRANT SELECT ON consumer.outbox TO PUBLIC",
            "REVOKE SELECT ON consumer.outbox FROM PUBLIC",
            "grants",
            "consumer.outbox to PUBLIC",
            id="a table to everybody",
        ),
        pytest.param(
            "GRANT SELECT (body) ON consumer.outbox TO PUBLIC",
            "REVOKE SELECT (body) ON consumer.outbox FROM PUBLIC",
            "grants",
            "consumer.outbox.body to PUBLIC",
            id="a column to everybody",
        ),
        pytest.param(
            "GRANT USAGE ON SCHEMA identity TO PUBLIC",
            "REVOKE USAGE ON SCHEMA identity FROM PUBLIC",
            "grants",
            "schema identity to PUBLIC",
            id="a schema to everybody",
        ),
        pytest.param(
            "CREATE FUNCTION identity.open() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
            "DROP FUNCTION identity.open",
            "grants",
            "identity.open() to PUBLIC",
            id="a function nobody revoked",
        ),
        pytest.param(
            "CREATE ROLE authenticated; GRANT SELECT ON identity.profiles TO authenticated",
            "DROP OWNED BY authenticated; DROP ROLE authenticated",
            "grants",
            "identity.profiles to authenticated",
            id="a table to every visitor",
        ),
        pytest.param(
            "ALTER ROLE consumer_tenant BYPASSRLS",
            "ALTER ROLE consumer_tenant NOBYPASSRLS",
            "privileges of roles",
            "too many: consumer_tenant",
            id="a role that sees every tenant",
        ),
        pytest.param(
            "UPDATE consumer._yoyo_migration SET migration_id = 'other' WHERE migration_id = '0002.identity'",
            "UPDATE consumer._yoyo_migration SET migration_id = '0002.identity' WHERE migration_id = 'other'",
            "releases",
            "the database has other of another release and lacks 0002.identity of this one",
            id="a missing migration",
        ),
    ],
)
def test_what_breaks_isolation_or_the_schema_fails(
    emptied: str, doing: str, undoing: str, name: str, finding: str
) -> None:
    with schema_change(emptied, doing, undoing):
        exit_code, checks = examined(emptied)

    assert exit_code == 1
    assert checks[name]["finding"] == finding
    assert [failing for failing, check in checks.items() if check["state"] == "failing"] == [name]


@pytest.mark.parametrize(
    ("doing", "undoing", "name", "finding"),
    [
        pytest.param(
            "ALTER TABLE consumer.pending SET (autovacuum_enabled = off)",
            "ALTER TABLE consumer.pending RESET (autovacuum_enabled)",
            "autovacuum",
            "off for consumer.pending",
            id="a table without vacuum",
        ),
        pytest.param(
            "INSERT INTO consumer._yoyo_migration (migration_hash, migration_id) VALUES ('later', '9999.later')",
            "DELETE FROM consumer._yoyo_migration WHERE migration_id = '9999.later'",
            "migrations",
            "this release does not carry 9999.later",
            id="a later release's migration",
        ),
    ],
)
def test_what_only_needs_a_look_does_not_fail(emptied: str, doing: str, undoing: str, name: str, finding: str) -> None:
    with schema_change(emptied, doing, undoing):
        exit_code, checks = examined(emptied)

    assert exit_code == 0
    assert (checks[name]["state"], checks[name]["finding"]) == ("warning", finding)


def test_a_table_that_somebody_added_to_the_users_data_fails_for_its_rows_and_its_policies(emptied: str) -> None:
    with schema_change(emptied, "CREATE TABLE identity.forgotten ()", "DROP TABLE identity.forgotten"):
        exit_code, checks = examined(emptied)

    assert exit_code == 1
    assert checks["row-level security"]["finding"] == "not forced on identity.forgotten"
    assert "none on identity.forgotten for consumer_tenant" in checks["policies"]["finding"]
