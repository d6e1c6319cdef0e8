"""Bugs by which rows that cannot be made anew hold up others."""

from tests.planted.bug import Bug

TESTS = "tests/test_rebuild_failures.py"

SET_ASIDE = (
    Bug(
        "a page that took too long comes first again",
        "consumer/worker/rebuild.py",
        "    if tried.ids:\n",
        "    if False:\n",
        f"{TESTS}::test_a_row_that_takes_longer_than_a_turn_is_set_aside",
    ),
    Bug(
        "a fault of ours in one row stops the worker",
        "consumer/worker/rebuild.py",
        "if error_class(error) is not ErrorClass.OURS:",
        "if True:",
        f"{TESTS}::test_an_error_of_ours_in_one_row_sets_that_row_aside",
    ),
    Bug(
        "an ended company and the user that holds it are tried in turn without a pause",
        "sql/queries/anew/requeue.sql",
        "greatest(now(), max(r.due_at))",
        "now()",
        f"{TESTS}::test_a_company_that_a_failing_user_holds_waits_as_long_as_the_user",
    ),
)
