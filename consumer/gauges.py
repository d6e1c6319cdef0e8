"""What a process reads at each scrape: the gauges of its tables, of its findings, of its intake, and of itself."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

PACKAGE = "stack-auth-consumer"
NAMESPACE = "consumer"
GAUGES = {
    "oldest_due_seconds": "Seconds that the oldest due delivery has waited",
    "oldest_xmin_seconds": "Age of the oldest transaction, which keeps dead rows from being removed",
    "clock_skew_seconds": "This process's clock minus the database's",
    "rehome_waiting_companies": "Companies whose users wait to be re-homed",
    "migrations_pending": "Migrations that this release carries and the database lacks",
}
# By name: the key of psycopg_pool's statistics, how many of its units are one of ours, and the help text.
POOL_COUNTERS = {
    "pool_uses": ("requests_num", 1, "Times that a connection was asked for"),
    "pool_use_seconds": ("usage_ms", 1000, "Time that connections were in use"),
    "pool_waits": ("requests_queued", 1, "Uses that waited for a connection"),
    "pool_wait_seconds": ("requests_wait_ms", 1000, "Time that uses waited for a connection"),
    "pool_timeouts": ("requests_errors", 1, "Uses that got no connection"),
    "pool_connect_failures": ("connections_errors", 1, "Attempts to connect that failed"),
}


class JobTimes(NamedTuple):
    """The last run of a job of `maintain`: when it ended, None if it never did, and when it is due again."""

    ended_at: datetime | None
    due_at: datetime
    is_failed: bool


@dataclass(frozen=True, slots=True)
class Tables:
    """Values of the tables at one moment; the skew is positive if this process's clock is ahead."""

    deliveries: Mapping[str, int]
    last_received: Mapping[str, datetime]
    oldest_due_seconds: float
    oldest_xmin_seconds: float
    clock_skew_seconds: float
    # Users and companies that wait to be made anew, by stage, and companies whose users wait to be re-homed.
    rebuild_waiting_subjects: Mapping[str, int]
    rehome_waiting_companies: int
    # The time of arrival of the oldest delivery that is kept; None if there is none.
    oldest_received: datetime | None
    migrations_pending: int
    # By name, each job of `maintain` that has begun at least once.
    jobs: Mapping[str, JobTimes]


@dataclass(frozen=True, slots=True)
class StoreState:
    """What waits in a receiver for a commit, and the statistics of its pool in psycopg_pool's names."""

    waiting_deliveries: int
    waiting_bytes: int
    pool: Mapping[str, int]


def running_version() -> str:
    """Return the version of the package that runs; "unknown" in a tree that was never installed."""
    try:
        return version(PACKAGE)
    except PackageNotFoundError:
        return "unknown"


def of_process(is_ready: bool | None) -> Iterator[Metric]:
    """Yield the version that runs, and whether the process can do its work, if that was asked."""
    yield _by("build_info", "1 for the version that runs", "version", {running_version(): 1})
    if is_ready is not None:
        yield _gauge("ready", "1 if this process can do its work", is_ready)


def of_findings(findings: Mapping[tuple[str, str], bool]) -> Metric:
    """Return whether each finding is open, by code and gravity."""
    text = "1 while such a finding is open"
    family = GaugeMetricFamily(f"{NAMESPACE}_finding", text, labels=("code", "gravity"))
    for labels, is_open in findings.items():
        family.add_metric(labels, is_open)
    return family


def of_store(state: StoreState) -> Iterator[Metric]:
    """Yield what waits in a receiver, and the counts of its pool."""
    pool = defaultdict(int, state.pool)
    used = pool["pool_size"] - pool["pool_available"]
    yield _gauge("intake_deliveries", "Deliveries that wait for a commit", state.waiting_deliveries)
    yield _gauge("intake_bytes", "Bytes of bodies that wait for a commit", state.waiting_bytes)
    yield _by("pool_connections", "Connections", "state", {"idle": pool["pool_available"], "used": used})
    yield _gauge("pool_waiting_uses", "Uses that wait for a connection", pool["requests_waiting"])
    for name, (key, units, text) in POOL_COUNTERS.items():
        yield CounterMetricFamily(f"{NAMESPACE}_{name}", text, pool[key] / units)


def of_tables(tables: Tables) -> Iterator[Metric]:
    """Yield the gauges of the tables."""
    received = {source: at.timestamp() for source, at in tables.last_received.items()}
    waiting = tables.rebuild_waiting_subjects
    yield _by("queue_deliveries", "Deliveries by state", "state", tables.deliveries)
    yield _by("last_received_timestamp_seconds", "Unix time of the last delivery", "source", received)
    yield _by("rebuild_waiting_subjects", "Users and companies that wait to be made anew", "stage", waiting)
    if tables.oldest_received is not None:
        oldest = tables.oldest_received.timestamp()
        yield _gauge("oldest_received_timestamp_seconds", "Unix time of the oldest delivery that is kept", oldest)
    yield from _of_jobs(tables.jobs)
    for name, text in GAUGES.items():
        yield _gauge(name, text, getattr(tables, name))


def _of_jobs(jobs: Mapping[str, JobTimes]) -> Iterator[Metric]:
    # Prometheus gives the label "job" to each target.
    label = "maintenance_job"
    ended = {name: job.ended_at.timestamp() for name, job in jobs.items() if job.ended_at is not None}
    due = {name: job.due_at.timestamp() for name, job in jobs.items()}
    failed = {name: job.is_failed for name, job in jobs.items()}
    yield _by("maintenance_ended_timestamp_seconds", "Unix time at which the last run of a job ended", label, ended)
    yield _by("maintenance_due_timestamp_seconds", "Unix time at which a job is due", label, due)
    yield _by("maintenance_failed", "1 if the last run of a job failed", label, failed)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"{NAMESPACE}_{name}", text, value)


def _by(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    """Return a gauge with one series for each value of its label."""
    gauge = GaugeMetricFamily(f"{NAMESPACE}_{name}", text, labels=(label,))
    for label_value, value in values.items():
        gauge.add_metric((label_value,), value)
    return gauge
