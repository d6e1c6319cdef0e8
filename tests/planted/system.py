"""Bugs of what the system page shows and sends."""

from tests.planted.bug import Bug

PAGE = "consumer/console/system.py"
SENDING = "consumer/operations/test_delivery.py"
WORK = "consumer/operations/background_work.py"
MASKED = "sql/migrations/0018.masked.sql"
STATEMENTS = "tests/test_console_statements.py::test"
DELIVERY = "tests/test_console_test_delivery.py::test"
NO_TEXT = f"{STATEMENTS}_no_text_of_a_statement_comes_through"
OURS = f"{STATEMENTS}_statements_of_another_database_or_of_a_stranger_are_not_ours"

SETTINGS = "tests/test_console_settings.py::test"

SYSTEM = (
    Bug(
        "who is told of findings is no setting",
        "consumer/cli/console_process.py",
        "for name in notifications.VARIABLES}",
        "for name in ()}",
        f"{SETTINGS}_every_setting_is_listed_as_it_is_or_as_not_set",
    ),
    Bug(
        "the page of the settings shows where notifications go",
        "consumer/cli/console_process.py",
        '"set" if name in settings.variables',
        "f'set: {settings.notify.url}' if name in settings.variables",
        f"{SETTINGS}_no_part_of_a_secret_is_on_the_page",
    ),
    Bug(
        "a statement's text comes through",
        MASKED,
        "CROSS JOIN substring(s.query FROM ''/\\* consumer ([a-z_]{1,60}/[a-z_]{1,60}) \\*/\\s*$'') AS named (name) '",
        "CROSS JOIN substring(s.query FROM ''(.*)'') AS named (name) '",
        NO_TEXT,
    ),
    Bug(
        "a name that is no query of ours is shown",
        "sql/queries/system/statements.sql",
        "WHERE name = ANY(%(names)b::text[])\n",
        "WHERE cardinality(%(names)b::text[]) > 0\n",
        NO_TEXT,
    ),
    Bug(
        "statements of other databases are shown",
        MASKED,
        " AND d.datname = current_database() ",
        " ",
        OURS,
    ),
    Bug(
        "statements of strangers are shown",
        MASKED,
        "AND has_schema_privilege(s.userid, ''consumer'', ''USAGE'') ",
        "",
        OURS,
    ),
    Bug(
        "a query bears its name where the server drops it",
        "consumer/postgres/queries.py",
        'text.rstrip().removesuffix(b";") + f"\\n/* consumer {name} */\\n".encode()',
        'f"/* consumer {name} */\\n".encode() + text',
        f"{STATEMENTS}_the_slowest_are_ours_by_name_the_slowest_first",
    ),
    Bug(
        "the doctor warns of the right to read statistics",
        "sql/queries/privileges/read.sql",
        "    WHERE NOT (ours.rolname LIKE '%%\\_masker' AND g.rolname = 'pg_read_all_stats')\n",
        "",
        f"{STATEMENTS}_the_next_migration_leaves_the_grant_and_the_doctor_finds_nothing_in_it",
    ),
    Bug(
        "the cure of an unloaded library is to make the extension",
        PAGE,
        "                self.is_loaded,\n",
        "                True,\n",
        f"{STATEMENTS}_each_cure_that_the_page_names_leads_to_the_next_and_the_last_to_the_statements",
    ),
    Bug(
        "whoever names a session a worker's counts as one",
        "sql/queries/server/activity.sql",
        "            WHERE pg_has_role(s.usesysid, t.oid, 'MEMBER')\n",
        "",
        "tests/test_observe.py::test_a_receiver_that_was_taken_over_does_not_name_its_session_a_worker_s",
    ),
    Bug(
        "a test delivery makes a user",
        SENDING,
        'EVENT_TYPE = "stack.test"',
        'EVENT_TYPE = "user.created"',
        f"{DELIVERY}_it_is_stored_and_ignored_and_its_action_leads_to_it",
    ),
    Bug(
        "a viewer sends a test delivery",
        "consumer/console/test_delivery.py",
        'Endpoint("POST", "/system/test", "operator", act)',
        'Endpoint("POST", "/system/test", "viewer", act)',
        f"{DELIVERY}_a_viewer_and_another_site_send_nothing",
    ),
    Bug(
        "a form with another action's id is done",
        "consumer/console/test_delivery.py",
        "        if not await background.is_known(conn, action_id):\n            await background",
        "        if True:\n            await background",
        f"{DELIVERY}_a_form_with_the_id_of_another_action_sends_nothing",
    ),
    Bug(
        "a server that drips holds the console up",
        SENDING,
        "            asyncio.timeout(SEND_SECONDS),\n",
        "            asyncio.timeout(None),\n",
        f"{DELIVERY}_a_server_that_never_ends_its_answer_is_given_up",
    ),
    Bug(
        "what another database took counts as stored",
        WORK,
        "        if not stored:\n            raise NotTaken",
        "        if False:\n            raise NotTaken",
        f"{DELIVERY}_a_receiver_of_another_database_is_named",
    ),
    Bug(
        "a redirect is followed",
        SENDING,
        "trust_env=False)",
        "trust_env=False, follow_redirects=True)",
        f"{DELIVERY}_another_answer_is_named_with_what_to_do",
    ),
    Bug(
        "the console does not know where `up --host` lets the receiver listen",
        "consumer/cli/up.py",
        '    environment |= _variable("HOST", plan.settings.host)\n',
        "",
        "tests/test_up.py::test_every_process_knows_where_the_receiver_listens",
    ),
)
