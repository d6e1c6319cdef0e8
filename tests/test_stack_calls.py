"""A call meets its limits, repeats what may pass, and tells nobody its key."""

import gzip
import logging
import random
import socket
import traceback
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from starlette.types import ASGIApp

from consumer.errors import BadSettings
from consumer.stack_api.admin import open_stack_admin
from consumer.stack_api.calls import CallLimits, retry_after_seconds
from consumer.stack_api.client import StackAccess, open_stack_api
from consumer.stack_api.errors import (
    AnswerTooLarge,
    ApiError,
    RateLimited,
    ServerFailed,
    TemporaryFailure,
    UnexpectedAnswer,
    Unreachable,
)
from tests.support.fake_stack import FakeStack, trouble
from tests.support.fake_stack.serving import ADMIN_KEY, PROJECT_ID, SERVER_KEY
from tests.support.stack_api import SHORT, Time, access, stack_api

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
IMPATIENT = replace(SHORT, read_seconds=0.1, call_seconds=0.3, attempts=2)
PASSING = {
    "429 with seconds": trouble.limited("3"),
    "429 with a date": trouble.limited_until(3, NOW),
    "429 without a time": trouble.limited(),
    "500": trouble.text(500),
    "502 of a proxy": trouble.page(502),
    "508": trouble.text(508),
    "truncated": trouble.truncated,
    "broken gzip": trouble.body(b"no gzip at all", headers={"content-encoding": "gzip"}),
    "slow": trouble.slow(0.3),
    "dripping": trouble.dripping(0.01),
}
ENDS = {
    "429": (trouble.limited(), RateLimited),
    "500": (trouble.text(500), ServerFailed),
    "502 of a proxy": (trouble.page(502), ServerFailed),
    "truncated": (trouble.truncated, Unreachable),
    "slow": (trouble.slow(0.3), Unreachable),
    "dripping": (trouble.dripping(0.01), Unreachable),
}
NO_ANSWERS = {
    "a proxy's page": trouble.page(200),
    "a proxy's refusal": trouble.page(403),
    "a redirect": trouble.redirect("https://elsewhere.example/"),
    "a redirect with a code": trouble.body(b'{"code": "USER_NOT_FOUND"}', 302),
    "no JSON": trouble.body(b'{"items": ['),
    "another JSON": trouble.body(b'{"users": []}'),
    "no list": trouble.body(b'{"items": {}}'),
    "an item without id": trouble.body(b'{"items": [{"id": ""}]}'),
    "an item that is no object": trouble.body(b'{"items": [1]}'),
    "a page without a cursor": trouble.body(b'{"items": [], "is_paginated": true, "pagination": {}}'),
    "a page that may have a next one": trouble.body(b'{"items": []}'),
    "a page without pagination": trouble.body(b'{"items": [], "is_paginated": true}'),
    "an odd cursor": trouble.body(b'{"items": [], "is_paginated": true, "pagination": {"next_cursor": 5}}'),
    "nothing": trouble.body(b""),
}


@pytest.mark.parametrize("passing", PASSING.values(), ids=PASSING)
async def test_what_may_pass_is_asked_again(fake: FakeStack, passing: ASGIApp) -> None:
    fake.project.sign_up()
    fake.troubles.append(passing)

    async with stack_api(fake, limits=IMPATIENT) as api:
        page = await api.users()
        assert api.requests == 2

    assert len(page.items) == 1


@pytest.mark.parametrize(("passing", "error"), ENDS.values(), ids=ENDS)
async def test_after_the_last_attempt_the_failure_is_told(
    fake: FakeStack, passing: ASGIApp, error: type[TemporaryFailure]
) -> None:
    fake.troubles.extend([passing] * IMPATIENT.attempts)

    async with stack_api(fake, limits=IMPATIENT) as api:
        with pytest.raises(error):
            await api.users()

    assert len(fake.asked) == IMPATIENT.attempts


@pytest.mark.parametrize("answer", NO_ANSWERS.values(), ids=NO_ANSWERS)
async def test_what_is_no_answer_is_not_asked_for_again(fake: FakeStack, answer: ASGIApp) -> None:
    fake.troubles.append(answer)

    async with stack_api(fake) as api:
        with pytest.raises(UnexpectedAnswer, match=r"GET /api/v1/users \(\d+\) is not one of the API"):
            await api.users()

    assert len(fake.asked) == 1


async def test_a_server_that_is_down_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

    async with open_stack_api(access(f"http://127.0.0.1:{port}"), Time().rate(), IMPATIENT) as api:
        with pytest.raises(Unreachable, match=rf"from http://127\.0\.0\.1:{port} to .*ConnectError"):
            await api.users()


async def test_a_small_answer_that_unpacks_to_a_large_one_is_too_large(fake: FakeStack) -> None:
    fake.troubles.append(trouble.body(gzip.compress(b" " * 2_000_000), headers={"content-encoding": "gzip"}))

    async with stack_api(fake) as api:
        with pytest.raises(AnswerTooLarge):
            await api.user(uuid4())


async def test_a_cursor_that_does_not_move_ends_the_list_with_an_error(fake: FakeStack) -> None:
    cursor = str(uuid4())
    fake.troubles.append(
        trouble.body(b'{"items": [], "is_paginated": true, "pagination": {"next_cursor": "%b"}}' % cursor.encode())
    )

    async with stack_api(fake) as api:
        with pytest.raises(UnexpectedAnswer, match="cursor"):
            await api.users(cursor)


@pytest.mark.parametrize(
    ("limited", "seconds"),
    [(trouble.limited("3"), 3.0), (trouble.limited_until(7, NOW), 7.0), (trouble.limited("300"), 300.0)],
    ids=["seconds", "date", "the longest"],
)
async def test_a_wait_that_the_server_asks_for_is_waited(fake: FakeStack, limited: ASGIApp, seconds: float) -> None:
    time = Time()
    fake.troubles.append(limited)

    async with stack_api(fake, time) as api:
        await api.users()

    assert time.slept == [seconds]


async def test_pauses_grow_where_the_server_names_none(fake: FakeStack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "uniform", lambda _, longest: longest)
    time = Time()
    fake.troubles.extend([trouble.limited(), *[trouble.text(500)] * 6])

    async with stack_api(fake, time, replace(SHORT, attempts=8)) as api:
        await api.users()

    assert time.slept == [1, 2, 4, 8, 16, 30, 30]


def test_a_call_has_its_limits() -> None:
    assert CallLimits() == CallLimits(
        connect_seconds=5,
        read_seconds=30,
        call_seconds=120,
        attempts=5,
        backoff_seconds=1,
        retry_after_seconds=300,
        body_bytes=67_108_864,
    )


async def test_a_wait_that_is_too_long_is_left_to_the_next_run(fake: FakeStack) -> None:
    time = Time()
    fake.troubles.append(trouble.limited("301"))

    async with stack_api(fake, time) as api:
        with pytest.raises(RateLimited) as raised:
            await api.users()

    assert raised.value.retry_after_seconds == 301
    assert time.slept == []


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        (" 12 ", 12.0),
        ("Tue, 24 Nov 2026 12:00:05 GMT", 5.0),
        ("Tue, 24 Nov 2026 12:00:05 -0000", 5.0),
        ("Tue, 24 Nov 2026 11:00:00 GMT", 0.0),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
        ("٣", None),
        ("Tue, 44 Nov 2026 12:00:05 GMT", None),
    ],
)
def test_retry_after_is_a_number_of_seconds_a_date_or_nothing(text: str, seconds: float | None) -> None:
    assert retry_after_seconds({"retry-after": text}, NOW) == seconds


def test_a_date_counts_from_the_server_s_own() -> None:
    headers = {"retry-after": "Tue, 24 Nov 2026 12:00:05 GMT", "date": "Tue, 24 Nov 2026 12:00:01 GMT"}

    assert retry_after_seconds(headers, datetime(2030, 1, 1, tzinfo=UTC)) == 4


BAD_KEYS = {
    "empty": "",
    "newline": "ssk_secret\n",
    "blank": "ssk secret",
    "umlaut": "ssk_secretä",
    "nul": "ssk_secret\0",
}


@pytest.mark.parametrize("key", BAD_KEYS.values(), ids=BAD_KEYS)
async def test_a_key_that_no_header_can_have_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(BadSettings) as server:
        async with open_stack_api(StackAccess("http://localhost", PROJECT_ID, server_key=key), Time().rate()):
            raise NotImplementedError
    with pytest.raises(BadSettings) as admin:
        async with open_stack_admin(StackAccess("http://localhost", PROJECT_ID, admin_key=key), Time().rate()):
            raise NotImplementedError
    with pytest.raises(BadSettings, match="STACK_PROJECT_ID"):
        async with open_stack_api(StackAccess("http://localhost", key, SERVER_KEY), Time().rate()):
            raise NotImplementedError

    shown = "".join(traceback.format_exception(server.value) + traceback.format_exception(admin.value))
    assert "STACK_SECRET_SERVER_KEY must be" in shown
    assert "STACK_SUPER_SECRET_ADMIN_KEY must be" in shown
    assert "ssk" not in shown


@pytest.mark.parametrize(
    "url", ["", "api.example.com", "ftp://x", "http://", "https://user:pass@x", "http://x:y", "https://x/?a=b"]
)
async def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(BadSettings, match="STACK_API_URL"):
        async with open_stack_api(access(url), Time().rate()):
            raise NotImplementedError


async def test_a_server_may_live_below_a_path(fake: FakeStack) -> None:
    async with open_stack_api(access(f"{fake.url}/stack/"), Time().rate(), SHORT) as api:
        with pytest.raises(UnexpectedAnswer, match="check STACK_API_URL"):
            await api.users()

    assert [asked.path for asked in fake.asked] == ["/stack/api/v1/users"]


async def test_no_text_shows_a_key_or_a_body(fake: FakeStack, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    fake.troubles.extend([trouble.page(404), trouble.truncated, trouble.truncated])
    shown = [repr(access(fake.url)), str(access(fake.url))]

    async with stack_api(fake, limits=IMPATIENT) as api:
        for _ in range(2):
            with pytest.raises(ApiError) as raised:
                await api.user(uuid4())
            shown += traceback.format_exception(raised.value)
        shown += [repr(api), repr(raised.value.__dict__)]

    shown += [record.getMessage() for record in caplog.records]
    assert not [text for text in shown if SERVER_KEY in text or ADMIN_KEY in text or "secret page" in text]
