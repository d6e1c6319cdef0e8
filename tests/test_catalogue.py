"""What the catalogue must say of everything that is ours: a new table, view, function or index is held to it too."""

import psycopg
import pytest

from consumer.postgres.preflight import DUTIES
from tests.support.databases import rows

OURS = "nspname IN ('consumer', 'consumer_masked', 'identity')"
# Who reads the users' data, each by a policy of its own on every table.
READERS = {"consumer_app", "consumer_masker", "consumer_operator", "consumer_tenant", "consumer_worker"}
# What each index of identity serves, beside primary keys.
SERVED = {
    "company_members_active": "members/home",
    "company_members_guests": "identity.current_guests",
    "company_members_search_name": "identity.current_matches",
    "company_members_user_id": "users/remove_profiles",
    "profile_audit_at": "identity.prune_audit",
    "profile_audit_seq": "audit/of_delivery",
    "profile_audit_sign_in": "users/put_sign_ins",
    "profiles_company_id": "a page of a company",
    "profiles_guest_keys": "the tenants' policies",
    "profiles_department": "a company's people of one department",
    "profiles_role_type": "a company's people of one role",
    "profiles_search_name": "identity.current_matches",
    "profiles_updated_at": "what changed last in a company",
    "stack_user_profiles_company_id": "rehome/page",
    "stack_user_profiles_email": "consumer_masked.users_by_email",
    "stack_user_profiles_erased": "late/erased",
    "stack_user_profiles_guest_keys": "the tenants' policies",
    "stack_user_profiles_source_company_id": "rehome/page",
}


def test_row_level_security_is_forced_on_every_table_of_identity(database_url: str) -> None:
    tables = rows(
        database_url,
        "SELECT relname, relrowsecurity AND relforcerowsecurity AS is_closed FROM pg_class "
        "JOIN pg_namespace AS n ON n.oid = relnamespace WHERE nspname = 'identity' AND relkind IN ('r', 'p')",
    )

    assert len(tables) >= 5
    assert not [row["relname"] for row in tables if not row["is_closed"]]


def test_every_reader_passes_each_table_of_identity_by_a_policy_and_nobody_else_does(database_url: str) -> None:
    policies = rows(
        database_url,
        "SELECT c.relname, array_agg(DISTINCT r.rolname::text) FILTER (WHERE r.rolname IS NOT NULL) AS roles, "
        "bool_or(0 = ANY(p.polroles)) AS is_for_all "
        "FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace LEFT JOIN pg_policy AS p "
        "ON p.polrelid = c.oid LEFT JOIN pg_roles AS r ON r.oid = ANY(p.polroles) "
        "WHERE nspname = 'identity' AND relkind IN ('r', 'p') GROUP BY c.relname",
    )

    assert policies
    for row in policies:
        assert set(row["roles"] or ()) - {"consumer_definer"} == READERS, row["relname"]
        assert not row["is_for_all"], row["relname"]


def test_only_the_worker_has_a_policy_that_writes_and_the_definer_where_it_scrubs(database_url: str) -> None:
    writing = rows(
        database_url,
        "SELECT polrelid::regclass::text AS relation, r.rolname FROM pg_policy JOIN pg_roles AS r "
        "ON r.oid = ANY(polroles) JOIN pg_class AS c ON c.oid = polrelid JOIN pg_namespace AS n "
        "ON n.oid = c.relnamespace WHERE nspname = 'identity' AND polcmd <> 'r' AND rolname <> 'consumer_worker'",
    )

    assert [tuple(row.values()) for row in writing] == [("identity.profile_audit", "consumer_definer")]


def test_nothing_of_ours_is_granted_to_anybody_but_our_roles(database_url: str) -> None:
    granted = rows(
        database_url,
        f"""
        WITH granted AS (
            SELECT relname::text AS name, relacl AS acl, relowner AS owner FROM pg_class
            JOIN pg_namespace AS n ON n.oid = relnamespace WHERE {OURS}
            UNION ALL
            SELECT proname::text, coalesce(proacl, acldefault('f', proowner)), proowner FROM pg_proc
            JOIN pg_namespace AS n ON n.oid = pronamespace WHERE {OURS}
            UNION ALL
            SELECT nspname::text, nspacl, nspowner FROM pg_namespace WHERE {OURS}
            UNION ALL
            SELECT relname || '.' || attname, attacl, relowner FROM pg_attribute
            JOIN pg_class AS c ON c.oid = attrelid JOIN pg_namespace AS n ON n.oid = relnamespace WHERE {OURS}
        )
        SELECT name, CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END AS grantee
        FROM granted, aclexplode(acl) AS a WHERE a.grantee <> owner
        """,
    )

    assert granted
    assert {row["grantee"] for row in granted} <= {f"consumer_{duty}" for duty in DUTIES}


def test_the_readers_outside_have_nothing_of_the_machinery(database_url: str) -> None:
    reachable = rows(
        database_url,
        "SELECT r.rolname, c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace "
        "CROSS JOIN pg_roles AS r WHERE nspname = 'consumer' AND relkind IN ('r', 'v') AND rolname IN "
        "('consumer_app', 'consumer_tenant') AND (has_schema_privilege(r.oid, n.oid, 'USAGE') "
        "OR has_any_column_privilege(r.oid, c.oid, 'SELECT, INSERT, UPDATE'))",
    )

    assert not reachable


def test_no_role_of_ours_logs_in_or_passes_row_level_security(database_url: str) -> None:
    mighty = rows(
        database_url,
        "SELECT rolname FROM pg_roles WHERE rolname LIKE 'consumer\\_%' AND (rolcanlogin OR rolsuper OR rolbypassrls)",
    )

    assert not mighty


def test_views_show_what_their_reader_may_see_and_masked_ones_what_the_masker_may(database_url: str) -> None:
    views = rows(
        database_url,
        "SELECT relname, nspname, reloptions::text AS options, relowner::regrole::text AS owner FROM pg_class "
        f"JOIN pg_namespace AS n ON n.oid = relnamespace WHERE {OURS} AND relkind IN ('v', 'm')",
    )
    masked = [row for row in views if row["nspname"] == "consumer_masked"]
    others = [row for row in views if row not in masked]

    assert others
    assert masked
    assert all("security_invoker=true" in (row["options"] or "") for row in others)
    assert all((row["owner"], row["options"]) == ("consumer_masker", None) for row in masked)


def test_no_function_finds_its_names_along_its_callers_path(database_url: str) -> None:
    """One in standard SQL is bound when it is made; another's path is fixed."""
    loose = rows(
        database_url,
        "SELECT proname FROM pg_proc JOIN pg_namespace AS n ON n.oid = pronamespace "
        f"WHERE {OURS} AND prosqlbody IS NULL AND coalesce(proconfig::text, '') "
        "NOT LIKE '%search_path=pg_catalog, pg_temp%'",
    )

    assert not loose


def test_a_definer_function_is_the_definers_or_the_maskers_and_is_fenced(database_url: str) -> None:
    definers = rows(
        database_url,
        "SELECT nspname, proconfig::text AS config, pg_get_userbyid(proowner) AS owner FROM pg_proc "
        f"JOIN pg_namespace AS n ON n.oid = pronamespace WHERE {OURS} AND prosecdef",
    )

    assert definers
    assert all("search_path" in row["config"] for row in definers)
    assert {(row["nspname"] == "consumer_masked", row["owner"]) for row in definers} == {
        (False, "consumer_definer"),
        (True, "consumer_masker"),
    }


def test_no_two_indexes_have_the_same_columns(database_url: str) -> None:
    doubled = rows(
        database_url,
        "SELECT array_agg(indexrelid::regclass) FROM pg_index JOIN pg_class AS c ON c.oid = indrelid "
        f"JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE {OURS} "
        "GROUP BY indrelid, indkey::text, indexprs::text, indpred::text HAVING count(*) > 1",
    )

    assert not doubled


def test_each_index_of_identity_serves_a_query(database_url: str) -> None:
    indexes = rows(
        database_url,
        "SELECT relname FROM pg_index JOIN pg_class AS c ON c.oid = indexrelid JOIN pg_namespace AS n "
        "ON n.oid = c.relnamespace WHERE nspname = 'identity' AND NOT indisprimary",
    )

    assert {row["relname"] for row in indexes} == SERVED.keys()


@pytest.mark.parametrize("role", ["anon", "authenticated"])
def test_where_strangers_roles_exist_they_get_nothing(lone_database_url: str, role: str) -> None:
    with psycopg.connect(lone_database_url) as conn:
        conn.execute(f"CREATE ROLE {role}")
        conn.execute(f"SET LOCAL ROLE {role}")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute("SELECT user_id FROM identity.profiles")
