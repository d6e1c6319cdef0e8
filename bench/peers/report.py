"""One row a subject: the median of its samples, beside ours in the same run."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bench.peers.counters import Sample
from bench.peers.drain import Verdict
from bench.peers.subjects import OURS_DRAIN, OURS_INGEST, OURS_WHOLE, Subject


@dataclass(slots=True)
class Result:
    """What was measured of one subject, or why nothing was."""

    subject: Subject
    version: str
    samples: list[Sample] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    trouble: str | None = None

    def speed(self) -> float | None:
        """Return the median of events a second."""
        return _median([sample.events / sample.seconds for sample in self.samples])

    def thrift(self) -> float | None:
        """Return the median of events a second of processor time, which hardly depends on who else uses the machine."""
        return _median([sample.events / sample.cpu_seconds for sample in self.samples if sample.cpu_seconds])


def rows(results: Sequence[Result]) -> list[dict[str, object]]:
    """Return the table's rows, in the order given."""
    speeds = {result.subject.key: result.speed() for result in results}
    return [_row(result, speeds) for result in results]


def _row(result: Result, speeds: Mapping[str, float | None]) -> dict[str, object]:
    subject, speed = result.subject, result.speed()
    is_ingest = subject.kind == "ingest"
    ours = speeds.get((OURS_INGEST if is_ingest else OURS_DRAIN).key)
    whole = None if is_ingest else speeds.get(OURS_WHOLE.key)
    speeds_seen = [sample.events / sample.seconds for sample in result.samples]
    return {
        "kind": subject.kind,
        "system": f"{subject.name} {result.version}".strip() + f", {subject.way}",
        "events": result.samples[0].events if result.samples else None,
        "events/s": speed,
        "slowest": min(speeds_seen, default=None),
        "fastest": max(speeds_seen, default=None),
        "ours / it": _ratio(ours, speed),
        "whole / it": _ratio(whole, speed),
        "CPU µs/event": 1e6 / thrift if (thrift := result.thrift()) else None,
        "own": _median([1e6 * sample.own_cpu_seconds / sample.events for sample in result.samples]),
        "WAL B/event": _median([sample.wal_bytes / sample.events for sample in result.samples]),
        "dead/event": _median([sample.dead_rows / sample.events for sample in result.samples]),
        "one tx": None if is_ingest else "yes" if subject.is_one_transaction else "no",
        # The worst of the kills: one that does no harm proves nothing.
        "lost": max((verdict.lost for verdict in result.verdicts), default=None),
        "doubled": max((verdict.doubled for verdict in result.verdicts), default=None),
        "stuck": max((verdict.stuck for verdict in result.verdicts), default=None),
    }


def _ratio(ours: float | None, theirs: float | None) -> float | None:
    return ours / theirs if ours and theirs else None


def _median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None


def troubles(results: Sequence[Result]) -> dict[str, object]:
    """Return what was not measured, and why."""
    return {result.subject.key: result.trouble for result in results if result.trouble}


def bounds(results: Sequence[Result]) -> dict[str, object]:
    """Return what the project wants to hold, by speed and by processor time: ours against the best of each group."""
    speeds = {result.subject.key: result.speed() for result in results}
    thrifts = {result.subject.key: result.thrift() for result in results}
    return {
        f"{text}, by {measure}": _smallest(values, ours.key, peers)
        for measure, values in (("speed", speeds), ("processor time", thrifts))
        for text, ours, peers in _BOUNDS
    }


def _smallest(values: Mapping[str, float | None], ours: str, peers: Sequence[str]) -> float | None:
    ratios = [ratio for peer in peers if (ratio := _ratio(values.get(ours), values.get(peer)))]
    return min(ratios, default=None)


_BOUNDS: Sequence[tuple[str, Subject, Sequence[str]]] = (
    (
        "ingest / best receiver with a commit a request (>= 3)",
        OURS_INGEST,
        ("starlette-psycopg", "starlette-asyncpg", "fastify-pg"),
    ),
    (
        "drain / best peer that applies one by one (>= 3)",
        OURS_DRAIN,
        ("pgboss", "graphile", "pgqueuer", "procrastinate"),
    ),
    ("drain / pg-boss in batches (>= 1)", OURS_DRAIN, ("pgboss-set", "pgboss-tx")),
    ("drain / PgQ, its simplest effect (>= 0.8)", OURS_DRAIN, ("pgq",)),
)
