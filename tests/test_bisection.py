"""Bisection on a real connection: which items are found, in how many attempts, and what is left of them."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

import psycopg
import pytest
from psycopg.errors import CheckViolation, DivisionByZero, LockNotAvailable

from consumer.errors import Inseparable, UsersRefused
from consumer.postgres.connections import Connection, connect, transaction, worker_access
from consumer.postgres.error_classes import code
from consumer.worker.bisect import apply_except_failing

ACCESS = replace(worker_access("consumer"), lock_timeout=timedelta(seconds=7))
# The primary key tells of a try that was not undone, and the function fails as a statement does.
TABLES = """
    CREATE TEMPORARY TABLE applied (item integer PRIMARY KEY);
    CREATE FUNCTION pg_temp.fail(sqlstate text) RETURNS void LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION USING ERRCODE = sqlstate; END $$;
    GRANT ALL ON applied TO consumer_worker;
"""
POISON, LOCKED = "23514", "55P03"


@dataclass
class Tally:
    """Written down, and overrun after so many items."""

    overrun_after: int = 1_000
    counted: list[tuple[int, str, bool]] = field(default_factory=list)
    overrun: Exception | None = None

    def count(self, item: int, error: Exception, *, nothing_passed: bool) -> None:
        self.counted.append((item, code(error), nothing_passed))
        if len(self.counted) >= self.overrun_after:
            self.overrun = error


@dataclass
class Trial:
    """Items, the SQLSTATEs of those that fail, and what was tried."""

    conn: Connection
    states: Mapping[int, str]
    # Items that fail only together.
    inseparable: frozenset[int] = frozenset()
    # Subjects that the application's statement refuses, and the subject of an item.
    refused: Mapping[Hashable, Exception] = field(default_factory=dict)
    subject: Callable[[int], Hashable] = lambda item: item
    tried: list[list[int]] = field(default_factory=list)
    lock_timeouts: list[str] = field(default_factory=list)

    async def attempt(self, items: Sequence[int]) -> int:
        self.tried.append(list(items))
        cursor = await self.conn.execute("SELECT current_setting('lock_timeout')")
        self.lock_timeouts += [str(value) for (value,) in await cursor.fetchall()]
        await self.conn.execute("INSERT INTO applied SELECT unnest(%s::integer[])", [list(items)])
        for item in items:
            if state := self.states.get(item):
                await self.conn.execute("SELECT pg_temp.fail(%s)", [state])
        if self.inseparable and self.inseparable <= set(items):
            await self.conn.execute("SELECT pg_temp.fail(%s)", [POISON])
        subjects = {self.subject(item) for item in items}
        if found := {subject: error for subject, error in self.refused.items() if subject in subjects}:
            raise UsersRefused(found)
        return len(items)

    async def applied(self) -> list[int]:
        cursor = await self.conn.execute("SELECT item FROM applied ORDER BY item")
        return [int(item) for (item,) in await cursor.fetchall()]


async def run(url: str, act: Callable[[Connection], Awaitable[None]]) -> None:
    async with await connect(url, ACCESS) as conn:
        await conn.execute(TABLES)
        async with transaction(conn, ACCESS):
            await act(conn)


@pytest.mark.parametrize(
    ("count", "bad", "attempts"),
    [
        pytest.param(16, (), 1, id="none"),
        # All, two halves on each of four levels, the rest.
        pytest.param(16, (0,), 1 + 8 + 1, id="first"),
        pytest.param(16, (15,), 1 + 8 + 1, id="last"),
        pytest.param(16, (6,), 1 + 8 + 1, id="middle"),
        pytest.param(16, (6, 7), 1 + 8 + 1, id="neighbours in one half"),
        pytest.param(16, (7, 8), 1 + 2 + 6 + 6 + 1, id="neighbours in two halves"),
        pytest.param(16, (0, 15), 1 + 2 + 6 + 6 + 1, id="both ends"),
        pytest.param(16, (1, 6, 11), 1 + 2 + 4 + 6 + 6 + 1, id="three"),
        pytest.param(16, tuple(range(15)), 1 + 30 + 1, id="all but the last"),
        pytest.param(16, tuple(range(1, 16)), 1 + 30 + 1, id="all but the first"),
        pytest.param(16, tuple(range(16)), 1 + 30, id="all"),
        pytest.param(1, (0,), 1, id="the only one"),
        pytest.param(2, (1,), 1 + 2 + 1, id="one of two"),
        pytest.param(3, (1,), 1 + 2 + 2 + 1, id="one of three"),
        pytest.param(1000, (217,), 1 + 20 + 1, id="one of a full batch"),
    ],
)
async def test_exactly_the_failing_items_are_found_and_each_try_is_undone(
    database_url: str, count: int, bad: Sequence[int], attempts: int
) -> None:
    async def act(conn: Connection) -> None:
        items = range(1_000, 1_000 + count)
        culprits = [items[place] for place in bad]
        trial, tally = Trial(conn, dict.fromkeys(culprits, POISON)), Tally()

        result, failing = await apply_except_failing(conn, items, trial.attempt, tally)

        assert sorted(item for item, _ in failing) == culprits
        assert all(isinstance(error, CheckViolation) for _, error in failing)
        good = [item for item in items if item not in culprits]
        assert result == (len(good) or None)
        assert await trial.applied() == good
        assert len(trial.tried) == attempts
        assert sorted(item for item, _, _ in tally.counted) == culprits
        # Only waits for locks are shortened.
        assert set(trial.lock_timeouts) == {"7s"}

    await run(database_url, act)


async def test_each_item_keeps_its_own_error(database_url: str) -> None:
    async def act(conn: Connection) -> None:
        trial = Trial(conn, {2: POISON, 5: "22012", 6: POISON})

        _, failing = await apply_except_failing(conn, range(8), trial.attempt, Tally())

        assert {item: type(error) for item, error in failing} == {
            2: CheckViolation,
            5: DivisionByZero,
            6: CheckViolation,
        }

    await run(database_url, act)


async def test_nothing_has_passed_until_a_part_has(database_url: str) -> None:
    async def act(conn: Connection) -> None:
        tally = Tally()

        await apply_except_failing(conn, range(8), Trial(conn, dict.fromkeys((0, 1, 2, 6), POISON)).attempt, tally)

        assert tally.counted == [(0, POISON, True), (1, POISON, True), (2, POISON, True), (6, POISON, False)]

    await run(database_url, act)


async def test_waits_for_a_lock_are_cut_to_50_ms_from_the_first_bisection_on(database_url: str) -> None:
    async def act(conn: Connection) -> None:
        trial = Trial(conn, {1: POISON, 5: LOCKED})

        _, failing = await apply_except_failing(conn, range(8), trial.attempt, Tally())

        assert {item: type(error) for item, error in failing} == {1: CheckViolation, 5: LockNotAvailable}
        # All, then the parts of the poison, then those of the locked item: the first of them still waits in full.
        patient = trial.lock_timeouts.index("50ms")
        assert trial.lock_timeouts == ["7s"] * patient + ["50ms"] * (len(trial.tried) - patient)
        assert trial.tried[:patient] == [[*range(8)], [0, 1, 2, 3], [0, 1], [0], [1], [2, 3], [4, 5, 6, 7]]
        assert trial.tried[patient:] == [[4, 5], [4], [5], [6, 7], [0, 2, 3, 4, 6, 7]]

    await run(database_url, act)


async def test_a_lone_locked_item_needs_no_shorter_wait(database_url: str) -> None:
    async def act(conn: Connection) -> None:
        trial = Trial(conn, {0: LOCKED})

        result, failing = await apply_except_failing(conn, [0], trial.attempt, Tally())

        assert (result, [item for item, _ in failing], trial.lock_timeouts) == (None, [0], ["7s"])
        cursor = await conn.execute("SHOW lock_timeout")
        assert await cursor.fetchone() == ("7s",)

    await run(database_url, act)


@pytest.mark.parametrize(
    ("state", "attempts", "counted"), [(LOCKED, 1 + 2 + 1, 1), (POISON, 1 + 2 + 6 + 1, 4)], ids=["locked", "poison"]
)
async def test_only_a_lock_sets_all_items_of_a_subject_aside_at_once(
    database_url: str, state: str, attempts: int, counted: int
) -> None:
    async def act(conn: Connection) -> None:
        # Two subjects of four items each, mixed.
        trial, tally = Trial(conn, dict.fromkeys((1, 3, 5, 7), state)), Tally()

        result, failing = await apply_except_failing(conn, range(8), trial.attempt, tally, lambda item: item % 2)

        assert (result, sorted(item for item, _ in failing)) == (4, [1, 3, 5, 7])
        assert (len(trial.tried), len(tally.counted)) == (attempts, counted)
        # The items of a subject lie together while bisecting, and keep their order.
        assert trial.tried[1:3] == [[0, 2, 4, 6], [1, 3, 5, 7]]

    await run(database_url, act)


async def test_after_an_overrun_the_rest_is_set_aside_untried(database_url: str) -> None:
    async def act(conn: Connection) -> None:
        trial, tally = Trial(conn, dict.fromkeys((14, 15, 16, 17, 22), LOCKED)), Tally(overrun_after=2)

        result, failing = await apply_except_failing(conn, range(10, 26), trial.attempt, tally)

        assert (result, sorted(item for item, _ in failing)) == (4, [*range(14, 26)])
        assert {type(error) for _, error in failing} == {LockNotAvailable}
        assert [item for item, _, _ in tally.counted] == [14, 15]
        assert trial.tried == [
            [*range(10, 26)],
            [*range(10, 18)],
            [10, 11, 12, 13],
            [14, 15, 16, 17],
            [14, 15],
            [14],
            [15],
            [10, 11, 12, 13],
        ]
        assert await trial.applied() == [10, 11, 12, 13]

    await run(database_url, act)


async def test_items_that_fail_only_together_are_inseparable_and_leave_nothing(database_url: str) -> None:
    async def act(conn: Connection) -> None:
        trial, tally = Trial(conn, {}, inseparable=frozenset({1, 6})), Tally()

        with pytest.raises(Inseparable) as raised:
            await apply_except_failing(conn, range(8), trial.attempt, tally)

        assert isinstance(raised.value.__cause__, CheckViolation)
        assert (len(trial.tried), tally.counted, await trial.applied()) == (3, [], [])

    await run(database_url, act)


async def test_a_refusal_that_names_none_of_the_items_ends_the_search(database_url: str) -> None:
    async def act(conn: Connection) -> None:
        async def attempt(_: Sequence[int]) -> None:
            raise UsersRefused({"a stranger": ValueError()})

        async with asyncio.timeout(10):
            with pytest.raises(Inseparable):
                await apply_except_failing(conn, range(2), attempt, Tally())

    await run(database_url, act)


@pytest.mark.parametrize("state", ["42703", "XX000", "40P01", "40001", "53300"])
@pytest.mark.parametrize("others", [{}, {0: POISON}], ids=["at once", "while bisecting"])
async def test_an_error_that_is_not_the_items_fault_ends_the_search(
    database_url: str, state: str, others: Mapping[int, str]
) -> None:
    async def act(conn: Connection) -> None:
        trial, tally = Trial(conn, {3: state, **others}), Tally()

        with pytest.raises(psycopg.Error) as raised:
            await apply_except_failing(conn, range(4), trial.attempt, tally)

        assert raised.value.sqlstate == state
        assert len(trial.tried) == (5 if others else 1)
        assert [item for item, _, _ in tally.counted] == list(others)

    await run(database_url, act)


async def test_an_outage_is_nobody_s_fault_whatever_it_calls_itself(database_url: str) -> None:
    tally = Tally()
    async with await connect(database_url, ACCESS) as conn:

        async def attempt(_: Sequence[int]) -> None:
            await conn.close()
            raise CheckViolation

        with pytest.raises(CheckViolation):
            await apply_except_failing(conn, range(4), attempt, tally)

    assert tally.counted == []


async def test_users_that_the_application_refuses_are_set_aside_with_all_their_items(database_url: str) -> None:
    def subject(item: int) -> int:
        return item % 3

    async def act(conn: Connection) -> None:
        trial, tally = Trial(conn, {3: POISON}, refused={1: ValueError()}, subject=subject), Tally()

        result, failing = await apply_except_failing(conn, range(9), trial.attempt, tally, subject)

        refused = [(item, "ValueError") for item in (1, 4, 7)]
        assert (result, [(item, code(error)) for item, error in failing]) == (5, [(3, POISON), *refused])
        # The refusals are found when all others are attempted, and are never alone.
        assert tally.counted == [(3, POISON, False), *((*refusal, False) for refusal in refused)]
        assert await trial.applied() == [0, 2, 5, 6, 8]

    await run(database_url, act)
