"""The record of `python -m tools.verify` has no personal value and no secret, and still tells the story."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.fake_stack.serving import ADMIN_KEY, PROJECT_ID, SERVER_KEY, Port
from tests.support.verify import WITH_ADMIN_KEY, todays_fake, verify
from tools.verify.masks import ITEMS_MAX, Masks

PERSON: dict[str, Any] = {
    "display_name": "Ada Lovelace",
    "primary_email": "ada@analytical.engine",
    "profile_image_url": "https://images.test/ada.png",
    "country_code": "GB",
    "client_metadata": {"Babbage": "a friend", "list": ["Byron", 1815121000]},
    "client_read_only_metadata": "Countess",
    "server_metadata": {"nested": {"Somerville": None}},
    "restricted_by_admin_reason": "rude",
    "restricted_by_admin_private_details": "to Charles",
    "oauth_providers": [{"id": "github", "account_id": "acc-4711", "email": "ada@github.test"}],
}
PLANTED = [
    "Ada",
    "Lovelace",
    "ada@",
    "images.test",
    "GB",
    "Babbage",
    "friend",
    "Byron",
    "1815121000",
    "Countess",
    "Somerville",
    "rude",
    "Charles",
    "github",
    "4711",
    "Engine Ltd",
    "logo.test",
    "hooks.example.com",
    "landlord",
]


@pytest.fixture
def record(stack_port: Port, tmp_path: Path) -> tuple[str, list[str]]:
    """A record, and the ids, keys and times that the project has."""
    fake = stack_port.serve(todays_fake())
    project = fake.project
    [event] = project.sign_up(**PERSON)
    user_id = str(event.data["id"])
    project.create_team(
        creator=user_id,
        display_name="Engine Ltd",
        profile_image_url="https://logo.test/x",
        server_metadata={"key": "landlord"},
    )
    project.definitions["landlord"] = ()
    project.grant(user_id, "landlord")
    report = verify(fake, tmp_path / "verify.json", "--send-test", **WITH_ADMIN_KEY)
    assert report.exit_code == 0, report.text
    [endpoint] = fake.svix.endpoints.values()
    ids = {str(event.data["id"]) for event in project.events if event.type.startswith(("user.", "team."))}
    messages = {event.message_id for event in project.events}
    times = {str(event.data.get("signed_up_at_millis", "never")) for event in project.events}
    keys = {SERVER_KEY, ADMIN_KEY, PROJECT_ID, *fake.svix.tokens, endpoint.id, endpoint.secret, "consumer-verify"}
    return report.record, sorted(ids | messages | times | keys)


def test_no_planted_value_survives(record: tuple[str, list[str]]) -> None:
    text, ids_and_keys = record

    assert len(ids_and_keys) > 20
    assert [value for value in PLANTED if value in text] == []
    assert [value for value in ids_and_keys if value.lower() in text.lower()] == []


def test_the_record_still_tells_who_is_who(record: tuple[str, list[str]]) -> None:
    exchanges = json.loads(record[0])["exchanges"]
    made = [each["response"]["body"]["id"] for each in exchanges if each["claim"] == "making" and is_user(each)]
    deleted = [each["request"]["path"] for each in exchanges if each["request"]["method"] == "DELETE"]
    codes = {each["response"]["body"].get("code") for each in exchanges}

    assert len(set(made)) == 3
    assert f"/api/v1/users/{made[0].upper()}" in deleted
    assert {"USER_NOT_FOUND", "TEAM_NOT_FOUND", "INVALID_SECRET_SERVER_KEY"} <= codes


def is_user(exchange: dict[str, Any]) -> bool:
    return bool(exchange["request"]["path"] == "/api/v1/users")


@pytest.mark.parametrize(
    ("value", "masked"),
    [
        ({"code": "USER_NOT_FOUND", "error": "Ada is gone"}, {"code": "USER_NOT_FOUND", "error": "text-1"}),
        ({"code": "Ada Lovelace"}, {"code": "text-1"}),
        ({"Ada Lovelace": {"Ada": 1}}, {"text-1": {"masked": True}}),
        (
            {"new_field": "Ada", "newer": 4711, "newest": ["Ada"]},
            {"new_field": "masked", "newer": 0, "newest": ["masked"]},
        ),
        ({"server_metadata": None, "details": {}}, {"server_metadata": None, "details": {}}),
        ({"is_anonymous": False, "display_name": ""}, {"is_anonymous": False, "display_name": ""}),
        ({"risk_scores": {"sign_up": {"bot": 7}}}, {"risk_scores": {"sign_up": {"bot": 7}}}),
        (["ada@example.org", "ADA@example.org"], ["person-1@example.com"] * 2),
        ({"timestamp": "2026-11-24T12:00:00Z"}, {"timestamp": "2026-01-01T00:00:01Z"}),
        ({"signed_up_at_millis": 1815121000000}, {"signed_up_at_millis": 1_700_000_000_001}),
        (["user.created", "$update_team", "anonymous"], ["user.created", "$update_team", "anonymous"]),
    ],
    ids=str,
)
def test_a_value_is_replaced_by_its_kind(value: object, masked: object) -> None:
    assert Masks().body(value) == masked


def test_a_long_list_is_cut() -> None:
    assert Masks().body(["user.created"] * (ITEMS_MAX + 1)) == ["user.created"] * 20


def test_ids_are_replaced_in_sentences_paths_and_queries_alike() -> None:
    masks, user_id = Masks(), "0b6f7d52-1c3e-4f0a-9a41-5d2e8c7b1f01"
    masked = masks.text(user_id)

    assert masks.sentence(f"Stack refused GET /api/v1/users/{user_id}: X (404).").endswith(f"/users/{masked}: X (404).")
    assert masks.path(f"/api/v1/users/{user_id.upper()}") == f"/api/v1/users/{masked.upper()}"
    assert masks.query({"cursor": user_id, "limit": "1"}) == {"cursor": masked, "limit": "1"}
    assert masks.text("whsec_abc").startswith("whsec_000")
