"""Bugs of what a viewer sees, and of what is written down about those who act."""

from tests.planted.bug import Bug

MIGRATION = "sql/migrations/0018.masked.sql"
CANARIES = "tests/test_masked_canaries.py"
NOTHING = f"{CANARIES}::test_nothing_that_a_viewer_may_read_holds_a_canary"
VIEWS = "tests/test_masked_views.py"
ACTIONS = "tests/test_actions.py"

MASKING = (
    Bug(
        "a body shows names",
        MIGRATION,
        "THEN to_jsonb(consumer_masked.name(as_text))",
        "THEN value",
        NOTHING,
    ),
    Bug(
        "a body shows the keys of metadata",
        MIGRATION,
        "    ELSIF is_personal OR kind = 'number' OR depth = 0 THEN",
        "    ELSIF kind = 'number' OR depth = 0 THEN",
        NOTHING,
    ),
    Bug(
        "a body shows texts under unknown keys",
        MIGRATION,
        "            ELSE hidden\n",
        "            ELSE value\n",
        NOTHING,
    ),
    Bug(
        "an e-mail address given as an id is shown",
        MIGRATION,
        "                AND as_text ~ '^[A-Za-z0-9_.:$-]{1,100}$'\n",
        "",
        NOTHING,
    ),
    Bug(
        "the audit shows what a profile was",
        MIGRATION,
        "    consumer_masked.document(a.new_values) AS new_values,",
        "    a.new_values,",
        NOTHING,
    ),
    Bug(
        "an edit's author is shown",
        MIGRATION,
        "    consumer_masked.hidden(a.edited_by) AS edited_by,",
        "    a.edited_by,",
        NOTHING,
    ),
    Bug(
        "the picture is shown",
        MIGRATION,
        "    consumer_masked.hidden(p.avatar_url) AS avatar_url,",
        "    p.avatar_url,",
        NOTHING,
    ),
    Bug(
        "a viewer reads a table behind the views",
        MIGRATION,
        "GRANT USAGE ON SCHEMA consumer_masked TO consumer_viewer, consumer_operator, consumer_masker;",
        "GRANT USAGE ON SCHEMA consumer_masked, identity TO consumer_viewer, consumer_operator, consumer_masker; "
        "GRANT SELECT ON identity.profiles TO consumer_viewer;",
        f"{CANARIES}::test_a_viewer_can_read_nothing_behind_the_views",
    ),
    Bug(
        "a viewer gets a function more",
        MIGRATION,
        "REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA consumer_masked FROM PUBLIC;",
        "CREATE FUNCTION consumer_masked.more() RETURNS text LANGUAGE sql RETURN 'x';",
        f"{CANARIES}::test_a_viewer_may_execute_no_function_but_those_that_mask_or_return_ids_or_names_of_queries",
    ),
    Bug(
        "a view gets a column that nobody decided on",
        MIGRATION,
        "    p.updated_at,\n    p.deleted_at\nFROM identity.profiles AS p;",
        "    p.updated_at,\n    p.deleted_at,\n    p.role_type AS role\nFROM identity.profiles AS p;",
        "tests/test_data_protection.py::test_each_column_of_our_schemas_stands_on_the_page_once",
    ),
    Bug(
        "a company of one person bears the person's name",
        MIGRATION,
        "            ) = 2\n",
        "            ) >= 0\n",
        f"{VIEWS}::test_a_company_that_never_had_a_second_member_bears_no_name_of_a_person",
    ),
    Bug(
        "a page of deliveries reads the whole log",
        MIGRATION,
        "LEFT JOIN consumer.outcomes AS d ON o.seq = d.seq",
        "LEFT JOIN consumer.outcomes AS d ON o.seq + 0 = d.seq + 0",
        f"{VIEWS}::test_a_page_of_deliveries_reads_no_more_than_the_page",
    ),
    Bug(
        "a masked view is a fence",
        MIGRATION,
        "CREATE VIEW consumer_masked.profiles AS",
        "CREATE VIEW consumer_masked.profiles WITH (security_barrier = TRUE) AS",
        "tests/test_catalogue.py::test_views_show_what_their_reader_may_see_and_masked_ones_what_the_masker_may",
    ),
    Bug(
        "an address is looked for in every row",
        MIGRATION,
        "        AND octet_length(m.stack_primary_email) <= 320\n",
        "",
        f"{VIEWS}::test_a_user_is_found_by_the_whole_address_in_any_case_and_by_its_index",
    ),
    Bug(
        "an address longer than an index entry stops a user",
        MIGRATION,
        "\nWHERE octet_length(stack_primary_email) <= 320;",
        ";",
        f"{VIEWS}::test_an_address_too_long_for_the_index_is_stored_and_not_found",
    ),
    Bug(
        "a deep body ends the page",
        MIGRATION,
        "EXCEPTION\n    WHEN OTHERS THEN RETURN NULL;\n",
        "",
        f"{VIEWS}::test_a_body_that_cannot_be_read_is_shown_as_none",
    ),
    Bug(
        "a viewer's transaction may write",
        "consumer/postgres/connections.py",
        "idle=10, is_read_only=True",
        "idle=10",
        f"{VIEWS}::test_a_viewers_transaction_only_reads_and_does_not_wait",
    ),
    Bug(
        "an operator's login may not become a viewer",
        "sql/queries/migrations/make_roles.sql",
        "            GRANT consumer_viewer TO consumer_operator;\n",
        "            NULL;\n",
        "tests/test_privileges.py::test_the_list_of_privileges_is_complete_and_holds_no_more",
    ),
    Bug(
        "uninstall leaves the masked schema",
        "consumer/operations/uninstall.py",
        '"DROP SCHEMA consumer, consumer_masked;"',
        '"DROP SCHEMA consumer;"',
        "tests/test_uninstall.py::test_it_leaves_the_tables_with_every_row_and_nothing_of_the_machinery",
    ),
    Bug(
        "a retry is not written down",
        "consumer/operations/replay.py",
        "    await actions.record(conn, action, replayed.queued)\n",
        "",
        f"{ACTIONS}::test_a_retry_is_an_action",
    ),
    Bug(
        "only the first transaction of an action counts",
        "sql/queries/actions/record.sql",
        "DO UPDATE SET affected = a.affected + excluded.affected",
        "DO NOTHING",
        f"{ACTIONS}::test_work_of_several_transactions_is_one_action_that_counts_what_is_committed",
    ),
    Bug(
        "an erasure leaves the reasons",
        "consumer/operations/erase.py",
        "            await actions.scrub(conn, erasure.person.user_id)\n",
        "",
        f"{ACTIONS}::test_an_erasure_is_an_action_and_forgets_the_reasons_about_the_user",
    ),
    Bug(
        "a dry run of a prune is written down",
        "consumer/operations/prune.py",
        "0 if is_dry_run else removed.total()",
        "removed.total()",
        f"{ACTIONS}::test_a_prune_by_hand_is_an_action",
    ),
    Bug(
        "a filter shows an address",
        MIGRATION,
        "    consumer_masked.written(a.filter::text)::jsonb AS filter,",
        "    a.filter,",
        "tests/test_console_canaries.py::test_no_page_holds_a_canary",
    ),
    Bug(
        "the reason of an action shows an address",
        MIGRATION,
        "    consumer_masked.written(a.reason) AS reason\nFROM consumer.actions",
        "    a.reason\nFROM consumer.actions",
        NOTHING,
    ),
    Bug(
        "the reason of a discard shows an address",
        MIGRATION,
        "consumer_masked.written(e.reason)) AS error",
        "e.reason) AS error",
        NOTHING,
    ),
    Bug(
        "a filter that is masked is no JSON any more",
        MIGRATION,
        """'[^\\s@"]*@'""",
        """'[^\\s@]*@'""",
        "tests/test_console_recovery_orders.py::test_an_address_in_a_filter_or_a_reason_is_masked",
    ),
)
