"""Bugs of what follows ours in an application's own tables."""

from tests.planted.bug import Bug

ADOPT_TESTS = "tests/test_adopt.py"
APPLICATION_TESTS = "tests/test_application.py"

APPLICATION = (
    Bug(
        "many users refused by the application stop the worker",
        "consumer/worker/batch.py",
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
)
