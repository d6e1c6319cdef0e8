"""Values as the pages show them: times, durations, numbers."""

from datetime import UTC, datetime, timedelta

# The two largest units of a duration; the space in each is one that does not break.
UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
SPACE = "\N{NO-BREAK SPACE}"
DASH = "–"


def count(number: int | None) -> str:
    """Return a number with commas between thousands."""
    return DASH if number is None else f"{number:,}"


def rate(number: float | None) -> str:
    """Return a number a second in three digits."""
    return DASH if number is None else f"{number:,.1f}" if number < 100 else f"{number:,.0f}"


def clock(at: datetime | None, now: datetime | None = None) -> str:
    """Return a time in UTC, with its date if that is not the one of *now*."""
    if at is None:
        return DASH
    at = at.astimezone(UTC)
    day = "" if now and now.astimezone(UTC).date() == at.date() else f"{at.day} {at:%b}, "
    return f"{day}{at:%H:%M:%S}"


def duration(time: timedelta | float | None) -> str:
    """Return a duration, also one in seconds, in its two largest units: `3 h 12 min`."""
    if time is None:
        return DASH
    seconds = time.total_seconds() if isinstance(time, timedelta) else time
    if 0 < seconds < 0.001:
        return f"under 1{SPACE}ms"
    if seconds < 1:
        return f"{max(0, round(1000 * seconds))}{SPACE}ms"
    left, parts = int(seconds), []
    for unit, size in UNITS:
        amount, left = divmod(left, size)
        if amount:
            parts.append(f"{amount}{SPACE}{unit}")
    return SPACE.join(parts[:2])


def ago(at: datetime | None, now: datetime) -> str:
    """Return how long ago a time was."""
    if at is None:
        return "never"
    return "now" if now - at < timedelta(seconds=1) else f"{duration(now - at)} ago"


def skew(seconds: float) -> str:
    """Return how far a clock is ahead, with its sign."""
    if abs(seconds) < 0.001:
        return f"0{SPACE}ms"
    return f"{'−' if seconds < 0 else '+'}{duration(abs(seconds))}"


def size(number: int) -> str:
    """Return a number of bytes in the unit that leaves at most four digits."""
    amount, units = number, ["bytes", "kB", "MB", "GB", "TB"]
    while amount >= 10_000 and len(units) > 1:
        amount //= 1024
        units.pop(0)
    return f"{amount:,}{SPACE}{units[0]}"
