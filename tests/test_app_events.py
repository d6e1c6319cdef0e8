"""Mistakes of one's own backend: what `/webhooks/app` takes, and what it stores dead with the reason."""

import orjson
import pytest

from consumer.errors import BadPayload
from consumer.events.check import check
from tests.support.databases import rows
from tests.support.samples import TEAM_ID, USER_ID, body
from tests.support.web import APP_SECRET, SECRET, Site, post

FIELDS = ("display_name", "primary_email", "profile_image_url", "last_active_at_millis", "is_anonymous")
ONLY = "Expected only id, role_type, department, company_id, edited_by, reason"
TYPES = "Expected one of user.signed_in, user.signed_out, profile.edited"


def refusal(event_type: str, data: object, source: str = "app") -> tuple[str, str] | None:
    try:
        check(body(event_type, data), source)
    except BadPayload as error:
        return error.code, str(error)
    return None


def camel(field: str) -> str:
    first, *others = field.split("_")
    return first + "".join(map(str.capitalize, others))


def stored_by(site: Site, url: str, source: str, event_type: str, data: object) -> tuple[object, ...]:
    secret = {"stack": SECRET, "app": APP_SECRET}[source]
    assert site.ask(post(body(event_type, data), path=f"/webhooks/{source}", secret=secret)).status == 204
    [row] = rows(url, "SELECT state, event_type, user_id::text, error_code, error FROM consumer.deliveries")
    return tuple(row.values())


@pytest.mark.parametrize(
    "event_type",
    [
        *("user.updated", "user.deleted", "team_membership.created", "stack.test", "company.declared"),
        *(
            "order.placed",
            "User.Signed_In",
            "user.signed_in ",
            " user.signed_in",
            "user.signedIn",
            "user.signed-in",
            "",
        ),
    ],
)
def test_a_type_that_is_not_the_applications_is_dead_and_told(site: Site, emptied: str, event_type: str) -> None:
    found = stored_by(site, emptied, "app", event_type, {"id": USER_ID})

    assert (found[0], found[1], *found[3:]) == ("dead", event_type, "unknown_type", f"$.type: {TYPES}")


def test_a_type_unknown_from_stack_is_still_ignored_later(site: Site, emptied: str) -> None:
    found = stored_by(site, emptied, "stack", "user.teleported", {"id": USER_ID})

    assert found == ("pending", "user.teleported", USER_ID, None, None)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        *((name, f"$.data.{name}") for name in ("roleType", "role", "Role_Type", "full_name", "email", "user_id")),
        *(("role-type", "$.data.role-type"), ("_", "$.data._"), ("x" * 64, f"$.data.{'x' * 64}")),
        # What could be anything, even somebody's address, is not repeated.
        *((name, "$.data") for name in ("", "role_type ", "mara@example.com", "x" * 65, "ro\nle", "Rolle: ä")),
    ],
)
@pytest.mark.parametrize("value", ["owner", None, {}])
def test_an_edit_with_an_unknown_field_is_refused_whatever_its_value(name: str, path: str, value: object) -> None:
    expected = ("unknown_field", f"{path}: {ONLY}")

    assert refusal("profile.edited", {"id": USER_ID, name: value}) == expected
    assert refusal("profile.edited", {name: value, "id": USER_ID, "role_type": "owner"}) == expected
    assert refusal("profile.edited", {name: value}) == expected


def test_an_edit_with_an_unknown_field_is_dead_at_the_door(site: Site, emptied: str) -> None:
    found = stored_by(site, emptied, "app", "profile.edited", {"id": USER_ID, "roleType": "admin"})

    assert found == ("dead", "profile.edited", USER_ID, "unknown_field", f"$.data.roleType: {ONLY}")


@pytest.mark.parametrize("value", ["x", None, 7])
@pytest.mark.parametrize("event_type", ["user.signed_in", "user.signed_out"])
@pytest.mark.parametrize("field", FIELDS)
def test_a_user_object_in_another_notation_is_refused(event_type: str, field: str, value: object) -> None:
    fields = {"primary_email": None, "is_anonymous": False}
    fields.pop(field, None)
    for name in (camel(field), camel(field).title(), field.upper(), field.replace("_", "-")):
        found = refusal(event_type, {"id": USER_ID, **fields, name: value})

        assert found == ("unknown_field", f"$.data.{name}: Expected {field}")


def test_a_user_object_in_camel_case_is_dead_at_the_door(site: Site, emptied: str) -> None:
    user = {"id": USER_ID, "displayName": "Ada", "primaryEmail": "ada@example.com", "isAnonymous": True}

    found = stored_by(site, emptied, "app", "user.signed_in", user)

    expected = "$.data.displayName: Expected display_name"
    assert found == ("dead", "user.signed_in", USER_ID, "unknown_field", expected)


@pytest.mark.parametrize(
    ("event_type", "name", "field"),
    [
        ("user.signed_in", "signedInAtMillis", "signed_in_at_millis"),
        ("user.signed_out", "signedOutAtMillis", "signed_out_at_millis"),
        ("user.signed_in", "profileImageURL", "profile_image_url"),
    ],
)
def test_other_fields_of_a_sign_in_have_one_notation_too(event_type: str, name: str, field: str) -> None:
    found = refusal(event_type, {"id": USER_ID, name: 1_795_330_800_123})

    assert found == ("unknown_field", f"$.data.{name}: Expected {field}")


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"display_name": "Ada", "displayName": "Grace"}, id="beside the field"),
        pytest.param({"display_name": None, "displayName": "Grace"}, id="beside null"),
        pytest.param({"theme": "dark", "name": "Ada", "clientMetadata": {}}, id="unknown"),
        pytest.param(
            {"hasPassword": True, "primaryEmailVerified": True, "signedUpAt": 5}, id="fields that nobody reads"
        ),
        pytest.param({"selected_team": {"id": TEAM_ID, "displayName": "Crew"}}, id="inside a team that nobody reads"),
        pytest.param({"profile": {"displayName": "Ada"}, "": 1, "\u0130": 2}, id="inside an unknown field"),
    ],
)
@pytest.mark.parametrize("event_type", ["user.signed_in", "user.signed_out"])
def test_other_fields_of_a_user_object_are_fine(event_type: str, fields: dict[str, object]) -> None:
    assert refusal(event_type, {"id": USER_ID, "primary_email": None, "is_anonymous": False, **fields}) is None


def test_stacks_user_objects_may_have_any_other_field() -> None:
    assert refusal("user.signed_in", {"id": USER_ID, "displayName": "Ada"}, "stack") is None


@pytest.mark.parametrize("data", [None, [], "x", 7])
def test_data_that_is_no_object_has_a_bad_shape(data: object) -> None:
    codes = [(refusal(name, data) or ("",))[0] for name in ("user.signed_in", "profile.edited")]

    assert codes == ["bad_shape", "bad_shape"]


def test_keys_beside_the_data_are_fine() -> None:
    event = {"type": "profile.edited", "timestamp": "2026-11-24T12:00:00Z", "data": {"id": USER_ID}}

    assert check(orjson.dumps(event), "app").type == "profile.edited"
