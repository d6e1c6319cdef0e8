"""A test delivery: `stack.test`, signed and sent as Stack sends it. It is stored, and changes no user."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import httpx

from consumer.errors import ConsumerError
from consumer.operations import connect
from consumer.postgres.connections import Connection
from consumer.providers.standard_webhooks import sign
from consumer.simulator import samples
from consumer.simulator.samples import SampleContext

EVENT_TYPE = "stack.test"
# The whole exchange, name look-up included. A receiver answers within milliseconds, and somebody waits.
SEND_SECONDS = 4.0
# What to do about an answer, by its status.
CURES: Mapping[int, str] = {
    401: "it verifies with another secret. Give this console and the receivers the same STACK_WEBHOOK_SECRETS, and "
    "restart them; if they have, compare the clocks",
    404: "no delivery of Stack comes in there. Correct HOST, PORT and PATH_PREFIX, or run `consumer connect` with the "
    "right address",
    503: "it can't store at the moment. `consumer doctor` names what is missing",
}


class NotTaken(ConsumerError):
    """The test delivery was not taken."""


@dataclass(frozen=True, slots=True)
class Destination:
    """The receiver's URL for Stack's deliveries as the settings have it, and a secret of it; None: not known here."""

    url: str
    secret: str | None = field(repr=False)


async def address(conn: Connection, destination: Destination) -> str:
    """Return the URL that Stack sends to, if `consumer connect` has recorded it, else the destination's."""
    return await connect.endpoint_url(conn) or destination.url


async def send(url: str, secret: str | None, message_id: str) -> float:
    """Send it; return the seconds until it was taken. Raise NotTaken with why it was not, and what to do."""
    if secret is None:
        cure = f"set it, or run `consumer send {EVENT_TYPE} --url {url}` where it is set"
        raise NotTaken(f"This console has no STACK_WEBHOOK_SECRETS: {cure}.")
    body = samples.body(EVENT_TYPE, SampleContext.now())
    headers = {"content-type": "application/json", **sign(secret, message_id, datetime.now(UTC), body)}
    began = time.perf_counter()
    try:
        async with (
            asyncio.timeout(SEND_SECONDS),
            # As Stack sends: without a proxy's settings, and following no redirect.
            httpx.AsyncClient(timeout=SEND_SECONDS, trust_env=False) as client,
            client.stream("POST", url, content=body, headers=headers) as answer,
        ):
            status = answer.status_code
    except (TimeoutError, httpx.TimeoutException):
        cure = "see whether a firewall or a proxy holds it up, and what the receiver's log says"
        raise NotTaken(f"{url} did not answer within {SEND_SECONDS:g} s: {cure}.") from None
    # Its text may hold what another server has sent.
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        cure = "start a receiver there (`consumer serve`, or `consumer up`), or correct HOST and PORT"
        raise NotTaken(f"No receiver answers at {url} ({type(error).__name__}): {cure}.") from None
    if not httpx.codes.is_success(status):
        raise NotTaken(f"{url} answered {status}: {CURES.get(status, 'the log of the receiver has the reason')}.")
    return time.perf_counter() - began
