"""The queue of companies to re-home: when each is due, who works on it, and what the worker says of those put aside."""

import logging
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest

from consumer.postgres.connections import connect, transaction
from consumer.worker import batch, rehome
from consumer.worker.rehome import PageResult
from tests.support.batches import ACCESS, FIRST, SECOND, THIRD, crew, every, in_batches
from tests.support.databases import change, rows
from tests.support.rehoming import DELAY, PAGE, at_home, begun, delete_seven, held, homeless, pages, person
from tests.support.worker import run_once, worker


@pytest.fixture
async def seven(emptied: str) -> str:
    """Seven users at home in a company that was just deleted."""
    return await delete_seven(emptied)


async def is_due(url: str) -> bool:
    async with await connect(url, ACCESS) as conn, transaction(conn, ACCESS):
        return (await rehome.due(conn)).is_rehoming


async def test_nobody_is_rehomed_before_the_time_and_the_longest_waiting_company_comes_first(emptied: str) -> None:
    teams = (FIRST, SECOND, THIRD)
    await in_batches(
        emptied,
        [each for n, team_id in enumerate(teams, 1) for each in at_home(n, team_id)],
        [crew("deleted", 99, team_id) for team_id in teams],
    )
    change(emptied, f"UPDATE consumer.rehome SET due_at = now() + interval '1 min' WHERE company_id = '{FIRST}'")
    # The order is that of the numbers, neither of the times nor of the places in the table.
    change(emptied, f"UPDATE consumer.rehome SET due_at = now() - interval '1 min' WHERE company_id = '{THIRD}'")
    change(emptied, f"UPDATE consumer.rehome SET attempts = 0 WHERE company_id = '{SECOND}'")

    assert await is_due(emptied)
    seen = [homeless(emptied) async for _ in pages(emptied)]

    assert seen == [[2], [2, 3]]
    assert not await is_due(emptied)
    assert every(emptied, "consumer.rehome", "company_id") == [(FIRST,)]


async def test_a_company_is_due_at_the_very_moment(emptied: str) -> None:
    await in_batches(emptied, at_home(1), [crew("deleted", 99)])

    async with AsyncExitStack() as stack:
        conn = await begun(stack, emptied)
        await conn.execute("SET LOCAL ROLE NONE")
        await conn.execute("UPDATE consumer.rehome SET due_at = now()")
        await conn.execute("SET LOCAL ROLE consumer_worker")

        assert await rehome.run_page(conn, lambda _: DELAY) == PageResult(1, [], False)


async def test_two_workers_take_two_companies_and_a_third_takes_none(emptied: str) -> None:
    await in_batches(
        emptied,
        at_home(1) + at_home(2, SECOND),
        [crew("deleted", 99), crew("deleted", 99, SECOND)],
    )

    async def at_once() -> list[PageResult | None]:
        async with AsyncExitStack() as stack:
            return [await rehome.run_page(await begun(stack, emptied), lambda _: DELAY) for _ in range(3)]

    assert await at_once() == [PageResult(1, [], False), PageResult(1, [], False), None]
    assert homeless(emptied) == [1, 2]


async def test_a_company_is_never_worked_on_by_two(seven: str) -> None:
    async def at_once() -> list[PageResult | None]:
        async with AsyncExitStack() as stack:
            return [await rehome.run_page(await begun(stack, seven), lambda _: DELAY, PAGE) for _ in range(2)]

    assert await at_once() == [PageResult(3, [], False), None]


async def test_a_worker_says_who_is_put_aside_and_asks_for_the_delay_of_a_retry(
    seven: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def delay(attempts: int) -> timedelta:
        asked.append(attempts)
        return DELAY

    monkeypatch.setattr(batch, "retry_delay", delay)

    with held(seven, 2), caplog.at_level(logging.WARNING):
        done = await run_once(seven, worker())

    assert done.rehomed
    assert (done.rehomed.users, done.is_idle, len(done), asked) == (7, False, 0, [1])
    [entry] = [entry for entry in caplog.records if entry.levelno == logging.WARNING]
    assert (entry.getMessage(), entry.user_id, entry.error_code, entry.error) == (  # type: ignore[attr-defined]
        "rehoming_postponed",
        person(2),
        "55P03",
        "LockNotAvailable",
    )
    assert (await run_once(seven, worker())).is_idle
    assert rows(seven, "SELECT count(*) AS n FROM consumer.rehome WHERE due_at > now() + interval '4 h'") == [{"n": 1}]
