"""What is wrong with an endpoint at Svix, fact by fact, and the cure of each error of Stack's API."""

from typing import Any

import pytest

from consumer.stack_api import cures
from consumer.stack_api.endpoint import SENT_TYPES, EndpointFinding, endpoint_findings, is_among, obstacles, of_url
from consumer.stack_api.errors import (
    AnswerTooLarge,
    ApiError,
    CannotListAll,
    KnownError,
    RateLimited,
    ServerFailed,
    SvixAddressUnknown,
    SvixRefused,
    UnexpectedAnswer,
    Unreachable,
)
from consumer.stack_api.svix_answers import SvixEndpoint

URL = "https://hooks.example.com/webhooks/stack"
SECRET, OTHER = "whsec_TBLusB12Fygrrm8tfpKzVtU3qV40Nelq", "whsec_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"


def endpoint(endpoint_id: str = "ep_1", url: str = URL, **named: Any) -> SvixEndpoint:
    return SvixEndpoint(
        endpoint_id, url, **{"is_disabled": False, "event_types": None, "channels": None, **named}
    )  # fmt: skip


class Svix:
    """Endpoints, the secret of each, and its last failures; it counts what it is asked."""

    def __init__(self, *endpoints: SvixEndpoint, failures: tuple[bool, ...] = ()) -> None:
        self.found, self.failures = endpoints, failures
        self.asked: list[tuple[str, str]] = []

    async def endpoints(self) -> tuple[SvixEndpoint, ...]:
        return self.found

    async def endpoint_secret(self, endpoint_id: str) -> str:
        self.asked.append(("secret", endpoint_id))
        return SECRET

    async def last_failures(self, endpoint_id: str) -> tuple[bool, ...]:
        self.asked.append(("failures", endpoint_id))
        return self.failures


async def found(svix: Any, *secrets: str) -> list[EndpointFinding]:
    return await endpoint_findings(svix, URL, secrets)


async def test_an_endpoint_that_is_not_there_is_an_alarm_and_nothing_else_is_asked() -> None:
    svix = Svix(endpoint(url="https://elsewhere.example"))

    assert await found(svix, SECRET) == [
        EndpointFinding(
            "endpoint_not_found",
            f"Svix has no endpoint for {URL}",
            f"Run `consumer connect --url {URL}`, or correct the URL.",
            is_alarm=True,
        )
    ]
    assert svix.asked == []


async def test_a_sound_endpoint_has_no_finding_and_its_secret_is_asked_for_only_to_compare_it() -> None:
    svix = Svix(endpoint(), failures=(False, True, True))

    assert await found(svix, OTHER, SECRET) == []
    assert svix.asked == [("secret", "ep_1"), ("failures", "ep_1")]
    svix.asked.clear()
    assert await found(svix) == []
    assert svix.asked == [("failures", "ep_1")]


async def test_another_secret_is_an_alarm() -> None:
    [finding] = await found(Svix(endpoint()), OTHER)

    assert finding == EndpointFinding(
        "endpoint_secret_differs",
        "its signing secret is none of STACK_WEBHOOK_SECRETS",
        "Run `consumer connect --secret-file FILE`, name FILE in STACK_WEBHOOK_SECRETS_FILE, restart the receiver.",
        is_alarm=True,
    )


@pytest.mark.parametrize(
    ("failures", "is_disabled", "sentence"),
    [
        ((), False, None),
        ((False, True), False, None),
        ((True, False, True), False, "2 of its last 3 messages failed, the newest too"),
        ((True,), False, "1 of its last 1 messages failed, the newest too"),
        ((True,), True, None),
    ],
)
async def test_an_enabled_endpoint_fails_if_its_newest_message_did(
    failures: tuple[bool, ...], is_disabled: bool, sentence: str | None
) -> None:
    findings = await found(Svix(endpoint(is_disabled=is_disabled), failures=failures))

    cure = "Look into the receiver's log; `consumer connect` sends a test event."
    failing = [each for each in findings if each.code == "endpoint_failing"]
    assert failing == ([EndpointFinding("endpoint_failing", sentence, cure)] if sentence else [])


async def test_of_two_endpoints_with_one_address_an_enabled_one_is_judged_and_both_are_told() -> None:
    svix = Svix(endpoint("ep_1", is_disabled=True), endpoint("ep_2"), endpoint("ep_3", "https://x"), failures=(True,))

    findings = await found(svix)

    assert findings[0] == EndpointFinding(
        "endpoint_doubled",
        "2 endpoints have this URL, each with a secret of its own",
        "Delete all but one in Stack's dashboard, under Webhooks.",
    )
    assert [each.code for each in findings] == ["endpoint_doubled", "endpoint_failing"]
    assert svix.asked == [("failures", "ep_2")]
    assert [each.id for each in of_url(svix.found, URL)] == ["ep_2", "ep_1"]


def test_a_disabled_endpoint_and_one_of_channels_are_alarms() -> None:
    assert list(obstacles(endpoint(is_disabled=True, channels=("a",)))) == [
        EndpointFinding(
            "endpoint_disabled",
            "Svix has disabled the endpoint, as it does after five days of failures",
            "Run `consumer connect --enable`, then `consumer recover --since` the last delivery.",
            is_alarm=True,
        ),
        EndpointFinding(
            "endpoint_channels",
            "it takes messages of some channels only, and Stack's have none",
            "Take its channels away in Stack's dashboard, under Webhooks.",
            is_alarm=True,
        ),
    ]


@pytest.mark.parametrize(("missing", "more"), [(1, ""), (5, ""), (6, " and 1 more"), (8, " and 3 more")])
def test_a_filter_names_five_types_that_it_keeps_out_and_counts_the_others(missing: int, more: str) -> None:
    [finding] = obstacles(endpoint(event_types=SENT_TYPES[missing:]))

    assert finding == EndpointFinding(
        "endpoint_filtered",
        f"its filter keeps out {', '.join(SENT_TYPES[: min(missing, 5)])}{more}",
        "Take the filter away in Stack's dashboard, under Webhooks: it keeps out types yet to come too.",
    )


def test_a_filter_that_lets_all_types_of_stack_through_is_none() -> None:
    assert list(obstacles(endpoint(event_types=(*SENT_TYPES, "x.y")))) == []
    assert "user.created" in SENT_TYPES
    assert {"user.signed_in", "profile.edited"}.isdisjoint(SENT_TYPES)


def test_a_secret_is_one_of_others_however_it_is_written() -> None:
    assert is_among(SECRET, [OTHER, SECRET.removeprefix("whsec_")])
    assert not is_among(SECRET, [OTHER])
    assert not is_among(SECRET, [])


REACH = "Check STACK_API_URL, SVIX_SERVER_URL and the network; the same command goes on later."
KEY = "Copy the secret server key of this project from Stack's dashboard into STACK_SECRET_SERVER_KEY."
ADMIN = "Copy the super secret admin key of this project from Stack's dashboard into STACK_SUPER_SECRET_ADMIN_KEY."
SVIX = "Stack's own Svix takes the token that Stack gives: correct SVIX_SERVER_URL, or unset it for a hosted one."


@pytest.mark.parametrize(
    ("error", "cure"),
    [
        (KnownError("x", 401, "CURRENT_PROJECT_NOT_FOUND"), cures.PROJECT),
        (KnownError("x", 404, "PROJECT_NOT_FOUND"), cures.PROJECT),
        (KnownError("x", 401, "INVALID_SUPER_SECRET_ADMIN_KEY"), ADMIN),
        (KnownError("x", 403, "ADMIN_AUTHENTICATION_REQUIRED"), ADMIN),
        (KnownError("x", 401, "INVALID_SECRET_SERVER_KEY"), KEY),
        (KnownError("x", 403, "OTHER"), KEY),
        (KnownError("x", 400, "SCHEMA_ERROR"), "Update the server of Stack."),
        (KnownError("x", 404, "USER_NOT_FOUND"), ""),
        (SvixRefused("x", 401), SVIX),
        (SvixRefused("x", 403), SVIX),
        (SvixRefused("x", 404), SVIX),
        (SvixRefused("x", 422), "Svix takes no such address: it must be a public one that begins with https://."),
        (SvixRefused("x", 409), ""),
        (CannotListAll(), "Update the server of Stack."),
        (RateLimited("x"), REACH),
        (ServerFailed("x"), REACH),
        (Unreachable("x"), REACH),
        (AnswerTooLarge("x"), "Report it: the answer does not fit into memory."),
        (UnexpectedAnswer("x", 200, "y"), ""),
        (SvixAddressUnknown(), ""),
    ],
    ids=repr,
)
def test_each_error_has_its_cure(error: ApiError, cure: str) -> None:
    assert cures.cure(error) == cure
    assert cures.PROJECT == "Correct STACK_PROJECT_ID: this server has no such project."


def test_an_error_names_its_call_and_its_status() -> None:
    assert str(KnownError("GET /x", 404, "CODE")) == "Stack refused GET /x: CODE (404)."
    assert str(SvixRefused("GET /x", 404)) == "Svix refused GET /x with 404."
    unexpected = UnexpectedAnswer("GET /x", 502, "why")
    assert (str(unexpected), unexpected.status) == (
        "The answer to GET /x (502) is not one of the API: why.",
        502,
    )
