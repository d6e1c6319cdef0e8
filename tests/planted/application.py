"""Bugs of what follows ours in an application's own tables."""

from tests.planted.bug import Bug

ADOPT_TESTS = "tests/test_adopt.py"
UNIQUE_TESTS = "tests/test_adopt_unique.py"
CODE_TESTS = "tests/test_reached_code.py"
APPLICATION_TESTS = "tests/test_application.py"

APPLICATION = (
    Bug(
        "many users refused by the application stop the worker",
        "consumer/worker/tally.py",
        "        if isinstance(error, StatementRefused):\n            return\n",
        "",
        "tests/test_application_refusals.py::test_most_of_a_batch_refused_alike_does_not_stop_the_worker",
    ),
    Bug(
        "the application's refusal is the delivery's fault",
        "consumer/postgres/error_classes.py",
        "        return ErrorClass.CONSTRAINT\n",
        "        return ErrorClass.POISON\n",
        "tests/test_application_refusals.py::test_a_user_whom_their_check_refuses_waits_alone_and_dies_in_the_end",
    ),
    Bug(
        "users who are re-homed are not followed",
        "consumer/worker/rehome.py",
        "    await application.run_app_statement(conn, projection_sql, user_ids)\n",
        "",
        f"{APPLICATION_TESTS}::test_users_who_lose_their_company_are_followed",
    ),
    Bug(
        "filling in without the user's lock",
        "consumer/adopt/fill.py",
        "        await users.lock(conn, user_ids)\n",
        "",
        "tests/test_adopt_fill.py::test_a_user_whom_somebody_locks_is_left_out_and_told",
    ),
    Bug(
        "our default over a role of the application's",
        "consumer/adopt/mapping.py",
        "gone=None, theirs_if=NAMES_NO_ROLE",
        "gone=None",
        f"{ADOPT_TESTS}::test_a_row_that_was_there_keeps_what_stack_never_named",
    ),
    Bug(
        "a deleted user keeps a unique address",
        "consumer/adopt/mapping.py",
        'value = f"CASE WHEN p.deleted_at IS NULL THEN {value} ELSE {given_up} END"',
        'value = f"{value}"',
        f"{UNIQUE_TESTS}::test_who_signs_up_again_with_the_address_of_a_deleted_user_gets_a_row",
    ),
    Bug(
        "an expression hides that a column is unique",
        "sql/queries/catalogue/columns.sql",
        "INNER JOIN pg_depend AS p ON i.indexrelid = p.objid\n",
        "INNER JOIN pg_depend AS p ON i.indexrelid = p.refobjid\n",
        f"{UNIQUE_TESTS}::test_who_signs_up_again_with_the_address_of_a_deleted_user_gets_a_row",
    ),
    Bug(
        "a new row before the one that gives its address up",
        "sql/templates/adopt/insert.sql",
        "ORDER BY turn, {key}",
        "ORDER BY {key}",
        f"{UNIQUE_TESTS}::test_an_address_that_its_user_has_left_goes_to_a_new_user_of_the_same_batch",
    ),
    Bug(
        "the end of a company is told to its home only",
        "sql/templates/adopt/companies.sql",
        "FROM changed INNER JOIN identity.company_members AS b ON changed.user_id = b.user_id",
        "FROM changed INNER JOIN identity.profiles AS b ON changed.user_id = b.user_id",
        "tests/test_adopt_companies.py::test_a_company_of_guests_that_ends_is_marked_too",
    ),
    Bug(
        "a comparison locks the rows",
        "consumer/adopt/compare.py",
        '        "lock": "",\n',
        "",
        "tests/test_adopt_compare.py::test_it_writes_locks_and_fires_nothing",
    ),
    Bug(
        "an edit over a role that Stack names",
        "consumer/adopt/edits.py",
        'condition.replace("p.user_id", "u.user_id") for condition in written.theirs_if',
        'condition for condition in ("TRUE",)',
        "tests/test_adopt_edits.py::test_what_stack_names_stays",
    ),
    Bug(
        "an edit with an enum's label beside the same role of Stack's",
        "consumer/adopt/edits.py",
        """value, known = f'lower({value} COLLATE "C")', f'lower({known} COLLATE "C")'""",
        """known = f'lower({known} COLLATE "C")'""",
        "tests/test_adopt_edits.py::test_the_boss_keeps_role_and_company_and_is_seen_in_it",
    ),
    Bug(
        "a trigger of another role takes the login over",
        "consumer/effects/application.py",
        "    if unsafe := await search.untrusted():\n",
        "    if (unsafe := None) is not None:\n",
        f"{CODE_TESTS}::test_code_of_another_role_is_not_run_and_its_users_wait",
    ),
    Bug(
        "a guard that looks at superusers only",
        "sql/queries/reached_code/is_privileged.sql",
        "    OR r.rolcreaterole\n",
        "",
        f"{CODE_TESTS}::test_a_login_with_any_other_right_is_guarded",
    ),
    Bug(
        "a cascade leads to no trigger",
        "sql/queries/reached_code/untrusted.sql",
        "k.confdeltype IN ('c', 'd', 'n')",
        "k.confdeltype IN ('d', 'n')",
        f"{CODE_TESTS}::test_code_of_another_role_is_not_run_and_its_users_wait",
    ),
    Bug(
        "the rehearsal stops at the first missing grant",
        "consumer/doctor/user_rehearsal.py",
        "GRANTS_MAX = 50",
        "GRANTS_MAX = 1",
        "tests/test_user_rehearsal.py::test_all_missing_grants_of_triggers_are_named_together_and_cure_it",
    ),
)
