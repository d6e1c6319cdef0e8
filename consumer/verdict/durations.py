"""Durations as people read them."""

from datetime import timedelta

UNITS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


def duration(seconds: float) -> str:
    """Return a duration in its two largest units, as in ``2h 5m``; what came after the look began has lasted 0.0s."""
    seconds = max(seconds, 0)
    left = int(timedelta(seconds=seconds).total_seconds())
    parts = []
    for unit, size in UNITS:
        amount, left = divmod(left, size)
        if amount:
            parts.append(f"{amount}{unit}")
    return " ".join(parts[:2]) or f"{seconds:.1f}s"
