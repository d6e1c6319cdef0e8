"""Bugs of what is brought in from Stack's API."""

from tests.planted.bug import Bug

BACKFILL_TESTS = "tests/test_backfill.py"
SCAN_TESTS = "tests/test_backfill_scan.py"
SCAN = "consumer/operations/scan.py"
CONNECT = "consumer/operations/connect.py"
CONNECT_TESTS = "tests/test_connect.py"
RECOVER = "consumer/operations/recover.py"
RECOVER_TESTS = "tests/test_recover.py"
FOLLOW_TESTS = "tests/test_recover_follow.py"

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
        "self.requested_at - REPLICA_LAG, body",
        "self.requested_at, body",
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
        "consumer/operations/runs.py",
        "        await refuse_other_project(conn, project_id)\n",
        "        await pin_project(conn, project_id)\n",
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

SVIX = (
    Bug(
        "a recovered delivery is as old as its message in the list",
        RECOVER,
        "at = occurred_at(message.id, message.at, self.tolerance)",
        "at = message.at",
        f"{RECOVER_TESTS}::test_what_nobody_stored_is_stored_as_if_it_had_arrived",
    ),
    Bug(
        "a body that has expired is imported",
        "consumer/stack_api/svix_answers.py",
        """value(payload, "expired") is True""",
        """value(payload, "expired") is None""",
        f"{RECOVER_TESTS}::test_a_message_whose_body_is_gone_is_named_unless_it_was_stored",
    ),
    Bug(
        "what was pruned is recovered",
        "sql/queries/recover/known.sql",
        "consumer.message_key('stack', m.message_id)",
        "consumer.message_key('app', m.message_id)",
        f"{RECOVER_TESTS}::test_a_removed_delivery_is_known_by_its_key",
    ),
    Bug(
        "a dry recovery stores",
        RECOVER,
        "if new and not self.is_dry_run:",
        "if new:",
        f"{RECOVER_TESTS}::test_a_dry_run_counts_new_and_known_by_type_and_stores_nothing",
    ),
    Bug(
        "a list of messages ends early without a sign",
        "consumer/stack_api/svix.py",
        "if iterator is not None and page.is_empty:",
        "if iterator is not None and page.is_empty and not seen:",
        f"{RECOVER_TESTS}::test_a_list_that_breaks_off_is_an_error_and_a_second_call_brings_the_rest",
    ),
    Bug(
        "a poll that breaks off moves on",
        RECOVER,
        "newest = max(newest, page.newest or newest)\n",
        "newest = since = max(newest, page.newest or newest)\n",
        f"{FOLLOW_TESTS}::test_a_poll_that_breaks_off_loses_no_older_message",
    ),
    Bug(
        "each poll puts the last minute again",
        RECOVER,
        "if delivery.message_id not in known]\n        if new",
        "if delivery.message_id not in known or known]\n        if new",
        f"{FOLLOW_TESTS}::test_a_poll_that_finds_nothing_new_writes_nothing",
    ),
    Bug(
        "a recovery of another project asks first",
        "consumer/cli/stack.py",
        "            await runs.refuse_other_project(conn, project_id(settings))\n",
        "            pass\n",
        f"{RECOVER_TESTS}::test_another_project_is_refused_before_anything_is_asked",
    ),
    Bug(
        "a test event that another endpoint brought connects this one",
        CONNECT,
        "if expected in stored:",
        "if any(stored):",
        f"{CONNECT_TESTS}::test_a_receiver_that_still_has_the_old_secret_first_is_told",
    ),
    Bug(
        "a recovered test event connects",
        CONNECT,
        "if expected in stored:",
        "if stored:",
        f"{CONNECT_TESTS}::test_a_test_event_that_only_a_recovery_stored_shows_nothing",
    ),
    Bug(
        "a disabled endpoint is enabled unasked",
        "consumer/cli/connect.py",
        """if endpoint.is_disabled and options["is_enabling"]:""",
        "if endpoint.is_disabled:",
        f"{CONNECT_TESTS}::test_a_disabled_endpoint_is_enabled_only_when_told",
    ),
    Bug(
        "everybody reads the secret that was fetched",
        "consumer/cli/secret.py",
        "scratch.touch(mode=0o600, exist_ok=False)",
        "scratch.touch(exist_ok=False)",
        f"{CONNECT_TESTS}::test_an_endpoint_that_is_missing_is_made_for_all_types_and_its_secret_written",
    ),
    Bug(
        "a rotation forgets the secret that still signs",
        "consumer/cli/secret.py",
        "_scratch(path, [secret, *before])",
        "_scratch(path, [secret])",
        f"{CONNECT_TESTS}::test_after_a_rotation_the_new_secret_stands_before_the_old_one",
    ),
    Bug(
        "a project is recorded whose webhooks do not arrive",
        "consumer/cli/connect.py",
        "await _show_arrival(settings, opened, endpoint, signing)",
        "await connect.record(conn, access, project_id(settings), url)",
        f"{CONNECT_TESTS}::test_a_test_event_that_another_database_got_is_said",
    ),
    Bug(
        "the doctor does not mind a disabled endpoint",
        "consumer/stack_api/endpoint.py",
        """yield EndpointFinding("endpoint_disabled", sentence, cure, is_alarm=True)""",
        """yield EndpointFinding("endpoint_disabled", sentence, cure)""",
        "tests/test_connect_check.py::test_the_doctor_looks_at_the_endpoint_that_was_connected",
    ),
    Bug(
        "a check makes the endpoint",
        "consumer/cli/connect.py",
        "    if is_check:\n",
        "    if is_check and options['is_enabling']:\n",
        "tests/test_connect_check.py::test_a_check_changes_nothing",
    ),
)
