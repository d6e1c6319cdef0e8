"""Bugs of what an operator does at the console."""

from tests.planted.bug import Bug

BULK, CHOSEN, CONFIRM = (f"consumer/console/{name}.py" for name in ("bulk", "chosen", "confirm"))
ACTING, BACKGROUND, SUBJECTS = (f"tests/test_console_{name}.py" for name in ("acting", "background", "subjects"))
ORDERS, CHOICES = "tests/test_console_orders.py", "tests/test_console_choices.py"
SAME_IDS = "tests/test_console_same_ids.py"
SUBJECTS_PAGE = "consumer/console/subjects.py"
COUNTED = f"{SUBJECTS}::test_everybody_is_counted_by_the_deliveries_where_the_rows_are_lost"
SAMPLE = "tests/test_console_retry_sample.py"
RUN, DRY_RUN = "consumer/operations/background.py", "consumer/worker/dry_run.py"

CONSOLE_ACTING = (
    Bug(
        "a user that was typed and not looked at is forgotten, and everybody is rebuilt",
        SUBJECTS_PAGE,
        "    if not _are_counted(visit.form, confirmed.seen_at):",
        "    if False:",
        f"{CHOICES}::test_fields_that_were_filled_in_after_everybody_was_counted_are_looked_at_first",
    ),
    Bug(
        "what dies after the page was made is retried too",
        CHOSEN,
        "settled_until=now,",
        "settled_until=None,",
        f"{ACTING}::test_what_dies_after_the_page_was_made_stays_dead",
    ),
    Bug(
        "what arrives after the page was made is discarded too",
        "sql/queries/deliveries/page.sql",
        "coalesce(q.at, o.received_at) <=",
        "coalesce(q.at, '-infinity') <=",
        f"{ACTING}::test_what_arrives_after_the_page_was_made_is_not_discarded",
    ),
    Bug(
        "a form chooses what comes after it",
        BULK,
        "min(confirmed.seen_at, await session.now(conn))",
        "max(confirmed.seen_at, await session.now(conn))",
        f"{ACTING}::test_a_form_can_not_choose_what_comes_later",
    ),
    Bug(
        "a count that has grown is done",
        CONFIRM,
        "if count > self.seen_count:",
        "if count > 2 * self.seen_count:",
        f"{ACTING}::test_a_count_that_has_grown_is_shown_anew",
    ),
    Bug(
        "a click confirms a hundred and one",
        CONFIRM,
        "if self.seen_count > NUMBER_MIN and",
        "if self.seen_count > NUMBER_MIN + 1 and",
        f"{ACTING}::test_above_a_hundred_the_number_is_typed",
    ),
    Bug(
        "a discard of the console needs no reason",
        CONFIRM,
        "if page.asks_reason and",
        "if page.is_grave and page.path == '/dead/discard' and",
        f"{ACTING}::test_without_a_reason_nothing_is_discarded_or_taken_back",
    ),
    Bug(
        "a form that is sent twice acts twice",
        BULK,
        "if await background.is_known(conn, confirmed.id):",
        "if not confirmed.id:",
        f"{ACTING}::test_a_form_sent_twice_is_done_once",
    ),
    Bug(
        "a filter that no list knows is left out",
        "consumer/console/filters.py",
        "        if name not in FIELDS and name not in also:",
        "        if False:",
        "tests/test_console_deliveries.py::test_a_filter_that_cannot_be_used_says_why",
    ),
    Bug(
        "a condition that no action knows is left out",
        CHOSEN,
        "SELECTED, *confirm.FIELDS})",
        "SELECTED, 'email', *confirm.FIELDS})",
        f"{ACTING}::test_a_condition_that_no_action_knows_is_refused",
    ),
    Bug(
        "a selection of none is one of all",
        CHOSEN,
        "if form.text(SELECTED) and not seqs:",
        "if form.text(SELECTED) and seqs is None:",
        f"{ACTING}::test_of_a_page_of_dead_letters_the_selected_ones_are_retried",
    ),
    Bug(
        "one of several with a message id is counted and all are discarded",
        "sql/queries/deliveries/page.sql",
        "o.seq = ANY(%(seqs)b::bigint[])))",
        "o.seq = ANY(%(seqs)b::bigint[])) OR TRUE)",
        f"{SAME_IDS}::test_an_action_of_a_page_takes_the_delivery_of_that_page_alone",
    ),
    Bug(
        "an erasure leaves the reasons of what was done to one delivery",
        "sql/queries/actions/scrub.sql",
        "filter -> 'seqs'",
        "filter -> 'seq'",
        f"{SAME_IDS}::test_an_export_lists_and_an_erasure_forgets_the_actions_on_the_users_own_deliveries",
    ),
    Bug(
        "a viewer orders",
        BULK,
        'Endpoint("POST", bulk.page.path, "operator"',
        'Endpoint("POST", bulk.page.path, "viewer"',
        f"{ACTING}::test_a_viewer_s_form_and_one_of_another_site_do_nothing",
    ),
    Bug(
        "a replay of the console stands before live deliveries",
        "sql/queries/background/next.sql",
        "'retry', 'replay'",
        "'replay'",
        f"{BACKGROUND}::test_a_page_waits_until_few_deliveries_are_pending",
    ),
    Bug(
        "two consoles do one page",
        "sql/queries/background/lock.sql",
        "AND place = %(place)b::jsonb",
        "AND %(place)b::jsonb IS NOT NULL",
        f"{BACKGROUND}::test_a_page_that_another_console_has_done_meanwhile_is_void",
    ),
    Bug(
        "a page that PostgreSQL refuses is not said",
        RUN,
        "await _fail(conn, access, order, name, is_final=False)",
        "pass",
        f"{BACKGROUND}::test_a_page_that_postgres_refuses_is_said_and_tried_again_while_others_go_on",
    ),
    Bug(
        "a page is counted apart from what it does",
        "sql/queries/background/advance.sql",
        "affected + %(affected)b::bigint",
        "%(affected)b::bigint",
        f"{BACKGROUND}::test_after_a_kill_another_console_goes_on_and_does_no_page_twice",
    ),
    Bug(
        "a check that can't be done is tried for good",
        RUN,
        "is_final=not isinstance(error, TEMPORARY)",
        "is_final=False",
        f"{SUBJECTS}::test_a_refresh_without_a_key_says_which_settings_it_needs",
    ),
    Bug(
        "an upgrade ends an order for good",
        RUN,
        "TEMPORARY = (TryLater, WrongRelease, SettingsMismatch)",
        "TEMPORARY = (TryLater, SettingsMismatch)",
        f"{ORDERS}::test_an_upgrade_ends_no_order",
    ),
    Bug(
        "an action of a newer release starves the others",
        "sql/queries/background/next.sql",
        "AND a.action = ANY(%(known)b::text[])",
        "AND %(known)b::text[] IS NOT NULL",
        f"{ORDERS}::test_an_action_that_this_release_does_not_know_is_left_to_one_that_does",
    ),
    Bug(
        "a page that another console has counts as done",
        RUN,
        "                return False\n",
        "                return True\n",
        f"{ORDERS}::test_a_check_that_another_console_has_is_not_computed_too",
    ),
    Bug(
        "a check of a user compares everybody",
        "consumer/operations/background_work.py",
        "if not user_id and not team_id and not chosen:",
        "if not team_id and not chosen:",
        f"{SUBJECTS}::test_a_check_counts_what_differs_and_changes_nothing",
    ),
    Bug(
        "a sample before a retry is applied for good",
        DRY_RUN,
        "conn.transaction(force_rollback=True):",
        "conn.transaction():",
        f"{SAMPLE}::test_a_sample_writes_nothing",
    ),
    Bug(
        "a sample before a retry waits for locks",
        DRY_RUN,
        "lock_timeout=LOCK_TIMEOUT, ",
        "",
        f"{SAMPLE}::test_rows_that_others_hold_are_not_waited_for",
    ),
    Bug(
        "a sample before a retry takes as long as it takes",
        "consumer/console/retry_sample.py",
        "return await within(dry_run.TIME, _take(visit, selection))",
        "return await _take(visit, selection)",
        f"{SAMPLE}::test_what_takes_too_long_is_given_up_and_leaves_nothing_locked",
    ),
    Bug(
        "a sample before a retry runs no statement of the application",
        "consumer/console/retry_sample.py",
        "stored, visit.console.projection_sql)",
        "stored, None)",
        f"{SAMPLE}::test_the_statement_of_an_application_runs_where_it_is_set",
    ),
    Bug(
        "a click waits for a sample",
        "consumer/console/retry_sample.py",
        "    async with visit.console.trying:\n",
        "    async with visit.console.trying, visit.acting(), visit.acting():\n",
        f"{SAMPLE}::test_a_click_does_not_wait_for_a_sample",
    ),
    Bug(
        "a rebuild by deliveries takes those that are applied after the page",
        SUBJECTS_PAGE,
        "since=wanted.since, settled_until=now,",
        "since=wanted.since,",
        f"{SUBJECTS}::test_what_is_applied_after_the_page_was_made_is_not_chosen",
    ),
    Bug(
        "everybody is counted without the users",
        SUBJECTS_PAGE,
        "for stage in (Stage.COMPANY, Stage.USER):",
        "for stage in (Stage.COMPANY,):",
        COUNTED,
    ),
    Bug(
        "everybody can't be chosen where counting them takes too long",
        SUBJECTS_PAGE,
        "return max(found, 1), False",
        "return found, False",
        f"{SUBJECTS}::test_everybody_may_be_chosen_where_counting_them_takes_too_long",
    ),
    Bug(
        "what is not counted of a queue is shown as done",
        "consumer/console/recovery.py",
        "if is_more or newest is None",
        "if newest is None",
        "tests/test_console_recovery.py::"
        "test_a_queue_that_is_longer_than_is_counted_tells_neither_what_is_done_nor_a_rate",
    ),
    Bug(
        "a secret that nobody has is passed over",
        SUBJECTS_PAGE,
        "if not await deliveries.count(conn, chosen.applied, count_max=1):",
        "if False:",
        f"{CHOICES}::test_what_can_not_be_used_is_said_and_kept",
    ),
    Bug(
        "a rebuild by deliveries is one of everybody",
        "consumer/operations/background_work.py",
        "if not user_id and not team_id and not chosen:",
        "if not user_id and not team_id:",
        f"{SUBJECTS}::test_a_rebuild_by_deliveries_takes_the_users_of_these",
    ),
)
