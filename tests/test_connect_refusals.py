"""What `consumer connect` refuses, and the failures on the way that it survives."""

from collections.abc import Callable

import pytest
from starlette.types import ASGIApp

from consumer.operations import connect as operation
from consumer.operations.connect import ARRIVAL_SECONDS
from consumer.stack_api.calls import CallLimits
from tests.support.cli import call
from tests.support.fake_stack import FakeStack, trouble
from tests.support.recoveries import environment

WITH_PASSWORD = "https://user:hunter2@example.com/webhooks/stack"


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operation, "ARRIVAL_SECONDS", 0.1)


LIMITED: dict[str, Callable[[FakeStack], ASGIApp]] = {
    "a number": lambda _: trouble.limited("0"),
    "a date": lambda fake: trouble.limited_until(0, fake.project.now),
    "a page without": lambda _: trouble.limited(),
    "an answer that is lost": lambda fake: trouble.lost(fake.app),
}


@pytest.mark.parametrize("answer", LIMITED.values(), ids=LIMITED)
def test_a_call_that_fails_for_a_while_is_repeated_and_no_second_endpoint_made(
    emptied: str, any_svix: FakeStack, monkeypatch: pytest.MonkeyPatch, answer: Callable[[FakeStack], ASGIApp]
) -> None:
    for module in ("svix", "admin"):
        monkeypatch.setattr(f"consumer.stack_api.{module}.CallLimits", lambda: CallLimits(backoff_seconds=0.01))
    any_svix.svix.delivers = True
    any_svix.troubles.extend([any_svix.app, any_svix.app, answer(any_svix)])

    result = call(emptied, "connect", "--url", "http://127.0.0.1:1/webhooks/stack", **environment(any_svix))

    assert (result.exit_code, "No test event arrived" in result.stderr) == (1, True)
    assert len(any_svix.svix.endpoints) == 1


@pytest.mark.parametrize("answer", [trouble.page(200), trouble.page(404)], ids=["a page", "a page that is missing"])
def test_a_proxys_page_is_said_and_nothing_is_made(emptied: str, any_svix: FakeStack, answer: ASGIApp) -> None:
    any_svix.troubles.extend([any_svix.app, answer])

    result = call(emptied, "connect", "--url", "https://hooks.example.com/webhooks/stack", **environment(any_svix))

    assert (result.exit_code, "is not one of the API" in result.stderr, any_svix.svix.endpoints) == (1, True, {})


@pytest.mark.parametrize(
    "url", ["hooks.example.com", "ftp://example.com/webhooks/stack", "https:///webhooks/stack", "", WITH_PASSWORD]
)
def test_what_is_no_address_is_refused(emptied: str, any_svix: FakeStack, url: str) -> None:
    result = call(emptied, "connect", "--url", url, **environment(any_svix))

    assert (result.exit_code, "It must be an address" in result.stderr, any_svix.asked) == (2, True, [])


def test_an_address_that_svix_does_not_take_is_said(emptied: str, any_svix: FakeStack) -> None:
    refusal = trouble.body(b'{"detail": [{"loc": ["body", "url"], "msg": "x", "type": "value_error"}]}', 422)
    any_svix.troubles.extend([any_svix.app, any_svix.app, refusal])

    result = call(emptied, "connect", "--url", "http://10.0.0.1/webhooks/stack", **environment(any_svix))

    assert (result.exit_code, "must be a public one" in result.stderr) == (1, True)


def test_svix_has_the_time_of_two_attempts() -> None:
    assert ARRIVAL_SECONDS == 30


def test_a_path_at_which_no_receiver_answers_is_warned_of(emptied: str, any_svix: FakeStack) -> None:
    result = call(emptied, "connect", "--url", "http://127.0.0.1:1/hooks", **environment(any_svix))

    assert (result.exit_code, "the receiver answers at …/webhooks/stack" in result.stderr) == (1, True)


def test_without_an_endpoint_of_before_the_address_is_needed(emptied: str, any_svix: FakeStack) -> None:
    result = call(emptied, "connect", **environment(any_svix))

    assert (result.exit_code, "--url" in result.stderr) == (2, True)


def test_all_missing_settings_are_told_at_once(emptied: str) -> None:
    result = call(emptied, "connect", "--url", "https://hooks.example.com/webhooks/stack")

    assert result.exit_code == 2
    assert "STACK_PROJECT_ID" in result.stderr
    assert "STACK_SUPER_SECRET_ADMIN_KEY" in result.stderr
