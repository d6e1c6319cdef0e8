"""Who may do what in the database: each role no more than its work needs, and nobody else anything."""

import psycopg
import pytest

from tests.support import rows

OURS = "nspname IN ('consumer', 'identity')"


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        ("receiver", "SELECT body FROM consumer.outbox"),
        ("receiver", "SELECT seq FROM consumer.pending"),
        ("receiver", "DELETE FROM consumer.outbox"),
        ("receiver", "SELECT user_id FROM identity.profiles"),
        ("worker", "UPDATE consumer.outbox SET body = ''"),
        ("worker", "DELETE FROM consumer.outbox"),
        ("worker", "INSERT INTO consumer.exclusions VALUES (1, 'x', 'y')"),
        ("worker", "UPDATE consumer.settings SET default_role = 'x'"),
        ("worker", "DELETE FROM consumer.memberships"),
        ("worker", "SELECT nextval('consumer.edit_number')"),
        ("worker", "UPDATE consumer.rehome SET seq = 0"),
        ("operator", "UPDATE identity.profiles SET full_name = 'x'"),
        ("operator", "DELETE FROM identity.company_members"),
        ("operator", "INSERT INTO identity.profile_audit (user_id) VALUES (gen_random_uuid())"),
        ("app", "SELECT stack_metadata FROM identity.stack_user_profiles"),
        ("app", "SELECT seq FROM consumer.outbox"),
        ("app", "SELECT user_id FROM consumer.memberships"),
        ("app", "SELECT user_id FROM consumer.edits"),
        ("app", "INSERT INTO consumer.pending (seq) VALUES (1)"),
        ("app", "UPDATE identity.profiles SET full_name = 'x'"),
        ("tenant", "SELECT user_id FROM identity.profiles"),
        ("tenant", "SELECT user_id FROM identity.company_members"),
        ("definer", "SELECT user_id FROM identity.company_members"),
        ("definer", "SELECT body FROM consumer.outbox"),
        ("definer", "SELECT seq FROM consumer.pending"),
        ("definer", "UPDATE identity.profiles SET full_name = 'x'"),
        ("worker", "SELECT consumer.app_deliveries('{}')"),
        ("app", "SELECT consumer.app_deliveries('{}')"),
        ("tenant", "SELECT consumer.app_deliveries('{}')"),
    ],
)
def test_a_role_may_not_do_what_is_not_its_work(database_url: str, role: str, statement: str) -> None:
    with psycopg.connect(database_url) as conn:
        conn.execute(f"SET LOCAL ROLE consumer_{role}")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute(statement)


@pytest.mark.parametrize("table", ["companies", "company_members", "profiles", "stack_user_profiles", "profile_audit"])
def test_the_application_may_read_what_is_its_own(database_url: str, table: str) -> None:
    with psycopg.connect(database_url) as conn:
        conn.execute("SET LOCAL ROLE consumer_app")
        conn.execute(f"SELECT count(*) FROM identity.{table}")


def test_row_level_security_is_forced_on_every_table_of_identity(database_url: str) -> None:
    unprotected = rows(
        database_url,
        "SELECT relname FROM pg_class JOIN pg_namespace AS n ON n.oid = relnamespace "
        "WHERE nspname = 'identity' AND relkind = 'r' AND NOT (relrowsecurity AND relforcerowsecurity)",
    )

    assert not unprotected


def test_nothing_of_ours_is_granted_to_everybody(database_url: str) -> None:
    relations = rows(
        database_url,
        "SELECT relname FROM pg_class JOIN pg_namespace AS n ON n.oid = relnamespace, aclexplode(relacl) AS a "
        f"WHERE {OURS} AND a.grantee = 0",
    )
    functions = rows(
        database_url,
        "SELECT proname FROM pg_proc JOIN pg_namespace AS n ON n.oid = pronamespace, "
        f"aclexplode(coalesce(proacl, acldefault('f', proowner))) AS a WHERE {OURS} AND a.grantee = 0",
    )
    schemas = rows(
        database_url, f"SELECT nspname FROM pg_namespace, aclexplode(nspacl) AS a WHERE {OURS} AND a.grantee = 0"
    )

    assert (relations, functions, schemas) == ([], [], [])


def test_no_role_of_ours_logs_in_or_passes_row_level_security(database_url: str) -> None:
    mighty = rows(
        database_url,
        "SELECT rolname FROM pg_roles WHERE rolname LIKE 'consumer\\_%' AND (rolcanlogin OR rolsuper OR rolbypassrls)",
    )

    assert not mighty


def test_views_show_what_their_reader_may_see(database_url: str) -> None:
    views = rows(
        database_url,
        "SELECT relname, reloptions::text AS options FROM pg_class JOIN pg_namespace AS n ON n.oid = relnamespace "
        f"WHERE {OURS} AND relkind = 'v'",
    )

    assert views
    assert all("security_invoker=true" in row["options"] for row in views)


def test_a_definer_function_is_fenced(database_url: str) -> None:
    definers = rows(
        database_url,
        "SELECT proname, proconfig::text AS config, pg_get_userbyid(proowner) AS owner FROM pg_proc "
        f"JOIN pg_namespace AS n ON n.oid = pronamespace WHERE {OURS} AND prosecdef",
    )

    assert definers
    assert all("search_path" in row["config"] and row["owner"] == "consumer_definer" for row in definers)
