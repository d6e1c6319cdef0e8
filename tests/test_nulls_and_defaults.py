"""Which columns of our tables may be null, and what a column holds that an insert leaves out."""

from typing import Any

import psycopg
import pytest

from tests.support.databases import rows

# A column may be null only where that means something; the migrations say what. yoyo's tables are its own.
NULLABLE = {
    "consumer.actions": "seen_count reason",
    "consumer.activity": "mark_millis cursor cursor_millis newest_millis",
    "consumer.background": "finished_at error",
    "consumer.edits": "value",
    "consumer.failures": "next_attempt_at source event_type",
    "consumer.maintenance": "ended_at remark error place",
    "consumer.memberships": "joined_at removed_at",
    "consumer.outbox": "event_type user_id team_id verified_by reduced request_id",
    "consumer.project": "endpoint_url",
    "consumer.rebuild": "error",
    "consumer.reports": "next_at paused_by findings",
    "consumer.runs": "cursor cursor_millis newest_millis listed_at finished_at abandoned_at",
    "consumer.settings": "default_company_id audited_since pruned_until",
    "consumer.suspects": "team_id user_id permission_id asked_at confirmed_at",
    "identity.companies": "logo_url deleted_at deletion_at missing_at seen_at",
    "identity.company_members": "joined_at removed_at search_name",
    "identity.profile_audit": "company_id previous_values new_values edited_by reason",
    "identity.profiles": (
        "company_id email email_verified avatar_url is_restricted last_active_at last_sign_in_at last_sign_out_at "
        "deleted_at guest_keys"
    ),
    "identity.stack_user_profiles": (
        "company_id stack_display_name stack_primary_email stack_primary_email_verified stack_profile_image_url "
        "stack_metadata is_anonymous is_restricted signed_up_at source_role source_department source_company_id "
        "last_active_at last_sign_in_at last_sign_out_at occurred_at message_id last_synced_at deleted_at guest_keys "
        "deletion_at missing_at seen_at"
    ),
}
NOW = "the time of the transaction"
# Of each table: SQL values for the columns that an insert must name, and what it finds in the others, null aside.
ID = "'00000000-0000-0000-0000-000000000001'"
DEFAULTS: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
    "consumer.actions": (
        {"id": ID, "actor": "'a'", "via": "'cli'", "role": "'viewer'", "action": "'a'"},
        {"at": NOW, "filter": {}, "affected": 0},
    ),
    "consumer.activity": ({"sweep_id": ID}, {"id": True}),
    "consumer.background": ({"id": ID}, {"begun_at": NOW, "stepped_at": NOW, "place": {}, "result": {}}),
    "consumer.edits": ({"user_id": ID, "field": "'role_type'", "version": "'1'", "seq": "1"}, {}),
    "consumer.exclusions": ({"seq": "1", "excluded_by": "'a'", "reason": "'r'"}, {"excluded_at": NOW}),
    "consumer.failures": (
        {"seq": "1", "state": "'dead'", "attempts": "7", "error_code": "'c'", "error": "'e'"},
        {"failed_at": NOW},
    ),
    "consumer.fence": ({"migration": "99", "oldest_release": "1"}, {}),
    "consumer.hours": ({"source": "'app'", "hour": "now()", "n": "1"}, {}),
    "consumer.maintenance": ({"job": "'j'", "started_at": "now()", "due_at": "now()"}, {"counts": {}}),
    "consumer.memberships": (
        {"user_id": ID, "company_id": ID, "join_version": "''", "removal_version": "''", "is_implied": "FALSE"},
        {},
    ),
    "consumer.origin": (
        {"server": "'s'", "database_oid": "1", "database_name": "'d'"},
        {"id": True, "recorded_at": NOW},
    ),
    "consumer.outbox": (
        {"source": "'app'", "message_id": "'m'", "occurred_at": "now()", "body": "''"},
        {"received_at": NOW},
    ),
    "consumer.outcomes": ({"seq": "1", "outcome": "'stale'"}, {"at": NOW}),
    "consumer.past_exclusions": (
        {
            "seq": "1",
            "excluded_by": "'a'",
            "reason": "'r'",
            "excluded_at": "now()",
            "taken_back_by": "'b'",
            "taken_back_reason": "'s'",
        },
        {"taken_back_at": NOW},
    ),
    "consumer.pending": ({"seq": "1"}, {"has_failed": False}),
    "consumer.project": ({"project_id": "'p'"}, {"id": True, "pinned_at": NOW}),
    "consumer.pruned": ({"key": ID}, {}),
    "consumer.rebuild": ({"stage": "1", "id": ID}, {"attempts": 0, "due_at": NOW}),
    "consumer.rehome": (
        {"company_id": ID, "seq": "1"},
        {
            "next_user_id": "00000000-0000-0000-0000-000000000000",
            "last_user_id": "ffffffff-ffff-ffff-ffff-ffffffffffff",
            "attempts": 0,
            "due_at": NOW,
        },
    ),
    "consumer.reports": (
        {"process_id": ID, "host": "'h'", "pid": "1", "release": "'r'", "clock_skew_seconds": "0"},
        {"at": NOW, "duty": "receiver", "sources": [], "counters": {}, "histograms": {}},
    ),
    "consumer.run_repairs": ({"run_id": ID, "kind": "'k'", "repaired": "1"}, {}),
    "consumer.run_teams": ({"run_id": ID, "team_id": ID}, {}),
    "consumer.runs": (
        {"id": ID, "kind": "'backfill'", "project_id": "'p'", "stage": "'users'"},
        {
            "begun_at": NOW,
            **dict.fromkeys(
                ("restarts", "users", "teams", "memberships", "permissions", "stored", "unusable", "calls"), 0
            ),
        },
    ),
    "consumer.settings": (
        {
            "default_role": "''",
            "default_department": "''",
            "delete_policy": "'soft'",
            **dict.fromkeys(("role_key", "department_key", "company_key"), "'k'"),
        },
        {"id": True, "recorded_at": NOW},
    ),
    "consumer.suspects": ({"run_id": ID, "kind": "'revived_user'"}, {}),
    "consumer.team_permissions": (
        {"user_id": ID, "company_id": ID, "permission_id": "'p'", "version": "'1'", "is_present": "TRUE"},
        {},
    ),
    "identity.companies": (
        {"id": ID},
        {"name": "Unnamed team", "settings": {}, "created_at": NOW, "updated_at": NOW, "version": ""},
    ),
    "identity.company_members": ({"company_id": ID, "user_id": ID}, {"permissions": [], "is_guest": False}),
    "identity.profile_audit": (
        {"user_id": ID, "operation": "'o'", "source": "'app'", "message_id": "'m'", "seq": "1"},
        {"at": NOW, "changed_fields": []},
    ),
    "identity.profiles": (
        {"user_id": ID, "full_name": "'n'", "role_type": "'r'", "department": "'d'"},
        {"created_at": NOW, "updated_at": NOW, "search_name": ""},
    ),
    "identity.stack_user_profiles": (
        {"stack_user_id": ID},
        {
            **dict.fromkeys(("has_profile", "is_forgotten", "is_held", "is_erased", "is_removed"), False),
            "version": "",
            "sync_version": 0,
        },
    ),
}
# Values that nobody chooses and no two rows share.
MADE = {
    "consumer.outbox": {"seq"},
    "consumer.rehome": {"id"},
    "consumer.settings": {"guest_salt"},
    "identity.companies": {"guest_key"},
    "identity.profile_audit": {"id"},
}


def test_a_column_is_null_only_where_that_means_something(database_url: str) -> None:
    found = rows(
        database_url,
        "SELECT attrelid::regclass::text AS relation, string_agg(attname, ' ' ORDER BY attnum) AS columns "
        "FROM pg_attribute JOIN pg_class AS c ON c.oid = attrelid JOIN pg_namespace AS n ON n.oid = relnamespace "
        "WHERE nspname IN ('consumer', 'identity') AND relkind = 'r' AND NOT starts_with(relname, '_yoyo') "
        "AND attnum > 0 AND NOT attisdropped AND NOT attnotnull GROUP BY attrelid",
    )

    assert {row["relation"]: set(row["columns"].split()) for row in found} == {
        table: set(columns.split()) for table, columns in NULLABLE.items()
    }


def test_each_table_has_a_row_here(database_url: str) -> None:
    found = rows(
        database_url,
        "SELECT c.oid::regclass::text AS relation FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace "
        "WHERE nspname IN ('consumer', 'identity') AND relkind = 'r' AND NOT starts_with(relname, '_yoyo')",
    )

    assert {row["relation"] for row in found} == DEFAULTS.keys()


@pytest.mark.parametrize("table", DEFAULTS)
def test_what_an_insert_leaves_out_gets_its_default(emptied: str, table: str) -> None:
    given, expected = DEFAULTS[table]
    with psycopg.connect(emptied) as conn:
        conn.execute("DELETE FROM consumer.settings; DELETE FROM consumer.origin")
        if table == "identity.company_members":
            conn.execute(f"INSERT INTO identity.companies (id) VALUES ({ID})".encode())
        values = f"({', '.join(given)}) VALUES ({', '.join(given.values())})"
        whole = f"to_jsonb({table.rpartition('.')[2]}), to_jsonb(now())"
        [(row, now)] = conn.execute(f"INSERT INTO {table} {values} RETURNING {whole}".encode()).fetchall()
        conn.rollback()

    left_out = {name: value for name, value in row.items() if name not in given and value is not None}
    made = {name for name in left_out if name in MADE.get(table, ())}
    assert made == MADE.get(table, set())
    assert {name: left_out[name] for name in left_out if name not in made} == {
        name: now if value == NOW else value for name, value in expected.items()
    }


def test_an_installation_gets_a_salt_of_its_own_of_32_bytes(emptied: str) -> None:
    [first] = rows(emptied, "SELECT guest_salt FROM consumer.settings")
    with psycopg.connect(emptied) as conn:
        conn.execute("UPDATE consumer.settings SET guest_salt = DEFAULT")
        [(second,)] = conn.execute("SELECT guest_salt FROM consumer.settings").fetchall()
        conn.rollback()

    assert len(first["guest_salt"]) == len(second) == 32
    assert first["guest_salt"] != second


# Tables whose rows come and go, or that a prune empties in part, are vacuumed by a count of rows.
VACUUMED_BY_COUNT = {
    "consumer.outbox": 100_000,
    "consumer.outcomes": 100_000,
    "consumer.pending": 10_000,
    "consumer.rebuild": 10_000,
}


def test_tables_whose_rows_go_are_vacuumed_by_a_count_and_not_by_a_share(database_url: str) -> None:
    found = rows(
        database_url,
        "SELECT c.oid::regclass::text AS relation, jsonb_object_agg(o.option_name, o.option_value) AS options "
        "FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace "
        "CROSS JOIN pg_options_to_table(reloptions) AS o WHERE nspname IN ('consumer', 'identity') AND relkind = 'r' "
        "AND o.option_name LIKE 'autovacuum%' GROUP BY c.oid",
    )

    assert {row["relation"]: row["options"] for row in found} == {
        table: {"autovacuum_vacuum_scale_factor": "0", "autovacuum_vacuum_threshold": str(count)}
        for table, count in VACUUMED_BY_COUNT.items()
    }
