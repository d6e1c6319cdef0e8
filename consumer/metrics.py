"""The counters and histograms of this process, and gauges that every process reads from the same tables."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

NAMESPACE = "consumer"
Received = Literal["stored", "duplicate", "dead"]
RECEIVED: tuple[Received, ...] = ("stored", "duplicate", "dead")
GAUGES = {
    "oldest_due_seconds": "Seconds that the oldest due delivery has waited",
    "oldest_xmin_seconds": "Age of the oldest transaction, which keeps dead rows from being removed",
    "clock_skew_seconds": "This process's clock minus the database's",
}

# An unlisted value is counted as OTHER: strangers and new senders must not create series (fault F68).
OTHER = "other"
REFUSALS = (
    "ambiguous_headers",
    "bad_message_id",
    "bad_timestamp",
    "body_too_large",
    "body_too_slow",
    "encoded_body",
    "head_too_slow",
    "headers_too_large",
    "malformed_request",
    "method_not_allowed",
    "missing_header",
    "no_match",
    "out_of_memory",
    "store_unavailable",
    "too_many_connections",
    "too_many_pipelined",
    "too_new",
    "too_old",
    "upgrade_refused",
    OTHER,
)
WARNINGS = ("missing_email", "missing_name", OTHER)
ERROR_CLASSES = ("transient", "busy", "ours", "constraint", "poison", OTHER)
OUTCOMES = ("applied", "unchanged", "stale", "ignored", OTHER)

# From one quick commit to the 5 s after which a request is shed.
RECEIVE_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
# From a handful of deliveries to the worker's statement timeout.
APPLY_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
BATCH_DELIVERIES = (1, 3, 10, 30, 100, 300, 1000, 3000)


@dataclass(frozen=True, slots=True)
class Tables:
    """Values of the tables at one moment; the skew is positive if this process's clock is ahead."""

    deliveries: Mapping[str, int]
    oldest_due_seconds: float
    oldest_xmin_seconds: float
    clock_skew_seconds: float


class Metrics:
    """The metrics of one process, in a registry of their own; docs/METRICS.md explains each."""

    content_type = CONTENT_TYPE_PLAIN_0_0_4

    def __init__(self, event_types: Iterable[str]) -> None:
        # The library's only switch is for all registries; without it every counter has a second series.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # The library left it untyped.
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._tables = _TableCollector(registry)
        types = (*event_types, OTHER)
        self._received = _Counts(registry, "deliveries_received", "Deliveries answered 204", outcome=RECEIVED)
        self._refused = _Counts(registry, "deliveries_refused", "Requests that stored nothing", reason=REFUSALS)
        self._warned = _Counts(registry, "delivery_warnings", "Usable deliveries that lack a value", kind=WARNINGS)
        self._applied = _Counts(registry, "deliveries_applied", "Deliveries done", event_type=types, outcome=OUTCOMES)
        self._failed = _Counts(registry, "batch_failures", "Batches rolled back", error_class=ERROR_CLASSES)
        self._retried = _Counts(registry, "deliveries_retried", "Deliveries put back")
        self._buried = _Counts(registry, "deliveries_buried", "Deliveries that a worker marked dead")
        self._receive_seconds = _histogram(registry, "receive_seconds", "Time until the answer", RECEIVE_SECONDS)
        self._apply_seconds = _histogram(registry, "apply_seconds", "Time of a batch's transaction", APPLY_SECONDS)
        self._batch_deliveries = _histogram(registry, "batch_deliveries", "Deliveries in a batch", BATCH_DELIVERIES)

    def received(self, outcome: Received, deliveries: int = 1) -> None:
        """Count deliveries that were committed, or were stored before."""
        self._received.add(outcome, amount=deliveries)

    def refused(self, reason: str) -> None:
        """Count a request that stored nothing."""
        self._refused.add(reason)

    def warned(self, kind: str) -> None:
        """Count a missing value in a delivery that can be applied."""
        self._warned.add(kind)

    def observe_receive(self, seconds: float) -> None:
        """Time a request from its last byte to its answer."""
        self._receive_seconds.observe(seconds)

    def applied(self, event_type: str, outcome: str, deliveries: int = 1) -> None:
        """Count deliveries of a committed batch."""
        self._applied.add(event_type, outcome, amount=deliveries)

    def retried(self, deliveries: int = 1) -> None:
        """Count deliveries put back by a committed batch."""
        self._retried.add(amount=deliveries)

    def buried(self, deliveries: int = 1) -> None:
        """Count deliveries that a committed batch marked dead."""
        self._buried.add(amount=deliveries)

    def failed(self, error_class: str) -> None:
        """Count a batch that was rolled back, by the class of its error."""
        self._failed.add(error_class)

    def observe_batch(self, seconds: float, deliveries: int) -> None:
        """Time a committed batch."""
        self._apply_seconds.observe(seconds)
        self._batch_deliveries.observe(deliveries)

    def set_tables(self, tables: Tables | None) -> None:
        """Set the gauges before a scrape; None, if the database can't be read, omits them."""
        self._tables.latest = tables

    def exposition(self) -> bytes:
        """Return all metrics in Prometheus's text format 0.0.4."""
        return generate_latest(self.registry)


class _Counts:
    """A counter with known label values only; any other is counted as OTHER, if that is one of them."""

    def __init__(self, registry: CollectorRegistry, name: str, text: str, **known: tuple[str, ...]) -> None:
        counter = Counter(name, text, tuple(known), namespace=NAMESPACE, registry=registry)
        self._known = tuple(frozenset(values) for values in known.values())
        self._children = {labels: counter.labels(*labels) if labels else counter for labels in product(*known.values())}

    def add(self, *labels: str, amount: int = 1) -> None:
        child = self._children.get(labels)
        if child is None:
            bounded = (label if label in known else OTHER for label, known in zip(labels, self._known, strict=True))
            child = self._children[tuple(bounded)]
        child.inc(amount)


class _TableCollector(Collector):
    """Yields the latest gauges."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.latest: Tables | None = None
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        if self.latest is None:
            return
        depth = GaugeMetricFamily("consumer_queue_deliveries", "Deliveries by state", labels=("state",))
        for state, deliveries in self.latest.deliveries.items():
            depth.add_metric((state,), deliveries)
        yield depth
        for name, text in GAUGES.items():
            yield GaugeMetricFamily(f"{NAMESPACE}_{name}", text, getattr(self.latest, name))


def _histogram(registry: CollectorRegistry, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
    return Histogram(name, text, namespace=NAMESPACE, buckets=buckets, registry=registry)
