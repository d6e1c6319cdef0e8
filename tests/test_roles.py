"""Who may do what in the database: each role no more than its work needs, and nobody else anything."""

import psycopg
import pytest


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
        ("definer", "SELECT body FROM consumer.outbox"),
        ("definer", "SELECT seq FROM consumer.pending"),
        ("definer", "UPDATE identity.profiles SET full_name = 'x'"),
        ("worker", "SELECT consumer.app_deliveries('{}', '{}')"),
        ("app", "SELECT consumer.app_deliveries('{}', '{}')"),
        ("tenant", "SELECT consumer.app_deliveries('{}', '{}')"),
        (
            "app",
            "INSERT INTO identity.company_members (company_id, user_id) VALUES (gen_random_uuid(), gen_random_uuid())",
        ),
        ("tenant", "SELECT stack_metadata FROM identity.stack_user_profiles"),
        ("tenant", "SELECT source_role FROM identity.stack_user_profiles"),
        ("tenant", "SELECT seq FROM consumer.outbox"),
        ("tenant", "SELECT user_id FROM consumer.memberships"),
        ("tenant", "SELECT default_role FROM consumer.settings"),
        ("definer", "SELECT name FROM identity.companies"),
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
