"""One HTTP call: its turn, its limits, its repeats."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx
import orjson
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt, wait_random_exponential

from consumer.errors import BadSettings
from consumer.stack_api.errors import AnswerTooLarge, RateLimited, ServerFailed, TemporaryFailure, Unreachable
from consumer.stack_api.rate import RateLimit

# The nearest data centre is a few milliseconds away; what does not connect in this time is down.
CONNECT_SECONDS = 5.0
# A silence within an answer. A page of a thousand users takes a server a few seconds to collect.
READ_SECONDS = 30.0
# The limit of the whole answer: a server that sends one byte a minute must not hold a call without end.
CALL_SECONDS = 120.0
# As often as Stack's own SDK tries, with its pauses of 1 s, doubled each time (client-interface.ts).
ATTEMPTS = 5
BACKOFF_SECONDS = 1.0
BACKOFF_SECONDS_MAX = 30.0
# A longer wait is for the next run, not for a command that somebody looks at.
RETRY_AFTER_SECONDS_MAX = 300.0
# Old servers send all teams at once: enough for 200,000 of 300 bytes.
BODY_BYTES_MAX = 64 * 1024 * 1024

Query = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class CallLimits:
    """What a call may take."""

    connect_seconds: float = CONNECT_SECONDS
    read_seconds: float = READ_SECONDS
    call_seconds: float = CALL_SECONDS
    attempts: int = ATTEMPTS
    backoff_seconds: float = BACKOFF_SECONDS
    retry_after_seconds: float = RETRY_AFTER_SECONDS_MAX
    body_bytes: int = BODY_BYTES_MAX


@dataclass(frozen=True, slots=True)
class Call:
    """One request; *headers* may hold a key, so no text shows them."""

    method: str
    path: str
    query: Query = field(default_factory=dict)
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True)
class ApiAnswer:
    """A whole answer, of any status but 429 and 5xx; *body* may hold personal data and secrets, so no text shows it."""

    status: int
    headers: httpx.Headers = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def is_success(self) -> bool:
        """The call did what it asks for."""
        return 200 <= self.status < 300


class Caller:
    """Makes calls of one server, as often as its limits allow."""

    def __init__(self, http: httpx.AsyncClient, rate: RateLimit, limits: CallLimits) -> None:
        self.rate = rate
        self._http = http
        self._limits = limits
        self._backoff = wait_random_exponential(multiplier=limits.backoff_seconds, max=BACKOFF_SECONDS_MAX)

    async def answer(self, call: Call) -> ApiAnswer:
        """Make a call, repeated after 429, 5xx and failures of the network; redirects are not followed.

        Raises TemporaryFailure after the last attempt, and AnswerTooLarge.
        """
        retrying = AsyncRetrying(
            stop=stop_after_attempt(self._limits.attempts),
            wait=self._pause,
            retry=retry_if_exception(self._is_retried),
            sleep=self.rate.sleep,
            reraise=True,
        )
        return await retrying(self._once, call)

    async def _once(self, call: Call) -> ApiAnswer:
        await self.rate.turn()
        answer = await self._exchange(call)
        if answer.status == httpx.codes.TOO_MANY_REQUESTS:
            message = f"{call} was refused for its rate (429)."
            raise RateLimited(message, retry_after_seconds(answer.headers, datetime.now(UTC)))
        if answer.status >= 500:
            message = f"The server failed at {call} ({answer.status})."
            raise ServerFailed(message, retry_after_seconds(answer.headers, datetime.now(UTC)))
        return answer

    async def _exchange(self, call: Call) -> ApiAnswer:
        content = None if call.body is None else orjson.dumps(call.body)
        headers = dict(call.headers) if content is None else {**call.headers, "content-type": "application/json"}
        request = self._http.build_request(
            call.method, call.path, params=call.query or None, content=content, headers=headers
        )
        try:
            async with asyncio.timeout(self._limits.call_seconds):
                response = await self._http.send(request, stream=True)
                try:
                    body = await self._read(response, call)
                finally:
                    await response.aclose()
        except (httpx.RequestError, TimeoutError) as error:
            # Without its cause, because the text of a protocol error quotes what the server sent.
            server = f"{request.url.scheme}://{request.url.netloc.decode()}"
            raise Unreachable(f"No whole answer came from {server} to {call} ({type(error).__name__}).") from None
        return ApiAnswer(response.status_code, response.headers, body)

    async def _read(self, response: httpx.Response, call: Call) -> bytes:
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > self._limits.body_bytes:
                raise AnswerTooLarge(f"The answer to {call} is larger than {self._limits.body_bytes} bytes.")
        return bytes(body)

    def _is_retried(self, error: BaseException) -> bool:
        if not isinstance(error, TemporaryFailure):
            return False
        return (error.retry_after_seconds or 0) <= self._limits.retry_after_seconds

    def _pause(self, state: RetryCallState) -> float:
        """Return the seconds before the next attempt; a limit on the rate holds up all other calls too."""
        error = state.outcome.exception() if state.outcome else None
        assert isinstance(error, TemporaryFailure), "tenacity pauses only after a failed attempt"
        seconds = self._backoff(state) if error.retry_after_seconds is None else error.retry_after_seconds
        if isinstance(error, RateLimited):
            self.rate.pause(seconds)
        return seconds


@asynccontextmanager
async def open_caller(
    variable: str, url: str, headers: Mapping[str, str], rate: RateLimit, limits: CallLimits
) -> AsyncIterator[Caller]:
    """Open the connections to the server at *url*, the value of *variable*; BadSettings if it is no address."""
    try:
        base = httpx.URL(url)
    except httpx.InvalidURL:
        raise BadSettings([f"{variable} is not an address."]) from None
    if base.scheme not in {"http", "https"} or not base.host or base.userinfo or base.query:
        raise BadSettings([f"{variable} must be an address as https://api.example.com."])
    timeout = httpx.Timeout(limits.read_seconds, connect=limits.connect_seconds)
    async with httpx.AsyncClient(base_url=base, headers=headers, timeout=timeout, follow_redirects=False) as http:
        yield Caller(http, rate, limits)


def header_value(variable: str, text: str) -> str:
    """Return a text that can be a header's value; BadSettings without the text if it can't.

    The HTTP library's own refusal quotes the value, which may be a key.
    """
    if not is_header_value(text):
        raise BadSettings([f"{variable} must be printable ASCII without blanks."])
    return text


def is_header_value(text: str) -> bool:
    """Tell whether a key or token has only the characters that keys have."""
    return bool(text) and text.isascii() and text.isprintable() and " " not in text


def retry_after_seconds(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the wait that `Retry-After` asks for, in seconds or until a date; None if it asks for none (RFC 9110).

    A date is compared with the answer's own, because the server's clock may differ from ours.
    """
    text = headers.get("retry-after", "").strip()
    if text.isdecimal() and text.isascii():
        return float(text)
    until = _date(text)
    return None if until is None else max(0.0, (until - (_date(headers.get("date", "")) or now)).total_seconds())


def _date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    # A date with the zone "-0000" comes without one.
    return date.replace(tzinfo=UTC) if date.tzinfo is None else date
