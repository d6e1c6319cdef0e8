"""The doctor's rehearsal: what a release needs and the database lacks is told before a worker stands still for it."""

from fnmatch import fnmatchcase

import pytest

from consumer.doctor.rehearsal import QUERIES, names
from consumer.postgres.queries import sql_root
from tests.support.cli import examined
from tests.support.databases import schema_change, scratch_database
from tests.support.names import own

# What a session, the doctor, the demo, the migrator's own login and a plan to adopt ask.
ELSEWHERE = (
    "catalogue/*",
    "checks/*",
    "connections/*",
    "default_privileges/*",
    "embedded_logins/*",
    "isolation/*",
    "locks/*",
    "migration_records/*",
    "migration_steps/*",
    "migrations/*",
    "migrator/*",
    "origin/record",
    # Where it is not granted another query stands in.
    "origin/system_identifier",
    "preflight/*",
    "privileges/*",
    "profiles/*",
    "recorded_settings/*",
    "server/*",
    "session/*",
    "sessions/*",
    "sync/*",
    "uninstall/*",
    "user_rehearsal/*",
)


# PostgreSQL 17 gave it another parameter.
EACH_SIGNATURE = """DO $$ BEGIN EXECUTE (
    SELECT string_agg(format('{0} EXECUTE ON FUNCTION %s {1} PUBLIC', oid::regprocedure), ';')
    FROM pg_proc WHERE proname = 'pg_logical_emit_message'
); END $$"""


@pytest.mark.parametrize(
    ("doing", "undoing", "failing", "named"),
    [
        pytest.param(
            "REVOKE INSERT, UPDATE ON identity.profiles FROM consumer_worker",
            "GRANT INSERT, UPDATE ON identity.profiles TO consumer_worker",
            {"worker's queries"},
            "profiles (42501) for users/put_profiles",
            id="a privilege of the worker",
        ),
        pytest.param(
            "REVOKE INSERT (body) ON consumer.outbox FROM consumer_receiver",
            "GRANT INSERT (body) ON consumer.outbox TO consumer_receiver",
            {"receiver's queries"},
            "outbox (42501) for storage/put, storage/put_dead",
            id="a privilege of the receiver",
        ),
        pytest.param(
            EACH_SIGNATURE.format("REVOKE", "FROM"),
            EACH_SIGNATURE.format("GRANT", "TO"),
            {"receiver's queries", "operator's queries"},
            "pg_logical_emit_message (42501)",
            id="a function of the server's own",
        ),
        pytest.param(
            "REVOKE DELETE ON consumer.outcomes FROM consumer_operator",
            "GRANT DELETE ON consumer.outcomes TO consumer_operator",
            {"operator's queries"},
            "outcomes (42501) for deliveries/replay",
            id="a privilege of the operator",
        ),
        pytest.param(
            "REVOKE EXECUTE ON FUNCTION identity.scrub_audit FROM consumer_worker",
            "GRANT EXECUTE ON FUNCTION identity.scrub_audit TO consumer_worker",
            {"worker's queries"},
            "scrub_audit (42501) for users/scrub_audit",
            id="a function of the worker's",
        ),
        pytest.param(
            "ALTER TABLE identity.profile_audit RENAME TO history",
            "ALTER TABLE identity.history RENAME TO profile_audit",
            {"worker's queries", "operator's queries", "missing objects"},
            "identity.profile_audit",
            id="a renamed table",
        ),
        pytest.param(
            "ALTER TABLE identity.profiles RENAME COLUMN search_name TO folded_name",
            "ALTER TABLE identity.profiles RENAME COLUMN folded_name TO search_name",
            {"worker's queries"},
            "search_name",
            id="a renamed column",
        ),
        pytest.param(
            "ALTER TABLE consumer.outcomes RENAME TO results",
            "ALTER TABLE consumer.results RENAME TO outcomes",
            {"worker's queries", "operator's queries", "missing objects", "queue"},
            "consumer.outcomes",
            id="a table of the queue",
        ),
    ],
)
def test_what_a_process_lacks_fails_by_its_name(
    emptied: str, doing: str, undoing: str, failing: set[str], named: str
) -> None:
    with schema_change(emptied, doing, undoing):
        exit_code, checks = examined(emptied)

    assert exit_code == 1
    assert {name for name, check in checks.items() if check["state"] == "failing"} == failing
    # What can't be looked at refers to the queries.
    assert all(named in checks[name]["finding"] for name in failing - {"queue"})


def test_a_queue_that_cannot_be_looked_at_is_told_by_its_queries(emptied: str) -> None:
    with schema_change(
        emptied, "ALTER TABLE consumer.settings RENAME TO wishes", "ALTER TABLE consumer.wishes RENAME TO settings"
    ):
        exit_code, checks = examined(emptied)

    assert exit_code == 1
    assert all('"consumer.settings" does not exist' in checks[f"{duty}'s queries"]["finding"] for duty in QUERIES)
    assert checks["queue"]["finding"] == "can't be read as consumer_operator (42P01)"


def test_a_locked_table_fails_and_is_not_called_missing(emptied: str) -> None:
    with schema_change(emptied, "BEGIN; LOCK TABLE consumer.exclusions", "ROLLBACK"):
        _, checks = examined(emptied)

    assert checks["operator's queries"]["state"] == "failing"
    assert "transaction" in checks["operator's queries"]["cure"]


def test_a_login_on_another_database_fails(emptied: str, server_url: str) -> None:
    with scratch_database(server_url, "elsewhere") as elsewhere:
        exit_code, checks = examined(emptied, WORKER_DATABASE_URL=elsewhere, MIGRATE_DATABASE_URL=elsewhere)

    assert exit_code == 1
    assert {name for name, check in checks.items() if check["state"] == "failing"} == {
        "worker's login",
        "migrator's login",
    }
    assert checks["worker's login"]["finding"].endswith(
        f"is in another database than that of DATABASE_URL: {own('elsewhere')}"
    )
    assert checks["migrator's login"]["cure"].startswith("Let MIGRATE_DATABASE_URL and DATABASE_URL name one database")


def test_every_query_is_rehearsed_by_some_process_or_needs_no_grant() -> None:
    stored = {
        f"{folder.name}/{file.name.removesuffix('.sql')}"
        for folder in (sql_root() / "queries").iterdir()
        for file in folder.iterdir()
        if file.name.endswith(".sql")
    }
    rehearsed = {name for duty in QUERIES for name in names(duty)}

    left = {name for name in stored - rehearsed if not any(fnmatchcase(name, pattern) for pattern in ELSEWHERE)}
    assert not left, "say in consumer/doctor/rehearsal.py which process runs them"
