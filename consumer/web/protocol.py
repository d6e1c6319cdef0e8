"""HTTP on the wire: uvicorn's protocol with limits on all that a client can send, or fail to send."""

import asyncio
from enum import Enum, auto
from itertools import chain
from typing import Any, NoReturn

from httptools import HttpParserError, HttpParserUpgrade
from starlette.responses import JSONResponse
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from consumer.web.answers import OUT_OF_MEMORY, refusal
from consumer.web.connection_limits import ConnectionLimiter

# A webhook has about ten headers in less than 1 kB; a chain of proxies adds as much again.
HEAD_BYTES_MAX = 16 * 1024
HEADERS_MAX = 100
# Requests sent ahead of their answers. No real client does that, and one read can hold 14,000 of them.
PIPELINED_MAX = 64
# The framing may multiply a body by this: chunks of eight bytes still fit, an endless trailer does not.
FRAMING_FACTOR = 2

REFUSALS = {
    "malformed_request": refusal(400, "malformed_request", "The request is not well-formed HTTP/1.1."),
    "too_many_pipelined": refusal(400, "too_many_pipelined", "Too many requests were sent ahead of their answers."),
    "upgrade_refused": refusal(400, "upgrade_refused", "Only HTTP/1.1 is spoken here; leave the Upgrade header out."),
    "head_too_slow": refusal(408, "head_too_slow", "The request line and the headers did not arrive in time."),
    "body_too_slow": refusal(408, "body_too_slow", "The body did not arrive in time."),
    "body_too_large": refusal(413, "body_too_large", "The body is larger than this receiver takes."),
    "headers_too_large": refusal(431, "headers_too_large", "The request line and the headers are too large."),
    "out_of_memory": OUT_OF_MEMORY,
}


class Phase(Enum):
    """How far a connection's newest request has arrived."""

    NONE = auto()
    HEAD = auto()
    BODY = auto()


class LimitedProtocol(HttpToolsProtocol):
    """One connection; it refuses early, and closes so that the sender can still read the reason."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        limiter: ConnectionLimiter,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.limiter = limiter
        self.phase = Phase.NONE
        self.timer: asyncio.TimerHandle | None = None
        self.writing_timer: asyncio.TimerHandle | None = None
        # Of the newest request: bytes after the read it began in, and bytes of its body.
        self.received_bytes = 0
        self.body_bytes = 0
        # Requests that have arrived in full and are not answered yet.
        self.unanswered = 0
        self.refusal_code = "malformed_request"
        self.refusal: JSONResponse | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether closing it now would lose no request that has arrived in full."""
        return self.unanswered == 0 and not self.transport.is_closing()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect a request at once, because a client connects only to send one."""
        super().connection_made(transport)
        self._start_timer()
        self.limiter.admit(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_timer()
        self.resume_writing()
        self.limiter.connections.pop(self, None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse the data; drop it if this connection is refused already."""
        if self.refusal is not None:
            return
        self.received_bytes += len(data)
        try:
            self.parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            # The parser wraps each error of a callback in an error of its own.
            self._refuse("out_of_memory" if isinstance(error.__context__, MemoryError) else self.refusal_code)
            return
        if self.phase is not Phase.NONE:
            self._expect_more()

    def pause_writing(self) -> None:
        """Wait for a caller that doesn't read its answers; hang up after the read time-out."""
        super().pause_writing()
        self.writing_timer = self.loop.call_later(self.limiter.limits.read_timeout_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on writing."""
        if self.writing_timer is not None:
            self.writing_timer.cancel()
        super().resume_writing()

    def on_message_begin(self) -> None:
        """Start counting a request."""
        super().on_message_begin()
        self._unset_keepalive_if_required()
        self.phase = Phase.HEAD
        self.received_bytes = self.body_bytes = 0

    def on_headers_complete(self) -> None:
        """Check the head before the application sees it."""
        self._stop_timer()
        if self.parser.should_upgrade():
            # The parser would skip the body and take it for the next request.
            self._fail("upgrade_refused")
        if self._is_head_too_large():
            self._fail("headers_too_large")
        if len(self.pipeline) >= PIPELINED_MAX:
            self._fail("too_many_pipelined")
        if int(dict(self.headers).get(b"content-length", 0)) > self.limiter.limits.body_bytes:
            self._fail("body_too_large")
        super().on_headers_complete()
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
        super().on_message_complete()
        self._stop_timer()
        self.phase = Phase.NONE
        if not self.cycle.response_complete:
            self.unanswered += 1

    def on_response_complete(self) -> None:
        """Move the connection behind those idle longer, or close it if its next request is refused."""
        super().on_response_complete()
        # A request that was answered before its body had arrived was never counted.
        self.unanswered = max(0, self.unanswered - 1)
        if self.transport.is_closing():
            return
        self.limiter.connections.move_to_end(self)
        if self.pipeline:
            # The parent class reads on after every answer: without a pause, requests would queue without end.
            self.flow.pause_reading()
        if self.refusal is not None and self.unanswered == 0:
            self._hang_up(self.refusal)

    def _expect_more(self) -> None:
        if self.phase is Phase.HEAD and (self.received_bytes > HEAD_BYTES_MAX or self._is_head_too_large()):
            self._refuse("headers_too_large")
        elif self.received_bytes > HEAD_BYTES_MAX + FRAMING_FACTOR * self.limiter.limits.body_bytes:
            self._refuse("body_too_large")
        elif self.timer is None:
            self._start_timer()

    def _is_head_too_large(self) -> bool:
        head_bytes = len(self.url) + sum(map(len, chain.from_iterable(self.headers)))
        return head_bytes > HEAD_BYTES_MAX or len(self.headers) > HEADERS_MAX

    def _fail(self, code: str) -> NoReturn:
        self.refusal_code = code
        raise HttpParserError(code)

    def _refuse(self, code: str) -> None:
        """Read nothing more; send the refusal as soon as the requests before this one are answered."""
        if self.transport.is_closing():
            return
        self.limiter.refused(code)
        self.refusal = REFUSALS[code]
        self._stop_timer()
        if self.phase is Phase.BODY:
            self._disconnect_application()
        if self.unanswered == 0:
            self._hang_up(self.refusal)

    def _disconnect_application(self) -> None:
        if self.pipeline and self.pipeline[0][0] is self.cycle:
            self.pipeline.popleft()
        self.cycle.disconnected = True
        self.cycle.message_event.set()

    def _hang_up(self, reason: JSONResponse) -> None:
        """Answer, half-close and drop the rest: a reset by a full close could destroy the answer (RFC 9112, 9.6)."""
        self._unset_keepalive_if_required()
        self.flow.resume_reading()
        if self.phase is not Phase.BODY or not self.cycle.response_started:
            headers = (*self.server_state.default_headers, *reason.raw_headers, (b"connection", b"close"))
            lines = (b"%b: %b\r\n" % header for header in headers)
            self.transport.writelines([STATUS_LINE[reason.status_code], *lines, b"\r\n", reason.body])
        self.transport.write_eof()
        self.timer = self.loop.call_later(self.limiter.limits.linger_seconds, self.transport.abort)

    def _start_timer(self) -> None:
        self.timer = self.loop.call_later(self.limiter.limits.read_timeout_seconds, self._time_out)

    def _stop_timer(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def _time_out(self) -> None:
        self.timer = None
        if self.phase is Phase.NONE:
            self.transport.close()
        else:
            self._refuse("head_too_slow" if self.phase is Phase.HEAD else "body_too_slow")
