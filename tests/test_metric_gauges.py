"""The gauges, the buckets and the process's own metrics by value; and that no documented metric goes without one."""

import re
import resource
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import psutil
import psycopg
import pytest

from consumer.events.registry import EVENT_TYPES
from consumer.gauges import POOL_COUNTERS, Tables
from consumer.metric_labels import REFUSALS
from consumer.metrics import Metrics
from consumer.postgres.connections import worker_access
from consumer.process import ops
from consumer.verdict.observe import Expectations
from tests.support.databases import rows
from tests.support.factories import delivery, user_updated
from tests.support.outbox import arrive, set_aside
from tests.test_metric_values import OUR_FAULT, RECEIVED, REFUSED, WORKED

DOCS = Path(__file__).parent.parent / "docs" / "METRICS.md"
GAUGES = {
    "consumer_queue_deliveries",
    "consumer_last_received_timestamp_seconds",
    "consumer_oldest_due_seconds",
    "consumer_oldest_xmin_seconds",
    "consumer_clock_skew_seconds",
    "consumer_finding",
    "consumer_rebuild_waiting_subjects",
    "consumer_rehome_waiting_companies",
    "consumer_oldest_received_timestamp_seconds",
    "consumer_migrations_pending",
    "consumer_maintenance_ended_timestamp_seconds",
    "consumer_maintenance_due_timestamp_seconds",
    "consumer_maintenance_failed",
}
# Of these test_metrics.py, test_metric_recovery.py and test_ops.py have the values.
ELSEWHERE = {
    "consumer_build_info",
    "consumer_ready",
    "consumer_intake_deliveries",
    "consumer_intake_bytes",
    "consumer_pool_connections",
    "consumer_pool_waiting_uses",
    *(f"consumer_{name}_total" for name in POOL_COUNTERS),
    "consumer_rehomed_users_total",
    "consumer_rebuilt_subjects_total",
    "consumer_rebuild_differences_total",
    "consumer_rebuild_postponed_total",
}
BUCKETS = {
    "receive_seconds": "0.001 0.0025 0.005 0.01 0.025 0.05 0.1 0.25 0.5 1.0 2.5 5.0 +Inf",
    "apply_seconds": "0.005 0.01 0.025 0.05 0.1 0.25 0.5 1.0 2.5 5.0 10.0 30.0 +Inf",
    "delivery_seconds": (
        "0.01 0.015 0.02 0.03 0.05 0.07 0.1 0.15 0.2 0.3 0.5 0.7 1.0 1.5 2.0 3.0 5.0 7.0 10.0 15.0 20.0 30.0"
        " 60.0 120.0 300.0 600.0 1800.0 3600.0 +Inf"
    ),
    "batch_deliveries": "1.0 3.0 10.0 30.0 100.0 300.0 1000.0 3000.0 +Inf",
}


async def gauge(url: str, name: str, **labels: str) -> float:
    """Return what a scrape shows of a gauge."""
    metrics = Metrics(EVENT_TYPES)
    metrics.tables = await tables(url)
    value = metrics.registry.get_sample_value(f"consumer_{name}", labels)
    assert value is not None
    return value


async def tables(url: str) -> Tables:
    found = await ops.read_scrape(url, worker_access("consumer"), Expectations())
    assert found.tables
    return found.tables


async def test_the_queue_is_counted_by_state_and_a_company_to_be_re_homed_is_pending(emptied: str) -> None:
    with psycopg.connect(emptied) as conn:
        conn.execute("INSERT INTO consumer.rehome (company_id, seq) VALUES (gen_random_uuid(), 1)")
    deliveries = [user_updated() for _ in range(6)]
    await arrive(emptied, *deliveries)
    set_aside(emptied, deliveries[:1], "dead")
    set_aside(emptied, deliveries[1:3], "retrying")

    states = {
        state: (await gauge(emptied, "queue_deliveries", state=state)) for state in ("pending", "retrying", "dead")
    }

    assert states == {"pending": 4, "retrying": 2, "dead": 1}
    assert set((await tables(emptied)).deliveries) == set(states)


async def test_of_a_database_that_is_away_only_that_is_told() -> None:
    found = await ops.read_scrape("host=127.0.0.1 port=1 dbname=x user=x", worker_access("consumer"), Expectations())

    assert found == (None, {("database_away", "failing"): True})


async def test_the_last_delivery_of_each_source_is_a_unix_time(emptied: str) -> None:
    await arrive(emptied, user_updated(), user_updated())
    await arrive(emptied, delivery("user.signed_in", uuid4(), "app"))
    with psycopg.connect(emptied) as conn:
        conn.execute("UPDATE consumer.outbox SET received_at = '2026-11-29 12:00:00.5Z' WHERE source = 'stack'")

    found = await tables(emptied)
    before = time.time()

    assert await gauge(emptied, "last_received_timestamp_seconds", source="stack") == 1_795_953_600.5
    assert await gauge(emptied, "last_received_timestamp_seconds", source="app") == pytest.approx(before, abs=10)
    assert set(found.last_received) == {"stack", "app"}


AGED = "UPDATE consumer.outbox SET received_at = now() - interval '90 seconds';"
FAILURE = (
    "DELETE FROM consumer.pending; INSERT INTO consumer.failures (seq, state, attempts, next_attempt_at, error_code, "
    "error) SELECT seq, {}, 1, {}, 'x', 'x' FROM consumer.outbox;"
)
REHOME = (
    "DELETE FROM consumer.pending; INSERT INTO consumer.rehome (company_id, seq, due_at) "
    "VALUES (gen_random_uuid(), 1, {});"
)
OLDEST = (
    "SELECT extract(EPOCH FROM clock_timestamp() - min(xact_start)) FROM pg_stat_activity "
    "WHERE datname = current_database()"
)


@pytest.mark.parametrize(
    ("change", "seconds"),
    [
        (AGED, 90),
        (AGED + FAILURE.format("'retrying'", "now() - interval '40 seconds'"), 40),
        (AGED + FAILURE.format("'retrying'", "now() + interval '1 hour'"), None),
        (AGED + FAILURE.format("'dead'", "NULL"), None),
        (AGED + REHOME.format("now() - interval '70 seconds'"), 70),
        (AGED + REHOME.format("now() + interval '1 hour'"), None),
        (AGED + "DELETE FROM consumer.pending", None),
    ],
    ids=["pending", "retry due", "retry not due", "dead", "company due", "company not due", "nothing"],
)
async def test_what_is_due_ages_in_seconds_since_it_was(change: str, seconds: float | None, emptied: str) -> None:
    await arrive(emptied, user_updated())
    began = time.monotonic()
    with psycopg.connect(emptied) as conn:
        conn.execute(change.encode())

    age = await gauge(emptied, "oldest_due_seconds")

    if seconds is None:
        assert age == 0
    else:
        assert seconds < age < seconds + time.monotonic() - began


async def test_the_oldest_transaction_ages_in_seconds_since_it_began(emptied: str) -> None:
    with psycopg.connect(emptied) as holder:
        [(before,)] = holder.execute("SELECT extract(EPOCH FROM clock_timestamp() - now())").fetchall()
        found = await gauge(emptied, "oldest_xmin_seconds")
        [(after,)] = holder.execute(OLDEST).fetchall()

    assert 0 < before < found < after


@pytest.mark.parametrize("seconds", [120, -120], ids=["ahead", "behind"])
async def test_the_skew_is_this_process_s_clock_less_the_database_s(
    seconds: int, emptied: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    [row] = rows(emptied, "SELECT clock_timestamp() AS now")
    began, here = time.monotonic(), row["now"] + timedelta(seconds=seconds)
    monkeypatch.setattr(ops, "datetime", SimpleNamespace(now=here.astimezone))

    skew = await gauge(emptied, "clock_skew_seconds")

    assert seconds - (time.monotonic() - began) < skew < seconds


@pytest.mark.parametrize(("name", "bounds"), BUCKETS.items())
def test_a_value_is_counted_from_the_first_bucket_on_whose_bound_it_does_not_exceed(name: str, bounds: str) -> None:
    metrics = Metrics(EVENT_TYPES)
    observe: Callable[[float], None] = {
        "receive_seconds": metrics.observe_receive,
        "apply_seconds": lambda value: metrics.observe_batch(value, 0, None),
        "delivery_seconds": lambda value: metrics.observe_batch(0.0, 0, value),
        "batch_deliveries": lambda value: metrics.observe_batch(0.0, int(value), None),
    }[name]

    observed = [float(bound) for bound in bounds.split()[:-1]]
    for value in observed:
        observe(value)
    counts = {
        sample.labels["le"]: sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == f"consumer_{name}_bucket"
    }

    assert " ".join(counts) == bounds
    assert list(counts.values()) == [*range(1, len(observed) + 1), len(observed)]
    assert metrics.registry.get_sample_value(f"consumer_{name}_sum") == sum(observed)


@pytest.mark.skipif(sys.platform != "linux", reason="the process collector reads /proc")
def test_the_process_is_described_in_bytes_seconds_and_files() -> None:
    process = psutil.Process()

    values = {
        sample.name.removeprefix("process_"): sample.value
        for family in Metrics(EVENT_TYPES).registry.collect()
        for sample in family.samples
        if sample.name.startswith("process_")
    }

    memory, cpu = process.memory_info(), process.cpu_times()
    assert values == {
        "cpu_seconds_total": pytest.approx(cpu.user + cpu.system, abs=1),
        "max_fds": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        "open_fds": pytest.approx(process.num_fds(), abs=2),
        "resident_memory_bytes": pytest.approx(memory.rss, rel=0.1),
        "start_time_seconds": pytest.approx(process.create_time(), abs=2),
        "virtual_memory_bytes": pytest.approx(memory.vms, rel=0.1),
    }


def test_each_documented_metric_has_a_value_here_or_beside() -> None:
    documented = set(re.findall(r"`(consumer_[a-z_]+)`", DOCS.read_text()))
    cases = [*(case[1] for case in RECEIVED.values()), *(case[2] for case in WORKED.values())]
    valued = {name for values in cases for name in values}

    assert documented == GAUGES | ELSEWHERE | {re.sub(r"(_count|_sum)?(\{.*)?$", "", name) for name in valued} | {
        "consumer_deliveries_refused_total",
        "consumer_batch_failures_total",
    }
    assert {*REFUSED, *OUR_FAULT, "other"} == set(REFUSALS)
