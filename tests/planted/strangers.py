"""Bugs that let strangers hold up our work or read it, or hide that they do."""

from tests.planted.bug import Bug

STRANGERS = (
    Bug(
        "a lock that any login can hold guards the settings",
        "sql/migrations/0001.outbox.sql",
        "    PERFORM FROM consumer.settings;",
        "    PERFORM pg_advisory_xact_lock_shared(hashtextextended('consumer.settings', 0));",
        "tests/test_worker.py::test_a_batch_never_runs_while_settings_are_being_replaced",
    ),
    Bug(
        "settings that are recorded already are locked",
        "consumer/effects/recorded_settings.py",
        "    if not _is_change(known, settings, is_forced=is_forced):\n        return []\n    for",
        "    for",
        "tests/test_settings_lock.py::test_settings_that_are_recorded_already_wait_for_no_reader",
    ),
    Bug(
        "a session that locks companies is not named",
        "sql/queries/locks/holders.sql",
        "l.objsubid = 2",
        "l.objsubid = 1",
        "tests/test_lock_holders.py::test_a_stranger_that_holds_an_advisory_lock_of_ours_is_named",
    ),
    Bug(
        "a log of all statements is taken for none",
        "consumer/doctor/sessions.py",
        'settings.get(duration, "-1")) >= 0',
        'settings.get(duration, "-1")) > 0',
        "tests/test_statement_log.py::test_the_doctor_warns_of_what_writes_parameters_and_its_cure_stops_that",
    ),
    Bug(
        "a holder of a lock is logged at each batch",
        "consumer/worker/lock_log.py",
        "            self._logged = set(found)\n",
        "",
        "tests/test_lock_holders.py::test_a_worker_that_waited_in_vain_names_the_holder_once",
    ),
    Bug(
        "a client trusts any server that answers at the socket",
        "consumer/embedded/server.py",
        'guards["requirepeer"]',
        'guards["application_name"]',
        "tests/test_embedded_sockets.py::test_a_stranger_s_process_in_the_socket_s_place_is_not_spoken_to",
    ),
    Bug(
        "a variable of libpq leads past the socket",
        "consumer/embedded/server.py",
        '    "hostaddr",\n',
        "",
        "tests/test_embedded_sockets.py::test_the_uri_leads_to_the_socket_whatever_the_environment_says",
    ),
    Bug(
        "a stranger's folder holds the socket",
        "consumer/embedded/sockets.py",
        " and _is_private(short, uid)",
        "",
        "tests/test_embedded_sockets.py::test_a_place_among_temporary_files_that_is_not_ours_any_more_is_not_used",
    ),
    Bug(
        "a column that nobody classified is stored",
        "sql/migrations/0002.identity.sql",
        "    stack_metadata jsonb,",
        "    stack_phone text, stack_metadata jsonb,",
        "tests/test_data_protection.py::test_each_column_of_our_schemas_stands_on_the_page_once",
    ),
    Bug(
        "the receiver may read bodies",
        "sql/migrations/0001.outbox.sql",
        "), SELECT (seq, source, message_id) ON consumer.outbox",
        "), SELECT (seq, source, message_id, body) ON consumer.outbox",
        "tests/test_data_protection.py::test_the_roles_that_may_read_a_column_are_those_on_the_page",
    ),
)
