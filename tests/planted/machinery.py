"""Bugs of what takes deliveries in, queues and applies them."""

from tests.planted.bug import Bug

TENANTS = "sql/migrations/0005.tenants.sql"
TENANT_TESTS = "tests/test_tenants.py"
WORKER_TESTS = "tests/test_worker.py"
INTAKE_TESTS = "tests/test_intake.py"
STANDBY_TESTS = "tests/faults/test_standby.py"
# It gives the transaction an id and writes nothing.
REPEATED, UNWRITTEN = "pg_logical_emit_message(TRUE, 'consumer', '')", "pg_current_xact_id()"

MACHINERY = (
    Bug(
        "the embedded worker works as the superuser",
        "consumer/cli/embedded_logins.py",
        '"worker": "{prefix}_worker_login"',
        '"worker": SUPERUSER',
        "tests/test_embedded_logins.py::test_each_kind_of_process_has_a_login_of_its_own_without_powers",
    ),
    Bug(
        "acknowledge before the commit",
        "consumer/receiver/intake.py",
        "        await stored\n",
        "        await asyncio.sleep(0)\n",
        f"{INTAKE_TESTS}::test_a_put_that_returns_is_committed_and_pending",
    ),
    Bug(
        "synchronous_commit off",
        "sql/queries/connections/enter.sql",
        "ELSE 'on'",
        "ELSE 'off'",
        "tests/test_connections.py",
    ),
    Bug(
        "a repeat waits for no standby",
        "sql/queries/storage/put.sql",
        REPEATED,
        UNWRITTEN,
        f"{STANDBY_TESTS}::test_of_a_thousand_acknowledged_deliveries_a_failover_loses_none",
    ),
    Bug(
        "a repeat of a dead delivery waits for no standby",
        "sql/queries/storage/put_dead.sql",
        REPEATED,
        UNWRITTEN,
        f"{STANDBY_TESTS}::test_a_batch_of_repeats_waits_for_the_standby_by_itself",
    ),
    Bug(
        "a commit whose wait was cancelled is acknowledged",
        "consumer/postgres/standby.py",
        "            self.is_cancelled = True\n",
        "            self.is_cancelled = False\n",
        f"{STANDBY_TESTS}::test_a_commit_whose_wait_is_cancelled_is_no_acknowledgement_though_no_warning_is_asked_for",
    ),
    Bug(
        "a weaker synchronous_commit is kept",
        "sql/queries/connections/enter.sql",
        "WHEN 'remote_apply' THEN 'remote_apply'",
        "WHEN 'remote_write' THEN 'remote_write'",
        "tests/test_session_limits.py::test_no_session_waits_for_less_than_on_and_one_that_waits_for_more_still_does",
    ),
    Bug(
        "the embedded server's fsync left to a file",
        "consumer/embedded/keeper.py",
        '    "fsync": "on",\n',
        "",
        "tests/test_embedded_promises.py::test_no_file_changes_what_makes_it_durable_private_and_small",
    ),
    Bug(
        "a process that does not end is waited for",
        "consumer/process/supervision.py",
        "        process.kill()\n",
        "        pass\n",
        "tests/test_supervision.py::test_one_that_does_not_end_in_time_is_killed",
    ),
    Bug(
        "done-mark outside the transaction",
        "consumer/worker/batch.py",
        "            if known:\n",
        "        async with transaction(conn, self.access):\n            if known:\n",
        "tests/faults/test_worker_killed.py",
    ),
    Bug(
        "unordered batch of the intake",
        "sql/queries/storage/put.sql",
        '    ORDER BY source, message_id COLLATE "C"\n',
        "",
        f"{INTAKE_TESTS}::test_two_writers_with_the_same_ids_in_another_order_never_deadlock",
    ),
    Bug(
        "a lock outlives its try",
        "consumer/worker/bisect.py",
        "transaction(force_rollback=True)",
        "transaction()",
        "tests/test_bisect.py::test_two_workers_that_both_look_for_a_culprit_never_deadlock",
    ),
    Bug(
        "the first of two signature headers counts",
        "consumer/providers/standard_webhooks.py",
        "            if name in found:\n",
        "            if name in found and False:\n",
        "tests/test_endpoint.py::test_every_vector_gets_its_verdict_over_http",
    ),
    Bug(
        "an outage counts as an attempt",
        "consumer/postgres/error_classes.py",
        'ErrorClass.CONSTRAINT: "',
        'ErrorClass.CONSTRAINT: "55P03 ',
        f"{WORKER_TESTS}::test_a_row_that_someone_locks_waits_uncounted_and_the_others_go_on",
    ),
    Bug(
        "root uses a stranger's data folder",
        "consumer/embedded/programs.py",
        "        if problem:\n            return [",
        "        if problem and not os.geteuid() == 0:\n            return [",
        "tests/test_embedded_owners.py::test_the_doctor_names_a_stranger_s_folder",
    ),
    Bug(
        "a stranger's .env is read",
        "consumer/settings/ownership.py",
        "{os.geteuid(), 0, *others}",
        "{os.geteuid(), 0, status.st_uid, *others}",
        "tests/test_env_file.py::test_a_stranger_s_file_is_refused_unless_it_is_named",
    ),
    Bug(
        "one key at both doors",
        "consumer/settings/settings.py",
        "    if signing_secrets.keys(settings.stack_webhook_secrets) & ",
        "    if not signing_secrets.keys(settings.stack_webhook_secrets) & ",
        "tests/test_setting_texts.py::test_one_key_at_both_doors_is_refused",
    ),
    Bug(
        "a deadlock is the delivery's fault",
        "consumer/postgres/error_classes.py",
        'ErrorClass.POISON: "',
        'ErrorClass.POISON: "40P01 ',
        f"{WORKER_TESTS}::test_a_deadlock_with_a_stranger_is_no_delivery_s_fault",
    ),
    Bug(
        "an unknown error is the delivery's fault",
        "consumer/postgres/error_classes.py",
        "SQLSTATES.get(state[:2]) or ErrorClass.OURS",
        "SQLSTATES.get(state[:2]) or ErrorClass.POISON",
        f"{WORKER_TESTS}::test_a_missing_column_stops_the_worker_and_kills_nothing",
    ),
    Bug(
        "poison kills its neighbours",
        "consumer/worker/bisect.py",
        "        if len(items) == 1 or (",
        "        if len(items) <= 8 or (",
        "tests/test_bisect.py::test_one_poisonous_delivery_in_500_dies_alone_and_the_batch_says_so",
    ),
    Bug(
        "no second commit on new connections",
        "consumer/receiver/intake.py",
        "            await self._pool.drain()\n            await self._commit_once(deliveries)\n",
        "            raise\n",
        f"{INTAKE_TESTS}::test_connections_that_the_server_ended_are_replaced",
    ),
    Bug(
        "a pool tires of trying to connect",
        "consumer/postgres/connections.py",
        "        reconnect_failed=AsyncConnectionPool.check,\n",
        "",
        "tests/test_connections.py::test_a_pool_tries_to_connect_for_as_long_as_its_database_is_away",
    ),
    Bug(
        "no retry of a lost delivery below the last seen one",
        "consumer/worker/batch.py",
        "        if self._after_seq and len(claimed) < size:\n",
        "        if self._after_seq and len(claimed) < 0:\n",
        f"{WORKER_TESTS}::test_a_delivery_that_commits_late_below_the_last_seen_one_is_applied",
    ),
    Bug(
        "the length of a chunked body is not counted",
        "consumer/web/protocol.py",
        "        if self.body_bytes > self.limiter.limits.body_bytes:\n",
        "        if self.body_bytes > 64 * self.limiter.limits.body_bytes:\n",
        "tests/test_connection_limits.py::test_a_body_in_one_chunk_is_judged_by_the_same_limit",
    ),
    Bug(
        "the body after an Upgrade is the next request",
        "consumer/web/upgrade.py",
        "data = _head_without_upgrade(connection) + data[",
        "data = data[",
        "tests/test_http_upgrades.py::test_the_body_of_an_offer_is_never_the_next_request",
    ),
    Bug(
        "two Hosts are as good as one",
        "consumer/web/heads.py",
        'names.count(b"host") < 2',
        'names.count(b"host") < 3',
        "tests/test_http_heads.py::test_what_could_be_read_in_two_ways_is_a_bad_request",
    ),
    Bug(
        "memory for bodies has no end",
        "consumer/web/body_budget.py",
        "        if self.held_bytes > self.bytes_max:\n            self._squeeze",
        "        if self.held_bytes > 64 * self.bytes_max:\n            self._squeeze",
        "tests/test_body_budget.py::test_of_bodies_that_stand_still_the_budget_keeps_some_and_others_pass",
    ),
    Bug(
        "a 404 is refused in silence",
        "consumer/web/answers.py",
        '            refused("not_found")\n',
        "",
        "tests/test_metric_values.py::test_a_refusal_is_counted_once_by_its_reason",
    ),
    Bug(
        "NUL reaches the database",
        "consumer/events/json_limits.py",
        '    if b"\\\\" in body and NUL_ESCAPE.search(body):\n',
        '    if b"\\\\" in body and NUL_ESCAPE.fullmatch(body):\n',
        "tests/test_endpoint_bodies.py::test_a_signed_body_that_cannot_be_used_is_stored_as_dead",
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
        "the audit shows every company's rows of a person",
        TENANTS,
        "    company_id = identity.current_company_id()\n    AND (SELECT identity.is_current_company_active())\n"
        "    AND EXISTS (",
        "    EXISTS (",
        f"{TENANT_TESTS}::test_the_audit_shows_a_company_its_own_rows_of_whom_it_sees",
    ),
    Bug(
        "an address listened on beside the wildcard that covers it",
        "consumer/web/listen.py",
        "if one not in seen and (one[0] not in whole or one in wildcards)]",
        "if one not in seen]",
        "tests/test_listen.py::test_an_address_that_another_covers_is_left_out",
    ),
    Bug(
        "the worker's ops port chosen without the receiver's port",
        "consumer/cli/up.py",
        '    environment |= _variable("PORT", plan.settings.port)\n',
        "",
        "tests/test_up_ops_ports.py::test_no_process_of_a_group_takes_the_receiver_s_port_for_its_ops_port",
    ),
    Bug(
        "a line that names a setting and assigns nothing is skipped",
        "consumer/settings/env_file.py",
        "elif any(_names_setting(each, settings) for each in original.splitlines()):",
        "elif False:",
        "tests/test_env_file.py::test_a_line_near_to_a_setting_s_name_is_refused_with_its_number",
    ),
    Bug(
        "a worker behind a pooler waits as if it were woken",
        "consumer/worker/loop.py",
        "conn.is_entered or since_work",
        "True or since_work",
        "tests/test_loop_pooled.py::test_behind_a_pooler_a_loop_waits_a_tenth_of_the_time_since_the_last_event",
    ),
    Bug(
        "a worker behind a pooler never lets the database sleep",
        "consumer/worker/loop.py",
        " or since_work >= POOLED_SECONDS",
        "",
        "tests/test_loop_pooled.py"
        "::test_ten_seconds_after_the_last_event_the_waits_double_as_ever_and_reach_the_setting_no_later",
    ),
)
