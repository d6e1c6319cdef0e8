"""Every recorded error: how the fake comes to answer so, and what the client makes of it."""

import json
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator
from starlette.types import ASGIApp

from consumer.stack_api.calls import Call, open_caller
from consumer.stack_api.client import answer_to
from consumer.stack_api.errors import ApiError, KnownError, RateLimited, ServerFailed, SvixRefused, UnexpectedAnswer
from consumer.stack_api.refusals import svix_refusal
from tests.support.fake_stack import FakeStack, trouble
from tests.support.fake_stack.serving import ADMIN_KEY, PROJECT_ID, SERVER_KEY, Port
from tests.support.processes import ROOT
from tests.support.stack_api import SHORT, Time

DATA = ROOT / "tests" / "data" / "rest"
ERRORS = json.loads((DATA / "errors.json").read_bytes())
KNOWN: Any = Draft202012Validator(json.loads((DATA / "schemas" / "known-error.json").read_bytes()))
USER, TEAM = "0b6f7d52-1c3e-4f0a-9a41-5d2e8c7b1f01", "9d2b4f60-8e1c-4a35-bd74-c6e8f0a2b402"
TYPE, PROJECT = {"x-stack-access-type": "server"}, {"x-stack-project-id": PROJECT_ID}
KEY = {"x-stack-secret-server-key": SERVER_KEY}
SERVER = {**TYPE, **PROJECT, **KEY}
ADMIN = {"x-stack-access-type": "admin", **PROJECT, "x-stack-super-secret-admin-key": ADMIN_KEY}
TOKEN = {"authorization": "Bearer appsk_made_up"}
APP = f"/api/v1/app/{PROJECT_ID}"


@dataclass(frozen=True)
class Request:
    """What gets an error: a request, or trouble on its way."""

    path: str = "/api/v1/users"
    headers: Mapping[str, str] = field(default_factory=lambda: SERVER)
    query: Mapping[str, str] = field(default_factory=dict)
    body: object = None
    trouble: ASGIApp | None = None

    @property
    def call(self) -> Call:
        method = "GET" if self.body is None else "POST"
        return Call(method, self.path, self.query, self.body, self.headers)


TOKEN_CALL = "/api/v1/webhooks/svix-token"
# In the order of the file, by how its "when" begins.
STACK = {
    "GET /users/{id} of an unknown id": Request(f"/api/v1/users/{USER}"),
    "GET /teams/{id}; team-member-profiles": Request(f"/api/v1/teams/{TEAM}"),
    "GET /team-member-profiles/{team}/{user}": Request(f"/api/v1/team-member-profiles/{TEAM}/{USER}"),
    "malformed uuid": Request(query={"limit": "0"}),
    "no x-stack-access-type and no key": Request(headers={}),
    "a key without x-stack-access-type": Request(headers=PROJECT | KEY),
    "unknown project id": Request(headers={**SERVER, "x-stack-project-id": USER, "x-stack-secret-server-key": "no"}),
    "access type server without": Request(headers=TYPE | PROJECT),
    "wrong or revoked server key": Request(headers={**SERVER, "x-stack-secret-server-key": "wrong"}),
    "svix-token / send-test-webhook with a wrong": Request(
        TOKEN_CALL, {**ADMIN, "x-stack-super-secret-admin-key": "wrong"}, body={}
    ),
    "access type admin without": Request(TOKEN_CALL, {"x-stack-access-type": "admin", **PROJECT}, body={}),
    "server key on an admin route": Request(TOKEN_CALL, SERVER, body={}),
    "GET /users without limit and more than 1000": Request(),
    "only_anonymous=true without": Request(query={"only_anonymous": "true"}),
    "unknown path": Request("/users"),
    "rate limit, with Retry-After": Request(trouble=trouble.limited("3")),
    "rate limit, no Retry-After": Request(trouble=trouble.limited()),
    "server error": Request(trouble=trouble.text(500)),
    "edge error": Request(trouble=trouble.page(502)),
}
SVIX_LIMITED = trouble.body(
    b'{"code": "rate_limit_exceeded", "detail": "<sentence>"}', 429, headers={"retry-after": "1"}
)
SVIX = {
    "bad or expired app token": Request(f"{APP}/msg", {"authorization": "Bearer wrong"}),
    "unknown app, endpoint or message": Request(f"{APP}/endpoint/ep_unknown", TOKEN),
    "app token on an organisation-level call": Request(f"{APP}/msg", TOKEN, body={}),
    "limit > 250": Request(f"{APP}/msg", TOKEN, {"limit": "251"}),
    "rate limit (hosted)": Request(f"{APP}/msg", TOKEN, trouble=SVIX_LIMITED),
}
CASES = [
    pytest.param(error, request, id=when)
    for recorded, requests in ((ERRORS["errors"], STACK), (ERRORS["svix"], SVIX))
    for error, (when, request) in zip(recorded, requests.items(), strict=True)
    if error["when"].startswith(when)
]


@pytest.fixture
def crowded(stack_port: Port) -> FakeStack:
    """A server with more users than it lists without a limit."""
    fake = stack_port.serve(FakeStack())
    fake.svix.tokens.append("appsk_made_up")
    for _ in range(1001):
        fake.project.sign_up()
    return fake


async def refuse(fake: FakeStack, request: Request) -> None:
    """Make a call that fails, as the clients of Stack and of Svix make theirs."""
    async with open_caller("STACK_API_URL", fake.url, {}, Time().rate(), SHORT) as caller:
        if "authorization" in request.headers:
            raise svix_refusal(request.call, await caller.answer(request.call))
        await answer_to(caller, request.call, bytes)


def test_every_recorded_error_has_its_request() -> None:
    assert len(CASES) == len(ERRORS["errors"]) + len(ERRORS["svix"]) == 24


@pytest.mark.parametrize(("error", "request_"), CASES)
def test_the_fake_answers_with_the_recorded_error(crowded: FakeStack, error: dict[str, Any], request_: Request) -> None:
    if request_.trouble:
        crowded.troubles.append(request_.trouble)

    with httpx.Client(verify=False) as client:
        call = request_.call
        content = None if call.body is None else json.dumps(call.body)
        answer = client.request(
            call.method, crowded.url + call.path, params=call.query, headers=call.headers, content=content
        )

    assert answer.status_code == error["status"]
    assert answer.headers["content-type"].startswith(error["headers"]["content-type"])
    rest = {name: value for name, value in error["headers"].items() if name != "content-type"}
    assert rest.items() <= dict(answer.headers).items()
    if "body_json_indent2" in error:
        assert answer.text == json.dumps(answer.json(), indent=2)
        assert answer.json().keys() == error["body_json_indent2"].keys()
        assert answer.json()["code"] == error["body_json_indent2"]["code"]
        KNOWN.validate(answer.json())
    elif "body_json" in error:
        assert answer.json() == error["body_json"]


@pytest.mark.parametrize(("error", "request_"), CASES)
async def test_the_client_tells_each_error_from_the_others_and_quotes_nothing(
    crowded: FakeStack, error: dict[str, Any], request_: Request
) -> None:
    if request_.trouble:
        crowded.troubles.extend([request_.trouble] * SHORT.attempts)

    with pytest.raises(ApiError) as raised:
        await refuse(crowded, request_)

    told = raised.value
    if "body_json_indent2" in error:
        assert isinstance(told, KnownError)
        assert (told.status, told.code) == (error["status"], error["body_json_indent2"]["code"])
    elif error["status"] == 429:
        assert isinstance(told, RateLimited)
    elif error["status"] >= 500:
        assert isinstance(told, ServerFailed)
    elif "authorization" in request_.headers:
        assert isinstance(told, SvixRefused)
        assert told.status == error["status"]
    else:
        assert isinstance(told, UnexpectedAnswer)
        assert told.status == error["status"]
    shown = "".join(traceback.format_exception(told)) + repr(told) + repr(request_.call)
    assert not [text for text in (SERVER_KEY, ADMIN_KEY, "appsk_", "sentence", "secret page") if text in shown]
