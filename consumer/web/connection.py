"""One connection: how long it waits, and how it ends so that the sender can still read the answer."""

import asyncio
from enum import Enum, auto
from typing import Any, cast

from starlette.responses import JSONResponse
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from consumer.web.body_budget import Flow
from consumer.web.connection_limits import ConnectionLimiter


class Phase(Enum):
    """How far a connection's newest request has arrived."""

    NONE = auto()
    HEAD = auto()
    BODY = auto()


class AnswerTransport:
    """A transport as the answer to a request sees it; the connection decides how it is closed."""

    __slots__ = ("close", "is_closing", "write")

    def __init__(self, connection: "HttpConnection") -> None:
        self.write = connection.transport.write
        self.is_closing = connection.transport.is_closing
        self.close = connection.close


class HttpConnection(HttpToolsProtocol):
    """uvicorn's protocol with time limits, and with an end that loses no answer."""

    flow: Flow

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
        # Requests that have arrived in full and are not answered yet.
        self.unanswered = 0
        # Whether the sender has shut its side, and whether this side waits for that.
        self.is_ended = False
        self.is_lingering = False

    @property
    def is_waiting(self) -> bool:
        """Whether closing it now would lose no request that has arrived in full."""
        return self.unanswered == 0 and not self.transport.is_closing()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect a request at once, because a client connects only to send one."""
        super().connection_made(transport)
        self.flow = Flow(transport)
        self.answer_transport = cast("asyncio.Transport", AnswerTransport(self))
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        self._stop_timer()
        self.resume_writing()
        super().connection_lost(exc)

    def eof_received(self) -> bool:  # type: ignore[override]  # uvicorn's always closes.
        """Keep the connection open while an answer is due to a sender that has shut its side."""
        self.is_ended = True
        return self.unanswered > 0 and not self.is_lingering

    def shutdown(self) -> None:
        """Close as soon as the requests in flight are answered."""
        if self.phase is Phase.BODY and self.cycle.response_complete:
            self.close()
        else:
            super().shutdown()

    def pause_writing(self) -> None:
        """Wait for a caller that doesn't read its answers; hang up after the read time-out."""
        super().pause_writing()
        self.writing_timer = self.loop.call_later(self.limiter.limits.read_timeout_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on writing."""
        if self.writing_timer is not None:
            self.writing_timer.cancel()
        super().resume_writing()

    def close(self) -> None:
        """Close after an answer: at once, if nothing more of the sender is on its way."""
        if self.phase is Phase.NONE and not self.pipeline:
            self.transport.close()
        else:
            self._linger()

    def _is_answered_early(self) -> bool:
        return self.phase is Phase.BODY and self.cycle.response_started

    def _hang_up(self, reason: JSONResponse) -> None:
        """Answer the newest request, unless it is answered, and close."""
        self._unset_keepalive_if_required()
        if not self._is_answered_early():
            headers = (*self.server_state.default_headers, *reason.raw_headers, (b"connection", b"close"))
            lines = (b"%b: %b\r\n" % header for header in headers)
            self.transport.writelines([STATUS_LINE[reason.status_code], *lines, b"\r\n", reason.body])
        self._linger()

    def _linger(self) -> None:
        """Shut this side and drop what still comes, until the sender has shut its own."""
        self.is_lingering = True
        self._stop_timer()
        if self.is_ended:
            self.transport.close()
            return
        self.flow.resume_reading()
        self.transport.write_eof()
        self.timer = self.loop.call_later(self.limiter.limits.linger_seconds, self.transport.abort)

    def _start_timer(self) -> None:
        self.timer = self.loop.call_later(self.limiter.limits.read_timeout_seconds, self._time_out)

    def _stop_timer(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def _time_out(self) -> None:
        raise NotImplementedError
