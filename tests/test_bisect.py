"""A batch that fails: the item that is to blame is found, and nothing else pays for it."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import psycopg
import pytest

from consumer.errors import WorkerPaused
from consumer.postgres.connections import connect
from consumer.postgres.queries import query
from consumer.worker.batch import drain, retry_delay
from tests.support.databases import deadlocks, rows, schema_change
from tests.support.factories import user_updated
from tests.support.worker import ACCESS, deliveries, drain_all, make_due, run_once, stored, worker

FAILED = "SELECT seq FROM consumer.failures"


async def test_one_poisonous_delivery_in_500_dies_alone_and_the_batch_says_so(poison: str) -> None:
    await stored(poison, [user_updated(display_name="Mallory" if n == 217 else "Ada") for n in range(500)])

    batch = await run_once(poison, worker())

    assert (len(batch.outcomes), len(batch.retried), len(batch.buried)) == (499, 0, 1)
    assert len(rows(poison, "SELECT user_id FROM identity.profiles")) == 499
    dead = [row for row in deliveries(poison) if row[0] != "done"]
    assert dead == [("dead", None, 1, "23514")]


async def test_a_dead_letter_keeps_no_personal_data(poison: str) -> None:
    await stored(poison, [user_updated(display_name="Mallory", primary_email="mallory@example.com")])

    await run_once(poison, worker())

    [(error,)] = deliveries(poison, "error")
    assert error == "CheckViolation identity profiles poison"


async def test_half_a_batch_that_fails_alike_stops_the_worker_and_kills_nothing(poison: str) -> None:
    await stored(poison, [user_updated(display_name="Mallory" if n % 2 else "Ada") for n in range(20)])

    with pytest.raises(WorkerPaused):
        await run_once(poison, worker())

    assert deliveries(poison) == [("pending", None, 0, None)] * 20


async def test_a_constraint_of_the_application_is_retried_then_dead(foreign_trigger: str) -> None:
    await stored(foreign_trigger, [user_updated(display_name="Mallory"), user_updated(display_name="Ada")])

    await run_once(foreign_trigger, worker(attempts_max=2))
    after_one = deliveries(foreign_trigger)
    make_due(foreign_trigger)
    await run_once(foreign_trigger, worker(attempts_max=2))

    assert sorted(after_one) == [("done", "applied", 0, None), ("retrying", None, 1, "P0001")]
    assert sorted(deliveries(foreign_trigger)) == [("dead", None, 2, "P0001"), ("done", "applied", 0, None)]


def test_what_is_tried_for_ever_is_tried_within_an_hour_each_time() -> None:
    delays = [retry_delay(attempts) for attempts in (12, 1_023, 1_024, 100_000)]

    assert all(timedelta(0) <= delay <= timedelta(hours=1) for delay in delays)


async def test_a_retry_that_succeeds_is_done(emptied: str) -> None:
    delivery = user_updated(display_name="Mallory")
    with schema_change(
        emptied,
        "ALTER TABLE identity.profiles ADD CONSTRAINT late UNIQUE (full_name) ; "
        "INSERT INTO identity.profiles (user_id, full_name, role_type, department) "
        f"VALUES ('{uuid4()}', 'Mallory', 'x', 'y')",
        "ALTER TABLE identity.profiles DROP CONSTRAINT late",
    ):
        await stored(emptied, [delivery])
        await run_once(emptied, worker())
    make_due(emptied)

    await run_once(emptied, worker())

    assert deliveries(emptied) == [("done", "applied", 0, None)]


async def test_two_workers_that_both_look_for_a_culprit_never_deadlock(poison: str) -> None:
    users = [uuid4() for _ in range(20)]
    await stored(poison, [user_updated(user) for user in users] + [user_updated(display_name="Mallory")])
    await stored(poison, [user_updated(user) for user in reversed(users)] + [user_updated(display_name="Mallory")])
    before = deadlocks(poison)

    async with await connect(poison, ACCESS) as one, await connect(poison, ACCESS) as two:
        done = await asyncio.gather(*(drain(conn, worker(batch_size=21)) for conn in (one, two)))

    assert sum(done) == 42
    assert deadlocks(poison) == before


async def test_a_deferred_constraint_of_the_application_sets_its_own_row_aside(emptied: str) -> None:
    unique = "ALTER TABLE identity.profiles ADD CONSTRAINT late UNIQUE (full_name) DEFERRABLE INITIALLY DEFERRED"
    await stored(emptied, [user_updated(display_name=name) for name in ("Ada", "Ada", "Grace")])

    with schema_change(emptied, unique, "ALTER TABLE identity.profiles DROP CONSTRAINT late"):
        await drain_all(emptied, worker())

    assert sorted(deliveries(emptied, "state")) == [("done",), ("done",), ("retrying",)]


async def test_retries_that_fail_alike_again_do_not_stop_the_worker(foreign_trigger: str) -> None:
    for _ in range(5):
        await stored(foreign_trigger, [user_updated(display_name="Mallory") for _ in range(5)])
        await run_once(foreign_trigger, worker(batch_size=5))
    make_due(foreign_trigger)
    await stored(foreign_trigger, [user_updated(display_name="Ada")])

    batch = await run_once(foreign_trigger, worker())

    assert (len(batch.outcomes), len(batch.retried)) == (1, 25)


async def test_many_deliveries_of_one_refused_user_do_not_stop_the_worker(foreign_trigger: str) -> None:
    refused = uuid4()
    await stored(foreign_trigger, [user_updated(refused, display_name="Mallory") for _ in range(30)])
    await stored(foreign_trigger, [user_updated(display_name="Ada")])

    batch = await run_once(foreign_trigger, worker())

    assert (len(batch.outcomes), len(batch.retried)) == (1, 30)


async def test_replayed_failures_that_fail_alike_again_do_not_stop_the_worker(foreign_trigger: str) -> None:
    for _ in range(5):
        await stored(foreign_trigger, [user_updated(display_name="Mallory") for _ in range(5)])
        await run_once(foreign_trigger, worker(batch_size=5))
    with psycopg.connect(foreign_trigger) as conn:
        conn.execute(query("deliveries/replay"), {"seqs": [seq for (seq,) in conn.execute(FAILED)]})
    await stored(foreign_trigger, [user_updated(display_name="Ada") for _ in range(25)])

    batch = await run_once(foreign_trigger, worker())

    assert (len(batch.outcomes), len(batch.retried)) == (25, 25)
