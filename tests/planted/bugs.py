"""Bugs that somebody could write, each with the test that must notice."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bug:
    """One change to one file, and the test that fails with it."""

    name: str
    file: str
    old: str
    new: str
    test: str


MIRROR = "sql/queries/effects/mirror.sql"
TENANTS = "sql/migrations/0005.tenants.sql"
TENANT_TESTS = "tests/test_tenants.py"
WORKER_TESTS = "tests/test_worker.py"
INTAKE_TESTS = "tests/test_intake.py"
LAW = "tests/laws/test_function_of_the_set.py::test_any_order_repeats_and_batches_end_in_the_state_of_the_model"

BUGS = (
    Bug(
        "acknowledge before the commit",
        "consumer/intake.py",
        "        await stored\n",
        "        await asyncio.sleep(0)\n",
        f"{INTAKE_TESTS}::test_a_put_that_returns_is_committed_and_pending",
    ),
    Bug(
        "synchronous_commit off",
        "consumer/database.py",
        'synchronous_commit: str = "on"',
        'synchronous_commit: str = "off"',
        "tests/test_database.py",
    ),
    Bug(
        "no tombstone",
        MIRROR,
        "deleted_at = least(excluded.deleted_at, known.deleted_at)",
        "deleted_at = excluded.deleted_at",
        LAW,
    ),
    Bug(
        "the youngest deletion instead of the oldest",
        MIRROR,
        "min(f.deleted_at) OVER by_user",
        "max(f.deleted_at) OVER by_user",
        "tests/test_effects.py::test_of_two_deletions_in_one_batch_the_oldest_counts",
    ),
    Bug(
        "no version guard",
        MIRROR,
        "WHEN excluded.version > known.version THEN excluded.stack_primary_email ELSE",
        "WHEN excluded.version <> '' THEN excluded.stack_primary_email ELSE",
        LAW,
    ),
    Bug(
        "the application outranks Stack",
        "sql/migrations/0002.identity.sql",
        "(source <> 'app')::integer::text",
        "(source = 'app')::integer::text",
        LAW,
    ),
    Bug(
        "done-mark outside the transaction",
        "consumer/worker.py",
        "            claimed = await self._claim(conn)\n            if claimed:\n",
        "            claimed = await self._claim(conn)\n        async with transaction(conn, self.access):\n"
        "            if claimed:\n",
        "tests/faults/test_worker_killed.py",
    ),
    Bug(
        "unordered batch of the intake",
        "sql/queries/outbox/put.sql",
        '    ORDER BY source, message_id COLLATE "C"\n',
        "",
        f"{INTAKE_TESTS}::test_two_writers_with_the_same_ids_in_another_order_never_deadlock",
    ),
    Bug(
        "a lock outlives its try",
        "consumer/culprits.py",
        "transaction(force_rollback=True)",
        "transaction()",
        f"{WORKER_TESTS}::test_two_workers_that_both_look_for_a_culprit_never_deadlock",
    ),
    Bug(
        "the first of two signature headers counts",
        "consumer/signatures.py",
        "            if name in found:\n",
        "            if name in found and False:\n",
        "tests/test_receive.py::test_every_vector_gets_its_verdict_over_http",
    ),
    Bug(
        "an outage counts as an attempt",
        "consumer/faults.py",
        '"55P03": Fault.BUSY',
        '"55P03": Fault.CONSTRAINT',
        f"{WORKER_TESTS}::test_a_row_that_someone_locks_waits_uncounted_and_the_others_go_on",
    ),
    Bug(
        "a deadlock is the delivery's fault",
        "consumer/faults.py",
        '"40P01": Fault.TRANSIENT',
        '"40P01": Fault.POISON',
        f"{WORKER_TESTS}::test_a_deadlock_with_a_stranger_is_no_delivery_s_fault",
    ),
    Bug(
        "an unknown error is the delivery's fault",
        "consumer/faults.py",
        "SQLSTATES.get(state[:2]) or Fault.OURS",
        "SQLSTATES.get(state[:2]) or Fault.POISON",
        f"{WORKER_TESTS}::test_a_missing_column_stops_the_worker_and_kills_nothing",
    ),
    Bug(
        "poison kills its neighbours",
        "consumer/culprits.py",
        "        if len(items) == 1 or (",
        "        if len(items) <= 8 or (",
        f"{WORKER_TESTS}::test_one_poisonous_delivery_in_500_dies_alone_and_the_batch_says_so",
    ),
    Bug(
        "no second commit on new connections",
        "consumer/intake.py",
        "            await self._pool.drain()\n            await self._commit_once(deliveries)\n",
        "            raise\n",
        f"{INTAKE_TESTS}::test_connections_that_the_server_ended_are_replaced",
    ),
    Bug(
        "a pool tires of trying to connect",
        "consumer/database.py",
        "        reconnect_failed=_try_again,\n",
        "",
        "tests/test_database.py::test_a_pool_tries_to_connect_for_as_long_as_its_database_is_away",
    ),
    Bug(
        "no retry of a lost delivery below the last seen one",
        "consumer/worker.py",
        "        if self._after_seq and len(claimed) < size:\n",
        "        if self._after_seq and len(claimed) < 0:\n",
        f"{WORKER_TESTS}::test_a_delivery_that_commits_late_below_the_last_seen_one_is_applied",
    ),
    Bug(
        "a sign-in is audited whenever it is applied",
        "sql/queries/audit/put_sign_ins.sql",
        "    ON CONFLICT (user_id, source, message_id) WHERE operation IN ('signed_in', 'signed_out') DO NOTHING\n",
        "    ON CONFLICT (user_id, id) DO NOTHING\n",
        "tests/laws/test_function_of_the_set.py::test_replaying_what_was_applied_writes_nothing",
    ),
    Bug(
        "a company is deleted beside those who join it",
        "sql/queries/companies/lock.sql",
        "pg_advisory_xact_lock(hashtext",
        "pg_advisory_xact_lock_shared(hashtext",
        "tests/test_homes.py::test_who_joins_while_the_company_is_being_deleted_is_not_left_in_it",
    ),
    Bug(
        "an implied join undoes a removal",
        "sql/queries/members/put.sql",
        "WHEN f.removal_version > f.join_version THEN",
        "WHEN f.removal_version > f.join_version AND NOT f.is_implied THEN",
        LAW,
    ),
    Bug(
        "only the first page of a company's users is re-homed",
        "consumer/rehome.py",
        "following = found[:size], found[size:]",
        "following = found[:size], []",
        "tests/test_homes.py::test_a_deleted_company_sends_its_users_to_the_next_one",
    ),
    Bug(
        "who is no longer placed by metadata stays",
        MIRROR,
        "coalesce(known.company_id, known.source_company_id) IS NOT NULL AS is_placed",
        "known.source_company_id IS NOT NULL AS is_placed",
        "tests/test_homes.py::test_who_is_no_longer_placed_by_metadata_goes_back",
    ),
    Bug(
        "a move shows either company the other",
        "sql/queries/effects/profiles.sql",
        "    WHERE old_company_id <> company_id\n",
        "    WHERE FALSE\n",
        "tests/test_homes.py::test_a_move_leaves_a_row_under_either_company_and_none_names_both",
    ),
    Bug(
        "a withdrawn edit stays",
        "sql/queries/edits/fold.sql",
        "value = excluded.value,",
        "value = coalesce(excluded.value, known.value),",
        "tests/test_edits.py::test_what_is_withdrawn_is_the_sources_again",
    ),
    Bug(
        "an older edit is tried where the newest names no company",
        "sql/queries/edits/fold.sql",
        "        WHERE excluded.version > known.version\n",
        "        WHERE excluded.version > known.version AND (excluded.field <> 'company_id' OR excluded.value IS NULL "
        "OR EXISTS (SELECT FROM identity.companies AS c WHERE c.id::text = excluded.value AND c.deleted_at IS NULL))\n",
        "tests/test_edits.py::test_home_is_what_the_newest_edit_names_before_metadata_and_membership",
    ),
    Bug(
        "an edit's company is not locked",
        "sql/queries/companies/lock.sql",
        "    FROM consumer.edits AS e\n    WHERE e.user_id",
        "    FROM consumer.edits AS e\n    WHERE FALSE AND e.user_id",
        "tests/test_edits.py::test_an_edit_and_what_makes_or_ends_its_company_never_miss_each_other",
    ),
    Bug(
        "an edit of a forgotten user is kept when it is late",
        "sql/queries/edits/fold.sql",
        "        AND (NOT m.is_forgotten OR (",
        "        AND (TRUE OR (",
        "tests/test_edits.py::test_of_a_deleted_user_only_edits_that_a_row_is_made_of_are_kept",
    ),
    Bug(
        "the length of a chunked body is not counted",
        "consumer/web/protocol.py",
        "        if self.body_bytes > self.guard.limits.body_bytes:\n",
        "        if self.body_bytes > 64 * self.guard.limits.body_bytes:\n",
        "tests/test_http_guard.py::test_a_body_in_one_chunk_is_judged_by_the_same_limit",
    ),
    Bug(
        "NUL reaches the database",
        "consumer/json_limits.py",
        '    if b"\\\\" in body and NUL_ESCAPE.search(body):\n',
        '    if b"\\\\" in body and NUL_ESCAPE.fullmatch(body):\n',
        "tests/test_receive.py::test_a_signed_body_that_cannot_be_used_is_stored_as_dead",
    ),
    Bug(
        "a tenant sees who is deleted",
        TENANTS,
        """    deleted_at IS NULL
    AND has_profile
""",
        "    has_profile\n",
        f"{TENANT_TESTS}::test_a_deleted_user_is_seen_by_nobody",
    ),
    Bug(
        "a deleted company still sees its people",
        TENANTS,
        "WHERE c.id = identity.current_company_id() AND c.deleted_at IS NULL",
        "WHERE c.id = identity.current_company_id()",
        f"{TENANT_TESTS}::test_a_deleted_company_sees_nothing_at_once_and_before_its_users_have_another_home",
    ),
    Bug(
        "a guest stays one for ever",
        "sql/queries/members/home.sql",
        "(b.removed_at IS NULL AND b.company_id IS DISTINCT FROM h.company_id)",
        "(b.is_guest OR (b.removed_at IS NULL AND b.company_id IS DISTINCT FROM h.company_id))",
        f"{TENANT_TESTS}::test_a_removal_ends_what_is_seen_and_a_late_snapshot_does_not_restore_it",
    ),
    Bug(
        "the audit shows every company's rows of a person",
        TENANTS,
        "    company_id = identity.current_company_id()\n    AND EXISTS (",
        "    EXISTS (",
        f"{TENANT_TESTS}::test_the_audit_shows_a_company_its_own_rows_of_whom_it_sees",
    ),
)
