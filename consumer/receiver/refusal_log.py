"""Refused requests: each is counted, and enough are logged to see the reason, too few to fill the disk."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from consumer.logs import DELIVERY_REFUSED, REFUSALS_MUTED
from consumer.metrics import Metrics

WINDOW = timedelta(minutes=1)
# Of each source and reason, so that a stranger's flood does not hide why the sender is refused. A wrong secret or a
# wrong clock shows in the first; a day of one reason is about 1 MB.
LINES_MAX = 5

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Window:
    """The lines of one source and reason in the current minute."""

    until: datetime
    lines: int = 0


@dataclass(frozen=True, slots=True)
class RefusalLog:
    """Records the refusals of one receiver, by the clock that judges its deliveries."""

    metrics: Metrics
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    _windows: dict[tuple[str | None, str], _Window] = field(default_factory=dict, init=False)

    def record(self, reason: str, source: str | None = None) -> None:
        """Count a refusal and log the first of a minute; *source* is None where no endpoint has been reached.

        *reason* is one of a listed few, never a text of the request.
        """
        self.metrics.refused(reason)
        now = self.clock()
        window = self._windows.get((source, reason))
        # A clock that was set back must not mute for longer than a window either.
        if window is None or not window.until - WINDOW <= now < window.until:
            window = self._windows[source, reason] = _Window(now + WINDOW)
        window.lines += 1
        if window.lines <= LINES_MAX:
            log.warning(DELIVERY_REFUSED, extra={"source": source, "reason": reason})
        elif window.lines == LINES_MAX + 1:
            log.warning(REFUSALS_MUTED, extra={"source": source, "reason": reason, "until": window.until})
