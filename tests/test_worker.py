import asyncio
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from consumer.errors import SettingsMismatch
from consumer.events.registry import EVENT_TYPES
from consumer.metrics import Metrics
from consumer.postgres.connections import connect, worker_access
from consumer.postgres.error_classes import code as error_code
from consumer.postgres.queries import query
from consumer.worker.batch import BatchRunner, drain
from tests.support.databases import rows, schema_change, sessions
from tests.support.factories import user_updated
from tests.support.processes import until
from tests.support.worker import LOCK, PATIENT, deliveries, drain_all, lock, make_due, run_once, stored, worker

WAITING = f"{sessions('worker')} AND wait_event_type = 'Lock'"


async def test_a_row_that_someone_locks_waits_uncounted_and_the_others_go_on(emptied: str) -> None:
    locked = uuid4()
    await stored(emptied, [user_updated(locked)])
    await run_once(emptied, worker())
    await stored(emptied, [user_updated(locked, display_name="Later"), *(user_updated() for _ in range(7))])

    with psycopg.connect(emptied) as holder:
        holder.execute("SELECT FROM identity.stack_user_profiles WHERE stack_user_id = %s FOR UPDATE", [locked])
        batch = await run_once(emptied, worker())

    assert (len(batch.outcomes), len(batch.retried), len(batch.buried)) == (7, 1, 0)
    assert ("retrying", None, 0, "55P03") in deliveries(emptied)


async def test_a_deadlock_with_a_stranger_is_no_delivery_s_fault(emptied: str) -> None:
    """PostgreSQL ends whose patience is over first: the worker's."""
    first, second = sorted(uuid4() for _ in range(2))
    await stored(emptied, [user_updated(first), user_updated(second)])
    await run_once(emptied, worker())
    await stored(emptied, [user_updated(first), user_updated(second)])

    impatient = make_conninfo(emptied, options="-c deadlock_timeout=500ms")
    stranger = await psycopg.AsyncConnection.connect(emptied, options="-c deadlock_timeout=1min")
    subject = BatchRunner(worker_access("consumer"), Metrics(EVENT_TYPES), attempts_max=12)
    async with stranger, await connect(impatient, subject.access) as conn:
        await stranger.execute(LOCK, [[second]])
        working = asyncio.create_task(subject.run_once(conn))
        await asyncio.to_thread(until, lambda: rows(emptied, WAITING))
        crossing = asyncio.create_task(stranger.execute(LOCK, [[first]]))
        with pytest.raises(psycopg.errors.DeadlockDetected):
            await working
        await crossing

    assert deliveries(emptied)[2:] == [("pending", None, 0, None)] * 2
    assert await drain_all(emptied, worker()) == 2


async def test_a_locked_table_never_makes_a_dead_letter(emptied: str) -> None:
    await stored(emptied, [user_updated() for _ in range(30)])

    with psycopg.connect(emptied) as holder:
        holder.execute("LOCK TABLE identity.profiles IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            await run_once(emptied, worker())

    assert deliveries(emptied) == [("pending", None, 0, None)] * 30


async def test_a_missing_column_stops_the_worker_and_kills_nothing(emptied: str) -> None:
    await stored(emptied, [user_updated()])
    rename = "ALTER TABLE identity.profiles RENAME COLUMN {} TO {}"

    with (
        schema_change(emptied, rename.format("email", "mail"), rename.format("mail", "email")),
        pytest.raises(psycopg.errors.UndefinedColumn),
    ):
        await run_once(emptied, worker())

    assert deliveries(emptied) == [("pending", None, 0, None)]


async def test_a_claim_skips_what_another_worker_holds(emptied: str) -> None:
    await stored(emptied, [user_updated() for _ in range(4)])

    with psycopg.connect(emptied) as other:
        other.execute("SELECT FROM consumer.pending ORDER BY seq LIMIT 2 FOR UPDATE")
        batch = await run_once(emptied, worker())

    assert len(batch.outcomes) == 2


async def test_a_delivery_that_commits_late_below_the_last_seen_one_is_applied(emptied: str) -> None:
    subject = worker(batch_size=1)
    await stored(emptied, [user_updated()])
    [seq] = [row["seq"] for row in rows(emptied, "SELECT seq FROM consumer.pending")]
    await stored(emptied, [user_updated() for _ in range(2)])
    with psycopg.connect(emptied) as late:
        late.execute("SELECT FROM consumer.pending WHERE seq = %s FOR UPDATE", [seq])
        await run_once(emptied, subject)

    batch = [await run_once(emptied, subject) for _ in range(3)]

    assert [len(b.outcomes) for b in batch] == [1, 1, 0]


async def test_sixteen_workers_on_six_hot_users_apply_each_delivery_once(emptied: str) -> None:
    users = [uuid4() for _ in range(6)]
    await stored(emptied, [user_updated(users[n % 6], display_name=f"v{n}") for n in range(600)])
    # Sixteen in line behind one user wait longer than the other tests let them.
    connections = [await connect(emptied, PATIENT) for _ in range(16)]

    done = await asyncio.gather(*(drain(conn, worker(batch_size=10, access=PATIENT)) for conn in connections))
    await asyncio.gather(*(conn.close() for conn in connections))

    assert sum(done) == 600
    assert {row["full_name"] for row in rows(emptied, "SELECT full_name FROM identity.profiles")} == {
        f"v{n}" for n in range(594, 600)
    }
    assert len(rows(emptied, "SELECT seq FROM consumer.outcomes")) == 600


async def test_without_recorded_settings_nothing_is_applied_and_nothing_is_set_aside(emptied: str) -> None:
    await stored(emptied, [user_updated()])
    with psycopg.connect(emptied) as conn:
        conn.execute("DELETE FROM consumer.settings")

    with pytest.raises(SettingsMismatch):
        await run_once(emptied, worker())

    assert deliveries(emptied) == [("pending", None, 0, None)]


async def test_many_deliveries_of_one_locked_user_are_waited_for_once(emptied: str) -> None:
    locked = uuid4()
    await stored(emptied, [user_updated(locked)])
    await run_once(emptied, worker())
    await stored(emptied, [*(user_updated(locked) for _ in range(200)), user_updated()])

    with psycopg.connect(emptied) as holder:
        holder.execute("SELECT FROM identity.stack_user_profiles WHERE stack_user_id = %s FOR UPDATE", [locked])
        batch = await run_once(emptied, worker())

    assert (len(batch.outcomes), len(batch.retried)) == (1, 200)
    assert {error_code(error) for _, error in batch.retried} == {"55P03"}


async def test_a_few_locked_users_keep_nobody_else_waiting(emptied: str) -> None:
    locked, free = sorted(uuid4() for _ in range(6)), UUID(int=2**128 - 1, version=4)
    await stored(emptied, [user_updated(user) for user in (*locked, free)])
    await run_once(emptied, worker())
    await stored(emptied, [user_updated(user, display_name="Later") for user in (*locked, free)])

    with psycopg.connect(emptied) as holder:
        lock(holder, locked)
        batch = await run_once(emptied, worker())

    assert (len(batch.outcomes), len(batch.retried)) == (1, 6)


async def test_where_many_users_are_locked_the_rest_waits_and_what_is_done_is_done(emptied: str) -> None:
    users = sorted(uuid4() for _ in range(40))
    await stored(emptied, [user_updated(user) for user in users])
    await run_once(emptied, worker())
    await stored(emptied, [user_updated(user, display_name="Later") for user in users])

    with psycopg.connect(emptied) as holder:
        lock(holder, users[10:30])
        batch = await run_once(emptied, worker())

    assert len(batch.outcomes) == 10
    assert len(batch.retried) == 30
    assert {row[2] for row in deliveries(emptied) if row[0] == "retrying"} == {0}


async def test_a_due_retry_takes_nobody_s_turn(emptied: str) -> None:
    subject = worker(batch_size=4)
    await stored(emptied, [user_updated() for _ in range(12)])
    with psycopg.connect(emptied) as conn:
        conn.execute("""
            WITH failed AS (
                DELETE FROM consumer.pending WHERE seq = (SELECT min(seq) + 7 FROM consumer.pending) RETURNING seq
            )
            INSERT INTO consumer.failures (seq, state, attempts, next_attempt_at, error_code, error)
            SELECT seq, 'retrying', 1, now(), '23505', 'UniqueViolation' FROM failed
        """)

    done = [sorted((await run_once(emptied, subject)).outcomes) for _ in range(3)]

    first = done[0][0]
    assert done == [
        [first, first + 1, first + 2, first + 7],
        [first + 3, first + 4, first + 5, first + 6],
        [first + 8, first + 9, first + 10, first + 11],
    ]


async def test_a_batch_never_runs_while_settings_are_being_replaced(emptied: str) -> None:
    await stored(emptied, [user_updated()])

    with psycopg.connect(emptied) as operator:
        operator.execute(query("recorded_settings/lock"))
        with pytest.raises(psycopg.errors.LockNotAvailable):
            await run_once(emptied, worker())

    assert len((await run_once(emptied, worker())).outcomes) == 1


async def test_due_retries_never_starve_new_deliveries(foreign_trigger: str) -> None:
    await stored(foreign_trigger, [user_updated(display_name="Mallory") for _ in range(8)])
    await run_once(foreign_trigger, worker(batch_size=8))
    make_due(foreign_trigger)
    await stored(foreign_trigger, [user_updated(display_name="Ada") for _ in range(4)])

    batch = await run_once(foreign_trigger, worker(batch_size=8))

    assert len(batch.outcomes) == 4
