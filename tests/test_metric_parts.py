"""The parts of a process's metrics by themselves: what is counted, what is read at a scrape, and what is left out."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, version

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric

from consumer import gauges
from consumer.gauges import (
    GAUGES,
    PACKAGE,
    POOL_COUNTERS,
    JobTimes,
    StoreState,
    of_findings,
    of_process,
    of_store,
    of_tables,
    running_version,
)
from consumer.metric_labels import OTHER, OUTCOMES, RECEIVED, ROW_KINDS, STAGES
from consumer.metrics import Counts, Metrics
from tests.test_metrics import STORE, TABLES

START = datetime(2026, 1, 1, tzinfo=UTC)
TYPES = ("user.created", "user.updated")
# What each histogram has of buckets, the one without a bound too.
BUCKETS = {"receive_seconds": 13, "apply_seconds": 13, "delivery_seconds": 29, "batch_deliveries": 9}


def values(*families: Metric) -> dict[str, float]:
    """Return each sample by its name and its labels."""
    return {
        f"{sample.name.removeprefix('consumer_')}{sorted(sample.labels.items()) if sample.labels else ''}": sample.value
        for family in families
        for sample in family.samples
    }


def in_bucket(name: str, place: int, count: int = 1) -> list[int]:
    return [count if each == place else 0 for each in range(BUCKETS[name])]


def test_a_process_tells_its_version_and_whether_it_is_ready_if_that_was_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gauges, "version", lambda name: f"{name} 1.2")
    info = {"build_info[('version', 'stack-auth-consumer 1.2')]": 1}

    assert values(*of_process(None)) == info
    assert values(*of_process(is_ready=True)) == info | {"ready": 1}
    assert values(*of_process(is_ready=False)) == info | {"ready": 0}


def test_a_tree_that_was_never_installed_runs_an_unknown_version(monkeypatch: pytest.MonkeyPatch) -> None:
    assert running_version() == version(PACKAGE)

    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(gauges, "version", missing)
    assert running_version() == "unknown"
    assert values(*of_process(None)) == {"build_info[('version', 'unknown')]": 1}


def test_each_finding_is_told_by_code_and_gravity() -> None:
    found = of_findings({("dead", "warning"): True, ("dead", "failing"): False})

    assert (found.name, found.type) == ("consumer_finding", "gauge")
    assert values(found) == {
        "finding[('code', 'dead'), ('gravity', 'warning')]": 1,
        "finding[('code', 'dead'), ('gravity', 'failing')]": 0,
    }


def test_findings_are_told_only_if_they_were_looked_for() -> None:
    metrics = Metrics(TYPES)
    assert "consumer_finding" not in metrics.exposition().decode()

    metrics.findings = {("dead", "warning"): False}

    assert 'consumer_finding{code="dead",gravity="warning"} 0.0' in metrics.exposition().decode()


def test_a_pool_tells_each_number_and_0_for_what_it_leaves_out() -> None:
    assert values(*of_store(STORE)) == {
        "intake_deliveries": 6,
        "intake_bytes": 7_000,
        "pool_connections[('state', 'idle')]": 1,
        "pool_connections[('state', 'used')]": 2,
        "pool_waiting_uses": 2,
        "pool_uses_total": 90,
        "pool_use_seconds_total": 4.5,
        "pool_waits_total": 8,
        "pool_wait_seconds_total": 0.25,
        "pool_timeouts_total": 9,
        "pool_connect_failures_total": 10,
    }
    idle = values(*of_store(StoreState(0, 0, {})))
    assert len(idle) == 5 + len(POOL_COUNTERS)
    assert set(idle.values()) == {0}


def test_the_tables_are_told_whole() -> None:
    told = values(*of_tables(TABLES))

    assert told == {
        "queue_deliveries[('state', 'pending')]": 7,
        "queue_deliveries[('state', 'retrying')]": 2,
        "queue_deliveries[('state', 'dead')]": 1,
        "last_received_timestamp_seconds[('source', 'stack')]": 1_795_953_600,
        "last_received_timestamp_seconds[('source', 'app')]": 1_795_910_400,
        "rebuild_waiting_subjects[('stage', 'company')]": 1,
        "rebuild_waiting_subjects[('stage', 'user')]": 20,
        "rebuild_waiting_subjects[('stage', 'named_by_users')]": 3,
        "oldest_received_timestamp_seconds": 1_767_225_600,
        "maintenance_ended_timestamp_seconds[('maintenance_job', 'prune')]": 1_795_910_400,
        "maintenance_due_timestamp_seconds[('maintenance_job', 'prune')]": 1_795_996_800,
        "maintenance_due_timestamp_seconds[('maintenance_job', 'activity')]": 1_795_910_400,
        "maintenance_failed[('maintenance_job', 'prune')]": 1,
        "maintenance_failed[('maintenance_job', 'activity')]": 0,
        "oldest_due_seconds": 1.5,
        "oldest_xmin_seconds": 0.25,
        "clock_skew_seconds": -0.125,
        "rehome_waiting_companies": 4,
        "migrations_pending": 5,
    }
    assert set(GAUGES) <= told.keys()


def test_without_a_delivery_there_is_no_oldest_one() -> None:
    empty = replace(TABLES, deliveries={}, last_received={}, oldest_received=None, jobs={}, rebuild_waiting_subjects={})

    assert values(*of_tables(empty)).keys() == GAUGES.keys()


def test_a_job_that_ended_at_the_first_second_of_all_has_ended() -> None:
    first = datetime.fromtimestamp(0, UTC)
    jobs = {"prune": JobTimes(first, first + timedelta(seconds=1), is_failed=False)}

    told = values(*of_tables(replace(TABLES, jobs=jobs)))

    assert told["maintenance_ended_timestamp_seconds[('maintenance_job', 'prune')]"] == 0
    assert told["maintenance_due_timestamp_seconds[('maintenance_job', 'prune')]"] == 1


def test_a_process_reports_every_counter_and_every_bucket() -> None:
    totals, buckets = Metrics(TYPES).counts()

    assert set(totals.values()) == {0}
    assert {name: len(counts) for name, counts in buckets.items()} == BUCKETS
    assert not any(any(counts) for counts in buckets.values())
    names = {name.partition(":")[0] for name in totals}
    assert names == {
        "deliveries_received",
        "deliveries_refused",
        "delivery_warnings",
        "changed_fields",
        "left_out_fields",
        "deliveries_applied",
        "deliveries_retried",
        "deliveries_buried",
        "batch_failures",
        "rehomed_users",
        "rebuilt_subjects",
        "rebuild_postponed",
        "rebuild_differences",
    }
    assert {f"deliveries_received:{each}" for each in RECEIVED} <= totals.keys()
    assert {f"deliveries_applied:{OTHER}:{each}" for each in OUTCOMES} <= totals.keys()
    assert {f"rebuilt_subjects:{each}" for each in STAGES} <= totals.keys()
    assert {f"rebuild_differences:{each}" for each in ROW_KINDS} <= totals.keys()


def test_what_was_counted_is_reported_by_name_and_labels() -> None:
    metrics = Metrics(TYPES)
    metrics.received("stored", 3)
    metrics.refused("no_match")
    metrics.warned("missing_email", deliveries=4)
    metrics.changed_field("url")
    metrics.left_out("unheard_of", deliveries=5)
    metrics.applied("user.created", "stale", deliveries=2)
    metrics.applied("moon.phase", "applied")
    metrics.retried()
    metrics.buried(deliveries=6)
    metrics.failed("busy")
    metrics.rehomed(deliveries=7)
    metrics.rebuilt("user", deliveries=8)
    metrics.rebuild_postponed("company", deliveries=9)
    metrics.differing("edits", deliveries=10)

    assert {name: total for name, total in metrics.counts()[0].items() if total} == {
        "deliveries_received:stored": 3,
        "deliveries_refused:no_match": 1,
        "delivery_warnings:missing_email": 4,
        "changed_fields:url": 1,
        "left_out_fields:other": 5,
        "deliveries_applied:user.created:stale": 2,
        "deliveries_applied:other:applied": 1,
        "deliveries_retried": 1,
        "deliveries_buried": 6,
        "batch_failures:busy": 1,
        "rehomed_users": 7,
        "rebuilt_subjects:user": 8,
        "rebuild_postponed:company": 9,
        "rebuild_differences:edits": 10,
    }


def test_what_was_timed_is_reported_by_the_bucket_that_it_first_fits() -> None:
    metrics = Metrics(TYPES)
    metrics.observe_receive(0.001)
    metrics.observe_receive(0.0011)
    metrics.observe_receive(5.1)
    metrics.observe_batch(0.01, 3, 0.005)
    metrics.observe_batch(31, 3_001, None)

    buckets = metrics.counts()[1]

    assert buckets["receive_seconds"] == [1, 1, *[0] * 10, 1]
    assert buckets["apply_seconds"] == [0, 1, *[0] * 10, 1]
    assert buckets["batch_deliveries"] == [0, 1, *[0] * 6, 1]
    # Its age when the batch began, and the time of the batch.
    assert buckets["delivery_seconds"] == in_bucket("delivery_seconds", 1)


def test_each_bucket_counts_its_own_alone() -> None:
    metrics = Metrics(TYPES)
    for seconds in (0.001, 0.003, 0.003, 0.02, 0.02, 0.02, 9):
        metrics.observe_receive(seconds)

    assert metrics.counts()[1]["receive_seconds"] == [1, 0, 2, 0, 3, 0, 0, 0, 0, 0, 0, 0, 1]


def test_a_counter_takes_as_many_values_as_it_has_labels() -> None:
    counts = Counts(CollectorRegistry(), "things", "Things", one=("a", OTHER), two=("b", OTHER))
    counts("a", "b")
    counts("a", "x", deliveries=2)
    counts("x", "b", deliveries=4)
    counts("x", "x", deliveries=8)

    for labels in (("a",), ("a", "b", "c"), ()):
        with pytest.raises(ValueError, match="argument 2 is"):
            counts(*labels)
    assert {name: value for name, value in values(*counts.counter.collect()).items() if "total" in name} == {
        "things_total[('one', 'a'), ('two', 'b')]": 1,
        "things_total[('one', 'a'), ('two', 'other')]": 2,
        "things_total[('one', 'other'), ('two', 'b')]": 4,
        "things_total[('one', 'other'), ('two', 'other')]": 8,
    }


def test_a_value_that_cannot_be_other_is_refused() -> None:
    metrics = Metrics(TYPES)

    with pytest.raises(KeyError):
        metrics.rebuilt("none")
    assert not any(metrics.counts()[0].values())


def test_a_process_s_parts_are_told_once_each_is_set() -> None:
    metrics = Metrics(TYPES)
    names = [family.name for family in metrics.collect()]
    metrics.is_ready, metrics.store, metrics.tables = True, lambda: STORE, TABLES
    metrics.findings = {("dead", "warning"): True}
    all_of_them = [family.name.removeprefix("consumer_") for family in metrics.collect()]

    assert names == ["consumer_build_info"]
    assert all_of_them[:3] == ["build_info", "ready", "intake_deliveries"]
    assert {"queue_deliveries", "migrations_pending"} <= set(all_of_them)
    assert all_of_them[-1] == "finding"
