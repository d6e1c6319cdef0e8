"""The fake answers each recorded request with an answer of the recorded shape, and all it answers fits the schemas."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from tests.support.fake_stack import Event, FakeStack, Project
from tests.support.fake_stack.serving import Port
from tests.support.fake_stack.shapes import TEAM_KEYS, new_user
from tests.support.fake_stack.svix import Endpoint, Svix
from tests.support.processes import ROOT

DATA = ROOT / "tests" / "data" / "rest"
SAMPLES = {
    path.relative_to(DATA / "samples").with_suffix("").as_posix(): path for path in DATA.glob("samples/*/*.json")
}
SCHEMAS: dict[str, Any] = {
    path.relative_to(DATA / "schemas").with_suffix("").as_posix(): Draft202012Validator(json.loads(path.read_bytes()))
    for path in DATA.rglob("schemas/**/*.json")
}
ODA, TIB, ANONYMOUS, WEN, ILSE = (
    "0b6f7d52-1c3e-4f0a-9a41-5d2e8c7b1f01",
    "2f9a1c44-7b60-4e5d-8d13-a1b2c3d4e502",
    "4d81e0b7-92aa-4c6f-b7e5-0f1e2d3c4b03",
    "8c3e5f19-d4b2-4a70-9f8e-6a5b4c3d2e04",
    "f0e1d2c3-b4a5-4968-8776-655443322105",
)
QUILLMARK, NAMELESS = "3a7c9e21-5b4d-4f86-a0c2-1e3d5f7a9b01", "9d2b4f60-8e1c-4a35-bd74-c6e8f0a2b402"
ENDPOINT = "ep_2aAbBcCdDeEfFgGhHiIjJkKlLmM"
COMPUTED = {"selected_team", "is_restricted", "restricted_reason"}
# What the server makes up, and what one endpoint answers to one message.
MADE_UP = {"token", "key", "id", "url", "createdAt", "updatedAt", "status", "statusText", "timestamp"}
MADE_UP_IN = ("post-svix-token", "svix-create-endpoint", "svix-recover", "svix-list-attempt")


def recorded(name: str) -> dict[str, Any]:
    sample: dict[str, Any] = json.loads((DATA / "samples" / f"{name}.json").read_bytes())
    return sample


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def project() -> Project:
    """The recorded project."""
    truth = Project(now=at("2026-11-02T10:00:00Z"), requires_verified_email=True)
    truth.definitions |= {"moderator": (), "team_admin": ("$update_team", "team_member")}
    teams = recorded("get-teams/1-plain")["response"]["body"]["items"]
    users = recorded("get-users/2-all")["response"]["body"]["items"]
    for team in teams:
        truth.teams.put(team["id"], {key: team[key] for key in TEAM_KEYS}, truth.now)
    for user in users:
        stored = {key: value for key, value in user.items() if key not in COMPUTED}
        truth.users.put(user["id"], new_user(user["id"], truth.now) | stored, truth.now)
    for profile in recorded("get-team-member-profiles/1-of-team")["response"]["body"]["items"]:
        member = {key: profile[key] for key in ("display_name", "profile_image_url")}
        truth.members.put((profile["team_id"], profile["user_id"]), member, truth.now)
    for each in recorded("get-team-permissions/1-of-team")["response"]["body"]["items"]:
        truth.team_permissions.put((each["team_id"], each["user_id"], each["id"]), {}, truth.now)
    truth.project_permissions.put((ODA, "moderator"), {}, truth.now)
    pages = [recorded(f"svix-list-messages/{page}")["response"]["body"] for page in ("2-last-page", "1-newest-first")]
    messages = sorted((each for page in pages for each in page["data"]), key=lambda each: str(each["id"]))
    for each in messages:
        event = Event(each["id"], each["payload"]["type"], each["payload"]["data"], at(each["timestamp"]))
        truth.events.append(event)
    return truth


def recorded_fake() -> FakeStack:
    """The server of the samples, with its one endpoint and the tokens that the samples name."""
    secret = recorded("svix-endpoint-secret/1")["response"]["body"]["key"]
    made = at("2026-11-01T08:00:00.123456Z")
    svix = Svix(tokens=["appsk_made_up"])
    svix.endpoints[ENDPOINT] = Endpoint(ENDPOINT, "https://hooks.example.com/webhooks/stack", "", secret, made)
    return FakeStack(project=project(), svix=svix)


def an_old_server(fake: FakeStack) -> None:
    fake.age = "old"


def the_oldest_server(fake: FakeStack) -> None:
    fake.age = "oldest"
    for user_id in list(fake.project.users.latest):
        if user_id != TIB:
            fake.project.users.drop(user_id, fake.project.now)
    changes = {"primary_email": "old@example.com", "display_name": "Old Server", "has_password": False}
    fake.project.change_silently(TIB, otp_auth_enabled=True, **changes)


def a_deleted_user(fake: FakeStack) -> None:
    fake.project.delete_user(TIB)


def an_endpoint_that_fails(fake: FakeStack) -> None:
    fake.svix.endpoints[ENDPOINT].takes = False


def a_svix_of_its_own(fake: FakeStack) -> None:
    fake.svix.is_self_hosted = True
    fake.svix.endpoints[ENDPOINT].disabled = True
    fake.svix.endpoints[ENDPOINT].event_types = ["user.created"]


def no_endpoint(fake: FakeStack) -> None:
    fake.svix.endpoints.clear()


def a_member_nowhere(fake: FakeStack) -> None:
    fake.project.delete_team(QUILLMARK)


def an_endpoint_made_later(fake: FakeStack) -> None:
    fake.svix.endpoints[ENDPOINT].at = at("2026-11-02T09:01:30Z")


def one_old_message(fake: FakeStack) -> None:
    fake.project.events = fake.project.events[:1]
    fake.svix.retention = timedelta()


def one_message(fake: FakeStack) -> None:
    fake.project.events = fake.project.events[:1]


def as_it_is(_fake: FakeStack) -> None:
    pass


SCENES: dict[str, Callable[[FakeStack], None]] = {
    "get-users/4-page1-old-cursor": an_old_server,
    "get-users/5-deleted-cursor": a_deleted_user,
    "get-users/6-old-server-fields": the_oldest_server,
    "post-send-test-webhook/2-not-delivered": an_endpoint_that_fails,
    "post-svix-token/2-self-hosted": a_svix_of_its_own,
    "svix-list-attempted-messages/1": an_endpoint_made_later,
    "svix-list-endpoints/2-empty": no_endpoint,
    "svix-list-endpoints/3-oss-disabled-filtered": a_svix_of_its_own,
    "svix-list-messages/3-expired-payload": one_old_message,
    "svix-list-messages/4-without-content": one_message,
}


def ask(fake: FakeStack, request: dict[str, Any]) -> httpx.Response:
    content = json.dumps(request["body"]) if "body" in request else None
    with httpx.Client(verify=False) as client:
        return client.request(request["method"], fake.url + request["url"], headers=request["headers"], content=content)


def without_made_up(value: object) -> object:
    """Leave out what differs from server to server; its keys stay."""
    if isinstance(value, dict):
        return {key: "…" if key in MADE_UP else without_made_up(inner) for key, inner in value.items()}
    return [without_made_up(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", SAMPLES)
def test_a_recorded_request_gets_the_recorded_answer(stack_port: Port, name: str) -> None:
    sample, fake = recorded(name), stack_port.serve(recorded_fake())
    SCENES.get(name, as_it_is)(fake)

    answer = ask(fake, sample["request"])

    expected = sample["response"]
    assert answer.status_code == expected["status"]
    SCHEMAS[sample["schema"]].validate(answer.json())
    if name.startswith(MADE_UP_IN):
        assert without_made_up(answer.json()) == without_made_up(expected["body"])
    else:
        assert answer.json() == expected["body"]
    if fake.age == "new":
        assert expected["headers"].items() <= dict(answer.headers).items()


def test_every_schema_and_sample_is_checked() -> None:
    assert len(SAMPLES) == 36
    assert len(SCHEMAS) == 20
    assert SCENES.keys() <= set(SAMPLES)
