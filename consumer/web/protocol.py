"""HTTP on the wire: uvicorn's protocol with limits on all that a client can send, or fail to send."""

import asyncio
from typing import Any, NoReturn

from httptools import HttpParserError
from starlette.responses import JSONResponse
from uvicorn import Config
from uvicorn.server import ServerState

from consumer.web import heads, upgrade
from consumer.web.connection import HttpConnection, Phase
from consumer.web.connection_limits import ConnectionLimiter
from consumer.web.wire_refusals import REFUSALS

# Requests sent ahead of their answers. No real client does that, and one read can hold 14,000 of them.
PIPELINED_MAX = 64
# The framing may multiply a body by this: chunks of eight bytes still fit, an endless trailer does not.
FRAMING_FACTOR = 2
# Bytes between two requests. Old clients send one empty line there (RFC 9112, 2.2); the parser skips any number.
BLANK_BYTES_MAX = 1024


class LimitedProtocol(HttpConnection):
    """A connection that refuses what is above a limit, as early as it can."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        limiter: ConnectionLimiter,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop, limiter=limiter)
        self.read_bytes = 0
        # Of the newest request: bytes of the read it began in, bytes after that read, bytes of its body, those that the
        # budget counts, and when the first read of the body was over.
        self.first_read_bytes = self.received_bytes = 0
        self.body_bytes = 0
        self.held_bytes = 0
        self.body_began = 0.0
        self.refusal_code = "malformed_request"
        self.refusal: JSONResponse | None = None
        # The head was read only to be read again without its Upgrade.
        self.is_read_again = False

    @property
    def is_body_arriving(self) -> bool:
        """Whether a part of a body that will be used is still to come."""
        return self.phase is Phase.BODY and self.refusal is None and not self.cycle.response_complete

    def bytes_per_second(self) -> float:
        """Return how fast the newest body has arrived so far."""
        return self.body_bytes / max(self.loop.time() - self.body_began, 0.001)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Register the connection, for which another may have to give way."""
        super().connection_made(transport)
        self.limiter.admit(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self.limiter.connections.pop(self, None)
        self.limiter.bodies.release(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse the data; drop it if this connection is refused or closed already."""
        if self.refusal is not None or self.is_lingering:
            return
        self.read_bytes = len(data)
        self.received_bytes += self.read_bytes
        try:
            upgrade.feed(self, data)
        except HttpParserError as error:
            # The parser wraps each error of a callback in an error of its own.
            self.refuse("out_of_memory" if isinstance(error.__context__, MemoryError) else self.refusal_code)
            return
        if self.phase is not Phase.NONE:
            self._expect_more()
        elif self.received_bytes > BLANK_BYTES_MAX:
            self.refuse("malformed_request")

    def on_message_begin(self) -> None:
        """Start counting a request."""
        super().on_message_begin()
        self._unset_keepalive_if_required()
        self.phase = Phase.HEAD
        self.first_read_bytes = self.read_bytes
        self.received_bytes = self.body_bytes = 0

    def on_headers_complete(self) -> None:
        """Check the head before the application sees it."""
        self._stop_timer()
        method, version = self.parser.get_method(), self.parser.get_http_version()
        fields = dict(self.headers)
        if self._is_head_too_large():
            self._fail("headers_too_large")
        if not heads.is_well_formed(method, self.url, version, self.headers, fields):
            self._fail("malformed_request")
        if self.parser.should_upgrade():
            if method == b"CONNECT":
                self._fail("tunnel_refused")
            self.is_read_again = True
            return
        if len(self.pipeline) >= PIPELINED_MAX:
            self._fail("too_many_pipelined")
        if int(fields.get(b"content-length", 0)) > self.limiter.limits.body_bytes:
            self._fail("body_too_large")
        # HTTP/1.0 has no interim answers (RFC 9110, 10.1.1).
        self.expect_100_continue &= version == "1.1"
        if not self.url.startswith(b"/"):
            self.url = heads.origin_form(self.url)
        super().on_headers_complete()
        if b"%" in self.scope["raw_path"]:
            # The path as it was sent: a proxy that checks paths has not decoded it either.
            self.scope["path"] = self.scope["raw_path"].decode("ascii")
        self.cycle.transport = self.answer_transport
        # The parser reports the trailers of a chunked body like headers, perhaps before the application has run.
        self.headers = []
        self.phase = Phase.BODY

    def on_body(self, body: bytes) -> None:
        """Pass on a piece of the body while the body is within the limit."""
        self.body_bytes += len(body)
        if self.body_bytes > self.limiter.limits.body_bytes:
            self._fail("body_too_large")
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Count the request as unanswered."""
        if self.is_read_again:
            return
        super().on_message_complete()
        self._stop_timer()
        self.phase = Phase.NONE
        self.received_bytes = 0
        if self.held_bytes:
            # The application takes the body at once, and has a limit of its own for those that it keeps.
            self.limiter.bodies.release(self)
        if not self.cycle.response_complete:
            self.unanswered += 1

    def on_response_complete(self) -> None:
        """Move the connection behind those idle longer, or close it if its next request is refused."""
        # A request that was answered before its body had arrived was never counted.
        self.unanswered = max(0, self.unanswered - 1)
        if self.phase is Phase.BODY and self.cycle.response_complete:
            # What has arrived of the body of a request that was answered by its head.
            self.cycle.body.clear()
            self.limiter.bodies.release(self)
        if self.is_lingering:
            return
        if self.is_ended and self.unanswered == 0:
            self.transport.close()
        super().on_response_complete()
        if self.transport.is_closing():
            return
        self.limiter.connections.move_to_end(self)
        if self.pipeline:
            # The parent class reads on after every answer: without a pause, requests would queue without end.
            self.flow.pause_reading()
        if self.refusal is not None and self.unanswered == 0:
            self._hang_up(self.refusal)

    def refuse(self, code: str) -> None:
        """Read nothing more; send the refusal as soon as the requests before this one are answered."""
        if self.refusal is not None or self.transport.is_closing():
            return
        # The sender of a request that is answered already gets no second answer.
        if not self._is_answered_early():
            self.limiter.refused(code)
        self.refusal = REFUSALS[code]
        self._stop_timer()
        if self.phase is Phase.BODY:
            self._disconnect_application()
        if self.unanswered == 0:
            self._hang_up(self.refusal)

    def _is_head_too_large(self) -> bool:
        # Most heads need not be added up, because they and more have come in fewer bytes.
        may_be = self.first_read_bytes + self.received_bytes > heads.HEAD_BYTES_MAX
        return len(self.headers) > heads.HEADERS_MAX or (
            may_be and heads.size(self.url, self.headers) > heads.HEAD_BYTES_MAX
        )

    def _expect_more(self) -> None:
        is_head = self.phase is Phase.HEAD
        if is_head and (self.received_bytes > heads.HEAD_BYTES_MAX or self._is_head_too_large()):
            self.refuse("headers_too_large")
        elif self.received_bytes > heads.HEAD_BYTES_MAX + FRAMING_FACTOR * self.limiter.limits.body_bytes:
            self.refuse("body_too_large")
        else:
            if self.timer is None:
                self._start_timer()
            if self.is_body_arriving:
                self.body_began = self.body_began if self.held_bytes else self.loop.time()
                self.limiter.bodies.take(self, self.body_bytes - self.held_bytes)

    def _fail(self, code: str) -> NoReturn:
        self.refusal_code = code
        raise HttpParserError(code)

    def _disconnect_application(self) -> None:
        if self.pipeline and self.pipeline[0][0] is self.cycle:
            self.pipeline.popleft()
        self.cycle.disconnected = True
        self.cycle.body.clear()
        self.cycle.message_event.set()
        self.limiter.bodies.release(self)

    def _time_out(self) -> None:
        self.timer = None
        if self.phase is Phase.NONE:
            self.transport.close()
        else:
            self.refuse("head_too_slow" if self.phase is Phase.HEAD else "body_too_slow")
