"""Bugs of what is brought in from Stack's API."""

from tests.planted.bug import Bug

BACKFILL_TESTS = "tests/test_backfill.py"
SCAN_TESTS = "tests/test_backfill_scan.py"
SCAN = "consumer/operations/scan.py"

API = (
    Bug(
        "a page for another cursor is stored",
        "sql/queries/runs/lock.sql",
        "    AND cursor IS NOT DISTINCT FROM %(cursor)b::text\n",
        "    AND (cursor IS NOT DISTINCT FROM %(cursor)b::text OR TRUE)\n",
        "tests/test_runs.py::test_a_page_that_was_fetched_for_another_cursor_is_not_stored",
    ),
    Bug(
        "a page is stored without a look at its run",
        "consumer/operations/backfill.py",
        "if await runs.lock(conn, run):",
        "if await runs.lock(conn, run) or run:",
        "tests/test_runs.py::test_a_page_that_another_process_has_stored_is_thrown_away",
    ),
    Bug(
        "a listed user comes back from the dead",
        "sql/queries/users/mirror.sql",
        "(s.source = 'stack' OR (s.source = 'reconcile'",
        "(s.source IN ('stack', 'backfill') OR (s.source = 'reconcile'",
        f"{BACKFILL_TESTS}::test_a_list_takes_back_no_deletion_that_a_reconciliation_found",
    ),
    Bug(
        "an imported user is a sign-up",
        "sql/queries/users/put_profiles.sql",
        "THEN 'imported'",
        "THEN 'created'",
        "tests/test_imported.py::test_the_first_row_of_a_listed_user_is_imported",
    ),
    Bug(
        "a sign-up beside a list is no sign-up",
        "sql/queries/users/put_profiles.sql",
        "HAVING bool_and(source IN",
        "HAVING bool_or(source IN",
        "tests/test_imported.py::test_a_webhook_in_the_same_batch_makes_it_a_creation",
    ),
    Bug(
        "what a page shows is as new as its request",
        "consumer/operations/imports.py",
        "at = self.requested_at - REPLICA_LAG",
        "at = self.requested_at",
        f"{BACKFILL_TESTS}::test_a_webhook_about_the_minute_of_the_scan_wins",
    ),
    Bug(
        "a cursor whose user has gone ends the list",
        SCAN,
        "if first is None or (run.cursor_millis is None and first.id != cursor):\n        return True",
        "if first is None or (run.cursor_millis is None and first.id != cursor):\n        return first is not None",
        f"{SCAN_TESTS}::test_users_behind_a_lost_cursor_are_listed_all_the_same",
    ),
    Bug(
        "a cursor whose user has moved skips users",
        SCAN,
        "    if not _may_follow_a_move(run, first):",
        "    if first:",
        f"{SCAN_TESTS}::test_users_behind_a_lost_cursor_are_listed_all_the_same",
    ),
    Bug(
        "a list is scanned again before the replicas agree",
        SCAN,
        "run.listed_at + REPLICAS_AGREE - run.now",
        "run.listed_at - run.now",
        f"{SCAN_TESTS}::test_replicas_that_lag_do_not_hide_that_the_cursors_user_has_moved",
    ),
    Bug(
        "an old server's cursor is trusted after an update",
        SCAN,
        "if first is None or (run.cursor_millis is None and first.id != cursor):",
        "if first is None:",
        f"{SCAN_TESTS}::test_an_update_of_the_server_in_the_middle_of_a_list_loses_nobody",
    ),
    Bug(
        "unchanged users are stored again",
        "consumer/operations/imports.py",
        "if _subject(each) not in known]",
        "if _subject(each) or known]",
        f"{BACKFILL_TESTS}::test_a_second_run_on_the_same_data_stores_nothing_and_writes_no_row",
    ),
    Bug(
        "a mistyped project is remembered",
        "sql/queries/runs/project.sql",
        "WHERE calls > 0\n",
        "",
        "tests/test_backfill_command.py::test_a_project_that_was_only_a_typing_error_is_not_remembered",
    ),
    Bug(
        "another project fills the same database",
        "consumer/operations/runs.py",
        "    if known != project_id:",
        "    if not known:",
        "tests/test_backfill_command.py::test_another_project_is_refused",
    ),
)
