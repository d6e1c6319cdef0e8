import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from consumer import logs
from consumer.errors import IntakeFull, StoreUnavailable
from consumer.outbox.storage import Delivery
from consumer.postgres.connections import connect, open_pool, receiver_access
from consumer.receiver import intake as intake_module
from consumer.receiver.intake import Intake, open_intake
from tests.support.databases import deadlocks, end_sessions, rows
from tests.support.factories import user_updated
from tests.support.outbox import put

ACCESS = receiver_access("consumer")
NOWHERE = "host=127.0.0.1 port=1 dbname=x user=x"


@asynccontextmanager
async def opened(url: str, counted: Counter[str] | None = None) -> AsyncIterator[Intake]:
    counts = Counter[str]() if counted is None else counted
    async with (
        open_pool(url, ACCESS, size=3, wait_timeout=timedelta(seconds=1)) as pool,
        open_intake(pool, ACCESS, lambda outcome, n: counts.update({outcome: n})) as intake,
    ):
        yield intake


async def run(url: str, act: Callable[[Intake], Awaitable[object]]) -> Counter[str]:
    """Run *act* with an open intake and return what the intake counted."""
    counted = Counter[str]()

    async with opened(url, counted) as intake:
        await act(intake)
    return counted


async def test_a_put_that_returns_is_committed_and_pending(emptied: str) -> None:
    delivery = user_updated()

    await run(emptied, lambda intake: intake.put(delivery))

    [row] = rows(
        emptied, "SELECT source, message_id, event_type, user_id, occurred_at, verified_by, body FROM consumer.outbox"
    )
    assert Delivery(**row, team_id=None) == delivery
    assert rows(emptied, "SELECT state FROM consumer.deliveries") == [{"state": "pending"}]


async def test_a_hundred_parallel_repeats_of_one_id_are_one_row(emptied: str) -> None:
    delivery = user_updated()

    counted = await run(emptied, lambda intake: asyncio.gather(*(intake.put(delivery) for _ in range(100))))

    assert counted == {"stored": 1, "duplicate": 99, "dead": 0}
    assert len(rows(emptied, "SELECT seq FROM consumer.outbox")) == 1
    assert len(rows(emptied, "SELECT seq FROM consumer.pending")) == 1


async def test_two_writers_with_the_same_ids_in_another_order_never_deadlock(emptied: str) -> None:
    async def write_both_ways(rounds: int) -> None:
        async with await connect(emptied, ACCESS) as one, await connect(emptied, ACCESS) as two:
            for _ in range(rounds):
                deliveries = [user_updated() for _ in range(400)]
                await asyncio.gather(put(one, deliveries), put(two, deliveries[::-1]))

    await write_both_ways(10)

    assert rows(emptied, "SELECT count(*) FROM consumer.pending") == [{"count": 4000}]


async def test_two_receivers_with_the_same_dead_ids_in_another_order_never_deadlock(emptied: str) -> None:
    async def receive_both_ways(rounds: int) -> None:
        async with opened(emptied) as one, opened(emptied) as two:
            for _ in range(rounds):
                # As many as are one batch on either side.
                dead = [
                    user_updated()._replace(error_code="bad_shape", error="$.data.id: missing")
                    for _ in range(intake_module.SECOND_COMMIT_MIN)
                ]
                await asyncio.gather(*map(one.put, dead), *map(two.put, dead[::-1]))

    before = deadlocks(emptied)
    await receive_both_ways(10)

    assert rows(emptied, "SELECT count(*) FROM consumer.failures") == [{"count": 10 * intake_module.SECOND_COMMIT_MIN}]
    assert deadlocks(emptied) == before


async def test_an_unusable_delivery_is_stored_dead_with_its_reason(emptied: str) -> None:
    unusable = user_updated()._replace(error_code="bad_shape", error="$.data.id: missing")

    counted = await run(emptied, lambda intake: intake.put(unusable))

    assert counted["dead"] == 1
    assert rows(emptied, "SELECT state, attempts, error_code, error FROM consumer.deliveries") == [
        {"state": "dead", "attempts": 0, "error_code": "bad_shape", "error": "$.data.id: missing"}
    ]


async def test_a_row_that_the_database_refuses_does_not_refuse_its_neighbours(emptied: str) -> None:
    refused = user_updated()._replace(message_id="x" * 257)
    accepted = [user_updated() for _ in range(20)]

    async def act(intake: Intake) -> None:
        puts = (intake.put(delivery) for delivery in [*accepted[:10], refused, *accepted[10:]])
        answers = await asyncio.gather(*puts, return_exceptions=True)
        assert [type(answer) for answer in answers] == [type(None)] * 10 + [StoreUnavailable] + [type(None)] * 10

    await run(emptied, act)

    assert len(rows(emptied, "SELECT seq FROM consumer.pending")) == 20


async def test_a_database_that_is_away_is_told_within_the_budget(emptied: str) -> None:
    async def act(intake: Intake) -> None:
        loop = asyncio.get_running_loop()
        started = loop.time()
        with pytest.raises(StoreUnavailable):
            await intake.put(user_updated())
        assert loop.time() - started < intake_module.COMMIT_TIMEOUT.total_seconds() + intake_module.WAIT_SECONDS_MAX
        assert await intake.not_ready_reason() == "the database is away"

    await run(NOWHERE, act)


async def test_a_receiver_that_could_not_store_is_not_ready(emptied: str) -> None:
    async def act(intake: Intake) -> None:
        assert await intake.not_ready_reason() is None
        with psycopg.connect(emptied, autocommit=True) as conn:
            conn.execute("ALTER TABLE consumer.outbox RENAME COLUMN verified_by TO vouched_by")
            try:
                reason = await intake.not_ready_reason()
            finally:
                conn.execute("ALTER TABLE consumer.outbox RENAME COLUMN vouched_by TO verified_by")
        assert "42703" in str(reason)

    await run(emptied, act)


async def test_a_foreign_lock_on_the_outbox_is_a_refusal_not_a_hang_and_the_intake_recovers(emptied: str) -> None:
    delivery = user_updated()

    async def act(intake: Intake) -> None:
        with psycopg.connect(emptied) as holder:
            holder.execute("LOCK TABLE consumer.outbox IN ACCESS EXCLUSIVE MODE")
            with pytest.raises(StoreUnavailable):
                await intake.put(delivery)
        await intake.put(delivery)

    await run(emptied, act)

    assert len(rows(emptied, "SELECT seq FROM consumer.outbox")) == 1


async def test_connections_that_the_server_ended_are_replaced(emptied: str) -> None:
    async def act(intake: Intake) -> None:
        await intake.put(user_updated())
        end_sessions(emptied, "receiver")
        await intake.put(user_updated())

    await run(emptied, act)

    assert len(rows(emptied, "SELECT seq FROM consumer.outbox")) == 2


async def test_a_full_intake_refuses_at_once(emptied: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake_module, "WAITING_MAX", 3)

    async def act(intake: Intake) -> None:
        puts = [asyncio.ensure_future(intake.put(user_updated())) for _ in range(4)]
        answers = await asyncio.gather(*puts, return_exceptions=True)
        assert [type(answer) for answer in answers] == [type(None)] * 3 + [IntakeFull]

    await run(emptied, act)


async def test_an_error_of_the_writer_ends_neither_the_writer_nor_its_batch(
    emptied: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store, errors = Intake._store, [MemoryError()]
    tried = []

    def failing(intake: Intake, batch: list[Any]) -> Awaitable[None]:
        tried.append([waiting.delivery for waiting in batch])
        if errors:
            raise errors.pop()
        return store(intake, batch)

    monkeypatch.setattr(Intake, "_store", failing)

    async def act(intake: Intake) -> None:
        async with asyncio.timeout(10):
            first = [user_updated() for _ in range(3)]
            await asyncio.gather(*map(intake.put, first))
            assert tried == [first, first]
            assert intake._waiting_bytes == 0
            errors.extend(MemoryError() for _ in range(100))
            with pytest.raises(StoreUnavailable):
                await intake.put(user_updated())
            errors.clear()
            await intake.put(user_updated())

    await run(emptied, act)

    assert len(rows(emptied, "SELECT seq FROM consumer.outbox")) == 4
    assert {record.msg for record in caplog.records} == {logs.TASK_FAILED}


async def test_after_an_error_of_the_writer_the_bytes_of_its_batch_wait_beside_the_others(
    emptied: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, failed = Intake._store, list[int]()

    def failing(intake: Intake, batch: list[Any]) -> Awaitable[None]:
        if not failed:
            failed.append(len(batch))
            raise MemoryError
        return store(intake, batch)

    monkeypatch.setattr(Intake, "_store", failing)
    monkeypatch.setattr(intake_module, "SECOND_COMMIT_MIN", 2)

    async def act(intake: Intake) -> None:
        async with asyncio.timeout(10):
            await asyncio.gather(*(intake.put(user_updated()) for _ in range(6)))
        assert intake._waiting_bytes == 0

    await run(emptied, act)

    assert failed == [3]


async def test_a_request_that_went_away_is_not_stored_for_nothing(emptied: str) -> None:
    async def act(intake: Intake) -> None:
        gone = asyncio.ensure_future(intake.put(user_updated()))
        await asyncio.sleep(0)
        gone.cancel()
        await intake.put(user_updated())

    await run(emptied, act)

    assert len(rows(emptied, "SELECT seq FROM consumer.outbox")) == 1
