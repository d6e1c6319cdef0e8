"""Bugs of what a support engineer is shown."""

from tests.planted.bug import Bug

FOLLOWING = "tests/test_following.py"
LIST = "tests/test_deliveries_list.py"
DELIVERY = "tests/test_delivery_command.py"
USER = "tests/test_user_command.py"
LARGE = "tests/test_large_subjects.py"
RECENT = "tests/test_recent_plans.py"
FIRST = "tests/test_first_rows.py"

PREFIXES = "tests/test_id_prefixes.py"

ACTIONS = "tests/test_delivery_actions.py"

LOOKING_UP = (
    Bug(
        "a delivery shows actions on another source's",
        "sql/queries/one_delivery/actions.sql",
        "coalesce(n.filter ->> 'source', %(source)b::text) = %(source)b::text",
        "%(source)b::text IS NOT NULL",
        f"{ACTIONS}::test_an_action_of_one_source_is_not_shown_of_another",
    ),
    Bug(
        "a delivery that is done claims that no attempt failed",
        "consumer/lookup/one_delivery.py",
        'if self.attempts or self.state != "done":',
        "if True:",
        f"{ACTIONS}::test_a_cured_delivery_names_who_retried_it_and_says_that_attempts_are_not_kept",
    ),
    Bug(
        "the last sign-out is told as a sign-in",
        "consumer/cli/user.py",
        '"out": user.last_sign_out_at',
        '"out": user.last_sign_in_at',
        f"{USER}::test_it_says_when_the_user_last_signed_in_and_out",
    ),
    Bug(
        "the first digits of an id find one id alone",
        "consumer/lookup/id_prefixes.py",
        'UUID(digits.ljust(DIGITS, "f"))',
        'UUID(digits.ljust(DIGITS, "0"))',
        f"{PREFIXES}::test_a_list_takes_the_first_digits_of_a_user_or_team",
    ),
    Bug(
        "a user without stored deliveries is not found by the first digits",
        "sql/queries/id_prefixes/users.sql",
        "    UNION\n",
        "    EXCEPT\n",
        f"{PREFIXES}::test_a_user_whose_deliveries_are_pruned_is_found",
    ),
    Bug(
        "the search by first digits reads all ids that begin so",
        "sql/queries/id_prefixes/users.sql",
        "    WHERE l.place < %(size)b::integer\n",
        "",
        "tests/test_lookup_plans.py::test_an_id_is_found_by_its_first_digits_without_reading_the_others",
    ),
    Bug(
        "the first digits of several ids lead to the first",
        "consumer/cli/subject_ids.py",
        "    if len(found) > 1:",
        "    if False:",
        f"{PREFIXES}::test_of_several_users_the_command_names_twenty",
    ),
    Bug(
        "a list is cut in a file too",
        "consumer/cli/columns.py",
        "if sys.stdout.isatty() else PIPE_COLUMNS",
        "if sys.stdout.isatty() else COLUMNS",
        "tests/test_columns.py::test_in_a_file_nothing_is_cut",
    ),
    Bug(
        "a file gets the first digits of an id",
        "consumer/cli/columns.py",
        "text[:size] if sys.stdout.isatty() else text:{size}",
        "text[:size]:{size}",
        "tests/test_columns.py::test_in_a_file_nothing_is_cut",
    ),
    Bug(
        "following asks only for what is newer than the last look",
        "consumer/lookup/following.py",
        "settled = now - OVERLAP",
        "settled = now",
        f"{FOLLOWING}::test_a_lower_number_that_commits_after_a_higher_one_is_seen",
    ),
    Bug(
        "following leaves out what one call can't read",
        "consumer/lookup/following.py",
        "not is_whole or until <= now",
        "False",
        f"{FOLLOWING}::test_of_a_burst_of_any_size_each_change_is_told_once",
    ),
    Bug(
        "following leaves out changes at the time where a call ended",
        "sql/queries/listing/recent.sql",
        "(one.changed_at, one.seq) > (%(after_at)b::timestamptz, %(after_seq)b::bigint)",
        "(one.changed_at, 0) > (%(after_at)b::timestamptz, %(after_seq)b::bigint * 0)",
        f"{FOLLOWING}::test_of_a_burst_of_any_size_each_change_is_told_once",
    ),
    Bug(
        "following walks the whole log",
        "sql/queries/listing/recent.sql",
        "    ORDER BY o.seq\n    OFFSET 0\n",
        "",
        f"{RECENT}::test_what_is_recent_reads_what_changed_in_its_time",
    ),
    Bug(
        "the number of a time is looked for once for each delivery",
        "sql/queries/deliveries/count.sql",
        "AND o.seq > (SELECT coalesce(consumer.seq_before(%(since)b::timestamptz), 0))",
        "AND o.seq > coalesce(consumer.seq_before(%(since)b::timestamptz), 0)",
        f"{RECENT}::test_a_selection_by_time_reads_the_deliveries_of_that_time",
    ),
    Bug(
        "following looks at a quiet time piece by piece",
        "consumer/lookup/following.py",
        "2 * self._time if is_whole",
        "self._time if is_whole",
        f"{FOLLOWING}::test_a_time_in_which_nothing_happened_takes_few_calls",
    ),
    Bug(
        "following sorts a whole burst for each part of it",
        "consumer/lookup/following.py",
        "else max(self._time / 2, TIME_MIN)",
        "else self._time",
        f"{FOLLOWING}::test_calls_in_a_burst_after_a_quiet_week_look_at_little_more_than_they_return",
    ),
    Bug(
        "following of many changes of one instant comes to look at no time",
        "consumer/lookup/following.py",
        "max(self._time / 2, TIME_MIN)",
        "self._time / 2",
        f"{FOLLOWING}::test_changes_of_one_instant_take_any_number_of_calls",
    ),
    Bug(
        "following remembers all that it has told",
        "consumer/lookup/following.py",
        "items() if at >= self._since}",
        "items()}",
        f"{FOLLOWING}::test_it_remembers_only_what_it_might_find_again",
    ),
    Bug(
        "following that can't keep up never begins again",
        "consumer/lookup/following.py",
        "if not self.is_behind or self._since < self._place.at <= settled:",
        "if not self.is_behind:",
        f"{FOLLOWING}::test_one_that_cannot_keep_up_begins_again_where_all_is_settled",
    ),
    Bug(
        "following tells a delivery once, whatever becomes of it",
        "consumer/lookup/following.py",
        "return delivery.seq, delivery.outcome or delivery.state, delivery.at",
        'return delivery.seq, "", None',
        f"{FOLLOWING}::test_each_change_of_a_delivery_is_told_once",
    ),
    Bug(
        "a name is shown without a reason",
        "consumer/lookup/one_user.py",
        "return found if masked else",
        "return found if not masked else",
        f"{USER}::test_nothing_personal_is_shown_without_a_reason",
    ),
    Bug(
        "the signed body is shown without a reason",
        "consumer/lookup/shown.py",
        "one_delivery.body(conn, delivery.seq, masked=masked)",
        "one_delivery.body(conn, delivery.seq, masked=False)",
        f"{DELIVERY}::test_nothing_personal_is_shown_without_a_reason",
    ),
    Bug(
        "what was revealed is not recorded",
        "consumer/cli/user.py",
        '            await record(conn, {"user_id": user_id}, options["reason"])\n',
        "            pass\n",
        f"{USER}::test_revealing_shows_the_values_and_records_who_and_why_without_them",
    ),
    Bug(
        "a reason is not needed",
        "consumer/cli/reveal.py",
        'if reveal["is_revealed"] != (reveal["reason"] is not None):',
        'if reveal["reason"] is not None and not reveal["is_revealed"]:',
        f"{USER}::test_revealing_needs_a_reason_and_a_reason_needs_revealing",
    ),
    Bug(
        "a rare filter reads the whole log",
        "consumer/lookup/listing.py",
        "await _look_end(conn, before, floor) if wanted.is_narrow else None",
        "None",
        f"{LIST}::test_a_rare_filter_looks_at_so_many_deliveries_and_says_how_far",
    ),
    Bug(
        "all deliveries of a large team are read",
        "sql/queries/listing/about.sql",
        "    WHERE o.team_id >= %(team_id)b::uuid AND o.team_id <= %(team_id)b::uuid\n    ORDER BY o.team_id\n",
        "    WHERE o.team_id = %(team_id)b::uuid\n    ORDER BY o.seq\n",
        f"{LARGE}::test_a_company_reads_no_more_than_a_page_may",
    ),
    Bug(
        "the deliveries of a large team are found by its index",
        "sql/queries/listing/page.sql",
        "(o.team_id = %(team_id)b::uuid) IS TRUE",
        "o.team_id = %(team_id)b::uuid",
        "tests/test_lookup_plans.py::test_a_search_by_number_uses_no_other_index_however_rare_the_team_seems",
    ),
    Bug(
        "a search among failures reads them all",
        "sql/queries/listing/few.sql",
        """            FROM consumer_masked.failures
            WHERE
                seq < %(before)b::bigint
                AND seq > %(floor)b::bigint
                AND '{retrying, dead}' && %(states)b::text[]
            ORDER BY seq DESC
            LIMIT %(look_max)b::integer + 1
""",
        """            FROM consumer_masked.failures
            WHERE
                seq < %(before)b::bigint
                AND seq > %(floor)b::bigint
                AND state = ANY(%(states)b::text[])
            ORDER BY seq DESC
            LIMIT %(look_max)b::integer + 1
""",
        "tests/test_console_plans.py::test_a_search_among_failures_reads_a_look_whatever_their_state",
    ),
    Bug(
        "a page counts all that a retry takes, however many",
        "sql/queries/deliveries/count_failed.sql",
        "    LIMIT %(count_max)b::bigint\n",
        "    LIMIT CASE WHEN %(count_max)b::bigint > 0 THEN NULL END\n",
        "tests/test_console_plans.py::test_counting_what_a_retry_takes_ends_at_a_most",
    ),
    Bug(
        "the neighbours of a delivery are looked for in the whole log",
        "sql/queries/one_delivery/neighbours.sql",
        "AND o.seq >= %(seq)b::bigint - %(window)b::integer",
        "AND %(window)b::integer > 0",
        f"{LARGE}::test_a_delivery_reads_little",
    ),
    Bug(
        "all that a delivery changed is read for its first rows",
        "sql/queries/audit/of_delivery.sql",
        "    ORDER BY a.seq\n",
        "    ORDER BY a.id\n",
        f"{LARGE}::test_what_a_delivery_changed_is_read_up_to_a_most",
    ),
    Bug(
        "what waits of a user with many deliveries is not counted",
        "consumer/lookup/one_user.py",
        'await rows(conn, scalar_row, "one_user/waiting", values)',
        "[]",
        f"{LARGE}::test_a_user_with_many_deliveries_is_counted_with_those_that_wait",
    ),
    Bug(
        "a list ends without a word",
        "consumer/postgres/first_rows.py",
        "is_more=len(found) > size",
        "is_more=False",
        f"{FIRST}::test_what_a_delivery_changed_ends_with_a_word",
    ),
    Bug(
        "a list that is whole says that there are more",
        "consumer/postgres/first_rows.py",
        "is_more=len(found) > size",
        "is_more=len(found) >= size",
        f"{FIRST}::test_a_list_tells_of_more_only_if_there_are_more",
    ),
    Bug(
        "the users of a common address are left out silently",
        "consumer/cli/listing.py",
        "        if found.is_more:\n",
        "        if not found:\n",
        f"{FIRST}::test_users_of_one_address_that_are_left_out_are_warned_of",
    ),
    Bug(
        "a membership that was not read is said to be removed",
        "consumer/lookup/unfollowed.py",
        "    if found is None and known.memberships.is_more:\n        return\n",
        "",
        f"{FIRST}::test_a_membership_that_was_not_read_is_not_judged",
    ),
    Bug(
        "the deliveries about a user are looked for among the newest",
        "consumer/lookup/listing.py",
        "if wanted.user_ids is not None:",
        "if False:",
        f"{LIST}::test_a_filter_by_user_and_type_is_looked_for_everywhere",
    ),
    Bug(
        "the end of a time is looked for among a hundred numbers",
        "sql/queries/listing/bounds.sql",
        "        LIMIT 1 OFFSET 100\n    ) AS before",
        "        LIMIT 1\n    ) + 100 AS before",
        f"{LIST}::test_times_limit_a_list_with_gaps_in_its_numbers",
    ),
    Bug(
        "an underscore in a type stands for any character",
        "consumer/lookup/listing.py",
        r'.replace("_", r"\_")',
        "",
        f"{LIST}::test_a_filter_chooses_and_the_newest_comes_first",
    ),
    Bug(
        "the numbers that nothing has are looked at",
        "sql/queries/listing/look_end.sql",
        "n.seq < %(before)b::bigint AND n.seq > %(floor)b::bigint\n        ORDER BY n.seq DESC\n"
        "        LIMIT 1 OFFSET %(look_max)b::integer\n",
        "n.seq < %(before)b::bigint AND n.seq > %(floor)b::bigint AND n.seq <= ("
        "SELECT max(m.seq) - %(look_max)b::integer FROM consumer_masked.outbox AS m WHERE m.seq < %(before)b::bigint)\n"
        "        ORDER BY n.seq DESC\n        LIMIT 1\n",
        f"{LIST}::test_numbers_that_nothing_has_are_not_looked_at",
    ),
    Bug(
        "a list by time goes on below that time",
        "sql/queries/listing/look_end.sql",
        " AND n.seq > %(floor)b::bigint",
        "",
        f"{LIST}::test_a_list_by_time_offers_no_page_of_what_is_older",
    ),
    Bug(
        "an edit that was withdrawn still sets the field",
        "consumer/lookup/origins.py",
        "if edit and edit.value is not None:\n        return FieldOrigin",
        "if edit:\n        return FieldOrigin",
        f"{USER}::test_an_edit_that_was_withdrawn_sets_nothing",
    ),
    Bug(
        "a user that a scan did not list is in step",
        "consumer/lookup/one_user.py",
        " and not self.is_unlisted",
        "",
        f"{USER}::test_a_user_that_the_newest_scan_did_not_list_is_out_of_step",
    ),
    Bug(
        "a stale snapshot is judged like the winner",
        "consumer/lookup/unfollowed.py",
        "if delivery.seq != user.snapshot_seq:",
        "if user.snapshot_seq is None:",
        f"{DELIVERY}::test_a_stale_snapshot_names_the_newer_one",
    ),
    Bug(
        "a failure does not know its type",
        "sql/queries/storage/put_dead.sql",
        "        %(source)b::text,\n        %(event_type)b::text\n    FROM stored",
        "        %(source)b::text,\n        NULL::text\n    FROM stored",
        "tests/test_failure_types.py::test_one_that_is_dead_at_the_door_has_both",
    ),
    Bug(
        "a failure that is read again keeps its type",
        "sql/queries/deliveries/rebury.sql",
        "source = o.source, event_type = o.event_type",
        "source = f.source, event_type = f.event_type",
        "tests/test_failure_types.py::test_one_that_is_read_again_gets_the_type_that_is_read_today",
    ),
    Bug(
        "setting one value empties the object around it",
        "consumer/cli/send.py",
        "place[key] = inner if isinstance(inner, dict) else {}",
        "place[key] = {}",
        "tests/test_send_samples.py::test_dots_lead_into_objects_and_make_those_that_are_missing",
    ),
)
