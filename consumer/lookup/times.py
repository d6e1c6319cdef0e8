"""Times as people write them: ISO 8601, or a duration, which means that long ago."""

import re
from datetime import UTC, datetime, timedelta

DURATION = re.compile(r"([0-9]{1,6})([smhdw])")
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
# A century: longer than any delivery was stored, and still a date that PostgreSQL and Python can represent.
DURATION_MAX = timedelta(days=36_500)


def read_time(text: str) -> datetime | timedelta:
    """Return the instant, in UTC unless the text names a zone, or the duration; raise ValueError if it is neither."""
    if duration := DURATION.fullmatch(text):
        return min(timedelta(**{UNITS[duration[2]]: int(duration[1])}), DURATION_MAX)
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def instant(time: datetime | timedelta, now: datetime) -> datetime:
    """Return the instant, which for a duration is that long before *now*."""
    return time if isinstance(time, datetime) else now - time
