"""Bugs of what two releases do to each other."""

from tests.planted.bug import Bug

OUTBOX = "sql/migrations/0001.outbox.sql"
FENCE_TESTS = "tests/test_fence.py"
NEWER_TESTS = "tests/test_newer_release.py"

RELEASES = (
    Bug(
        "an older worker works on",
        "consumer/postgres/ledger.py",
        "    if release_number() >= oldest_release:\n",
        "    if release_number() >= 0:\n",
        f"{FENCE_TESTS}::test_a_worker_that_is_too_old_changes_no_row",
    ),
    Bug(
        "the fence is read as it was before the wait",
        OUTBOX,
        "LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$\nBEGIN\n    PERFORM FROM consumer.settings",
        "LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$\nBEGIN\n"
        "    PERFORM FROM consumer.settings",
        f"{FENCE_TESTS}::test_a_batch_that_waits_for_a_migration_obeys_the_fence_that_it_makes",
    ),
    Bug(
        "a migration waits for no batch",
        OUTBOX,
        "    LOCK TABLE consumer.settings IN ACCESS EXCLUSIVE MODE",
        "    LOCK TABLE consumer.settings IN ROW SHARE MODE",
        f"{FENCE_TESTS}::test_a_migration_waits_for_the_batches_that_have_begun",
    ),
    Bug(
        "an older operator passes the fence",
        "consumer/operations/paging.py",
        "            await ledger.begin_work(conn)\n",
        "",
        f"{FENCE_TESTS}::test_an_operator_s_command_that_is_too_old_changes_no_row",
    ),
    Bug(
        "an older worker ends",
        "consumer/cli/work.py",
        "        return error.reason\n",
        "        raise error\n",
        "tests/test_fence_processes.py::test_a_worker_waits_while_it_is_too_old_and_goes_on_afterwards",
    ),
    Bug(
        "a migration with another effect does not raise the fence",
        "tests/releases/newer.py",
        "NUMBER if kind == CHANGES else 1",
        "1",
        "tests/releases/test_releases.py::test_this_release_beside_its_successor_leaves_the_rows_of_the_model",
    ),
    Bug(
        "an older receiver is not ready",
        "consumer/process/readiness.py",
        "            if applies and (",
        "            if (",
        f"{FENCE_TESTS}::test_a_worker_that_is_too_old_is_not_ready_and_a_receiver_is",
    ),
    Bug(
        "an older release is told that all is well",
        "consumer/verdict/database.py",
        "    if observation.too_old_reason:\n",
        "    if observation.too_old_reason and False:\n",
        f"{FENCE_TESTS}::test_status_and_doctor_say_what_a_newer_release_means",
    ),
    Bug(
        "a newer release's type is ignored",
        "consumer/worker/batch.py",
        "            if is_ahead:\n",
        "            if is_ahead and False:\n",
        f"{NEWER_TESTS}::test_it_is_set_aside_uncounted_however_often_it_is_looked_at",
    ),
    Bug(
        "a type that waits is taken by every worker",
        "sql/queries/queue/claim_retries.sql",
        "                f.error_code <> 'newer_release'\n",
        "                TRUE\n",
        f"{NEWER_TESTS}::test_it_is_set_aside_uncounted_however_often_it_is_looked_at",
    ),
)
