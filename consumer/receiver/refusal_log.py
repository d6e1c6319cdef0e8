"""Refused requests in the log: enough lines to see the reason, too few to fill the disk."""

import logging
from datetime import datetime, timedelta

from consumer.logs import DELIVERY_REFUSED, REFUSALS_MUTED

WINDOW = timedelta(minutes=1)
# A wrong secret or a wrong clock shows in the first few; a day of them is about 5 MB.
LINES_MAX = 20

log = logging.getLogger(__name__)


class RefusalLog:
    """Logs some refusals of one endpoint; the metrics count all of them."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._until: datetime | None = None
        self._lines = 0

    def log(self, reason: str, now: datetime) -> None:
        """Log the first refusals of a minute, then one line to say that the rest are not logged."""
        # A clock that was set back must not mute for longer than a window either.
        if self._until is None or not self._until - WINDOW <= now < self._until:
            self._until, self._lines = now + WINDOW, 0
        self._lines += 1
        if self._lines <= LINES_MAX:
            log.warning(DELIVERY_REFUSED, extra={"source": self._source, "reason": reason})
        elif self._lines == LINES_MAX + 1:
            log.warning(REFUSALS_MUTED, extra={"source": self._source, "until": self._until})
