"""Bugs of what one's own backend sends, and of what it is told."""

from tests.planted.bug import Bug

APP_EVENT_TESTS = "tests/test_app_events.py"
AUTHOR_TESTS = "tests/test_edit_authors.py"
PUT_PROFILES = "sql/queries/users/put_profiles.sql"
REPEAT_TESTS = "tests/test_prefer_repeats.py"

OWN_BACKEND = (
    Bug(
        "an unknown type of one's own backend is ignored",
        "consumer/events/check.py",
        '        if source == "app":\n            raise',
        '        if source == "operator":\n            raise',
        f"{APP_EVENT_TESTS}::test_a_type_that_is_not_the_applications_is_dead_and_told",
    ),
    Bug(
        "an edit's unknown field is ignored where it is null",
        "consumer/providers/app/payloads.py",
        "            if name not in fields:\n",
        "            if name not in fields and data[name] is not None:\n",
        f"{APP_EVENT_TESTS}::test_an_edit_with_an_unknown_field_is_refused_whatever_its_value",
    ),
    Bug(
        "a user object in camelCase signs in nobody",
        "consumer/providers/app/payloads.py",
        "absent.get(_letters(name))",
        "absent.get(name)",
        f"{APP_EVENT_TESTS}::test_a_user_object_in_camel_case_is_dead_at_the_door",
    ),
    Bug(
        "a field in camelCase beside the field is refused",
        "consumer/providers/app/payloads.py",
        " for field in fields if field not in data}",
        " for field in fields}",
        f"{APP_EVENT_TESTS}::test_other_fields_of_a_user_object_are_fine",
    ),
    Bug(
        "a repeat of a request that did not wait gets the profile",
        "sql/migrations/0006.following.sql",
        "(asked.request_id = o.request_id) IS NOT TRUE AS is_repeat",
        "coalesce(asked.request_id <> o.request_id, FALSE) AS is_repeat",
        f"{REPEAT_TESTS}::test_a_request_that_did_not_wait_makes_its_repeat_no_first",
    ),
    Bug(
        "a repeat is known by its message id alone",
        "consumer/receiver/endpoint.py",
        "delivery._replace(request_id=uuid4())",
        "delivery._replace(request_id=type(uuid4())(int=1))",
        f"{REPEAT_TESTS}::test_a_captured_request_is_answered_with_the_state_alone",
    ),
    Bug(
        "any type that names an id returns that person",
        "consumer/receiver/endpoint.py",
        "        if is_waiting and (delivery.event_type in APP_TYPES or delivery.error_code):\n",
        "        if is_waiting:\n",
        "tests/test_prefer.py::test_a_type_of_one_s_own_is_not_waited_for",
    ),
    Bug(
        "the audit names an edit's author only where the edit is the cause",
        PUT_PROFILES,
        "INNER JOIN consumer.outbox AS o ON e.seq = o.seq\n",
        "INNER JOIN consumer.outbox AS o ON e.seq = o.seq AND e.seq = c.seq\n",
        f"{AUTHOR_TESTS}::test_in_one_batch_the_edit_is_named_beside_a_snapshot_that_is_the_cause",
    ),
    Bug(
        "the author of a withdrawal is not named",
        PUT_PROFILES,
        "                            OR (e.value IS NULL AND e.seq = ANY(%(seqs)b::bigint[]))\n",
        "",
        f"{AUTHOR_TESTS}::test_a_withdrawal_is_named_and_later_changes_at_the_source_are_not",
    ),
    Bug(
        "an edit that gives no value is named beside another change",
        PUT_PROFILES,
        "OR (e.value IS NULL AND e.seq",
        "OR (e.seq",
        f"{AUTHOR_TESTS}::test_an_edit_that_gives_no_value_is_not_named_beside_the_move_that_stack_makes",
    ),
    Bug(
        "the audit reads an edit's author from bytes that PostgreSQL can't cast",
        PUT_PROFILES,
        "convert_from(coalesce(o.reduced, o.body), 'UTF8')",
        "convert_from(o.body, 'UTF8')",
        f"{AUTHOR_TESTS}::test_an_edit_is_read_without_the_part_that_cannot_be_stored",
    ),
    Bug(
        "an edit's author is named for every field",
        PUT_PROFILES,
        "                    WHERE e.key = ANY(s.changed_fields)\n",
        "",
        f"{AUTHOR_TESTS}::test_a_move_names_the_edit_under_both_companies_and_another_edit_under_the_new_one_alone",
    ),
    Bug(
        "what was said of a forgotten user's edits stays in the audit",
        "sql/migrations/0002.identity.sql",
        "        edited_by = NULL,\n        reason = NULL\n",
        "        edited_by = NULL\n",
        f"{AUTHOR_TESTS}::test_of_a_forgotten_user_nothing_that_was_said_is_left",
    ),
    Bug(
        "a blank e-mail is an address",
        "sql/queries/users/mirror.sql",
        "        consumer.metadata_text(f.data, 'primary_email'),\n",
        "        nullif(f.data ->> 'primary_email', ''),\n",
        "tests/test_effects.py::test_a_blank_e_mail_is_none",
    ),
    Bug(
        "the page's callback does not say who is anonymous",
        "docs/LIBRARY.md",
        ', "is_anonymous": is_anonymous}',
        "}",
        "tests/test_library.py::test_a_callback_gives_no_profile_to_an_anonymous_visitor",
    ),
    Bug(
        "the page's callback waits for ever",
        "docs/LIBRARY.md",
        ", timeout=5) as answer",
        ", timeout=600) as answer",
        "tests/test_library.py::test_a_callback_cannot_hang_or_fail_a_sign_in",
    ),
    Bug(
        "a type that came before its release stays dead",
        "consumer/operations/replay.py",
        "dead.error_code in READ_FIRST_TODAY or stored[1:-1] == UNREADABLE",
        "stored[1:-1] == UNREADABLE",
        "tests/test_own_types.py::test_what_came_too_early_has_its_effect_after_a_retry",
    ),
)
