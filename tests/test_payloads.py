"""What each event must hold, held against the sender's own schemas and recordings."""

from uuid import UUID

import jsonschema
import orjson
import pytest
from msgspec import structs

from consumer.errors import BadPayload
from consumer.events.check import check
from consumer.events.registry import EVENT_TYPES
from consumer.providers.payload import MILLIS_MAX, MILLIS_MIN, TEXT_MAX
from consumer.providers.stack.payloads import DISPLAY_NAME_MAX, EMAIL_MAX, PERMISSION_ID_MAX
from tests.support.samples import INVALID, INVALID_PATHS, OURS, SCHEMAS, TEAM_ID, USER_ID, VALID, body, payload, source

# One value of each JSON type, the integer and the string fit for a time and an id.
VALUES: tuple[object, ...] = (None, True, MILLIS_MIN, 0.5, USER_ID, [], {}, [1], {"id": USER_ID})
# The schemas close these strings; a word that the sender adds must not stop a user.
OURS_SCHEMA = {"properties": {"data": {"required": ["id"]}}}
OPEN_STRINGS = {"country_code", "short_id", "times_seen", "status", "substatus"}

TIMES = [
    (event_type, name)
    for event_type in EVENT_TYPES
    for name in EVENT_TYPES[event_type].payload.__struct_fields__
    if name.endswith("_at_millis") and name not in EVENT_TYPES[event_type].payload.loose
]


def fault(event_type: str, data: object) -> BadPayload | None:
    try:
        check(body(event_type, data), source(event_type))
    except BadPayload as error:
        return error
    return None


def changed_fields(event_type: str, data: object) -> tuple[str, ...]:
    return check(body(event_type, data), source(event_type)).changed_fields


def read(event_type: str) -> set[str]:
    """Return the fields of which rows are made."""
    return {field.encode_name for field in structs.fields(EVENT_TYPES[event_type].payload)}


def required(event_type: str) -> set[str]:
    return {field.encode_name for field in structs.fields(EVENT_TYPES[event_type].payload) if field.required}


def changes(event_type: str) -> list[tuple[str, object]]:
    """Return every field of a type with a value of each JSON type."""
    fields = SCHEMAS[event_type]["properties"]["data"]["properties"]
    return [
        (name, value)
        for name in fields
        for value in VALUES
        if not (isinstance(value, str) and name in OPEN_STRINGS)
        # Of a selected team only the id is required.
        and not (name == "selected_team" and isinstance(value, dict))
    ]


def is_valid(document: object, event_type: str) -> bool:
    return bool(jsonschema.Draft202012Validator(SCHEMAS[event_type]).is_valid(document))


@pytest.mark.parametrize("name", VALID)
def test_every_recorded_body_is_usable_and_as_documented(name: str) -> None:
    event = check(VALID[name], "stack")

    assert (event.type, event.changed_fields) == (orjson.loads(VALID[name])["type"], ())


@pytest.mark.parametrize("name", INVALID)
def test_every_unusable_body_is_refused_at_its_path(name: str) -> None:
    with pytest.raises(BadPayload) as caught:
        check(INVALID[name], "stack")

    assert caught.value.path == INVALID_PATHS[name.removeprefix("samples-invalid/").removesuffix(".json")]


def test_every_type_of_the_sender_is_known() -> None:
    assert EVENT_TYPES.keys() - OURS.keys() == SCHEMAS.keys()


@pytest.mark.parametrize("event_type", SCHEMAS)
def test_a_changed_field_makes_an_event_unusable_only_if_a_row_is_made_of_it(event_type: str) -> None:
    for name, value in changes(event_type):
        data = payload(event_type, **{name: value})
        is_optional = name not in required(event_type) or name in EVENT_TYPES[event_type].payload.loose
        is_expected = is_valid({"type": event_type, "data": data}, event_type) or (is_optional and value is None)
        is_free = name not in read(event_type) or name == "last_active_at_millis"

        assert (fault(event_type, data) is None) == (is_expected or is_free), (name, value)


@pytest.mark.parametrize("event_type", SCHEMAS)
def test_a_changed_field_of_which_no_row_is_made_is_named(event_type: str) -> None:
    for name, value in changes(event_type):
        if name not in read(event_type):
            data = payload(event_type, **{name: value})
            is_as_documented = is_valid({"type": event_type, "data": data}, event_type)

            assert changed_fields(event_type, data) == (() if is_as_documented else (name,)), value


@pytest.mark.parametrize(
    ("event_type", "field"),
    [("user.updated", "id"), ("team.updated", "id"), ("profile.edited", "company_id")],
)
def test_what_is_no_uuid_is_called_so_instead_of_by_a_pattern(event_type: str, field: str) -> None:
    error = fault(event_type, payload(event_type, **{field: "six of seven"}))

    assert error
    assert (error.path, error.reason) == (f"$.data.{field}", "Expected a UUID with its hyphens")


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_a_missing_field_is_told_by_its_path_if_a_row_is_made_of_it_and_else_named(event_type: str) -> None:
    data = payload(event_type)

    for name in SCHEMAS.get(event_type, OURS_SCHEMA)["properties"]["data"]["required"]:
        rest = {key: value for key, value in data.items() if key != name}
        error = fault(event_type, rest)

        if name not in required(event_type):
            assert (error, changed_fields(event_type, rest)) == (None, (name,))
            continue
        assert error
        assert (error.code, error.path, error.reason) == ("bad_shape", f"$.data.{name}", "Required field is missing")


@pytest.mark.parametrize(
    ("event_type", "fields", "path"),
    [
        ("user.updated", {"selected_team": {"display_name": "T"}}, "selected_team.id"),
        ("user.updated", {"selected_team": payload("team.created", id=None)}, "selected_team.id"),
        ("user.signed_in", {"selected_team": {"display_name": "T"}}, "selected_team.id"),
    ],
)
def test_a_fault_inside_an_object_is_told_by_its_path(event_type: str, fields: dict[str, object], path: str) -> None:
    error = fault(event_type, payload(event_type, **fields))

    assert error
    assert error.path == f"$.data.{path}"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(USER_ID, id="lower case"),
        pytest.param(USER_ID.upper(), id="upper case"),
        pytest.param("00000000-0000-0000-0000-000000000000", id="nil"),
        pytest.param("FFFFFFFF-FFFF-FFFF-FFFF-ffffffffffff", id="no version"),
    ],
)
def test_an_id_is_a_canonical_uuid_of_any_version(text: str) -> None:
    assert check(body("team.deleted", {"id": text}), "stack").team_id == UUID(text)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(USER_ID.replace("-", ""), id="no hyphens"),
        pytest.param(f"{{{USER_ID}}}", id="braces"),
        pytest.param(f"urn:uuid:{USER_ID}", id="URN"),
        pytest.param(f"{USER_ID}\n", id="a line feed after it"),
        pytest.param(f" {USER_ID}", id="a space before it"),
        pytest.param(USER_ID.replace("6f", "6g"), id="not hexadecimal"),
        pytest.param(USER_ID.replace("6", "\u0666"), id="an Arabic digit"),
        pytest.param("6f1c2f0e9-d3b-4a57-8c21-0b7d5e9a4f10", id="a hyphen elsewhere"),
        pytest.param("", id="empty"),
    ],
)
@pytest.mark.parametrize(
    ("event_type", "field"),
    [("user.deleted", "id"), ("team_membership.created", "team_id"), ("profile.edited", "company_id")],
)
def test_no_other_form_is_an_id(event_type: str, field: str, text: str) -> None:
    error = fault(event_type, payload(event_type, **{field: text}))

    assert error
    assert error.path == f"$.data.{field}"


@pytest.mark.parametrize("permission", ["", "$", "Admin", "team admin", "admin\n", "a-b", "a$", 7])
def test_a_permission_is_lower_case_letters_digits_underscores_and_colons(permission: object) -> None:
    error = fault("project_permission.created", payload("project_permission.created", id=permission))

    assert error
    assert error.path == "$.data.id"


@pytest.mark.parametrize(
    ("event_type", "field", "longest"),
    [
        ("user.updated", "display_name", "x" * DISPLAY_NAME_MAX),
        ("user.updated", "display_name", "\N{ROCKET}" * (DISPLAY_NAME_MAX // 2)),
        ("user.signed_in", "display_name", "\N{ROCKET}" * (DISPLAY_NAME_MAX // 2)),
        ("user.updated", "primary_email", "x" * EMAIL_MAX),
        ("user.updated", "profile_image_url", "x" * TEXT_MAX),
        ("team_permission.created", "id", "x" * PERMISSION_ID_MAX),
        ("profile.edited", "role_type", "x" * TEXT_MAX),
        ("profile.edited", "department", "x" * TEXT_MAX),
    ],
    ids=lambda value: value if len(value) < 32 else f"{len(value)} characters",
)
def test_a_text_has_a_longest_length(event_type: str, field: str, longest: str) -> None:
    error = fault(event_type, payload(event_type, **{field: longest + "x"}))

    assert fault(event_type, payload(event_type, **{field: longest})) is None
    assert error
    assert error.path == f"$.data.{field}"


@pytest.mark.parametrize(("event_type", "field"), TIMES)
def test_a_time_is_an_integer_from_2000_to_2100(event_type: str, field: str) -> None:
    good = [fault(event_type, payload(event_type, **{field: millis})) for millis in (MILLIS_MIN, MILLIS_MAX)]
    bad = [
        fault(event_type, payload(event_type, **{field: millis}))
        for millis in (
            MILLIS_MIN - 1,
            MILLIS_MAX + 1,
            1795330800123.5,
            1795330800123.0,
            -1,
            0,
            2**64 - 1,
            "1795330800123",
        )
    ]

    assert good == [None, None]
    assert [error and error.path for error in bad] == [f"$.data.{field}"] * len(bad)


@pytest.mark.parametrize("millis", ["1.7953308e12", "1795330800123.0", "17953308001230e-1", "18446744073709551616"])
def test_a_time_in_another_notation_is_refused(millis: str) -> None:
    with pytest.raises(BadPayload, match=r"\$\.data\.signed_in_at_millis"):
        check(f'{{"type":"user.signed_in","data":{{"id":"{USER_ID}","signed_in_at_millis":{millis}}}}}'.encode(), "app")


@pytest.mark.parametrize("field", ["role_type", "department"])
@pytest.mark.parametrize("blank", ["", " ", "\t\u00a0\u2003\x1c"])
def test_an_edit_to_a_blank_is_refused(field: str, blank: str) -> None:
    error = fault("profile.edited", {"id": USER_ID, field: blank})

    assert error
    assert error.path == f"$.data.{field}"


@pytest.mark.parametrize(
    "fields",
    [
        {"role_type": " owner "},
        {"role_type": None, "department": None, "company_id": None},
        {"company_id": TEAM_ID.upper()},
    ],
)
def test_an_edit_sets_or_withdraws_any_of_its_fields(fields: dict[str, object]) -> None:
    assert fault("profile.edited", {"id": USER_ID, **fields}) is None
