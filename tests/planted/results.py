"""Bugs of what the console says came of an action."""

from tests.planted.bug import Bug

RESULTS = "tests/test_console_results.py"
TEMPLATES = "consumer/console/templates"

CONSOLE_RESULTS = (
    Bug(
        "what is put back counts as changed",
        f"{TEMPLATES}/action.html",
        "{% if not (action.begun_at and parts.affects(action)|trim) %}",
        "{% if action.begun_at %}",
        f"{RESULTS}::test_a_retry_says_that_workers_apply_what_it_has_put_back_and_leads_to_what_is_dead",
    ),
    Bug(
        "what died again is not counted",
        "sql/queries/actions/dead_now.sql",
        "AND state = 'dead'",
        "AND state = 'retrying'",
        f"{RESULTS}::test_of_deliveries_chosen_by_number_the_page_says_how_many_are_dead_now",
    ),
    Bug(
        "a check leads to a rebuild of everybody",
        "consumer/console/results.py",
        "if chosen.get(name)}",
        "if chosen.get(field)}",
        f"{RESULTS}::test_a_check_says_what_a_rebuild_would_change_and_leads_there",
    ),
    Bug(
        "a company that differs is taken for a user",
        "consumer/console/actions.py",
        "await labels.is_team(conn, UUID(first))",
        "False",
        f"{RESULTS}::test_the_first_that_a_check_names_may_be_a_company",
    ),
    Bug(
        "an order stands among the earlier actions too",
        "consumer/console/recovery.py",
        "if not each.is_order]",
        "]",
        "tests/test_console_recovery.py::test_an_order_stands_among_the_orders_alone",
    ),
    Bug(
        "a deleted user is confirmed",
        f"{TEMPLATES}/user.html",
        "{% if user.deleted_at %} Stack deleted",
        "{% if user.is_erased %} Stack deleted",
        f"{RESULTS}::test_of_a_deleted_user_something_may_wait",
    ),
    Bug(
        "a refresh is offered without a key",
        "consumer/console/visit.py",
        'not in {"", "not set"}',
        "is not None",
        "tests/test_console_subjects.py::test_a_refresh_without_a_key_says_which_settings_it_needs",
    ),
    Bug(
        "a page of the record of actions leaves out some of the same millisecond",
        "consumer/console/actions.py",
        ".timestamp():.6f}",
        ".timestamp():.3f}",
        f"{RESULTS}::test_the_record_of_actions_goes_on_where_a_page_ended",
    ),
    Bug(
        "personal data of a user is revealed without a record of the reason",
        "consumer/console/reveal.py",
        '{"user_id": user_id}, reason=reason), 1)',
        '{"user_id": user_id}), 1)',
        "tests/test_console_reveal.py::test_an_operator_reveals_a_user_once_for_a_recorded_reason",
    ),
)
