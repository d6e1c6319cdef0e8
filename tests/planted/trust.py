"""Bugs of what one role may do to the work of another."""

from tests.planted.bug import Bug

OUTBOX = "sql/migrations/0001.outbox.sql"
EDITS = "sql/migrations/0004.edits.sql"
CLAIM = "sql/queries/queue/claim.sql"
BY_FACT = "consumer/effects/by_fact.py"
ROLE_TESTS = "tests/test_receiver_role.py"
LOST_TESTS = "tests/test_lost_deliveries.py"
SIGN_IN_TESTS = "tests/test_sign_ins.py"
TIME_TESTS = "tests/test_occurred_at.py"
FORGED = f"{ROLE_TESTS}::test_a_forged_place_in_the_queue_changes_nothing"

TRUST = (
    Bug(
        "a receiver speaks as the operator",
        OUTBOX,
        "source IN ('stack', 'app') AND verified_by IS NOT NULL",
        "verified_by IS NOT NULL",
        f"{ROLE_TESTS}::test_it_stores_nothing_else",
    ),
    Bug(
        "a receiver stores what nobody verified",
        OUTBOX,
        "source IN ('stack', 'app') AND verified_by IS NOT NULL",
        "source IN ('stack', 'app')",
        f"{ROLE_TESTS}::test_its_own_queries_store_nothing_unverified",
    ),
    Bug(
        "a receiver marks another's delivery as dead",
        OUTBOX,
        "WHERE o.seq = is_stored_now.seq AND o.received_at = now()",
        "WHERE o.seq = is_stored_now.seq",
        f"{ROLE_TESTS}::test_it_marks_only_a_delivery_of_its_own_transaction_as_dead",
    ),
    Bug(
        "a done delivery is applied again because a receiver queues it",
        CLAIM,
        "c.queued_by = o.xmin\n        OR NOT EXISTS",
        "c.seq = o.seq\n        OR NOT EXISTS",
        FORGED,
    ),
    Bug(
        "a dead delivery is applied because a receiver queues it",
        CLAIM,
        "        WHERE f.seq = ANY(",
        "        WHERE f.state = 'retrying' AND f.seq = ANY(",
        f"{ROLE_TESTS}::test_what_it_stores_queued_and_dead_at_once_stays_dead",
    ),
    Bug(
        "only what its receiver queued is applied",
        CLAIM,
        "\n        OR NOT EXISTS",
        "\n        AND NOT EXISTS",
        f"{ROLE_TESTS}::test_rows_of_a_restored_dump_are_applied",
    ),
    Bug(
        "a retry that is queued once more is claimed twice",
        "consumer/worker/batch.py",
        "list({delivery.seq: delivery for delivery in [*claimed, *due]}.values())",
        "[*claimed, *due]",
        f"{ROLE_TESTS}::test_a_retry_that_is_queued_once_more_is_applied_once",
    ),
    Bug(
        "a row without a user stops every worker",
        BY_FACT,
        "(fact in NEEDING_USER and not delivery.user_id) or ",
        "",
        f"{LOST_TESTS}::test_any_number_of_rows_without_a_user_keeps_nobody_waiting",
    ),
    Bug(
        "a permission without a team is applied",
        BY_FACT,
        "NEEDING_TEAM = (Fact.TEAM, Fact.MEMBERSHIP, Fact.PERMISSION)",
        "NEEDING_TEAM = (Fact.TEAM, Fact.MEMBERSHIP)",
        f"{LOST_TESTS}::test_a_row_without_the_user_or_team_of_its_type_is_dead_and_the_others_are_applied",
    ),
    Bug(
        "a lost delivery stops every worker",
        "consumer/postgres/error_classes.py",
        "isinstance(error, StatementRefused | LostDeliveries)",
        "isinstance(error, StatementRefused)",
        f"{LOST_TESTS}::test_what_a_batch_loses_is_named_by_its_number_and_the_others_are_applied",
    ),
    Bug(
        "deliveries die of settings that nobody recorded",
        "consumer/worker/batch.py",
        "            await recorded_settings.require_any(conn)\n",
        "            pass\n",
        "tests/test_worker.py::test_without_recorded_settings_nothing_is_applied_and_nothing_is_set_aside",
    ),
    Bug(
        "a far future wins for ever",
        "sql/queries/storage/put.sql",
        "least(occurred_at, now() + interval '24 hours')",
        "occurred_at",
        f"{TIME_TESTS}::test_a_delivery_of_the_far_future_occurs_a_day_after_it_is_stored",
    ),
    Bug(
        "a dead delivery of the far future can't be stored",
        "sql/queries/storage/put_dead.sql",
        "least(%(occurred_at)b::timestamptz, now() + interval '24 hours')",
        "%(occurred_at)b::timestamptz",
        f"{TIME_TESTS}::test_a_delivery_of_the_far_future_occurs_a_day_after_it_is_stored",
    ),
    Bug(
        "a role stores a time before the common era",
        OUTBOX,
        "occurred_at BETWEEN '1970-01-01 00:00:00+00' AND",
        "occurred_at <=",
        f"{TIME_TESTS}::test_no_role_stores_a_time_that_would_win_for_ever_or_cannot_be_read",
    ),
    Bug(
        "a sign-in of infinity is taken",
        EDITS,
        "OR at NOT BETWEEN at_min AND at_max",
        "OR at < at_min",
        f"{SIGN_IN_TESTS}::test_what_the_door_refuses_is_refused_and_not_stored",
    ),
)
