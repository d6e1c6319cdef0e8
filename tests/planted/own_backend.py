"""Bugs of what one's own backend sends, and of what it is told."""

from tests.planted.bug import Bug

APP_EVENT_TESTS = "tests/test_app_events.py"

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
)
