"""The counters and histograms of this process, and gauges that every process reads from the same tables."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
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
    "not_found",
    "out_of_memory",
    "store_unavailable",
    "too_many_connections",
    "too_many_pipelined",
    "too_new",
    "too_old",
    "tunnel_refused",
    OTHER,
)
WARNINGS = ("missing_email", "missing_name", OTHER)
# Fields without which an event is applied all the same.
FIELDS = (
    "auth_with_email",
    "client_metadata",
    "client_read_only_metadata",
    "country_code",
    "created_at_millis",
    "culprit",
    "display_name",
    "endpointUrl",
    "environment",
    "external_auth_providers",
    "first_seen_at_millis",
    "has_password",
    "last_active_at_millis",
    "last_seen_at_millis",
    "level",
    "message",
    "oauth_providers",
    "otp_auth_enabled",
    "passkey_auth_enabled",
    "primary_email_auth_enabled",
    "profile_image_url",
    "release",
    "requires_totp_mfa",
    "restricted_by_admin",
    "restricted_by_admin_private_details",
    "restricted_by_admin_reason",
    "restricted_reason",
    "risk_scores",
    "selected_team",
    "selected_team.client_metadata",
    "selected_team.client_read_only_metadata",
    "selected_team.created_at_millis",
    "selected_team.display_name",
    "selected_team.profile_image_url",
    "selected_team.server_metadata",
    "selected_team_id",
    "server_metadata",
    "service_name",
    "short_id",
    "status",
    "substatus",
    "teams",
    "times_seen",
    "type",
    "url",
    "value",
    OTHER,
)
ERROR_CLASSES = ("transient", "busy", "ours", "constraint", "poison", OTHER)
OUTCOMES = ("applied", "unchanged", "stale", "ignored", "discarded", OTHER)

# From one quick commit to the 5 s after which a request is shed.
RECEIVE_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
# From a handful of deliveries to the worker's statement timeout.
APPLY_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
BATCH_DELIVERIES = (1, 3, 10, 30, 100, 300, 1000, 3000)


@dataclass(frozen=True, slots=True)
class Tables:
    """Values of the tables at one moment; the skew is positive if this process's clock is ahead."""

    deliveries: Mapping[str, int]
    last_received: Mapping[str, datetime]
    oldest_due_seconds: float
    oldest_xmin_seconds: float
    clock_skew_seconds: float


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
        histogram = partial(Histogram, namespace=NAMESPACE, registry=registry)
        self._receive_seconds = histogram("receive_seconds", "Time until the answer", buckets=RECEIVE_SECONDS)
        self._apply_seconds = histogram("apply_seconds", "Time of a batch's transaction", buckets=APPLY_SECONDS)
        self._batch_deliveries = histogram("batch_deliveries", "Deliveries in a batch", buckets=BATCH_DELIVERIES)
        self._counted = (
            *(value.counter for value in vars(self).values() if isinstance(value, Counts)),
            *(self._receive_seconds, self._apply_seconds, self._batch_deliveries),
        )

    def received(self, outcome: Received, deliveries: int = 1) -> None:
        """Count deliveries that were committed, or were stored before."""
        self._received(outcome, deliveries=deliveries)

    def observe_receive(self, seconds: float) -> None:
        """Time a request from its last byte to its answer."""
        self._receive_seconds.observe(seconds)

    def observe_batch(self, seconds: float, deliveries: int) -> None:
        """Time a committed batch."""
        self._apply_seconds.observe(seconds)
        self._batch_deliveries.observe(deliveries)

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
        """Yield the findings, and the gauges of the tables."""
        if self.findings:
            yield self._open_findings()
        if self.tables is None:
            return
        depth = GaugeMetricFamily(f"{NAMESPACE}_queue_deliveries", "Deliveries by state", labels=("state",))
        for state, deliveries in self.tables.deliveries.items():
            depth.add_metric((state,), deliveries)
        yield depth
        last = GaugeMetricFamily(
            f"{NAMESPACE}_last_received_timestamp_seconds", "Unix time of the last delivery", labels=("source",)
        )
        for source, received_at in self.tables.last_received.items():
            last.add_metric((source,), received_at.timestamp())
        yield last
        for name, text in GAUGES.items():
            yield GaugeMetricFamily(f"{NAMESPACE}_{name}", text, getattr(self.tables, name))

    def _open_findings(self) -> Metric:
        text = "1 while such a finding is open"
        family = GaugeMetricFamily(f"{NAMESPACE}_finding", text, labels=("code", "gravity"))
        for labels, is_open in self.findings.items():
            family.add_metric(labels, is_open)
        return family


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
