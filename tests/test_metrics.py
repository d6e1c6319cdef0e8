"""What is counted, that its series are bounded, and that docs/METRICS.md names every one."""

import re
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from consumer.effects import anew
from consumer.gauges import POOL_COUNTERS, JobTimes, StoreState, Tables
from consumer.metric_labels import OTHER, REFUSALS, ROW_KINDS, STAGES
from consumer.metrics import (
    APPLY_SECONDS,
    DELIVERY_SECONDS,
    RECEIVE_SECONDS,
    Metrics,
)
from consumer.outbox.rebuild_queue import Stage
from consumer.postgres.error_classes import ErrorClass
from consumer.verdict.findings import open_findings

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs" / "METRICS.md"
TABLES = Tables(
    deliveries={"pending": 7, "retrying": 2, "dead": 1},
    last_received={"stack": datetime(2026, 11, 29, 12, tzinfo=UTC), "app": datetime(2026, 11, 29, tzinfo=UTC)},
    oldest_due_seconds=1.5,
    oldest_xmin_seconds=0.25,
    clock_skew_seconds=-0.125,
    rebuild_waiting_subjects={"company": 1, "user": 20, "named_by_users": 3},
    rehome_waiting_companies=4,
    oldest_received=datetime(2026, 1, 1, tzinfo=UTC),
    migrations_pending=5,
    jobs={
        "prune": JobTimes(datetime(2026, 11, 29, tzinfo=UTC), datetime(2026, 11, 30, tzinfo=UTC), is_failed=True),
        "activity": JobTimes(None, datetime(2026, 11, 29, tzinfo=UTC), is_failed=False),
    },
)
STORE = StoreState(
    waiting_deliveries=6,
    waiting_bytes=7_000,
    pool={
        "pool_size": 3,
        "pool_available": 1,
        "requests_waiting": 2,
        "requests_num": 90,
        "usage_ms": 4_500,
        "requests_queued": 8,
        "requests_wait_ms": 250,
        "requests_errors": 9,
        "connections_errors": 10,
    },
)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(["user.created", "user.updated"])


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def series(metrics: Metrics) -> set[str]:
    return {
        f"{sample.name}{sorted(sample.labels.items())}"
        for family in metrics.registry.collect()
        for sample in family.samples
    }


def test_received_deliveries_are_counted_by_outcome(metrics: Metrics) -> None:
    metrics.received("stored", 3)
    metrics.received("stored")
    metrics.received("duplicate", 2)

    assert value(metrics, "consumer_deliveries_received_total", outcome="stored") == 4
    assert value(metrics, "consumer_deliveries_received_total", outcome="duplicate") == 2
    assert value(metrics, "consumer_deliveries_received_total", outcome="dead") == 0


def test_applied_deliveries_are_counted_by_type_and_outcome(metrics: Metrics) -> None:
    metrics.applied("user.created", "applied", deliveries=5)
    metrics.applied("user.created", "stale", deliveries=1)

    assert value(metrics, "consumer_deliveries_applied_total", event_type="user.created", outcome="applied") == 5
    assert value(metrics, "consumer_deliveries_applied_total", event_type="user.created", outcome="stale") == 1


def test_a_batch_is_counted_and_timed(metrics: Metrics) -> None:
    metrics.observe_batch(0.25, 1000, 0.5)
    metrics.retried(deliveries=2)
    metrics.buried(deliveries=1)

    assert value(metrics, "consumer_apply_seconds_sum") == 0.25
    assert value(metrics, "consumer_batch_deliveries_sum") == 1000
    assert value(metrics, "consumer_delivery_seconds_sum") == 0.75
    assert value(metrics, "consumer_deliveries_retried_total") == 2
    assert value(metrics, "consumer_deliveries_buried_total") == 1


@pytest.mark.parametrize("fault", [fault.value for fault in ErrorClass])
def test_every_class_of_fault_has_a_series_of_its_own(metrics: Metrics, fault: str) -> None:
    metrics.failed(fault)

    assert value(metrics, "consumer_batch_failures_total", error_class=fault) == 1


def test_every_reason_to_refuse_has_a_series_of_its_own() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "consumer").rglob("*.py"))
    reasons = set(re.findall(r"""(?:BadSignature|refusal|refused)\((?:\d+, )?"([a-z_]+)\"""", sources))

    assert {"too_old", "body_too_large"} <= reasons
    assert reasons - {"not_ready"} == set(REFUSALS) - {"other"}


def test_what_is_not_known_is_counted_as_other(metrics: Metrics) -> None:
    metrics.refused("because")
    metrics.warned("odd")
    metrics.failed("mystery")
    metrics.applied("moon.phase", "ignored", deliveries=2)
    metrics.applied("user.created", "eaten")

    assert value(metrics, "consumer_deliveries_refused_total", reason="other") == 1
    assert value(metrics, "consumer_delivery_warnings_total", kind="other") == 1
    assert value(metrics, "consumer_batch_failures_total", error_class="other") == 1
    assert value(metrics, "consumer_deliveries_applied_total", event_type="other", outcome="ignored") == 2
    assert value(metrics, "consumer_deliveries_applied_total", event_type="user.created", outcome="other") == 1


def test_a_hundred_thousand_event_types_make_no_series(metrics: Metrics) -> None:
    before = series(metrics)

    for n in range(100_000):
        metrics.applied(f"made.up{n}", "ignored")
        metrics.refused(f"reason{n}")

    assert series(metrics) == before
    assert value(metrics, "consumer_deliveries_applied_total", event_type="other", outcome="ignored") == 100_000


@pytest.mark.parametrize(
    ("seconds", "bucket"), [(0.0004, "0.001"), (0.004, "0.005"), (4.9, "5.0"), (60.0, "+Inf")], ids=str
)
def test_the_time_to_answer_is_kept_by_bucket(metrics: Metrics, seconds: float, bucket: str) -> None:
    metrics.observe_receive(seconds)

    counts = {
        sample.labels["le"]: sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == "consumer_receive_seconds_bucket"
    }
    assert min((le for le, count in counts.items() if count), key=float) == bucket


def test_buckets_reach_from_a_millisecond_to_the_limits_of_a_request_and_of_a_statement() -> None:
    assert (RECEIVE_SECONDS[0], RECEIVE_SECONDS[-1]) == (0.001, 5)
    assert APPLY_SECONDS[-1] == 30
    # The bound of promise P6 is one of them, or no alert could tell whether it is kept.
    assert {2, 60} < set(DELIVERY_SECONDS)
    # What is told of a share is not more than two thirds above the truth.
    assert all(upper / lower <= 5 / 3 + 1e-9 for lower, upper in pairwise(DELIVERY_SECONDS) if upper <= 30)


def test_gauges_say_what_the_tables_said_last(metrics: Metrics) -> None:
    metrics.tables = TABLES

    assert value(metrics, "consumer_queue_deliveries", state="pending") == 7
    assert value(metrics, "consumer_queue_deliveries", state="dead") == 1
    assert value(metrics, "consumer_oldest_due_seconds") == 1.5
    assert value(metrics, "consumer_oldest_xmin_seconds") == 0.25
    assert value(metrics, "consumer_clock_skew_seconds") == -0.125
    assert value(metrics, "consumer_rebuild_waiting_subjects", stage="user") == 20
    assert value(metrics, "consumer_rehome_waiting_companies") == 4
    assert value(metrics, "consumer_oldest_received_timestamp_seconds") == 1_767_225_600
    assert value(metrics, "consumer_migrations_pending") == 5


def test_gauges_are_absent_when_the_database_cannot_be_read(metrics: Metrics) -> None:
    metrics.tables = TABLES
    metrics.tables = None

    assert value(metrics, "consumer_queue_deliveries", state="pending") is None
    assert b"consumer_oldest_due_seconds" not in metrics.exposition()


def test_a_batch_without_a_fresh_delivery_has_no_age(metrics: Metrics) -> None:
    metrics.observe_batch(0.25, 1000, None)

    assert value(metrics, "consumer_apply_seconds_count") == 1
    assert value(metrics, "consumer_delivery_seconds_count") == 0


def test_a_receiver_tells_what_waits_and_how_its_pool_does(metrics: Metrics) -> None:
    assert value(metrics, "consumer_intake_deliveries") is None
    metrics.store = lambda: STORE

    names = ("intake_deliveries", "intake_bytes", "pool_waiting_uses", *(f"{name}_total" for name in POOL_COUNTERS))

    assert {name: value(metrics, f"consumer_{name}") for name in names} == {
        "intake_deliveries": 6,
        "intake_bytes": 7_000,
        "pool_waiting_uses": 2,
        "pool_uses_total": 90,
        "pool_use_seconds_total": 4.5,
        "pool_waits_total": 8,
        "pool_wait_seconds_total": 0.25,
        "pool_timeouts_total": 9,
        "pool_connect_failures_total": 10,
    }
    assert value(metrics, "consumer_pool_connections", state="used") == 2
    assert value(metrics, "consumer_pool_connections", state="idle") == 1


def test_the_version_and_readiness_are_told(metrics: Metrics) -> None:
    assert value(metrics, "consumer_build_info", version=version("stack-auth-consumer")) == 1
    assert value(metrics, "consumer_ready") is None

    for is_ready in (True, False):
        metrics.is_ready = is_ready
        assert value(metrics, "consumer_ready") == is_ready


def test_every_stage_and_kind_of_a_rebuild_has_a_series_of_its_own() -> None:
    assert [stage.name.lower() for stage in Stage] == list(STAGES)
    assert set(ROW_KINDS) == {*anew.KINDS, anew.COMPANY, OTHER}


def test_two_processes_metrics_in_one_interpreter_are_apart(metrics: Metrics) -> None:
    other = Metrics(["user.created"])
    metrics.refused("too_old")

    assert value(other, "consumer_deliveries_refused_total", reason="too_old") == 0


def test_the_exposition_is_prometheus_text(metrics: Metrics) -> None:
    metrics.refused("too_old")

    families = list(text_string_to_metric_families(metrics.exposition().decode()))

    assert metrics.content_type == "text/plain; version=0.0.4; charset=utf-8"
    refused = next(family for family in families if family.name == "consumer_deliveries_refused")
    assert any(sample.labels == {"reason": "too_old"} and sample.value == 1 for sample in refused.samples)
    assert not [family.name for family in families if family.name.endswith("_created")]


@pytest.mark.skipif(sys.platform != "linux", reason="the process collector reads /proc")
def test_the_process_tells_its_memory_and_open_files(metrics: Metrics) -> None:
    assert (value(metrics, "process_resident_memory_bytes") or 0) > 1_000_000
    assert (value(metrics, "process_open_fds") or 0) > 2


@pytest.mark.skipif(sys.platform != "linux", reason="the process collector reads /proc")
def test_every_metric_is_in_the_docs_and_no_other(metrics: Metrics) -> None:
    metrics.tables, metrics.store, metrics.is_ready = TABLES, lambda: STORE, True
    metrics.findings = open_findings([])
    exposed = {
        f"{family.name}_total" if family.type == "counter" else family.name for family in metrics.registry.collect()
    }

    documented = set(re.findall(r"`((?:consumer|process)_[a-z_]+)`", DOCS.read_text()))

    assert exposed == documented


def test_the_docs_list_every_label_value(metrics: Metrics) -> None:
    metrics.tables, metrics.store = TABLES, lambda: STORE
    text = DOCS.read_text()
    known = {
        (family.name, name, label)
        for family in metrics.registry.collect()
        for sample in family.samples
        for name, label in sample.labels.items()
        if name in {"outcome", "kind", "error_class", "stage", "state"} and label != "other"
    }

    assert {entry for entry in known if f"`{entry[2]}`" not in text} == set()
