"""Which settings write parameters to the server's log, by each of their values, and what the doctor says of them."""

import pytest

from consumer.doctor.check import Check
from consumer.doctor.sessions import StatementLog, judge_statement_logs, leaks_of

SHOP, OWN = "shop", "own"


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({"log_statement": "ddl"}, []),
        ({"log_statement": "mod"}, [("log_statement = mod", "log_parameter_max_length = 0", False)]),
        (
            {"log_statement": "all", "log_parameter_max_length": "1", "log_min_messages": "warning"},
            [("log_statement = all", "log_parameter_max_length = 0", False)],
        ),
        ({"log_statement": "all", "log_parameter_max_length": "0"}, []),
        ({"log_statement": "all", "log_min_messages": "panic"}, []),
        ({"log_statement": "all", "log_min_messages": "fatal"}, []),
        ({"log_min_duration_statement": "-1"}, []),
        (
            {"log_min_duration_statement": "0"},
            [("log_min_duration_statement = 0", "log_parameter_max_length = 0", False)],
        ),
        ({"log_min_duration_sample": "0"}, []),
        ({"log_min_duration_sample": "0", "log_statement_sample_rate": "0"}, []),
        ({"log_min_duration_sample": "-1", "log_statement_sample_rate": "0.1"}, []),
        (
            {"log_min_duration_sample": "0", "log_statement_sample_rate": "0.1"},
            [("log_min_duration_sample = 0", "log_parameter_max_length = 0", False)],
        ),
        ({"log_transaction_sample_rate": "0"}, []),
        (
            {"log_transaction_sample_rate": "0.01"},
            [("log_transaction_sample_rate = 0.01", "log_parameter_max_length = 0", False)],
        ),
        ({"debug_print_plan": "off"}, []),
        ({"debug_print_plan": "on"}, [("debug_print_plan = on", "debug_print_plan = off", True)]),
        ({"debug_print_plan": "on", "log_error_verbosity": "terse"}, []),
        ({"log_parameter_max_length_on_error": "0"}, []),
        (
            {"log_parameter_max_length_on_error": "9"},
            [("log_parameter_max_length_on_error = 9", "log_parameter_max_length_on_error = 0", True)],
        ),
        ({"log_parameter_max_length_on_error": "9", "log_min_messages": "log"}, []),
        ({"log_parameter_max_length_on_error": "9", "log_min_messages": "fatal"}, []),
        ({"log_parameter_max_length_on_error": "9", "log_error_verbosity": "terse"}, []),
        ({"auto_explain.log_min_duration": "-1"}, []),
        (
            {"auto_explain.log_min_duration": "0", "log_error_verbosity": "terse"},
            [("auto_explain.log_min_duration = 0", "auto_explain.log_min_duration = -1", False)],
        ),
        ({"auto_explain.log_min_duration": "0", "log_min_messages": "fatal"}, []),
        ({"pgaudit.log_parameter": "on"}, []),
        (
            {"pgaudit.log_parameter": "on", "pgaudit.log": "read"},
            [("pgaudit.log_parameter = on", "pgaudit.log_parameter = off", False)],
        ),
    ],
)
def test_each_setting_leaks_from_its_own_value_on(settings: dict[str, str], found: list[tuple[str, str, bool]]) -> None:
    assert [(leak.setting, leak.cure, leak.is_own) for leak in leaks_of(settings)] == found


def test_leaks_of_several_logins_are_one_warning_with_each_statement_once() -> None:
    logs = [
        StatementLog("quiet", {"log_statement": "none"}),
        StatementLog(SHOP, {"log_statement": "all", "log_min_duration_statement": "5"}),
        StatementLog(OWN, {"debug_print_plan": "on", "log_statement": "all"}),
    ]
    who = "Only a superuser or a managed server's provider may: "
    restart = " Then restart our processes. Do the same for your application's logins."

    assert judge_statement_logs(logs) == [
        Check(
            "statement log",
            "warning",
            "log_statement = all, log_min_duration_statement = 5, debug_print_plan = on: the server's log gets the "
            "personal data in our parameters, from shop, own",
            f"{who}ALTER ROLE {SHOP} SET log_parameter_max_length = 0; "
            f"ALTER ROLE {OWN} SET log_parameter_max_length = 0; "
            f"ALTER ROLE {OWN} SET debug_print_plan = off;{restart}",
        )
    ]
    assert judge_statement_logs(logs[:1]) == [Check("statement log", "ok", "the server logs no parameters of ours")]
