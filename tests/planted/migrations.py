"""Bugs of what brings a full, busy database to another release."""

from tests.planted.bug import Bug

TENANTS = "sql/migrations/0005.tenants.sql"
STEPS = "consumer/postgres/migration_steps.py"
STEP_TESTS = "tests/test_migration_steps.py"
HASH_TESTS = "tests/test_migration_hashes.py"
ANEW_TESTS = "tests/test_derived_anew.py"

MIGRATIONS = (
    Bug(
        "a migration locks while batches run",
        STEPS,
        "((SETTINGS, WORKERS_WAIT_SECONDS), (TABLES[kind], LOCK_SECONDS[kind]))",
        "((TABLES[kind], LOCK_SECONDS[kind]),)",
        f"{STEP_TESTS}::test_a_migration_takes_its_tables_between_two_batches",
    ),
    Bug(
        "a migration waits until the server looks for deadlocks",
        STEPS,
        "WAIT_SECONDS = 0.9",
        "WAIT_SECONDS = 1.9",
        f"{STEP_TESTS}::test_who_locks_beside_a_migration_goes_on_and_nobody_meets_a_deadlock",
    ),
    Bug(
        "a migration waits for its tables without a limit",
        STEPS,
        "statement=seconds)",
        "statement=0)",
        f"{STEP_TESTS}::test_one_lock_ends_in_time_however_many_tables_keep_it_waiting",
    ),
    Bug(
        "deliveries wait for a migration as long as readers do",
        STEPS,
        "INTAKE: 0.05",
        "INTAKE: 2.0",
        f"{STEP_TESTS}::test_a_delivery_waits_for_no_migration_of_the_outbox",
    ),
    Bug(
        "a migration that is held up is not tried again",
        STEPS,
        "postgres.LockNotAvailable, postgres.QueryCanceled, postgres.DeadlockDetected",
        "postgres.DeadlockDetected",
        f"{STEP_TESTS}::test_a_long_reader_holds_up_the_migration_and_no_other_reader",
    ),
    Bug(
        "pages begin again",
        "consumer/postgres/migrations.py",
        "record(next_step=next_step, page=page)",
        "record(next_step=next_step, page=None)",
        f"{STEP_TESTS}::test_pages_that_are_done_are_not_done_again",
    ),
    Bug(
        "an index that was left invalid counts",
        STEPS,
        "            if state == (True,):\n",
        "            if state:\n",
        f"{STEP_TESTS}::test_an_index_that_was_left_invalid_is_made_again",
    ),
    Bug(
        "a table is written anew for a default",
        TENANTS,
        "ALTER TABLE identity.companies ADD COLUMN guest_key uuid;",
        "ALTER TABLE identity.companies ADD COLUMN guest_key uuid DEFAULT gen_random_uuid();",
        f"{STEP_TESTS}::test_no_migration_writes_a_table_anew",
    ),
    Bug(
        "an edited migration is applied",
        "consumer/postgres/migration_records.py",
        "released.get(file.name) != content_hash(file)",
        "file.name not in released",
        f"{HASH_TESTS}::test_a_file_that_is_not_as_released_is_refused_and_nothing_changes",
    ),
    Bug(
        "nobody compares what was applied with the file",
        "consumer/postgres/migration_records.py",
        "if recorded.get(one, known_hash) != known_hash",
        "if one not in recorded and False",
        f"{HASH_TESTS}::test_a_database_that_was_migrated_from_another_file_is_refused_and_unchanged",
    ),
    Bug(
        "a guest key by chance",
        "sql/queries/companies/fold.sql",
        """        consumer.guest_key(
            (
                SELECT s.guest_salt
                FROM consumer.settings AS s
            ),
            company_id
        ),
""",
        "        gen_random_uuid(),\n",
        f"{ANEW_TESTS}::test_a_rebuild_gives_each_row_every_column_that_it_had",
    ),
    Bug(
        "guest keys without a salt",
        TENANTS,
        "sha256(salt || uuid_send(company_id))",
        "sha256(uuid_send(company_id))",
        f"{ANEW_TESTS}::test_another_installation_gives_the_same_company_another_key",
    ),
    Bug(
        "a changed name is searched by the one before",
        "sql/queries/users/put_profiles.sql",
        "            search_name = excluded.search_name,\n",
        "",
        "tests/test_search.py::test_a_changed_name_is_found_by_the_new_one_only",
    ),
)
