"""The ways out of a process for notifications: a signed webhook, a command, a heartbeat. No text names a secret."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ParamSpec

import httpx
from standardwebhooks.webhooks import Webhook
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from consumer.errors import ConsumerError
from consumer.settings.notifications import NotifySettings

P = ParamSpec("P")
# Sends a body under its message id; NotSent after the last attempt.
Send = Callable[[str, bytes], Awaitable[None]]

# A killed process ends within milliseconds.
KILL_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class SendLimits:
    """What it may take to send one notification."""

    # The time of one attempt, name look-up included. Svix and Slack answer within one second.
    seconds: float = 5.0
    # A restart behind a load balancer is over by the third.
    attempts: int = 3
    backoff_seconds: float = 1.0


class NotSent(ConsumerError):
    """The notification was not taken; *is_temporary*: another attempt may succeed."""

    def __init__(self, message: str, *, is_temporary: bool) -> None:
        super().__init__(message)
        self.is_temporary = is_temporary


def channel(settings: NotifySettings, environment: Mapping[str, str], limits: SendLimits) -> Send | None:
    """Return how to tell somebody, None if nobody is to be told; a command gets this *environment*."""

    async def send(message_id: str, body: bytes) -> None:
        if settings.url:
            await _repeated(limits, _post, settings, message_id, body, limits)
        else:
            await _repeated(limits, _run, settings.command, body, environment, limits)

    return send if settings.url or settings.command else None


async def call(url: str, limits: SendLimits) -> None:
    """GET an address, as a heartbeat does; NotSent after the last attempt."""
    await _repeated(limits, _exchange, "HEARTBEAT_URL", "GET", url, limits)


def signed_headers(secrets: Sequence[str], message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """Return the headers of Standard Webhooks, with a signature by each of the secrets (its section "Signatures")."""
    headers = {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
    }
    signatures = [Webhook(secret).sign(message_id, at, body.decode()) for secret in secrets]
    return headers | ({"webhook-signature": " ".join(signatures)} if signatures else {})


async def _repeated(
    limits: SendLimits, attempt: Callable[P, Awaitable[None]], *args: P.args, **kwargs: P.kwargs
) -> None:
    retrying = AsyncRetrying(
        stop=stop_after_attempt(limits.attempts),
        wait=wait_random_exponential(multiplier=limits.backoff_seconds, max=limits.seconds),
        retry=retry_if_exception(lambda error: isinstance(error, NotSent) and error.is_temporary),
        reraise=True,
    )
    await retrying(attempt, *args, **kwargs)


async def _post(settings: NotifySettings, message_id: str, body: bytes, limits: SendLimits) -> None:
    """Sign each attempt anew, because a receiver refuses an old time."""
    assert settings.url, "only a channel with an address posts"
    headers = signed_headers(settings.secrets, message_id, datetime.now(UTC), body)
    await _exchange("NOTIFY_URL", "POST", settings.url, limits, content=body, headers=headers)


async def _exchange(variable: str, method: str, url: str, limits: SendLimits, **content: Any) -> None:
    """Send a request; what the answer says is not read, and no error has a cause, whose text may name the address."""
    try:
        async with (
            asyncio.timeout(limits.seconds),
            httpx.AsyncClient(timeout=limits.seconds, follow_redirects=False) as client,
            client.stream(method, url, **content) as answer,
        ):
            status = answer.status_code
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
        raise NotSent(f"{variable} did not answer ({type(error).__name__}).", is_temporary=True) from None
    if httpx.codes.is_redirect(status):
        cure = "a redirect is not followed, so set the address that it leads to"
        raise NotSent(f"{variable} answered {status}: {cure}.", is_temporary=False)
    if not httpx.codes.is_success(status):
        is_temporary = httpx.codes.is_server_error(status) or status == httpx.codes.TOO_MANY_REQUESTS
        raise NotSent(f"{variable} answered {status}.", is_temporary=is_temporary)


async def _run(command: Sequence[str], body: bytes, environment: Mapping[str, str], limits: SendLimits) -> None:
    """Run a command without a shell, with *body* on its standard input; it and its children end with the time-out."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
    except OSError as error:
        message = f"NOTIFY_COMMAND can't be started ({type(error).__name__})."
        raise NotSent(message, is_temporary=False) from None
    try:
        async with asyncio.timeout(limits.seconds):
            await process.communicate(body)
    except TimeoutError:
        raise NotSent(f"NOTIFY_COMMAND ran for over {limits.seconds:g} s.", is_temporary=True) from None
    finally:
        if process.returncode is None:
            # A command that became another user, as by sudo, can't be killed; the event loop waits for its end too.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), KILL_SECONDS)
    if process.returncode:
        raise NotSent(f"NOTIFY_COMMAND ended with exit code {process.returncode}.", is_temporary=True)
