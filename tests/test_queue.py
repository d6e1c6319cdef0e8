"""The queue of deliveries: which are claimed, in which order, and what is left of those that failed."""

from datetime import timedelta

import psycopg
import pytest

from consumer.outbox import deliveries, queue
from consumer.outbox.queue import Claimed
from consumer.outbox.storage import Delivery
from consumer.postgres.connections import Connection, operator_access, transaction
from tests.support.databases import change, rows
from tests.support.effects import ACCESS
from tests.support.factories import user_updated
from tests.support.kept import kept
from tests.support.outbox import put, seqs, set_aside, states

OPERATOR = operator_access("consumer")
FAILURES = """
    SELECT state, attempts, error_code, error, event_type, source,
        round(extract(EPOCH FROM next_attempt_at - now()) / 60)::int AS minutes
    FROM consumer.failures
"""


async def told(conn: Connection, count: int) -> list[Delivery]:
    made = [user_updated() for _ in range(count)]
    for each in made:
        await put(conn, [each])
    return made


async def claimed(conn: Connection, after_seq: int = 0, batch_size: int = 9) -> list[Claimed]:
    async with transaction(conn, ACCESS):
        return await queue.claim(conn, after_seq=after_seq, batch_size=batch_size)


async def retried(conn: Connection, batch_size: int = 9) -> list[str]:
    async with transaction(conn, ACCESS):
        return [each.message_id for each in await queue.claim_retries(conn, batch_size=batch_size)]


async def test_the_oldest_above_a_number_are_claimed_once(emptied: str) -> None:
    async with kept(emptied, ACCESS) as conn:
        made = await told(conn, 5)
        numbers = [seqs(emptied)[each.message_id] for each in made]
        first = await claimed(conn, numbers[0], 2)
        second = await claimed(conn, 0, 2)

    assert sorted(each.seq for each in first) == numbers[1:3]
    assert sorted(each.seq for each in second) == [numbers[0], numbers[3]]
    assert [row["seq"] for row in rows(emptied, "SELECT seq FROM consumer.pending")] == [numbers[4]]


@pytest.mark.parametrize("state", ["dead", "retrying", "done"])
async def test_what_is_not_pending_is_not_claimed_however_often_it_is_queued(emptied: str, state: str) -> None:
    async with kept(emptied, ACCESS) as conn:
        [made] = await told(conn, 1)
        if state == "done":
            await queue.finish(conn, dict.fromkeys([each.seq for each in await claimed(conn)], "applied"))
        else:
            set_aside(emptied, [made], state=state)
        change(emptied, "INSERT INTO consumer.pending (seq) SELECT seq FROM consumer.outbox")

        assert await claimed(conn) == []
        assert states(emptied) == {made.message_id: state}
        assert rows(emptied, "SELECT FROM consumer.pending") == []


async def test_only_what_waits_since_it_was_stored_has_an_age(emptied: str) -> None:
    async with kept(emptied, ACCESS) as conn, kept(emptied, ACCESS) as storing:
        async with transaction(conn, ACCESS):
            # Its clock stands still from here on.
            await conn.execute("SELECT now()")
            await told(storing, 1)
            [fresh] = await queue.claim(conn, after_seq=0, batch_size=9)
        change(emptied, "INSERT INTO consumer.pending (seq, has_failed) SELECT seq, true FROM consumer.outbox")
        [replayed] = await claimed(conn)

    assert fresh.age_seconds is not None
    assert 0 < fresh.age_seconds < 60
    assert (replayed.age_seconds, fresh.has_failed, replayed.has_failed) == (None, False, True)


async def test_retries_that_are_due_come_in_the_order_of_their_times(emptied: str) -> None:
    async with kept(emptied, ACCESS) as conn:
        later, first, dead, second = await told(conn, 4)
        set_aside(emptied, [later, first, second], state="retrying")
        set_aside(emptied, [dead])
        for each, minutes in ((later, 1), (first, -9), (second, -1)):
            due = f"next_attempt_at = now() + interval '{minutes} min'"
            change(emptied, f"UPDATE consumer.failures SET {due} WHERE seq = {seqs(emptied)[each.message_id]}")

        assert await retried(conn, 1) == [first.message_id]
        assert await retried(conn) == [second.message_id]
        assert states(emptied)[later.message_id] == "retrying"


async def test_a_failed_attempt_is_due_after_its_delay_and_a_buried_one_never(emptied: str) -> None:
    async with kept(emptied, ACCESS) as conn:
        await told(conn, 3)
        one, other, third = (each._replace(attempts=4) for each in sorted(await claimed(conn)))
        await queue.retry(conn, one, timedelta(minutes=7), "55P03", "busy")
        await queue.bury(conn, other, "23514", "refused")
        await queue.await_release(conn, [third], "newer_release", "unknown")

    assert [tuple(row.values()) for row in rows(emptied, f"{FAILURES} ORDER BY seq")] == [
        ("retrying", 4, "55P03", "busy", "user.updated", "stack", 7),
        ("dead", 4, "23514", "refused", "user.updated", "stack", None),
        ("retrying", 4, "newer_release", "unknown", "user.updated", "stack", 0),
    ]


async def test_a_worker_that_knows_few_types_leaves_only_what_waits_for_a_newer_release(emptied: str) -> None:
    async with kept(emptied, ACCESS) as conn:
        waiting, failed = await told(conn, 2)
        set_aside(emptied, [waiting], state="retrying", code="newer_release")
        set_aside(emptied, [failed], state="retrying")
        change(emptied, "UPDATE consumer.failures SET next_attempt_at = now()")

        async with transaction(conn, ACCESS):
            found = await queue.claim_retries(conn, batch_size=9, known_types=[("app", "user.updated")])
        assert [each.message_id for each in found] == [failed.message_id]
        assert (found[0].has_failed, found[0].attempts) == (True, 3)
        async with transaction(conn, ACCESS):
            found = await queue.claim_retries(conn, batch_size=9, known_types=[("stack", "user.updated")])
        assert [each.message_id for each in found] == [waiting.message_id]


async def test_what_another_worker_holds_is_skipped(emptied: str) -> None:
    async with kept(emptied, ACCESS) as conn:
        held, free = await told(conn, 2)
        with psycopg.connect(emptied) as other:
            other.execute("SELECT FROM consumer.pending ORDER BY seq LIMIT 1 FOR UPDATE")
            assert [each.message_id for each in await claimed(conn, batch_size=1)] == [free.message_id]
        assert [each.message_id for each in await claimed(conn)] == [held.message_id]


async def test_a_retry_that_another_worker_holds_is_skipped(emptied: str) -> None:
    async with kept(emptied, ACCESS) as conn:
        held, free = await told(conn, 2)
        set_aside(emptied, [held, free], state="retrying")
        change(emptied, "UPDATE consumer.failures SET next_attempt_at = now() - seq * interval '1 second'")
        with psycopg.connect(emptied) as other:
            other.execute("DELETE FROM consumer.failures WHERE seq = %s", [seqs(emptied)[held.message_id]])
            assert await retried(conn) == [free.message_id]
            other.rollback()
        assert await retried(conn) == [held.message_id]


async def test_a_replay_queues_what_was_applied_or_failed_and_nothing_discarded(emptied: str) -> None:
    async with kept(emptied, ACCESS) as conn:
        made = await told(conn, 5)
        applied, discarded, dead, retrying, pending = (seqs(emptied)[each.message_id] for each in made)
        set_aside(emptied, [made[2]])
        set_aside(emptied, [made[3]], state="retrying")
        change(emptied, f"DELETE FROM consumer.pending WHERE seq <> {pending}")
        await queue.finish(conn, {applied: "applied", discarded: "discarded"})

    async with kept(emptied, OPERATOR) as conn, transaction(conn, OPERATOR):
        locked = [each.seq async for each in deliveries.lock_dead(conn, [applied, discarded, dead, retrying, pending])]
        queued = await deliveries.replay(conn, [applied, discarded, dead, retrying, pending])

    assert (locked, queued) == ([dead], 3)
    found = rows(emptied, "SELECT seq, has_failed FROM consumer.pending ORDER BY seq")
    assert [tuple(row.values()) for row in found] == [
        (applied, False),
        (dead, True),
        (retrying, True),
        (pending, False),
    ]
    assert states(emptied)[made[1].message_id] == "done"
