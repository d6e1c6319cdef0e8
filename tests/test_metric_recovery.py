"""What is counted of re-homing and rebuilding, of their queues, of a delivery's age and of the intake, by value."""

import asyncio
from types import SimpleNamespace
from uuid import UUID

import psycopg
import pytest

from consumer.metrics import Metrics
from consumer.outbox.queue import Claimed
from consumer.outbox.rebuild_queue import Stage
from consumer.postgres.queries import query
from consumer.worker import batch as batch_module
from consumer.worker.batch_report import oldest_age
from tests.support.batches import FIRST, crew, in_batches, user
from tests.support.databases import change, rows, schema_change
from tests.support.factories import user_updated
from tests.support.intake import site, started, updates
from tests.support.outbox import arrive, set_aside
from tests.support.polling import until
from tests.support.rehoming import at_home
from tests.support.worker import run_once, worker
from tests.test_metric_gauges import gauge, tables

ADA, BOB, EVE = (UUID(int=n) for n in (1, 2, 3))
QUEUED = "INSERT INTO consumer.rebuild (stage, id) SELECT 2, user_id FROM identity.profiles"
REFUSE_BOB = f"""
    CREATE FUNCTION public.audit() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN IF NEW.user_id = '{BOB}' THEN RAISE EXCEPTION 'no'; END IF; RETURN NEW; END $$;
    CREATE TRIGGER audit BEFORE UPDATE ON identity.profiles FOR EACH ROW EXECUTE FUNCTION public.audit();
"""


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"consumer_{name}", labels)


async def test_a_rebuild_is_counted_by_stage_and_by_the_kind_of_row_that_differed(emptied: str) -> None:
    await in_batches(emptied, [user(1, one) for one in (ADA, BOB, EVE)])
    change(emptied, f"UPDATE identity.profiles SET role_type = 'owner' WHERE user_id <> '{EVE}'")
    change(emptied, QUEUED)
    subject = worker()

    with schema_change(emptied, REFUSE_BOB, "DROP FUNCTION public.audit CASCADE"):
        await run_once(emptied, subject)

    assert value(subject.metrics, "rebuilt_subjects_total", stage="user") == 2
    assert value(subject.metrics, "rebuild_postponed_total", stage="user") == 1
    assert value(subject.metrics, "rebuild_differences_total", kind="profile") == 1
    assert value(subject.metrics, "rebuild_differences_total", kind="mirror") == 0
    assert value(subject.metrics, "rebuilt_subjects_total", stage="company") == 0
    assert value(subject.metrics, "rehomed_users_total") == 0


async def test_users_who_are_re_homed_are_counted(emptied: str) -> None:
    await in_batches(emptied, at_home(1) + at_home(2), [crew("deleted", 99)])
    subject = worker()

    await run_once(emptied, subject)

    assert value(subject.metrics, "rehomed_users_total") == 2


async def test_what_waits_to_be_made_anew_is_counted_by_stage(emptied: str) -> None:
    await in_batches(emptied, [user(1, one) for one in (ADA, BOB, EVE)])
    change(emptied, QUEUED)
    change(emptied, f"INSERT INTO consumer.rebuild (stage, id) VALUES (3, '{FIRST}')")

    waiting = {
        stage.name: await gauge(emptied, "rebuild_waiting_subjects", stage=stage.name.lower()) for stage in Stage
    }

    assert waiting == {"COMPANY": 0, "USER": 3, "NAMED_BY_USERS": 1}
    assert await gauge(emptied, "queue_deliveries", state="pending") == 4


async def test_a_company_to_be_re_homed_counts_once_however_many_ranges_of_users_wait(emptied: str) -> None:
    assert await gauge(emptied, "rehome_waiting_companies") == 0
    for due in ("now()", "now() + interval '1 h'"):
        change(emptied, f"INSERT INTO consumer.rehome (company_id, seq, due_at) VALUES ('{FIRST}', 1, {due})")

    assert await gauge(emptied, "rehome_waiting_companies") == 1


async def test_the_oldest_delivery_that_is_kept_is_a_unix_time(emptied: str) -> None:
    assert (await tables(emptied)).oldest_received is None
    await arrive(emptied, user_updated(), user_updated())
    change(
        emptied,
        "UPDATE consumer.outbox SET received_at = '2026-11-29 12:00:00.5Z'"
        " WHERE seq = (SELECT min(seq) FROM consumer.outbox)",
    )

    assert await gauge(emptied, "oldest_received_timestamp_seconds") == 1_795_953_600.5


async def test_migrations_that_the_database_lacks_are_counted(emptied: str) -> None:
    assert await gauge(emptied, "migrations_pending") == 0
    [newest] = rows(emptied, "SELECT * FROM consumer._yoyo_migration ORDER BY migration_id DESC LIMIT 1")
    with psycopg.connect(emptied) as conn:
        conn.execute("DELETE FROM consumer._yoyo_migration WHERE migration_id = %s", [newest["migration_id"]])
    try:
        assert await gauge(emptied, "migrations_pending") == 1
    finally:
        with psycopg.connect(emptied) as conn:
            places = ", ".join(["%s"] * len(newest))
            conn.execute(
                f"INSERT INTO consumer._yoyo_migration ({', '.join(newest)}) VALUES ({places})".encode(),
                list(newest.values()),
            )


async def test_the_last_run_of_each_job_of_maintain_is_told(emptied: str) -> None:
    values = (
        "VALUES ('prune', now(), '2026-11-29 12:00Z', '2026-11-30 11:00Z', NULL), ('activity', now(), NULL, now(), 'x')"
    )
    change(emptied, f"INSERT INTO consumer.maintenance (job, started_at, ended_at, due_at, error) {values}")

    found = Metrics([])
    found.tables = await tables(emptied)

    assert value(found, "maintenance_ended_timestamp_seconds", maintenance_job="prune") == 1_795_953_600
    assert value(found, "maintenance_due_timestamp_seconds", maintenance_job="prune") == 1_796_036_400
    assert value(found, "maintenance_failed", maintenance_job="prune") == 0
    assert value(found, "maintenance_ended_timestamp_seconds", maintenance_job="activity") is None
    assert value(found, "maintenance_failed", maintenance_job="activity") == 1
    assert value(found, "maintenance_failed", maintenance_job="reconcile") is None


@pytest.mark.parametrize(
    ("name", "index"), [("rebuild_queue/waiting", "rebuild_pkey"), ("deliveries/oldest_received", "outbox_pkey")]
)
def test_what_each_scrape_asks_of_a_large_table_is_answered_by_an_index(name: str, index: str, emptied: str) -> None:
    """The tests' tables are small, so the server's other ways are off."""
    with psycopg.connect(emptied) as conn:
        for way in ("seqscan", "bitmapscan", "sort"):
            conn.execute(f"SET LOCAL enable_{way} = off".encode())
        plan = str(conn.execute(b"EXPLAIN " + query(name)).fetchall())

    assert f"using {index}" in plan
    assert "Sort" not in plan


# One transaction writes both rows, as the receiver's does.
STORED_EARLIER = """
    UPDATE consumer.outbox SET received_at = now() - interval '90 s';
    UPDATE consumer.pending SET has_failed = FALSE;
"""
REPLAYED = "UPDATE consumer.outbox SET received_at = now() - interval '90 s'"


async def aged(url: str, statement: str, monkeypatch: pytest.MonkeyPatch) -> Metrics:
    """Return what a worker counts that applies two deliveries in half a second by its clock."""
    await arrive(url, user_updated(), user_updated())
    with psycopg.connect(url) as conn:
        conn.execute(statement.encode())
    readings = iter((0.0, 0.5))
    still = SimpleNamespace(perf_counter=lambda: next(readings), monotonic=lambda: 0.0)
    monkeypatch.setattr(batch_module, "time", still)
    subject = worker()
    await run_once(url, subject)
    return subject.metrics


async def test_a_batch_is_as_old_as_its_oldest_delivery_at_its_commit(
    emptied: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics = await aged(emptied, STORED_EARLIER, monkeypatch)

    assert value(metrics, "delivery_seconds_count") == 1
    # The test itself takes the rest, and the half second is the batch's.
    assert 90.5 < (value(metrics, "delivery_seconds_sum") or 0) < 120


def test_the_oldest_is_that_of_the_deliveries_that_were_done_at_their_first_attempt() -> None:
    ages = (1.0, 3.0, None, 9.0)
    claimed = [
        Claimed(seq, "stack", "msg", "user.updated", None, None, age_seconds=age) for seq, age in enumerate(ages)
    ]

    assert oldest_age(claimed, {0: "applied", 1: "stale", 2: "applied"}) == 3
    assert oldest_age(claimed, {2: "applied"}) is None


async def test_a_replayed_delivery_has_no_age(emptied: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Queued by another transaction than the one that stored it."""
    metrics = await aged(emptied, REPLAYED, monkeypatch)

    assert value(metrics, "batch_deliveries_sum") == 2
    assert value(metrics, "delivery_seconds_count") == 0


async def test_a_delivery_that_is_tried_again_has_no_age(emptied: str) -> None:
    once = user_updated()
    await arrive(emptied, once)
    set_aside(emptied, [once], "retrying")
    change(emptied, "UPDATE consumer.failures SET next_attempt_at = now()")
    subject = worker()

    await run_once(emptied, subject)

    assert value(subject.metrics, "batch_deliveries_sum") == 1
    assert value(subject.metrics, "delivery_seconds_count") == 0


async def test_an_intake_tells_what_waits_for_its_commit(emptied: str) -> None:
    three = updates(3)
    async with site(emptied) as open_site:
        idle = open_site.intake.state()
        puts = await started(*(open_site.intake.put(delivery) for delivery in three))
        waiting = open_site.intake.state()
        await asyncio.gather(*puts)
        after = open_site.intake.state()

    assert (idle.waiting_deliveries, idle.waiting_bytes) == (0, 0)
    assert (waiting.waiting_deliveries, waiting.waiting_bytes) == (3, sum(len(each.body) for each in three))
    assert (after.waiting_deliveries, after.waiting_bytes) == (0, 0)
    assert after.pool["requests_num"] - idle.pool.get("requests_num", 0) == 1


async def test_the_pool_s_statistics_have_the_names_that_are_read(emptied: str) -> None:
    """The library leaves out a count that is zero."""
    metrics = Metrics([])
    async with site(emptied, size=1) as open_site:
        metrics.store = open_site.intake.state
        assert value(metrics, "pool_connections", state="idle") == 1
        uses = value(metrics, "pool_uses_total") or 0
        async with open_site.pool.connection():
            assert value(metrics, "pool_connections", state="used") == 1
            assert value(metrics, "pool_connections", state="idle") == 0
            waiting = asyncio.create_task(open_site.intake.not_ready_reason())
            await until(lambda: bool(value(metrics, "pool_waiting_uses")))
        assert await waiting is None

        assert value(metrics, "pool_uses_total") == uses + 2
        assert value(metrics, "pool_waits_total") == 1
        assert (value(metrics, "pool_wait_seconds_total") or 0) >= 0
        assert value(metrics, "pool_timeouts_total") == 0
