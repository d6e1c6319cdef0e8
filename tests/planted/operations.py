"""Bugs of what an operator is told."""

from tests.planted.bug import Bug

SETTINGS_TESTS = "tests/laws/test_odd_settings.py"
LIMITS_TESTS = "tests/test_session_limits.py"

OPERATIONS = (
    Bug(
        "only the last of several hosts is said to fail",
        "consumer/process/outage_log.py",
        "len(_places(parts)) > 1",
        "len(_places(parts)) > 2",
        "tests/test_outage.py::test_an_error_of_several_hosts_says_what_each_answered",
    ),
    Bug(
        "a table that does not fit is cut",
        "consumer/cli/output.py",
        ".maximum <= out.width:",
        ".minimum <= 10 * out.width:",
        "tests/test_terminal.py::test_every_value_is_whole",
    ),
    Bug(
        "a silent source is told a day late",
        "consumer/verdict/senders.py",
        "elif silence > max(",
        "elif silence > timedelta(days=1) + max(",
        "tests/test_findings.py::test_a_source_with_a_secret_may_be_silent_for_so_long",
    ),
    Bug(
        "a source without a secret is silent",
        "consumer/verdict/senders.py",
        "sorted(observation.expected)",
        "sorted({*observation.expected, *observation.last_received})",
        "tests/test_findings.py::test_a_source_with_a_secret_may_be_silent_for_so_long",
    ),
    Bug(
        "a receiver with a full disk is ready",
        "consumer/cli/serve.py",
        "readiness.reason or found or await",
        "readiness.reason or await",
        "tests/test_disk_full.py::test_a_receiver_that_can_store_nothing_is_not_ready_and_says_so_once",
    ),
    Bug(
        "functions of the search path come before PostgreSQL's own",
        "sql/queries/connections/enter.sql",
        "concat('pg_catalog, ', pg_catalog.current_setting('search_path')), ', ')",
        "current_setting('search_path'))",
        f"{SETTINGS_TESTS}::test_no_setting_changes_a_row",
    ),
    Bug(
        "row_security is left as it is",
        "sql/queries/connections/enter.sql",
        "    pg_catalog.set_config('row_security', 'on', %(is_local)b::boolean),\n",
        "",
        f"{SETTINGS_TESTS}::test_no_setting_changes_a_row",
    ),
    Bug(
        "a setting outlives its transaction behind a pooler",
        "sql/queries/connections/enter.sql",
        "pg_catalog.set_config('jit', 'off', %(is_local)b::boolean)",
        "pg_catalog.set_config('jit', 'off', FALSE)",
        f"{LIMITS_TESTS}::test_the_limits_of_a_transaction_end_with_it",
    ),
    Bug(
        "the migrator's session has the settings of its login",
        "consumer/postgres/migrator.py",
        "    if not is_pooled(conn):\n        isolate",
        "    if is_pooled(conn):\n        isolate",
        "tests/test_migrator.py::test_odd_settings_change_nothing_of_what_is_made",
    ),
    Bug(
        "a database that is read-only is written to",
        "sql/queries/connections/is_read_only_login.sql",
        "source IN ('user', 'database user')",
        "source <> 'default'",
        "tests/test_intake_readiness.py::test_what_a_receiver_says_of_its_database",
    ),
    Bug(
        "the search by name knows no Greek capitals",
        "sql/migrations/0005.tenants.sql",
        "'ΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩ'",
        "'αβγδεζηθικλμνξοπρστυφχψω'",
        "tests/test_locales.py::test_a_name_is_found_by_each_form_of_it",
    ),
    Bug(
        "ssl=true wins over sslmode=verify-full",
        "consumer/settings/conninfo.py",
        'has_mode="sslmode" in names',
        "has_mode=False",
        "tests/test_connection_strings.py::test_a_mode_of_encryption_is_translated_and_never_weakened",
    ),
)
