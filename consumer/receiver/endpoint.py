"""One delivery over HTTP: verify, check and store it, and only then acknowledge it."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from psycopg.errors import DiskFull
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from consumer.errors import BadPayload, BadSignature, StoreUnavailable
from consumer.events.check import Event, check, subject
from consumer.logs import DELIVERY_NOT_STORED, DELIVERY_REDUCED, DELIVERY_STORED_DEAD
from consumer.metrics import Metrics
from consumer.outbox.storage import Delivery
from consumer.postgres.error_classes import code
from consumer.providers.app.payloads import APP_TYPES
from consumer.providers.stack.message_ids import occurred_at
from consumer.providers.standard_webhooks import SignedHead, Verified, Verifier
from consumer.receiver.refusal_log import RefusalLog
from consumer.receiver.waits import WaitFor, answer, wait_asked_for
from consumer.web.answers import OUT_OF_MEMORY, RETRY_AFTER, refusal
from consumer.web.heads import Headers

# Returns once the delivery is committed, or raises StoreUnavailable.
Put = Callable[[Delivery], Awaitable[None]]

# The only signature error that is answered with 400, not 401.
BAD_MESSAGE_ID = "bad_message_id"

# Only the application's backend has a callback that needs the profile; Stack ignores an answer's body.
WAITING_SOURCE = "app"

STORED = Response(status_code=204)
METHOD_NOT_ALLOWED = refusal(405, "method_not_allowed", "Deliveries are sent by POST.", {"allow": "POST"})
ENCODED_BODY = refusal(415, "encoded_body", "Send the body as it was signed, without a Content-Encoding.")
UNAVAILABLE = refusal(503, "store_unavailable", "The delivery could not be stored now; send it again.", RETRY_AFTER)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Store:
    """Stores deliveries, and waits for their results."""

    put: Put
    wait_for: WaitFor


@dataclass(frozen=True, slots=True)
class Receiver:
    """The webhook endpoint of one sender: an ASGI application."""

    source: str
    verifier: Verifier
    store: Store
    metrics: Metrics
    clock: Callable[[], datetime]
    refusals: RefusalLog

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, unless its sender hangs up before the body ends."""
        headers: Headers = scope["headers"]
        try:
            head = self._read_head(scope["method"], headers)
            if isinstance(head, Response):
                # Before the body has arrived: a stranger's is never kept. The connection drops it.
                await head(scope, receive, send)
                return
            body = await _body(receive)
            if body is None:
                return
            response = await self._answer(headers, head, body)
        except MemoryError:
            # The sender is right to repeat. If the delivery was stored after all, the unique key absorbs the repeat.
            self.refusals.record("out_of_memory", self.source)
            response = OUT_OF_MEMORY
        except asyncio.CancelledError:
            # The process ends and has no more time for this request.
            self.refusals.record("store_unavailable", self.source)
            response = UNAVAILABLE
        await response(scope, receive, send)

    def _read_head(self, method: str, headers: Headers) -> SignedHead | Response:
        """Return what the head claims, or the refusal if it is enough to refuse."""
        if method != "POST":
            self.refusals.record("method_not_allowed", self.source)
            return METHOD_NOT_ALLOWED
        if _is_encoded(headers):
            self.refusals.record("encoded_body", self.source)
            return ENCODED_BODY
        try:
            return self.verifier.read_head(headers, self.clock())
        except BadSignature as error:
            return self._refuse(error)

    async def _answer(self, headers: Headers, head: SignedHead, body: bytes) -> Response:
        began = time.perf_counter()
        asked = wait_asked_for(headers) if self.source == WAITING_SOURCE else 0
        accepted = await self._accept(head, body, is_waiting=asked > 0)
        self.metrics.observe_receive(time.perf_counter() - began)
        if isinstance(accepted, Response):
            return accepted
        if accepted.request_id:
            return await answer(self.store.wait_for, accepted.message_id, accepted.request_id, asked)
        return STORED

    async def _accept(self, head: SignedHead, body: bytes, *, is_waiting: bool) -> Delivery | Response:
        """Return the delivery after its commit, or the refusal."""
        try:
            verified = self.verifier.match(head, body)
        except BadSignature as error:
            return self._refuse(error)
        delivery = self._delivery(verified, body)
        # A type of one's own may name any user, and must not return that person. A dead delivery returns an error.
        if is_waiting and (delivery.event_type in APP_TYPES or delivery.error_code):
            delivery = delivery._replace(request_id=uuid4())
        try:
            await self.store.put(delivery)
        except StoreUnavailable as error:
            self.refusals.record("store_unavailable", self.source)
            # Of a full disk the intake logs one line a minute: a line for each delivery would fill the log's disk too.
            if not isinstance(error.__cause__, DiskFull):
                fields = {**_fields(delivery), "error_code": code(error.__cause__ or error)}
                log.warning(DELIVERY_NOT_STORED, extra=fields)
            return UNAVAILABLE
        if delivery.error_code is not None:
            log.warning(DELIVERY_STORED_DEAD, extra={**_fields(delivery), "error_code": delivery.error_code})
        return delivery

    def _refuse(self, error: BadSignature) -> Response:
        self.refusals.record(error.refusal, self.source)
        return refusal(400 if error.refusal == BAD_MESSAGE_ID else 401, error.refusal, str(error))

    def _delivery(self, verified: Verified, body: bytes) -> Delivery:
        """Return the delivery to store: usable, or dead with its reason, because no repeat could cure a signed body."""
        error_code = error_text = reduced = None
        try:
            event = check(body, self.source)
        except BadPayload as error:
            event_type, user_id, team_id = subject(body)
            error_code, error_text = error.code, str(error)
        else:
            event_type, user_id, team_id, reduced = event.type, event.user_id, event.team_id, event.reduced
            self._warn(event, verified.message_id)
        return Delivery(
            source=self.source,
            message_id=verified.message_id,
            event_type=event_type,
            user_id=user_id,
            team_id=team_id,
            occurred_at=occurred_at(verified.message_id, verified.signed_at, self.verifier.tolerance),
            verified_by=verified.verified_by,
            body=body,
            reduced=reduced,
            error_code=error_code,
            error=error_text,
        )

    def _warn(self, event: Event, message_id: str) -> None:
        for warning in event.warnings:
            self.metrics.warned(warning)
        for field in event.changed_fields:
            self.metrics.changed_field(field)
        for field in event.left_out:
            self.metrics.left_out(field)
        if event.left_out:
            named = {"source": self.source, "message_id": message_id, "type": event.type, "user_id": event.user_id}
            log.warning(DELIVERY_REDUCED, extra={**named, "left_out": event.left_out})


def _is_encoded(headers: Headers) -> bool:
    return any(name == b"content-encoding" and value.lower() not in {b"", b"identity"} for name, value in headers)


async def _body(receive: Receive) -> bytes | None:
    """Return the whole body, or None if the sender hung up; the protocol limits its size and time."""
    pieces: list[bytes] = []
    while (message := await receive())["type"] == "http.request":
        pieces.append(message["body"])
        if not message["more_body"]:
            return b"".join(pieces)
    return None


def _fields(delivery: Delivery) -> dict[str, object]:
    return {
        "source": delivery.source,
        "message_id": delivery.message_id,
        "type": delivery.event_type,
        "user_id": delivery.user_id,
    }
