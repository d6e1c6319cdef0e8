"""The intake's queue: its limits, its deadline, and the sizes and the number of its commits."""

import asyncio

import pytest

from consumer.errors import IntakeFull, StoreUnavailable
from consumer.outbox import storage
from consumer.receiver import intake as intake_module
from tests.support.factories import user_updated
from tests.support.intake import (
    backends,
    batches,
    commits_wait,
    held,
    refused,
    site,
    started,
    stored_count,
    updates,
)
from tests.support.processes import until
from tests.support.still_clock import StillLoop, advance, run_still, settle

MIB = bytes(1024 * 1024)
# A moment that a float holds exactly beside the limits.
MOMENT = 2.0**-10


def test_8192_deliveries_may_wait_and_those_that_go_away_give_their_places_back(emptied: str) -> None:
    async def act(_: StillLoop) -> None:
        async with site(emptied) as here:
            for _round in range(2):
                waiting = await started(*(here.intake.put(delivery) for delivery in updates(8_192)))
                with pytest.raises(IntakeFull):
                    await here.intake.put(user_updated())
                for task in waiting:
                    task.cancel()
                await asyncio.wait(waiting)
                await settle()
        assert here.counted == {}

    run_still(act)

    assert stored_count(emptied) == 0


def test_64_mib_may_wait_and_those_that_go_away_give_their_bytes_back(emptied: str) -> None:
    async def act(_: StillLoop) -> None:
        async with site(emptied) as here:
            for _round in range(2):
                waiting = await started(*(here.intake.put(user_updated()._replace(body=MIB)) for _ in range(64)))
                with pytest.raises(IntakeFull):
                    await here.intake.put(user_updated()._replace(body=b"x"))
                waiting += await started(here.intake.put(user_updated()._replace(body=b"")))
                assert not any(task.done() for task in waiting)
                for task in waiting:
                    task.cancel()
                await asyncio.wait(waiting)
                await settle()

    run_still(act)

    assert stored_count(emptied) == 0


def test_a_batch_that_is_being_committed_takes_neither_place_nor_bytes(
    emptied: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliveries = [delivery._replace(body=b'{"n": 1234}') for delivery in updates(6)]
    monkeypatch.setattr(intake_module, "WAITING_MAX", 3)
    monkeypatch.setattr(intake_module, "WAITING_BYTES_MAX", 3 * len(deliveries[0].body))

    async def act(_: StillLoop) -> None:
        async with site(emptied) as here:
            with held(emptied) as holder:
                puts = await started(*(here.intake.put(delivery) for delivery in deliveries[:3]))
                await commits_wait(emptied, 1)
                puts += await started(*(here.intake.put(delivery) for delivery in deliveries[3:]))
                with pytest.raises(IntakeFull):
                    await here.intake.put(user_updated()._replace(body=b""))
                holder.rollback()
                await asyncio.gather(*puts)
            assert (
                await here.put_all(*(delivery._replace(body=deliveries[0].body) for delivery in updates(3)))
                == ["NoneType"] * 3
            )

    run_still(act)

    assert stored_count(emptied) == 9


@pytest.mark.parametrize(("seconds", "is_stored"), [(1.5, True), (1.5 + MOMENT, False)], ids=["in time", "too late"])
def test_a_request_waits_one_and_a_half_seconds_for_its_batch(emptied: str, seconds: float, is_stored: bool) -> None:
    async def act(_: StillLoop) -> None:
        async with site(emptied) as here:
            with held(emptied) as holder:
                (first,) = await started(here.intake.put(user_updated()))
                await commits_wait(emptied, 1)
                (second,) = await started(here.intake.put(user_updated()))
                await advance(seconds)
                holder.rollback()
                await first
            [error] = await asyncio.gather(second, return_exceptions=True)
            assert isinstance(error, StoreUnavailable) is not is_stored
            assert here.counted["stored"] == 1 + is_stored

    run_still(act)

    assert stored_count(emptied) == 1 + is_stored


def test_a_commit_has_three_seconds_then_its_connections_are_replaced(emptied: str) -> None:
    async def act(_: StillLoop) -> None:
        async with site(emptied) as here:
            before = backends(emptied)
            with held(emptied):
                (put,) = await started(here.intake.put(user_updated()))
                await commits_wait(emptied, 1)
                await advance(3 - MOMENT)
                assert not put.done()
                await advance(MOMENT)
                with pytest.raises(StoreUnavailable) as raised:
                    await put
            assert isinstance(raised.value.__cause__, TimeoutError)
            assert len(before) == here.pool.max_size
            await asyncio.to_thread(until, lambda: not before & backends(emptied))
            await here.intake.put(user_updated())
            assert here.counted == {"stored": 1, "dead": 0, "duplicate": 0}

    run_still(act)


def test_an_answer_comes_within_the_five_seconds_that_a_sender_gets() -> None:
    assert intake_module.COMMIT_TIMEOUT.total_seconds() + intake_module.WAIT_SECONDS_MAX < 5


@pytest.mark.parametrize(
    ("count", "sizes"),
    [
        (1, [1]),
        (32, [32]),
        (63, [32, 31]),
        (65, [32, 32, 1]),
        (67, [33, 32, 2]),
        (100, [50, 32, 18]),
        (300, [150, 75, 37, 32, 6]),
        (1_023, [511, 256, 128, 64, 32, 32]),
        (2_000, [512, 512, 488, 244, 122, 61, 32, 29]),
    ],
)
def test_a_batch_is_half_of_those_that_wait_at_least_32_at_most_512(emptied: str, count: int, sizes: list[int]) -> None:
    async def act(_: StillLoop) -> None:
        async with site(emptied) as here:
            await here.put_all(*updates(count))
            assert here.counted == {"stored": count, "dead": 0, "duplicate": 0}

    run_still(act)

    assert batches(emptied) == sizes


def test_deliveries_that_the_loop_reads_in_the_same_turn_join_the_batch(emptied: str) -> None:
    async def act(_: StillLoop) -> None:
        async with site(emptied) as here:
            first = await started(here.intake.put(user_updated()))
            second = await started(here.intake.put(user_updated()))
            await asyncio.gather(*first, *second)

    run_still(act)

    assert batches(emptied) == [2]


def test_beside_a_running_commit_another_begins_only_for_32(emptied: str) -> None:
    async def act(_: StillLoop) -> None:
        async with site(emptied) as here:
            with held(emptied) as holder:
                puts = await started(here.intake.put(user_updated()))
                await commits_wait(emptied, 1)
                puts += await started(*(here.intake.put(delivery) for delivery in updates(31)))
                await settle()
                puts += await started(here.intake.put(user_updated()))
                await commits_wait(emptied, 2)
                holder.rollback()
                await asyncio.gather(*puts)

    run_still(act)

    assert batches(emptied) == [32, 1]


def test_a_third_commit_waits_until_one_of_two_has_ended(emptied: str) -> None:
    async def act(_: StillLoop) -> None:
        async with site(emptied) as here:
            with held(emptied) as holder:
                puts = await started(*(here.intake.put(delivery) for delivery in updates(200)))
                await commits_wait(emptied, 2)
                # The batches are 100 and 50. A third would take 32 of the last 50, and 18 would remain.
                puts += await started(*(here.intake.put(delivery) for delivery in updates(50)))
                await settle()
                holder.rollback()
                await asyncio.gather(*puts)

    run_still(act)

    assert batches(emptied) == [100, 50, 50, 32, 18]


def test_the_next_batch_begins_when_a_commit_ends_although_it_failed(emptied: str) -> None:
    async def act(_: StillLoop) -> None:
        async with site(emptied) as here:
            with held(emptied) as holder:
                first = await started(here.intake.put(refused()))
                await commits_wait(emptied, 1)
                second = await started(here.intake.put(user_updated()))
                holder.rollback()
                [error] = await asyncio.gather(*first, return_exceptions=True)
                assert isinstance(error, StoreUnavailable)
                await asyncio.gather(*second)

    run_still(act)

    assert stored_count(emptied) == 1


def test_a_request_that_went_away_during_the_commit_is_counted_once_and_disturbs_no_other(emptied: str) -> None:
    gone, stays = updates(2)

    async def act(_: StillLoop) -> None:
        async with site(emptied) as here:
            with held(emptied) as holder:
                puts = await started(here.intake.put(gone), here.intake.put(stays))
                await commits_wait(emptied, 1)
                puts[0].cancel()
                await asyncio.wait(puts[:1])
                holder.rollback()
                await puts[1]
            assert here.counted == {"stored": 2, "dead": 0, "duplicate": 0}
            await here.intake.put(gone)
            assert here.counted == {"stored": 2, "dead": 0, "duplicate": 1}

    run_still(act)


def test_closing_waits_for_the_running_commit_and_answers_no_other(emptied: str) -> None:
    async def act(loop: StillLoop) -> None:
        with held(emptied) as holder:
            async with site(emptied) as here:
                running = await started(here.intake.put(user_updated()))
                await commits_wait(emptied, 1)
                waiting = await started(here.intake.put(user_updated()))
                # The next turn of the loop: then the intake is closing.
                loop.call_soon(holder.rollback)
        await settle()
        assert [task.done() for task in (*running, *waiting)] == [True, False]
        assert running[0].exception() is None
        waiting[0].cancel()
        assert here.counted == {"stored": 1, "dead": 0, "duplicate": 0}

    run_still(act)

    assert stored_count(emptied) == 1


@pytest.mark.parametrize("is_cancelled", [False, True], ids=["waits", "went away"])
def test_a_bug_of_ours_is_an_answer_all_the_same(
    emptied: str, monkeypatch: pytest.MonkeyPatch, is_cancelled: bool
) -> None:
    async def broken(*_: object) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr(storage, "put", broken)

    async def act(_: StillLoop) -> None:
        async with site(emptied) as here:
            puts = await started(here.intake.put(user_updated()), here.intake.put(user_updated()))
            if is_cancelled:
                puts.pop().cancel()
            answers = await asyncio.gather(*puts, return_exceptions=True)
            assert {type(answer) for answer in answers} == {StoreUnavailable}

    run_still(act)
