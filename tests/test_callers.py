"""One caller of an API, without a server: what it sends, what it reads of an answer, and when it asks again."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from consumer.stack_api.admin import open_stack_admin
from consumer.stack_api.calls import ApiAnswer, Call, Caller, CallLimits, is_header_value, open_caller
from consumer.stack_api.client import open_stack_api
from consumer.stack_api.errors import AnswerTooLarge, RateLimited, ServerFailed, TemporaryFailure, Unreachable
from consumer.stack_api.svix import open_svix
from tests.support.stack_api import SHORT, Time, access
from tests.test_svix_parts import Admin

CALL = Call("GET", "/a")
Handler = Callable[[httpx.Request], httpx.Response]


class Server:
    """A server with the answers to come; it keeps the requests."""

    def __init__(self, *answers: Handler) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self.answers.pop(0)(request)


class Stream(httpx.AsyncByteStream):
    """A body of chunks that remembers how many were read, and whether it was closed."""

    def __init__(self, chunks: int) -> None:
        self.chunks, self.read, self.is_closed = chunks, 0, False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self.read < self.chunks:
            self.read += 1
            await asyncio.sleep(0)
            yield b"0123456789"

    async def aclose(self) -> None:
        self.is_closed = True


def status(code: int, **headers: str) -> Handler:
    return lambda _: httpx.Response(code, headers={name.replace("_", "-"): text for name, text in headers.items()})


def broken(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadError("a secret text of the server", request=request)


def caller(server: Handler, time: Time | None = None, **limits: Any) -> Caller:
    http = httpx.AsyncClient(transport=httpx.MockTransport(server), base_url="https://api.example:8443/root")
    return Caller(http, (time or Time()).rate(), replace(SHORT, **limits))


async def test_a_call_is_sent_with_its_query_its_headers_and_its_body_if_it_has_one() -> None:
    server = Server(*[status(200)] * 2)
    calls = caller(server)

    await calls.answer(Call("GET", "/a", {"b": "c"}, headers={"x-key": "k"}))
    await calls.answer(Call("PATCH", "/a", body={"e": None}, headers={"x-key": "k"}))

    read, changed = server.requests
    assert (read.method, str(read.url)) == ("GET", "https://api.example:8443/root/a?b=c")
    assert (read.content, read.headers["x-key"], "content-type" in read.headers) == (b"", "k", False)
    assert (changed.method, str(changed.url)) == ("PATCH", "https://api.example:8443/root/a")
    assert (changed.content, changed.headers["x-key"]) == (b'{"e":null}', "k")
    assert changed.headers["content-type"] == "application/json"


async def test_an_answer_is_read_up_to_the_limit_and_no_further() -> None:
    whole, endless = Stream(3), Stream(1_000_000_000)
    server = Server(*(lambda _, body=body: httpx.Response(201, headers={"a": "b"}, stream=body)
                      for body in (whole, endless)))  # fmt: skip
    calls = caller(server, body_bytes=30)

    found = await calls.answer(CALL)
    with pytest.raises(AnswerTooLarge, match=r"^The answer to GET /a is larger than 30 bytes\.$"):
        await calls.answer(CALL)

    assert (found.status, found.headers["a"], found.body) == (201, "b", b"0123456789" * 3)
    assert (endless.read, endless.is_closed, whole.is_closed) == (4, True, True)
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (status(429), RateLimited, "GET /a was refused for its rate (429)."),
        (status(500), ServerFailed, "The server failed at GET /a (500)."),
        (status(599), ServerFailed, "The server failed at GET /a (599)."),
        (broken, Unreachable, "No whole answer came from https://api.example:8443 to GET /a (ReadError)."),
    ],
)
async def test_a_failure_that_may_pass_is_asked_again_as_often_as_the_limit_says(
    answer: Handler, error: type[TemporaryFailure], said: str
) -> None:
    server = Server(*[answer] * 3, status(200))

    with pytest.raises(error) as raised:
        await caller(server, attempts=3).answer(CALL)

    assert (str(raised.value), raised.value.retry_after_seconds) == (said, None)
    assert (raised.value.__cause__, raised.value.__suppress_context__) == (None, raised.type is Unreachable)
    assert len(server.requests) == 3


@pytest.mark.parametrize("code", [100, 302, 404, 428, 430, 499])
async def test_any_other_status_is_an_answer(code: int) -> None:
    server = Server(status(code))

    assert (await caller(server).answer(CALL)).status == code


@pytest.mark.parametrize(("code", "next_at"), [(429, 7.0), (503, 0.001)])
async def test_a_wait_is_waited_by_the_call_and_after_429_by_all_calls(code: int, next_at: float) -> None:
    time = Time()
    calls = caller(Server(status(code, retry_after="7"), status(200)), time)
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        time.slept.append(calls.rate._next_at)
        time.now += seconds

    calls.rate.sleep = sleep

    assert (await calls.answer(CALL)).status == 200

    assert (slept, time.slept, calls.rate.requests) == ([7.0], [next_at], 2)


@pytest.mark.parametrize(("seconds", "attempts"), [("8", 2), ("9", 1)])
async def test_a_wait_that_is_longer_than_the_limit_is_not_waited(seconds: str, attempts: int) -> None:
    server = Server(status(503, retry_after=seconds), status(200))
    calls = caller(server, retry_after_seconds=8.0)

    if attempts == 2:
        await calls.answer(CALL)
    else:
        with pytest.raises(ServerFailed) as raised:
            await calls.answer(CALL)
        assert raised.value.retry_after_seconds == 9

    assert len(server.requests) == attempts


async def test_the_connections_have_the_limits_and_the_headers_and_follow_no_redirect() -> None:
    limits = CallLimits(connect_seconds=2, read_seconds=3)

    async with open_caller("X_URL", "http://a.example/b", {"x-key": "k"}, Time().rate(), limits) as calls:
        http = calls._http

        assert http.timeout == httpx.Timeout(3, connect=2)
        assert (http.headers["x-key"], str(http.base_url), http.follow_redirects) == ("k", "http://a.example/b/", False)
    assert http.is_closed


async def test_each_api_is_opened_with_the_limits_that_are_given_or_with_those_of_every_call() -> None:
    other, admin = access("http://a.example"), Admin()
    rate, limits = Time().rate(), replace(SHORT, attempts=2)
    svix: Any = admin
    for given in (None, limits):
        async with (
            open_stack_api(other, rate, given) as of_stack,
            open_stack_admin(other, rate, given) as of_admin,
            open_svix(svix, "p", "http://a.example", rate, given) as of_svix,
        ):
            opened = [each._caller for each in (of_stack, of_admin, of_svix)]
        assert [each._limits for each in opened] == [given or CallLimits()] * 3
        assert [each.rate for each in opened] == [rate] * 3
        keys = {"x-stack-secret-server-key", "x-stack-super-secret-admin-key", "x-stack-access-type"}
        named = [{name: text for name, text in each._http.headers.items() if name in keys} for each in opened]
        assert named == [
            {"x-stack-access-type": "server", "x-stack-secret-server-key": other.server_key},
            {"x-stack-access-type": "admin", "x-stack-super-secret-admin-key": other.admin_key},
            {},
        ]


@pytest.mark.parametrize(
    ("status", "is_success"), [(199, False), (200, True), (204, True), (299, True), (300, False), (404, False)]
)
def test_only_a_2xx_is_a_success(status: int, is_success: bool) -> None:
    assert ApiAnswer(status, httpx.Headers(), b"").is_success == is_success


@pytest.mark.parametrize(
    ("text", "is_one"),
    [("ssk_1", True), ("!~", True), ("", False), ("a b", False), ("a\n", False), ("ä", False), ("\x7f", False)],
)
def test_a_header_has_only_the_characters_of_keys(text: str, is_one: bool) -> None:
    assert is_header_value(text) == is_one
