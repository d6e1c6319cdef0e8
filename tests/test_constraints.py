"""Every CHECK and every unique key of our tables: the last value that it lets pass, and the first that it refuses."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import psycopg
import pytest
from psycopg.errors import CheckViolation, UniqueViolation

from tests.support.databases import rows

# Of each constraint: its table, the columns that it looks at, and rows of SQL values for them: those that pass, and
# those that it refuses.
CHECKS = {
    "actions_action": ("consumer.actions", "action", ["'a'", "repeat('é', 64)"], ["''", "repeat('a', 65)"]),
    "actions_actor": ("consumer.actions", "actor", ["'a'", "repeat('é', 256)"], ["''", "repeat('a', 257)"]),
    "actions_reason": ("consumer.actions", "reason", ["NULL", "''", "repeat('é', 1000)"], ["repeat('a', 1001)"]),
    "actions_role": ("consumer.actions", "role", ["'viewer'", "'operator'"], ["'worker'", "''"]),
    "actions_via": ("consumer.actions", "via", ["'cli'", "'console'"], ["'api'", "''"]),
    "activity_is_one_row": ("consumer.activity", "id", ["TRUE"], ["FALSE"]),
    "background_error": ("consumer.background", "error", ["NULL", "repeat('é', 1000)"], ["repeat('a', 1001)"]),
    "edits_field": ("consumer.edits", "field", ["'company_id'", "'department'", "'role_type'"], ["'full_name'"]),
    "failures_attempts": ("consumer.failures", "attempts", ["0", "1"], ["-1"]),
    "failures_due_while_retrying": (
        "consumer.failures",
        "state, next_attempt_at",
        ["'retrying', now()", "'dead', NULL"],
        ["'retrying', NULL", "'dead', now()"],
    ),
    "failures_state": (
        "consumer.failures",
        "state, next_attempt_at",
        ["'retrying', now()", "'dead', NULL"],
        ["'pending', NULL"],
    ),
    "fence_oldest_release": (
        "consumer.fence",
        "migration, oldest_release",
        ["8, 1", "8, 8", "1, 1"],
        ["8, 0", "8, 9", "0, 0"],
    ),
    "hours_n": ("consumer.hours", "n", ["1"], ["0", "-1"]),
    "maintenance_error": ("consumer.maintenance", "error", ["NULL", "repeat('é', 1000)"], ["repeat('a', 1001)"]),
    "maintenance_job": ("consumer.maintenance", "job", ["'j'"], ["''"]),
    "maintenance_remark": ("consumer.maintenance", "remark", ["NULL", "repeat('é', 1000)"], ["repeat('a', 1001)"]),
    "memberships_join": (
        "consumer.memberships",
        "joined_at, join_version, is_implied",
        ["now(), '1a', FALSE", "now(), '', TRUE", "now(), '', FALSE", "NULL, '', FALSE"],
        ["NULL, '1a', FALSE", "NULL, '', TRUE", "NULL, '1a', TRUE"],
    ),
    "memberships_removal": (
        "consumer.memberships",
        "removal_version, removed_at",
        ["'', NULL", "'1a', now()"],
        ["'', now()", "'1a', NULL"],
    ),
    "origin_is_one_row": ("consumer.origin", "id", ["TRUE"], ["FALSE"]),
    "outbox_message_id_length": ("consumer.outbox", "message_id", ["repeat('é', 256)"], ["repeat('a', 257)"]),
    "outbox_occurred_at": (
        "consumer.outbox",
        "occurred_at",
        ["'1970-01-01 00:00:00+00'", "now()", "now() + interval '24 hours'"],
        [
            "'1969-12-31 23:59:59.999999+00'",
            "now() + interval '24 hours 1 microsecond'",
            "'infinity'",
            "'-infinity'",
        ],
    ),
    "outbox_source": (
        "consumer.outbox",
        "source",
        ["'stack'", "'app'", "'backfill'", "'reconcile'", "'operator'"],
        ["'other'", "''"],
    ),
    "outcomes_outcome": (
        "consumer.outcomes",
        "outcome",
        ["'applied'", "'unchanged'", "'stale'", "'ignored'", "'discarded'"],
        ["'dead'", "''"],
    ),
    "project_id": ("consumer.project", "project_id", ["'p'"], ["''"]),
    "project_is_one_row": ("consumer.project", "id", ["TRUE"], ["FALSE"]),
    "rebuild_stage": ("consumer.rebuild", "stage", ["1", "2", "3"], ["0", "4"]),
    "reports_clock_skew_seconds": (
        "consumer.reports",
        "clock_skew_seconds",
        ["1e10", "-1e10"],
        ["10000000000.1", "-10000000000.1", "'infinity'", "'NaN'"],
    ),
    "reports_counters": (
        "consumer.reports",
        "counters",
        ["""'{}'""", """'{"a": 0, "b": 1000000000000}'"""],
        [f"""'{{"a": 1, "b": {value}}}'""" for value in ("-1", "1000000000001", "0.5", '"1"', "null", "[1]")],
    ),
    "reports_duty": ("consumer.reports", "duty", ["'receiver'", "'worker'", "'maintenance'", "'console'"], ["'up'"]),
    "reports_histograms": (
        "consumer.reports",
        "histograms",
        ["""'{}'""", """'{"a": [0, 1000000000000], "b": []}'"""],
        [f"""'{{"a": [1, {value}]}}'""" for value in ("-1", "1000000000001", "0.5", '"1"', "null", "[1]")],
    ),
    "reports_host": ("consumer.reports", "host", ["repeat('é', 255)"], ["repeat('a', 256)"]),
    "reports_next_at": (
        "consumer.reports",
        "at, next_at",
        ["now(), now() + interval '1 day'", "now(), NULL"],
        ["now(), now() + interval '1 day 1 microsecond'", "now(), 'infinity'"],
    ),
    "reports_paused_by": ("consumer.reports", "paused_by", ["NULL", "repeat('é', 1000)"], ["repeat('a', 1001)"]),
    "reports_release": ("consumer.reports", "release", ["repeat('é', 100)"], ["repeat('a', 101)"]),
    "reports_sources": ("consumer.reports", "sources", ["'{}'", "'{app}'", "'{stack,app}'"], ["'{stack,backfill}'"]),
    "run_repairs_kind": ("consumer.run_repairs", "kind", ["'k'"], ["''"]),
    "runs_end": (
        "consumer.runs",
        "finished_at, abandoned_at",
        ["NULL, NULL", "now(), NULL", "NULL, now()"],
        ["now(), now()"],
    ),
    "runs_kind": ("consumer.runs", "kind", ["'backfill'", "'reconcile'"], ["'replay'"]),
    "runs_project_id": ("consumer.runs", "project_id", ["'p'"], ["''"]),
    "runs_stage": ("consumer.runs", "stage", ["'users'", "'teams'", "'members'"], ["'permissions'"]),
    "settings_delete_policy": ("consumer.settings", "delete_policy", ["'soft'", "'anonymise'", "'hard'"], ["'none'"]),
    "settings_is_one_row": ("consumer.settings", "id", ["TRUE"], ["FALSE"]),
    "suspects_confirmed": (
        "consumer.suspects",
        "asked_at, confirmed_at",
        ["NULL, NULL", "now(), NULL", "now(), now()"],
        ["NULL, now()"],
    ),
    "suspects_kind": (
        "consumer.suspects",
        "kind",
        [
            *("'undeleted_user'", "'undeleted_team'", "'extra_membership'", "'extra_permission'"),
            *("'revived_user'", "'revived_team'", "'listed_user'", "'listed_team'"),
        ],
        ["'deleted_user'"],
    ),
    "company_members_search_name": (
        "identity.company_members",
        "is_guest, search_name",
        ["TRUE, 'ada'", "TRUE, NULL", "FALSE, NULL"],
        ["FALSE, 'ada'", "FALSE, ''"],
    ),
    "stack_user_profiles_version": (
        "identity.stack_user_profiles",
        "version, message_id",
        ["'', NULL", "'1a', 'msg_1'"],
        ["'', 'msg_1'", "'1a', NULL"],
    ),
}


@contextmanager
def copied(url: str, table: str) -> Iterator[psycopg.Connection]:
    """Yield a connection on which `copy` is an empty table with the checks of another, and none of its NOT NULLs."""
    with psycopg.connect(url) as conn:
        conn.execute(f"CREATE TEMPORARY TABLE copy (LIKE {table} INCLUDING CONSTRAINTS)".encode())
        columns = conn.execute(
            "SELECT quote_ident(attname) FROM pg_attribute "
            "WHERE attrelid = 'copy'::regclass AND attnum > 0 AND NOT attisdropped"
        ).fetchall()
        for (column,) in columns:
            conn.execute(f"ALTER TABLE copy ALTER COLUMN {column} DROP NOT NULL".encode())
        yield conn
        conn.rollback()


def put(conn: psycopg.Connection, columns: str, values: str) -> None:
    with conn.transaction():
        conn.execute(f"INSERT INTO copy ({columns}) VALUES ({values})".encode())


def test_each_check_of_our_tables_is_listed_here(database_url: str) -> None:
    found = rows(
        database_url,
        "SELECT conname, conrelid::regclass::text AS relation, convalidated FROM pg_constraint AS c "
        "JOIN pg_namespace AS n ON n.oid = connamespace WHERE nspname IN ('consumer', 'identity') AND contype = 'c'",
    )

    assert {row["conname"]: row["relation"] for row in found} == {name: table for name, (table, *_) in CHECKS.items()}
    assert all(row["convalidated"] for row in found)


@pytest.mark.parametrize("name", CHECKS)
def test_a_check_lets_its_last_value_pass_and_refuses_the_next(database_url: str, name: str) -> None:
    table, columns, passing, refused = CHECKS[name]
    with copied(database_url, table) as conn:
        for values in passing:
            put(conn, columns, values)
        for values in refused:
            with pytest.raises(CheckViolation) as raised:
                put(conn, columns, values)
            assert raised.value.diag.constraint_name == name, values


def test_one_message_of_a_source_is_stored_once(emptied: str) -> None:
    insert = "INSERT INTO consumer.outbox (source, message_id, occurred_at, body) VALUES (%s, %s, now(), '')"
    with psycopg.connect(emptied, autocommit=True) as conn:
        for key in (("stack", "msg_1"), ("stack", "msg_2"), ("app", "msg_1")):
            conn.execute(insert, key)
        with pytest.raises(UniqueViolation, match="outbox_message_key"):
            conn.execute(insert, ("stack", "msg_1"))


def test_one_run_of_a_kind_is_open(emptied: str) -> None:
    insert = (
        "INSERT INTO consumer.runs (id, kind, project_id, stage, finished_at, abandoned_at) "
        "VALUES (gen_random_uuid(), '{}', 'p', 'users', {}, {})"
    )
    with psycopg.connect(emptied, autocommit=True) as conn:
        for values in 2 * [("backfill", "now()", "NULL"), ("backfill", "NULL", "now()")]:
            conn.execute(insert.format(*values).encode())
        for kind in ("backfill", "reconcile"):
            conn.execute(insert.format(kind, "NULL", "NULL").encode())
            with pytest.raises(UniqueViolation, match="runs_open"):
                conn.execute(insert.format(kind, "NULL", "NULL").encode())


def test_a_suspect_of_a_run_is_one_row_whichever_of_its_ids_are_null(emptied: str) -> None:
    insert = "INSERT INTO consumer.suspects (run_id, kind, team_id, user_id, permission_id) VALUES (%s, %s, %s, %s, %s)"
    run, team, user = uuid4(), uuid4(), uuid4()
    suspects = [
        (run, "undeleted_user", None, user, None),
        (run, "undeleted_team", team, None, None),
        (run, "extra_membership", team, user, None),
        (run, "extra_permission", team, user, "read"),
        (run, "extra_permission", team, user, "write"),
        (uuid4(), "undeleted_user", None, user, None),
    ]
    with psycopg.connect(emptied, autocommit=True) as conn:
        for suspect in suspects:
            conn.execute(insert, suspect)
            with pytest.raises(UniqueViolation, match="suspects_subject"):
                conn.execute(insert, suspect)


def test_a_sign_in_is_audited_once_and_another_change_as_often_as_it_happens(emptied: str) -> None:
    insert = (
        "INSERT INTO identity.profile_audit (user_id, operation, source, message_id, seq) VALUES (%s, %s, %s, %s, 1)"
    )
    user = uuid4()
    with psycopg.connect(emptied, autocommit=True) as conn:
        for source, message in (("app", "a"), ("app", "b"), ("stack", "a")):
            for operation in ("created", "updated", "updated", "signed_in"):
                conn.execute(insert, (user, operation, source, message))
            for operation in ("signed_in", "signed_out"):
                with pytest.raises(UniqueViolation, match="profile_audit_sign_in"):
                    conn.execute(insert, (user, operation, source, message))
        conn.execute(insert, (uuid4(), "signed_in", "app", "a"))
