"""What the processes have reported: rates, times and refusals, for the charts and tables of the overview."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from psycopg.rows import args_row, tuple_row

from consumer.metrics import DELIVERY_SECONDS
from consumer.postgres.connections import Connection
from consumer.postgres.queries import rows
from consumer.verdict.rates import quantile

# Over which `rates` counts.
RATE_SECONDS = 60
# Requests that stored nothing are shown of this time.
UNSTORED_TIME = timedelta(minutes=15)
# The reasons that are always shown, and how: the rest only while there are any.
REASONS = {
    "duplicate": "Repeat of a stored message",
    "no_match": "Signature is of no known secret",
    "too_old": "Signed too long ago",
    "missing_header": "No signature",
    "store_unavailable": "Could not be stored (503)",
}


class ProcessRates(NamedTuple):
    """Deliveries that one process stored and applied in its last minute."""

    process_id: UUID
    stored: int
    applied: int


class ChartPoint(NamedTuple):
    """One step of a chart: deliveries a second, those that died, and milliseconds from receipt to profile.

    A time is the bound of `DELIVERY_SECONDS` that the share does not exceed, of each batch's oldest delivery: so of the
    slower half of all. It is None if nothing was applied.
    """

    at: datetime
    stored: float
    applied: float
    died: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


class Unstored(NamedTuple):
    """Requests answered without storing, by reason, and how many are usual."""

    reason: str
    requests: int
    usual: float


class SourceHours(NamedTuple):
    """What a source brought in the last full hour, and in that hour of an average of the last four weeks."""

    source: str
    last_hour: int
    usual: float | None


@dataclass(frozen=True, slots=True)
class ChartSpan:
    """How far back a chart looks, and its steps. Processes report every 10 s, so a step has several reports of each."""

    name: str
    time: timedelta
    step: timedelta


# Thirty and thirty-six steps: what fits beside another chart. For longer times there is Grafana.
QUARTER = ChartSpan("15 min", timedelta(minutes=15), timedelta(seconds=30))
HOURS = ChartSpan("3 h", timedelta(hours=3), timedelta(minutes=5))


async def rates(conn: Connection) -> Mapping[UUID, ProcessRates]:
    """Return the rates of each process that has reported within the last minute."""
    return {each.process_id: each for each in await rows(conn, args_row(ProcessRates), "reported/rates")}


async def chart(conn: Connection, span: ChartSpan) -> list[ChartPoint]:
    """Return the points of a span, oldest first; a step without a report is absent."""
    values = {"time": span.time, "step": span.step}
    counts = await rows(conn, tuple_row, "reported/counts", values)
    times: defaultdict[datetime, list[int]] = defaultdict(list)
    histogram = {"histogram": "delivery_seconds", "buckets": len(DELIVERY_SECONDS) + 1}
    for at, _, n in await rows(conn, tuple_row, "reported/times", values | histogram):
        times[at].append(n)
    seconds = span.step.total_seconds()
    return [
        ChartPoint(
            at,
            stored / seconds,
            applied / seconds,
            died,
            *(_milliseconds(quantile(share, times[at])) for share in (0.5, 0.95, 0.99)),
        )
        for at, stored, applied, died in counts
    ]


async def unstored(conn: Connection) -> list[Unstored]:
    """Return how many requests of the last quarter of an hour stored nothing, and how many do usually."""
    found = await rows(conn, args_row(Unstored), "reported/unstored", {"time": UNSTORED_TIME})
    by_reason = {each.reason: each for each in found}
    usual = [by_reason.pop(reason, Unstored(reason, 0, 0)) for reason in REASONS]
    others = sorted((each for each in by_reason.values() if each.requests), key=lambda each: -each.requests)
    return [each._replace(reason=REASONS.get(each.reason, each.reason.replace("_", " "))) for each in usual + others]


async def hours(conn: Connection) -> Mapping[str, SourceHours]:
    """Return what each source brought in the last full hour."""
    return {each.source: each for each in await rows(conn, args_row(SourceHours), "reported/hours")}


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else 1000 * seconds
