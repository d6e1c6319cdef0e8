"""The counters and histograms of this process, and gauges that every process reads from the same tables."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from importlib.metadata import version
from itertools import product

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from consumer.metric_labels import (
    ERROR_CLASSES,
    FIELDS,
    OTHER,
    OUTCOMES,
    RECEIVED,
    REFUSALS,
    ROW_KINDS,
    STAGES,
    WARNINGS,
    Received,
)

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

# From one quick commit to the 5 s after which a request is shed.
RECEIVE_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
# From a handful of deliveries to the worker's statement timeout.
APPLY_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
# Around the two seconds of promise P6, and up to the hour after which it is an outage.
DELIVERY_SECONDS = (0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 3600)
BATCH_DELIVERIES = (1, 3, 10, 30, 100, 300, 1000, 3000)


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


@dataclass(frozen=True, slots=True)
class StoreState:
    """What waits in a receiver for a commit, and the statistics of its pool in psycopg_pool's names."""

    waiting_deliveries: int
    waiting_bytes: int
    pool: Mapping[str, int]


class Metrics(Collector):
    """The metrics of one process, in a registry of their own; docs/METRICS.md explains each."""

    content_type = CONTENT_TYPE_PLAIN_0_0_4

    def __init__(self, event_types: Iterable[str]) -> None:
        # The library's only switch is for all registries; without it every counter has a second series.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # The library left it untyped.
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        # Set before a scrape; None, if the database can't be read, omits the gauges.
        self.tables: Tables | None = None
        self.is_ready: bool | None = None
        # Of a receiver.
        self.store: Callable[[], StoreState] | None = None
        registry.register(self)
        types = (*event_types, OTHER)
        self._received = Counts(registry, "deliveries_received", "Deliveries answered 204", outcome=RECEIVED)
        self.refused = Counts(registry, "deliveries_refused", "Requests that stored nothing", reason=REFUSALS)
        self.warned = Counts(registry, "delivery_warnings", "Usable deliveries that lack a value", kind=WARNINGS)
        self.changed_field = Counts(registry, "changed_fields", "Fields that the sender changed", field=FIELDS)
        self.left_out = Counts(registry, "left_out_fields", "Fields that can't be applied", field=FIELDS)
        # These four count what was committed; a batch that was rolled back counts only as failed.
        self.applied = Counts(registry, "deliveries_applied", "Deliveries done", event_type=types, outcome=OUTCOMES)
        self.retried = Counts(registry, "deliveries_retried", "Deliveries put back")
        self.buried = Counts(registry, "deliveries_buried", "Deliveries that a worker marked dead")
        self.failed = Counts(registry, "batch_failures", "Batches rolled back", error_class=ERROR_CLASSES)
        self.rehomed = Counts(registry, "rehomed_users", "Users whose home was looked for again")
        self.rebuilt = Counts(registry, "rebuilt_subjects", "Users and companies made anew", stage=STAGES)
        self.rebuild_postponed = Counts(registry, "rebuild_postponed", "Rebuilds that failed for now", stage=STAGES)
        self.differing = Counts(registry, "rebuild_differences", "Subjects that a rebuild changed", kind=ROW_KINDS)
        histogram = partial(Histogram, namespace=NAMESPACE, registry=registry)
        self._receive_seconds = histogram("receive_seconds", "Time until the answer", buckets=RECEIVE_SECONDS)
        self._apply_seconds = histogram("apply_seconds", "Time of a batch's transaction", buckets=APPLY_SECONDS)
        self._delivery_seconds = histogram(
            "delivery_seconds", "Time of a batch's oldest delivery until its commit", buckets=DELIVERY_SECONDS
        )
        self._batch_deliveries = histogram("batch_deliveries", "Deliveries in a batch", buckets=BATCH_DELIVERIES)

    def received(self, outcome: Received, deliveries: int = 1) -> None:
        """Count deliveries that were committed, or were stored before."""
        self._received(outcome, deliveries=deliveries)

    def observe_receive(self, seconds: float) -> None:
        """Time a request from its last byte to its answer."""
        self._receive_seconds.observe(seconds)

    def observe_batch(self, seconds: float, deliveries: int, oldest_seconds: float | None) -> None:
        """Time a committed batch; *oldest_seconds*: the age of its oldest fresh delivery when the batch began."""
        self._apply_seconds.observe(seconds)
        self._batch_deliveries.observe(deliveries)
        # One observation a batch: one for each delivery would take a few percent of the worker's time.
        if oldest_seconds is not None:
            self._delivery_seconds.observe(oldest_seconds + seconds)

    def exposition(self) -> bytes:
        """Return all metrics in Prometheus's text format 0.0.4."""
        return generate_latest(self.registry)

    def collect(self) -> Iterator[Metric]:
        """Yield what is read at a scrape: the build, readiness, the receiver's queue and pool, and the tables."""
        yield _by("build_info", "1 for the version that runs", "version", {version(PACKAGE): 1})
        if self.is_ready is not None:
            yield _gauge("ready", "1 if this process can do its work", self.is_ready)
        if self.store is not None:
            yield from _of_store(self.store())
        if self.tables is not None:
            yield from _of_tables(self.tables)


def _of_store(state: StoreState) -> Iterator[Metric]:
    pool = defaultdict(int, state.pool)
    used = pool["pool_size"] - pool["pool_available"]
    yield _gauge("intake_deliveries", "Deliveries that wait for a commit", state.waiting_deliveries)
    yield _gauge("intake_bytes", "Bytes of bodies that wait for a commit", state.waiting_bytes)
    yield _by("pool_connections", "Connections", "state", {"idle": pool["pool_available"], "used": used})
    yield _gauge("pool_waiting_uses", "Uses that wait for a connection", pool["requests_waiting"])
    for name, (key, units, text) in POOL_COUNTERS.items():
        yield CounterMetricFamily(f"{NAMESPACE}_{name}", text, pool[key] / units)


def _of_tables(tables: Tables) -> Iterator[Metric]:
    received = {source: at.timestamp() for source, at in tables.last_received.items()}
    waiting = tables.rebuild_waiting_subjects
    yield _by("queue_deliveries", "Deliveries by state", "state", tables.deliveries)
    yield _by("last_received_timestamp_seconds", "Unix time of the last delivery", "source", received)
    yield _by("rebuild_waiting_subjects", "Users and companies that wait to be made anew", "stage", waiting)
    if tables.oldest_received is not None:
        oldest = tables.oldest_received.timestamp()
        yield _gauge("oldest_received_timestamp_seconds", "Unix time of the oldest delivery that is kept", oldest)
    for name, text in GAUGES.items():
        yield _gauge(name, text, getattr(tables, name))


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"{NAMESPACE}_{name}", text, value)


def _by(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    """Return a gauge with one series for each value of its label."""
    gauge = GaugeMetricFamily(f"{NAMESPACE}_{name}", text, labels=(label,))
    for label_value, value in values.items():
        gauge.add_metric((label_value,), value)
    return gauge


class Counts:
    """A counter with known label values only; any other is counted as OTHER, if that is one of them."""

    def __init__(self, registry: CollectorRegistry, name: str, text: str, **known: tuple[str, ...]) -> None:
        counter = Counter(name, text, tuple(known), namespace=NAMESPACE, registry=registry)
        self._known = tuple(frozenset(values) for values in known.values())
        self._children = {labels: counter.labels(*labels) if labels else counter for labels in product(*known.values())}

    def __call__(self, *labels: str, deliveries: int = 1) -> None:
        """Count deliveries, requests or batches under these values, one for each label."""
        child = self._children.get(labels)
        if child is None:
            bounded = (label if label in known else OTHER for label, known in zip(labels, self._known, strict=True))
            child = self._children[tuple(bounded)]
        child.inc(deliveries)
