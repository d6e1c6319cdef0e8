"""Replay: what is put back to pending, what is not, and that neither a kill, a repeat nor live traffic matters."""

import asyncio
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid4

import psycopg

from consumer.events.registry import EVENT_TYPES
from consumer.metrics import Metrics
from consumer.operations.paging import PAGE_SIZE
from consumer.operations.replay import Replayed, replay
from consumer.outbox.deliveries import Selection
from consumer.outbox.storage import Delivery
from consumer.postgres.connections import connect, operator_access, worker_access
from consumer.worker.batch import BatchRunner, drain
from tests.support.acting import action
from tests.support.databases import rows
from tests.support.factories import delivery, user_deleted, user_updated
from tests.support.outbox import EVERYTHING, arrive, replayed, set_aside, states, work

ROOT = Path(__file__).parent.parent
ACCESS = operator_access("consumer")
USER = UUID("0b5e9a3c-0d6c-4f8b-9a51-0c4de4b7c001")
# What a replay must not move: everything but the bookkeeping of the queue.
TABLES = (
    "SELECT * FROM identity.stack_user_profiles ORDER BY 1",
    "SELECT * FROM identity.profiles ORDER BY 1",
    "SELECT * FROM identity.profile_audit ORDER BY id",
    "SELECT xmin::text FROM identity.profiles ORDER BY user_id",
)
# Kills itself as soon as the first page is committed.
KILLED = """
import asyncio, os, signal, sys
from consumer.cli.decision import shell_action
from consumer.postgres.connections import connect, operator_access
from consumer.outbox.deliveries import Selection
from consumer.operations.replay import replay

async def work():
    access = operator_access("consumer")
    async with await connect(sys.argv[1], access) as conn:
        async for _ in replay(conn, access, Selection(states=("done",)), shell_action("replay", {})):
            os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(work())
"""


def unusable(code: str = "bad_shape", body: bytes = b'{"type": "user.updated", "data": {}}') -> Delivery:
    return delivery("user.updated", USER)._replace(body=body, error_code=code, error="$: no longer the reason")


def tables(url: str) -> list[object]:
    return [rows(url, statement) for statement in TABLES]


def bulk(url: str, n: int) -> None:
    """Put many done deliveries of a type without an effect, faster than by the door."""
    with psycopg.connect(url) as conn:
        conn.execute(
            "WITH stored AS (INSERT INTO consumer.outbox (source, message_id, event_type, occurred_at, body) "
            "SELECT 'stack', 'bulk_' || n, 'stack.test', now(), '{}' FROM generate_series(1, %s) AS n RETURNING seq) "
            "INSERT INTO consumer.outcomes (seq, outcome) SELECT seq, 'ignored' FROM stored",
            (n,),
        )


async def test_replaying_what_was_applied_changes_no_row(emptied: str) -> None:
    user_id = uuid4()
    await arrive(
        emptied,
        user_updated(user_id),
        delivery("user.signed_in", user_id, "app"),
        user_updated(user_id, display_name="G"),
    )
    await arrive(emptied, user_updated(), user_deleted(uuid4()))
    await work(emptied)
    before = tables(emptied)

    done = await replayed(emptied)
    waiting = Counter(states(emptied).values())
    await work(emptied)

    assert done == Replayed(queued=5, unusable=0, rebuilt=5)
    assert waiting == {"done": 5}
    assert tables(emptied) == before
    assert Counter(states(emptied).values()) == {"done": 5}


async def test_a_second_replay_before_a_worker_comes_queues_nobody_twice(emptied: str) -> None:
    await arrive(emptied, user_updated(), user_updated())
    await work(emptied)
    await replayed(emptied)

    assert await replayed(emptied) == Replayed(queued=2, unusable=0, rebuilt=2)
    assert len(rows(emptied, "SELECT FROM consumer.rebuild")) == 2


async def test_a_dead_delivery_that_is_still_unusable_stays_dead_with_the_present_reason(emptied: str) -> None:
    await arrive(emptied, unusable(code="an_old_reason"))

    done = await replayed(emptied)

    assert done == Replayed(queued=0, unusable=1)
    [dead] = rows(emptied, "SELECT state, error_code, error FROM consumer.deliveries")
    assert dead == {"state": "dead", "error_code": "bad_shape", "error": "$.data.id: Required field is missing"}


async def test_a_dead_delivery_that_this_release_can_use_is_applied(emptied: str) -> None:
    cured = user_updated(USER)._replace(error_code="bad_shape", error="an older release's")
    await arrive(emptied, cured)

    done = await replayed(emptied)
    await work(emptied)

    assert done == Replayed(queued=1, unusable=0)
    assert states(emptied) == {cured.message_id: "done"}
    assert [row["user_id"] for row in rows(emptied, "SELECT user_id FROM identity.profiles")] == [USER]


async def test_a_body_that_names_another_user_than_was_stored_stays_dead(emptied: str) -> None:
    await arrive(emptied, user_updated()._replace(user_id=None, error_code="bad_shape", error="unreadable then"))

    done = await replayed(emptied)

    assert done == Replayed(queued=0, unusable=1)
    assert [row["error_code"] for row in rows(emptied, "SELECT error_code FROM consumer.failures")] == [
        "stored_otherwise"
    ]


async def test_a_reason_that_did_not_change_writes_nothing(emptied: str) -> None:
    await arrive(emptied, unusable())
    await replayed(emptied)
    before = rows(emptied, "SELECT xmin::text, * FROM consumer.failures")

    await replayed(emptied)

    assert rows(emptied, "SELECT xmin::text, * FROM consumer.failures") == before


async def test_a_replay_longer_than_a_page_takes_all_of_it(emptied: str) -> None:
    bulk(emptied, 2 * PAGE_SIZE + 1)

    assert (await replayed(emptied)).queued == 2 * PAGE_SIZE + 1
    assert Counter(states(emptied).values()) == {"pending": 2 * PAGE_SIZE + 1}


async def test_a_limit_takes_the_oldest(emptied: str) -> None:
    bulk(emptied, PAGE_SIZE + 5)

    assert (await replayed(emptied, replace(EVERYTHING, limit=PAGE_SIZE + 2))).queued == PAGE_SIZE + 2
    assert list(states(emptied).values())[-4:] == ["pending", "done", "done", "done"]


async def test_a_killed_replay_keeps_its_pages_and_a_second_call_finishes(emptied: str) -> None:
    bulk(emptied, 2 * PAGE_SIZE + 1)

    killed = subprocess.run([sys.executable, "-c", KILLED, emptied], cwd=ROOT, check=False)
    after_kill = Counter(states(emptied).values())
    await replayed(emptied)

    assert killed.returncode == -signal.SIGKILL
    assert after_kill == {"pending": PAGE_SIZE, "done": PAGE_SIZE + 1}
    assert Counter(states(emptied).values()) == {"pending": 2 * PAGE_SIZE + 1}


async def test_replays_beside_workers_and_each_other_lose_nothing_and_never_deadlock(emptied: str) -> None:
    users = [uuid4() for _ in range(40)]
    await arrive(emptied, *[user_updated(users[n % 40], display_name=f"Ada {n // 40}") for n in range(1200)])
    await work(emptied)
    before = tables(emptied)
    access = worker_access("consumer")

    async def replay_often() -> None:
        """Until more than half of all was queued: by two, more than all, so something was applied in between."""
        queued = 0
        async with await connect(emptied, ACCESS) as conn, asyncio.timeout(60):
            while queued <= 600:
                queued += sum([batch.queued async for batch in replay(conn, ACCESS, EVERYTHING, action("replay"))])
                await asyncio.sleep(0)

    async def drain_meanwhile(is_over: asyncio.Event) -> None:
        worker = BatchRunner(access, Metrics(EVENT_TYPES), attempts_max=12, batch_size=100)
        async with await connect(emptied, access) as conn:
            while not is_over.is_set():
                await drain(conn, worker)
                await asyncio.sleep(0)
            await drain(conn, worker)

    is_over = asyncio.Event()
    async with asyncio.TaskGroup() as workers:
        workers.create_task(drain_meanwhile(is_over))
        workers.create_task(drain_meanwhile(is_over))
        await asyncio.gather(replay_often(), replay_often())
        is_over.set()

    assert Counter(states(emptied).values()) == {"done": 1200}
    assert tables(emptied) == before


async def test_a_retry_in_a_workers_hands_is_left_to_it_without_waiting(emptied: str) -> None:
    busy, free = user_updated(), user_updated()
    await arrive(emptied, busy, free)
    set_aside(emptied, [busy, free], "retrying")
    with psycopg.connect(emptied) as holder:
        holder.execute(
            "DELETE FROM consumer.failures WHERE seq = (SELECT seq FROM consumer.outbox WHERE message_id = %s)",
            (busy.message_id,),
        )

        done = await replayed(emptied, Selection(states=("retrying",)))
        holder.rollback()

    assert done == Replayed(queued=1, unusable=0)
    assert states(emptied) == {busy.message_id: "retrying", free.message_id: "pending"}
