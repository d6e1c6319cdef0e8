"""How much came, was applied and was refused in the last minutes, and how fast: from what all processes report."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from psycopg.rows import scalar_row, tuple_row

from consumer.metrics import DELIVERY_SECONDS
from consumer.postgres.connections import Connection
from consumer.postgres.queries import rows

# A quarter of an hour: a deploy and the moment before it are both in sight.
MINUTES = 15
# A repeat of a stored delivery is answered and changes nothing.
REPEATED = "deliveries_received:duplicate"


@dataclass(frozen=True, slots=True)
class Rates:
    """Counts of the last MINUTES, the oldest minute first; the refused ones in sum.

    *delivery_seconds*: of batches, how many had their oldest delivery applied within each bound of `DELIVERY_SECONDS`,
    and above the last.
    """

    received: Sequence[int]
    applied: Sequence[int]
    refused: int
    delivery_seconds: Sequence[int]


async def rates(conn: Connection) -> Rates:
    """Read the rates; a database without reports has zeros."""
    counted = await rows(conn, tuple_row, "rates/minutes", {"minutes": MINUTES})
    values = {"metric": "delivery_seconds", "buckets": len(DELIVERY_SECONDS) + 1, "minutes": MINUTES}
    by_metric: dict[str, list[int]] = {}
    for minute, counter, n in counted:
        if counter != REPEATED:
            by_metric.setdefault(counter.partition(":")[0], [0] * MINUTES)[MINUTES - 1 - minute] += n
    none = [0] * MINUTES
    return Rates(
        received=by_metric.get("deliveries_received", none),
        applied=by_metric.get("deliveries_applied", none),
        refused=sum(by_metric.get("deliveries_refused", none)),
        delivery_seconds=await rows(conn, scalar_row, "rates/histogram", values),
    )


def quantile(share: float, counts: Sequence[int], bounds: Sequence[float] = DELIVERY_SECONDS) -> float | None:
    """Return a bound, in seconds, that this share of the observations does not exceed; None without any.

    What is above the last bound counts as the last bound.
    """
    total = sum(counts)
    reached = (bound for bound, below in zip(bounds, accumulate(counts), strict=False) if below >= share * total)
    return next(reached, bounds[-1]) if total else None
