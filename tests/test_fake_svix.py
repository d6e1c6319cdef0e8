"""The fake lists as Svix does, its traps included."""

from typing import Any

import httpx
import pytest

from tests.support.fake_stack import FakeStack, trouble
from tests.support.fake_stack.serving import ADMIN_KEY, PROJECT_ID
from tests.support.fake_stack.svix import timestamp

URL = "https://hooks.example.com/webhooks/stack"
ADMIN = {
    "x-stack-access-type": "admin",
    "x-stack-project-id": PROJECT_ID,
    "x-stack-super-secret-admin-key": ADMIN_KEY,
}


def ask(fake: FakeStack, method: str, path: str, body: object = None, **query: str) -> httpx.Response:
    token = (fake.svix.tokens or [fake.svix.new_token()["token"]])[0]
    with httpx.Client(verify=False, headers={"authorization": f"Bearer {token}"}) as client:
        url = f"{fake.url}/api/v1/app/{PROJECT_ID}{path}"
        return client.request(method, url, params=query or None, json=body)


def listed(fake: FakeStack, **query: str) -> tuple[list[str], dict[str, Any]]:
    page = ask(fake, "GET", "/msg", **query).json()
    return [message["id"] for message in page["data"]], page


@pytest.fixture
def sent(fake: FakeStack) -> list[str]:
    """The ids of seven messages, newest first."""
    for _ in range(7):
        fake.project.sign_up()
    return [event.message_id for event in fake.project.events[::-1]]


def test_a_list_goes_back_by_its_iterator_and_forth_by_the_one_before(fake: FakeStack, sent: list[str]) -> None:
    ids, first = listed(fake, limit="3")
    assert (ids, first["done"]) == (sent[:3], False)

    ids, second = listed(fake, limit="3", iterator=first["iterator"])
    assert (ids, second["done"]) == (sent[3:6], False)

    ids, _ = listed(fake, limit="3", iterator=second["prevIterator"])
    assert ids == sent[:3]

    ids, last = listed(fake, limit="3", iterator=second["iterator"])
    assert (ids, last["done"]) == (sent[6:], True)


def test_after_turns_the_order_so_that_its_iterator_ends_at_once(fake: FakeStack, sent: list[str]) -> None:
    after = timestamp(fake.project.events[0].at.replace(microsecond=0))

    ids, page = listed(fake, limit="3", after=after)
    assert ids == sent[4:]

    ids, rest = listed(fake, limit="3", after=after, iterator=page["iterator"])
    assert (ids, rest["done"]) == ([], True)


def test_a_list_may_end_before_a_time_and_have_some_types_only(fake: FakeStack, sent: list[str]) -> None:
    before = timestamp(fake.project.events[3].at)
    fake.project.create_team()

    assert listed(fake, before=before)[0] == sent[4:]
    assert len(listed(fake, event_types="team.created,team.deleted")[0]) == 1


INVALID = [{"limit": "0"}, {"limit": "251"}, {"iterator": "ep_1"}, {"before": "now"}]


@pytest.mark.parametrize("query", INVALID, ids=str)
def test_a_value_that_does_not_fit_is_refused(fake: FakeStack, query: dict[str, str]) -> None:
    assert ask(fake, "GET", "/msg", None, **query).status_code == 422


@pytest.mark.parametrize(("is_self_hosted", "status"), [(True, 422), (False, 200)], ids=["self-hosted", "hosted"])
def test_a_self_hosted_svix_refuses_before_and_after_together(
    fake: FakeStack, is_self_hosted: bool, status: int
) -> None:
    fake.svix.is_self_hosted = is_self_hosted
    at = timestamp(fake.project.now)

    assert ask(fake, "GET", "/msg", before=at, after=at).status_code == status


def test_the_messages_of_an_endpoint_leave_out_what_was_never_attempted(fake: FakeStack, sent: list[str]) -> None:
    endpoint = fake.svix.add_endpoint(URL, fake.project.now, event_types=["team.created"])
    fake.project.sign_up(with_personal_team=True)
    path = f"/endpoint/{endpoint.id}/msg"

    assert [message["eventType"] for message in ask(fake, "GET", path).json()["data"]] == ["team.created"]

    endpoint.disabled = True

    assert ask(fake, "GET", path).json()["data"] == []


def test_a_rotation_makes_another_secret(fake: FakeStack) -> None:
    endpoint = fake.svix.add_endpoint(URL, fake.project.now)
    before = endpoint.secret

    assert ask(fake, "POST", f"/endpoint/{endpoint.id}/secret/rotate", {}).status_code == 204
    assert ask(fake, "GET", f"/endpoint/{endpoint.id}/secret").json() == {"key": endpoint.secret}
    assert endpoint.secret != before


@pytest.mark.parametrize("path", ["/attempt/msg/msg_unknown", "/endpoint/ep_unknown/secret"])
def test_what_is_unknown_is_not_found(fake: FakeStack, path: str) -> None:
    assert ask(fake, "GET", path).json() == {"code": "not_found", "detail": "<sentence>"}


def test_a_token_opens_no_other_application(fake: FakeStack) -> None:
    token = fake.svix.new_token()["token"]
    with httpx.Client(verify=False, headers={"authorization": f"Bearer {token}"}) as client:
        assert client.get(f"{fake.url}/api/v1/app/other/msg").status_code == 404


def test_a_body_of_another_shape_is_refused(fake: FakeStack) -> None:
    with httpx.Client(verify=False, headers=ADMIN, base_url=fake.url) as client:
        answers = [
            client.post("/api/v1/webhooks/svix-token", json={"life": 5}),
            client.post("/api/v1/internal/send-test-webhook", json={"endpoint": "ep_1"}),
        ]

    assert [answer.headers["x-stack-known-error"] for answer in answers] == ["SCHEMA_ERROR"] * 2


def test_trouble_comes_once_for_each_time_that_it_is_ordered(fake: FakeStack) -> None:
    fake.troubles.append(trouble.page(502))

    assert [ask(fake, "GET", "/msg").status_code for _ in range(2)] == [502, 200]
