"""What a process keeps of what was told: when it writes it, and what it knows while nothing can be written."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import cast
from uuid import UUID

import msgspec
import psycopg
import pytest

from consumer.postgres.connections import Connection, RoleRefused
from consumer.process.notification_states import NOTHING, StatesInDatabase, StatesInMemory, StoredStates
from consumer.process.notifications import CLAIM_TIME, FindingState, FindingStates, Notification
from consumer.process.notify import has_passed, is_away
from consumer.verdict.finding import Finding
from tests.support.backfills import ACCESS
from tests.support.notifying import HOUR, MINUTE, NOW, SECOND

DEAD = Finding("dead", "warning", "dead letters", "12 are dead", magnitude=12)
SILENT = Finding("source_silent", "failing", "app", "nothing came")
PROCESS = UUID(int=7)
KEY = ("dead", "dead letters")
MOMENT = timedelta(microseconds=1)


class Written(StatesInDatabase):
    """Keeps in *stored* what it would write to a database; nothing, if the process is not known there."""

    def __init__(self, stored: StoredStates = NOTHING, *, is_known: bool = True) -> None:
        super().__init__("", ACCESS, PROCESS)
        self.stored = stored
        self.is_known = is_known
        self.writes: list[FindingStates] = []

    @asynccontextmanager
    async def _locked(self) -> AsyncIterator[tuple[Connection, StoredStates]]:
        yield cast("Connection", None), self.stored

    async def _write(self, conn: Connection, states: FindingStates, before: StoredStates) -> bool:
        if self.is_known:
            self.writes.append(states)
            self.stored = stored(states, number=before.number + 1)
        return self.is_known


def stored(states: FindingStates, age: timedelta = timedelta(0), number: int = 1) -> StoredStates:
    return StoredStates({"number": number, "told": msgspec.to_builtins(list(states.values()))}, age)


def told(finding: Finding = DEAD) -> FindingState:
    return FindingState(finding, NOW, told="opened", told_at=NOW)


async def test_what_is_claimed_and_what_arrived_is_written_each_once() -> None:
    states = Written()

    due = await states.claim([DEAD], NOW)
    assert due == Notification(due.message_id if due else "", "opened", DEAD, NOW)
    assert await states.claim([DEAD], NOW + CLAIM_TIME - MOMENT) is None
    assert due
    await states.settle(due, NOW + SECOND)
    assert await states.claim([DEAD], NOW + HOUR) is None

    claimed = FindingState(DEAD, NOW, message_id=due.message_id, sending="opened", claimed_until=NOW + CLAIM_TIME)
    arrived = FindingState(DEAD, NOW, told="opened", told_at=NOW + SECOND)
    assert states.writes == [{KEY: claimed}, {KEY: arrived}]
    assert states.meanwhile.states == {KEY: arrived}


async def test_what_was_told_is_written_anew_from_ten_minutes_on() -> None:
    for age, writes in ((10 * MINUTE - MOMENT, 0), (10 * MINUTE, 1), (HOUR, 1)):
        states = Written(stored({KEY: told()}, age))

        assert await states.claim([DEAD], NOW + MINUTE) is None
        assert states.writes == [{KEY: told()}] * writes


async def test_nothing_is_not_written_anew_however_old_it_is() -> None:
    states = Written(stored({}, HOUR))

    assert await states.claim([], NOW) is None
    assert states.writes == []


async def test_what_is_over_is_written_as_forgotten() -> None:
    closed = replace(told(), told="closed")
    states = Written(stored({KEY: closed}))

    assert await states.claim([], NOW + HOUR) is None

    assert states.writes == [{}]


async def test_what_nobody_could_record_is_not_told() -> None:
    states = Written(is_known=False)

    assert await states.claim([DEAD], NOW) is None
    assert (states.meanwhile.states, states._recorded) == ({}, {})


async def test_a_finding_that_is_fresh_is_not_claimed_anywhere() -> None:
    for states in (Written(), StatesInMemory()):
        assert await states.claim([DEAD], NOW, {KEY}) is None
        assert await states.claim([DEAD], NOW) is not None


async def test_what_was_told_meanwhile_is_added_to_what_others_wrote() -> None:
    silent = ("source_silent", "app")
    states = Written(stored({KEY: told()}))
    assert await states.claim([DEAD], NOW + SECOND) is None
    due = await states.meanwhile.claim([DEAD, SILENT], NOW + SECOND)
    assert due
    await states.meanwhile.settle(due, NOW + SECOND)
    # Another process told meanwhile that the letters became more.
    states.stored = stored({KEY: replace(told(), told="worse")}, number=5)

    assert await states.claim([DEAD, SILENT], NOW + 2 * SECOND) is None

    assert states.writes == [{KEY: replace(told(), told="worse"), silent: states.meanwhile.states[silent]}]
    assert states.stored.number == 6
    assert states.meanwhile.states[silent].told_at == NOW + SECOND


async def test_what_others_took_back_is_not_kept() -> None:
    states = Written(stored({KEY: told()}))
    assert await states.claim([DEAD], NOW + SECOND) is None
    states.stored = stored({}, number=2)

    assert await states.claim([], NOW + SECOND) is None

    assert (states.writes, states.meanwhile.states) == ([], {})


async def test_in_memory_what_arrived_is_not_told_again() -> None:
    states = StatesInMemory()
    due = await states.claim([DEAD], NOW)
    assert due

    assert await states.claim([DEAD], NOW + CLAIM_TIME - SECOND) is None
    again = await states.claim([DEAD], NOW + CLAIM_TIME)
    assert again == due
    await states.settle(due, NOW + CLAIM_TIME)
    assert states.states == {KEY: FindingState(DEAD, NOW, told="opened", told_at=NOW + CLAIM_TIME)}
    assert await states.claim([DEAD], NOW + HOUR) is None


def test_a_change_has_a_number_and_what_cannot_be_read_is_nothing() -> None:
    assert StoredStates({"number": 12, "told": []}, MINUTE).number == 12
    assert (NOTHING.number, NOTHING.states(), NOTHING.age) == (0, {}, timedelta(0))
    assert stored({KEY: told()}).states() == {KEY: told()}
    assert StoredStates({"number": 1, "told": [{"finding": "dead"}]}, MINUTE).states() == {}


@pytest.mark.parametrize(
    ("since", "is_over"),
    [(0, False), (59, False), (60, True), (61, True), (-1, True), (3600, True)],
)
def test_a_time_has_passed_from_its_end_on_and_where_the_clock_was_set_back(since: int, *, is_over: bool) -> None:
    assert has_passed(MINUTE, NOW - since * SECOND, NOW) == is_over


def test_a_time_has_passed_since_never_and_not_a_moment_before_its_end() -> None:
    assert has_passed(MINUTE, None, NOW)
    assert not has_passed(MINUTE, NOW - MINUTE + MOMENT, NOW)
    assert has_passed(MINUTE, NOW + MOMENT, NOW)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RoleRefused(), True),
        (psycopg.OperationalError(), True),
        (TimeoutError(), True),
        (psycopg.errors.InsufficientPrivilege(), False),
        (psycopg.errors.LockNotAvailable(), False),
        (psycopg.errors.UndefinedTable(), False),
    ],
)
def test_a_database_is_away_if_it_does_not_answer_or_refuses_the_role(error: Exception, *, expected: bool) -> None:
    assert is_away(error) == expected


@pytest.mark.parametrize("mode", ["", "_shared"])
async def test_one_process_at_a_time_decides_what_is_told(emptied: str, mode: str) -> None:
    """Not even two that only read may decide at once."""
    attempt = f"SELECT pg_try_advisory_lock{mode}(hashtext('consumer.maintenance'), hashtext('told'))".encode()

    async with StatesInDatabase(emptied, ACCESS, PROCESS)._locked():
        with psycopg.connect(emptied) as conn:
            during = conn.execute(attempt).fetchone()
    with psycopg.connect(emptied) as conn:
        after = conn.execute(attempt).fetchone()

    assert (during, after) == ((False,), (True,))
