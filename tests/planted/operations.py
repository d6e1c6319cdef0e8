"""Bugs of what an operator is told."""

from tests.planted.bug import Bug

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
        "consumer/process/findings.py",
        "> observation.silence_max",
        "> observation.silence_max + timedelta(days=1)",
        "tests/test_findings.py::test_a_source_with_a_secret_may_be_silent_for_so_long",
    ),
    Bug(
        "a source without a secret is silent",
        "consumer/process/findings.py",
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
)
