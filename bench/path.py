"""Where a receiver's time goes: `python -m bench.path` times each piece of a delivery's way, in one process, unhurried.

The pieces run one after the other on the same 2,000 signed requests, the best of five passes each, by processor time.
In a server under load each costs about half as much again: other work has taken the caches meanwhile.
"""

import argparse
import asyncio
import secrets
import time
from base64 import b64encode
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta

import orjson

from bench.client import signed_requests
from bench.support import EVENT_BYTES, show, unfollowed
from consumer.events import json_limits
from consumer.events.check import check
from consumer.events.registry import EVENT_TYPES
from consumer.metrics import Metrics
from consumer.outbox.storage import Delivery
from consumer.providers.stack import message_ids
from consumer.providers.standard_webhooks import Verifier
from consumer.receiver.endpoint import Receiver, Store
from consumer.receiver.refusal_log import RefusalLog

REQUESTS = 2_000
PASSES = 5
# One from the sender: those of the other benchmarks count up and hold no time.
MESSAGE_ID = "msg_0ujtsYcgvSTl8PAuAdqWYSMnLOv"

Headers = list[tuple[bytes, bytes]]
Request = tuple[Headers, bytes]


def parsed(request: bytes) -> Request:
    head, _, body = request.partition(b"\r\n\r\n")
    lines = (line.partition(b": ") for line in head.split(b"\r\n")[1:])
    return [(name, value) for name, _, value in lines], body


def best(requests: Sequence[Request], piece: Callable[[Headers, bytes], object]) -> float:
    """Return the microseconds of processor time a request that a piece takes in its best pass."""
    seconds = []
    for _ in range(PASSES):
        started = time.process_time()
        for headers, body in requests:
            piece(headers, body)
        seconds.append(time.process_time() - started)
    return 1e6 * min(seconds) / len(requests)


def whole(requests: Sequence[Request], receiver: Receiver) -> float:
    """Return the microseconds a request of all that happens between the protocol and the intake."""

    async def run() -> float:
        seconds = []
        for _ in range(PASSES):
            started = time.process_time()
            for headers, body in requests:
                await receiver({"method": "POST", "headers": headers, "type": "http"}, _receiving(body), _send)
            seconds.append(time.process_time() - started)
        return 1e6 * min(seconds) / len(requests)

    return asyncio.run(run())


def _receiving(body: bytes) -> Callable[[], Awaitable[dict[str, object]]]:
    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


async def _send(_: object) -> None:
    """Send nothing."""


async def _put(_: Delivery) -> None:
    """Store nothing."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    key = secrets.token_bytes(24)
    requests = [parsed(request) for request in signed_requests(REQUESTS, 0, key)]
    tolerance, now = timedelta(hours=1), datetime.now(UTC)
    verifier, metrics = Verifier([b64encode(key).decode()], tolerance), Metrics(EVENT_TYPES)
    pieces: dict[str, float] = {
        "verify the signature": best(requests, lambda headers, body: verifier.verify(headers, body, now)),
        "check the body": best(requests, lambda _, body: check(body, "stack")),
        "  of it: parse": best(requests, lambda _, body: orjson.loads(body)),
        "  of it: what PostgreSQL can't store": best(requests, lambda _, body: json_limits.refuse_unstorable(body)),
        "read the time in the id": best(requests, lambda *_: message_ids.occurred_at(MESSAGE_ID, now, tolerance)),
        "everything between protocol and intake": whole(
            requests,
            Receiver(
                "stack", verifier, Store(_put, unfollowed), metrics, lambda: datetime.now(UTC), RefusalLog(metrics)
            ),
        ),
    }
    rows = [{"piece": name, "CPU us/request": microseconds} for name, microseconds in pieces.items()]
    show("A delivery's way through the receiver", rows, {"event bytes": EVENT_BYTES}, as_json=options.json)


if __name__ == "__main__":
    main()
