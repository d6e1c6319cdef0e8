"""What `consumer connect --check` and the doctor find wrong with the endpoint, without changing anything."""

from typing import Any

import orjson
import pytest
from starlette.types import ASGIApp

from consumer.stack_api.endpoint import of_url
from consumer.stack_api.svix_answers import SvixEndpoint
from tests.support.backfills import now_is_now
from tests.support.cli import call, examined
from tests.support.databases import rows
from tests.support.fake_stack import FakeStack, trouble
from tests.support.fake_stack.svix import Endpoint
from tests.support.processes import SECRET
from tests.support.recoveries import environment, outbox

URL = "https://hooks.example.com/webhooks/stack"
NAME = "endpoint at Svix"
RECORDED = "INSERT INTO consumer.project (project_id, endpoint_url) VALUES ('{}', '{}') RETURNING id"


@pytest.fixture
def made(any_svix: FakeStack) -> Endpoint:
    """The endpoint of a project whose Svix has an attempt of before."""
    now_is_now(any_svix)
    found = any_svix.svix.add_endpoint(URL, any_svix.project.now)
    any_svix.project.sign_up()
    return found


def check(fake: FakeStack, url: str, *arguments: str, **settings: str) -> tuple[int, list[dict[str, Any]]]:
    result = call(url, "connect", "--check", "--json", *arguments, **environment(fake, **settings))
    document = orjson.loads(result.stdout)
    assert document["ok"] == (result.exit_code == 0) == (document["findings"] == [])
    return result.exit_code, document["findings"]


def codes(fake: FakeStack, url: str, secret: str = "") -> list[str]:
    _, findings = check(fake, url, "--url", URL, STACK_WEBHOOK_SECRETS=secret)
    return [finding["code"] for finding in findings]


def test_an_endpoint_as_it_should_be_has_no_finding(emptied: str, any_svix: FakeStack, made: Endpoint) -> None:
    assert codes(any_svix, emptied, f"{made.secret} {SECRET}") == []
    assert codes(any_svix, emptied) == []


def test_a_check_changes_nothing(emptied: str, any_svix: FakeStack) -> None:
    assert codes(any_svix, emptied) == ["endpoint_not_found"]
    assert (any_svix.svix.endpoints, any_svix.project.events, outbox(emptied)) == ({}, [], [])
    assert rows(emptied, "SELECT FROM consumer.project") == []
    assert {asked.method for asked in any_svix.asked if "/app/" in asked.path} == {"GET"}


def test_each_fault_is_found(emptied: str, any_svix: FakeStack, made: Endpoint) -> None:
    assert codes(any_svix, emptied, SECRET) == ["endpoint_secret_differs"]

    made.takes = False
    assert codes(any_svix, emptied) == ["endpoint_failing"]

    made.disabled = True
    assert codes(any_svix, emptied) == ["endpoint_disabled"]

    made.disabled, made.takes, made.event_types = False, True, ["user.created"]
    assert codes(any_svix, emptied) == ["endpoint_filtered"]

    made.event_types = None
    any_svix.svix.add_endpoint(f"{URL}/", any_svix.project.now)
    assert codes(any_svix, emptied) == ["endpoint_doubled"]


def test_channels_keep_messages_out_that_have_none(emptied: str, fake: FakeStack) -> None:
    endpoint = {"id": "ep_1", "url": URL, "disabled": False, "channels": ["a"]}
    listed = trouble.body(orjson.dumps({"data": [endpoint], "done": True}))
    fake.troubles.extend([fake.app, listed, trouble.body(b'{"data": [], "done": true}')])

    assert codes(fake, emptied) == ["endpoint_channels"]


@pytest.mark.parametrize(
    ("url", "is_same"),
    [
        (f"{URL}/", True),
        ("https://HOOKS.example.com:443/webhooks/stack", True),
        ("http://hooks.example.com/webhooks/stack", False),
        ("https://hooks.example.com:8443/webhooks/stack", False),
        ("https://hooks.example.com/webhooks/Stack", False),
        ("https://a:b/webhooks/stack", False),
    ],
)
def test_two_ways_to_write_an_address_are_one_endpoint(url: str, is_same: bool) -> None:
    endpoint = SvixEndpoint("ep_1", url, is_disabled=False, event_types=None, channels=None)

    assert of_url([endpoint], URL) == ([endpoint] if is_same else [])


def test_a_check_for_people_names_each_cure(emptied: str, any_svix: FakeStack, made: Endpoint) -> None:
    well = call(emptied, "connect", "--check", "--url", URL, **environment(any_svix, STACK_WEBHOOK_SECRETS=""))
    made.disabled = True
    disabled = call(emptied, "connect", "--check", "--url", URL, **environment(any_svix, STACK_WEBHOOK_SECRETS=""))

    assert (well.exit_code, well.stdout) == (0, "The endpoint is as it should be.\n")
    assert (disabled.exit_code, "Run `consumer connect --enable`" in disabled.stdout) == (1, True)


def doctor(fake: FakeStack, url: str, **settings: str) -> dict[str, Any]:
    check: dict[str, Any] = examined(url, **environment(fake, **settings))[1][NAME]
    return check


def test_the_doctor_looks_at_the_endpoint_that_was_connected(emptied: str, any_svix: FakeStack, made: Endpoint) -> None:
    unset = doctor(any_svix, emptied, STACK_SUPER_SECRET_ADMIN_KEY="")
    before = doctor(any_svix, emptied)
    rows(emptied, RECORDED.format(any_svix.project_id, URL))
    well = doctor(any_svix, emptied, STACK_WEBHOOK_SECRETS=made.secret)
    foreign = doctor(any_svix, emptied, STACK_WEBHOOK_SECRETS=SECRET)
    made.event_types = ["user.created"]
    filtered = doctor(any_svix, emptied, STACK_WEBHOOK_SECRETS=made.secret)
    made.event_types, made.disabled = None, True
    disabled = doctor(any_svix, emptied, STACK_WEBHOOK_SECRETS=made.secret)

    assert [each["state"] for each in (unset, before, well, foreign, filtered)] == ["ok"] * 3 + ["failing", "warning"]
    assert (disabled["state"], "`consumer connect --enable`" in disabled["cure"]) == ("failing", True)
    assert "has recorded none" in before["finding"]


@pytest.mark.parametrize(
    ("answer", "cure"),
    [
        (trouble.page(502), "Check STACK_API_URL, SVIX_SERVER_URL and the network"),
        (trouble.page(200), "Check STACK_API_URL and SVIX_SERVER_URL"),
        (trouble.limited("900"), "Check STACK_API_URL, SVIX_SERVER_URL and the network"),
    ],
)
def test_a_svix_that_cannot_be_asked_is_a_warning(
    emptied: str, any_svix: FakeStack, answer: ASGIApp, cure: str
) -> None:
    rows(emptied, RECORDED.format(any_svix.project_id, URL))
    any_svix.troubles.append(answer)

    check = doctor(any_svix, emptied)

    assert (check["state"], check["cure"].startswith(cure)) == ("warning", True)


@pytest.mark.parametrize("name", ["STACK_SUPER_SECRET_ADMIN_KEY", "STACK_PROJECT_ID"])
def test_a_setting_that_no_header_can_hold_is_a_warning_that_does_not_show_it(
    emptied: str, fake: FakeStack, name: str
) -> None:
    rows(emptied, RECORDED.format(fake.project_id, URL))

    check = doctor(fake, emptied, **{name: "hunter\t2"})

    assert (check["state"], name in check["finding"], "hunter" in check["finding"]) == ("warning", True, False)
