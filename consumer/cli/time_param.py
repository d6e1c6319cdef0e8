"""Points in time on the command line: an instant, or how long ago."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import click

DURATION = re.compile(r"([0-9]{1,6})([smhdw])")
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
# A century: longer than any delivery was stored, and still a date that PostgreSQL and Python can represent.
DURATION_MAX = timedelta(days=36_500)


class TimeParam(click.ParamType[datetime | timedelta]):
    """ISO 8601, in UTC unless it names a zone, or a duration: that long before now."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime | timedelta:
        """Return the instant or the duration; `instant` resolves a duration by the database's clock."""
        if isinstance(value, datetime | timedelta):
            return value
        if duration := DURATION.fullmatch(value):
            return min(timedelta(**{UNITS[duration[2]]: int(duration[1])}), DURATION_MAX)
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            self.fail(
                f"{value!r} is neither ISO 8601 (2026-01-31T12:00:00Z) nor a duration (90s, 15m, 2h, 3d, 1w).",
                param,
                ctx,
            )
        return at if at.tzinfo else at.replace(tzinfo=UTC)


def instant(time: datetime | timedelta, now: datetime) -> datetime:
    """Return the instant, which for a duration is that long before *now*."""
    return time if isinstance(time, datetime) else now - time
