"""The counters and histograms of this process, and gauges that every process reads from the same tables."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import product

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from consumer.gauges import NAMESPACE, StoreState, Tables, of_findings, of_process, of_store, of_tables
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

# From one quick commit to the 5 s after which a request is shed.
RECEIVE_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
# From a handful of deliveries to the worker's statement timeout.
APPLY_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
# Around the two seconds of promise P6, and up to the hour after which it is an outage. `status` and the console tell a
# bound that a share does not exceed: up to half a minute that is at most two thirds above the truth.
DELIVERY_SECONDS = (
    *(0.01, 0.015, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7),
    *(1, 1.5, 2, 3, 5, 7, 10, 15, 20, 30, 60, 120, 300, 600, 1800, 3600),
)
BATCH_DELIVERIES = (1, 3, 10, 30, 100, 300, 1000, 3000)


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
        # Likewise, by code and gravity: whether such a finding is open.
        self.findings: Mapping[tuple[str, str], bool] = {}
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
        self._counted = (
            *(value.counter for value in vars(self).values() if isinstance(value, Counts)),
            *(self._receive_seconds, self._apply_seconds, self._delivery_seconds, self._batch_deliveries),
        )

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

    def counts(self) -> tuple[Mapping[str, int], Mapping[str, list[int]]]:
        """Return the counters since the start, by name and label values, and the buckets of each histogram."""
        totals: dict[str, int] = {}
        buckets: dict[str, list[int]] = {}
        for sample in (sample for each in self._counted for family in each.collect() for sample in family.samples):
            name = sample.name.removeprefix(f"{NAMESPACE}_")
            if name.endswith("_total"):
                totals[":".join([name.removesuffix("_total"), *sample.labels.values()])] = int(sample.value)
            elif name.endswith("_bucket"):
                below = buckets.setdefault(name.removesuffix("_bucket"), [])
                # A sample counts the smaller buckets too.
                below.append(int(sample.value) - sum(below))
        return totals, buckets

    def collect(self) -> Iterator[Metric]:
        """Yield what is read at a scrape: the process, the receiver's queue and pool, the tables and the findings."""
        yield from of_process(self.is_ready)
        if self.store is not None:
            yield from of_store(self.store())
        if self.tables is not None:
            yield from of_tables(self.tables)
        if self.findings:
            yield of_findings(self.findings)


class Counts:
    """A counter with known label values only; any other is counted as OTHER, if that is one of them."""

    def __init__(self, registry: CollectorRegistry, name: str, text: str, **known: tuple[str, ...]) -> None:
        self.counter = counter = Counter(name, text, tuple(known), namespace=NAMESPACE, registry=registry)
        self._known = tuple(frozenset(values) for values in known.values())
        self._children = {labels: counter.labels(*labels) if labels else counter for labels in product(*known.values())}

    def __call__(self, *labels: str, deliveries: int = 1) -> None:
        """Count deliveries, requests or batches under these values, one for each label."""
        child = self._children.get(labels)
        if child is None:
            bounded = (label if label in known else OTHER for label, known in zip(labels, self._known, strict=True))
            child = self._children[tuple(bounded)]
        child.inc(deliveries)
