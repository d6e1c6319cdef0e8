"""The console's access to the database: what is asked again, what counts as an outage, and what is left at the end."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import psycopg
import pytest
from psycopg import errors as postgres
from psycopg_pool import PoolTimeout

from consumer.console import reading, system
from consumer.console.reading import ConsoleDatabase, DatabaseAway, NotMigrated, TooSlow, open_database
from consumer.console.turns import Busy
from consumer.postgres.connections import Access, Connection, operator_access, viewer_access
from tests.support.databases import rows
from tests.support.processes import until

VIEWER, OPERATOR = viewer_access("consumer"), operator_access("consumer")
LOST, SHUT = psycopg.OperationalError("server closed the connection"), postgres.AdminShutdown("ending")


class Asked:
    """A console's access whose questions end as a test says, and how often they were asked."""

    def __init__(self, *ends: object) -> None:
        self.ends, self.questions, self.drained, self.attempts = list(ends), 0, 0, list[Exception | None]()
        self.database = cast("Any", ConsoleDatabase("", VIEWER, OPERATOR, self.attempts.append))
        self.available = 0
        self.database._pool = SimpleNamespace(drain=self.drain, get_stats=lambda: {"pool_available": self.available})
        self.database._read_once = self.database._observe_once = self.once

    async def drain(self) -> None:
        self.drained += 1

    async def once(self, _: object) -> object:
        self.questions += 1
        end = self.ends.pop(0)
        if isinstance(end, Exception):
            raise end
        return end


async def nothing(*_: object) -> None:
    """Read nothing."""


@pytest.mark.parametrize("lost", [LOST, SHUT, OSError("reset")], ids=str)
async def test_a_page_that_met_a_lost_connection_asks_once_more_over_a_new_one(lost: Exception) -> None:
    asked = Asked(lost, "found")

    assert await asked.database.read(nothing, "kim") == "found"
    assert (asked.questions, asked.drained) == (2, 1)


@pytest.mark.parametrize(
    ("ends", "raised", "questions", "drained"),
    [
        ([LOST, LOST], DatabaseAway, 2, 1),
        ([TimeoutError()], TooSlow, 1, 1),
        ([postgres.QueryCanceled()], TooSlow, 1, 0),
        ([postgres.LockNotAvailable()], TooSlow, 1, 0),
        ([postgres.UndefinedTable()], NotMigrated, 1, 0),
        ([PoolTimeout()], Busy, 1, 0),
        ([LOST, PoolTimeout()], Busy, 2, 1),
    ],
    ids=str,
)
async def test_what_asking_once_more_can_not_mend_is_said_at_once(
    ends: list[Exception], raised: type[Exception], questions: int, drained: int
) -> None:
    asked = Asked(*ends)

    with pytest.raises(raised):
        await asked.database.read(nothing)

    assert (asked.questions, asked.drained) == (questions, drained)


@pytest.mark.parametrize(
    ("is_connected", "ends", "raised", "questions"),
    [
        (True, [LOST, "found"], None, 2),
        (True, [SHUT, "found"], None, 2),
        (True, [LOST, LOST], DatabaseAway, 2),
        (False, [LOST], DatabaseAway, 1),
        (True, [postgres.QueryCanceled()], TooSlow, 1),
        (True, [postgres.UndefinedColumn()], NotMigrated, 1),
        (True, [TimeoutError()], DatabaseAway, 1),
    ],
)
async def test_the_sampler_asks_once_more_only_where_its_connection_was_an_old_one(
    is_connected: bool, ends: list[object], raised: type[Exception] | None, questions: int
) -> None:
    asked = Asked(*ends)
    asked.database._observing = object() if is_connected else None

    if raised is None:
        assert await asked.database.observe(nothing) == "found"
    else:
        with pytest.raises(raised):
            await asked.database.observe(nothing)

    assert asked.questions == questions


@pytest.mark.parametrize(
    ("error", "lent", "since_returned", "available", "is_told"),
    [
        (None, 1, 0.0, 1, True),
        (None, 0, 99.0, 0, True),
        (LOST, 0, 99.0, 0, True),
        (LOST, 0, 1.0, 0, True),
        (LOST, 0, 0.99, 0, False),
        (LOST, 1, 99.0, 0, False),
        (LOST, 0, 99.0, 1, False),
    ],
)
def test_one_connection_more_that_can_not_be_had_is_no_outage(
    monkeypatch: pytest.MonkeyPatch,
    error: Exception | None,
    lent: int,
    since_returned: float,
    available: int,
    is_told: bool,
) -> None:
    asked = Asked()
    asked.available = available
    asked.database._lent, asked.database._returned_at = lent, 100.0
    monkeypatch.setattr(reading, "time", SimpleNamespace(monotonic=lambda: 100.0 + since_returned))

    asked.database._note(error)

    assert asked.attempts == ([error] if is_told else [])


async def test_who_counts_waits_for_a_lock_as_a_viewer_does_and_who_acts_as_an_operator(emptied: str) -> None:
    found = []
    async with open_database(emptied, VIEWER, OPERATOR, lambda _: None) as database:
        for opened in (database.acting("kim"), database.acting_alone(), database.counting("kim")):
            async with opened as (conn, access):
                found.append((access.role, access.lock_timeout, access.statement_timeout, conn.closed))

    second = timedelta(seconds=1)
    assert found == [
        ("consumer_operator", 5 * second, 600 * second, False),
        ("consumer_operator", 5 * second, 600 * second, False),
        ("consumer_operator", second, 600 * second, False),
    ]


async def test_what_is_observed_has_a_viewer_s_limits_and_the_end_leaves_no_session(emptied: str) -> None:
    async def limits(conn: Connection, access: Access | None = None) -> tuple[int, Access | None]:
        return conn.info.backend_pid, access

    async with open_database(emptied, VIEWER, OPERATOR, lambda _: None) as database:
        observer, access = await database.observe(limits)
        masked, _ = await database.observe_masked(limits)
        reader, _ = await database.read(limits)

    assert access
    assert (access.name, access.role) == ("consumer console", "consumer_operator")
    assert (access.statement_timeout, access.lock_timeout) == (VIEWER.statement_timeout, VIEWER.lock_timeout)
    assert (masked == observer, reader == observer) == (True, False)
    left = f"SELECT FROM pg_stat_activity WHERE pid IN ({observer}, {reader})"
    until(lambda: rows(emptied, left) == [])


async def test_the_latency_of_the_database_is_that_of_one_question(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, asked = [100.0], list[str]()

    def takes(name: str, seconds: float, result: object) -> Callable[..., Awaitable[object]]:
        async def work(*_: object, **__: object) -> object:
            asked.append(name)
            clock[0] += seconds
            return result

        return work

    access = SimpleNamespace(problem=lambda: "It is not loaded.")
    monkeypatch.setattr(system, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    monkeypatch.setattr(system, "server", takes("server", 5, "facts"))
    monkeypatch.setattr(system, "session", SimpleNamespace(now=takes("now", 0.25, None)))
    monkeypatch.setattr(system, "first_rows", takes("sizes", 7, []))
    monkeypatch.setattr(system, "rows", takes("rows", 9, [access]))

    found = await system._read(cast("Connection", None))

    assert (str(found.server), found.latency_seconds) == ("facts", 0.25)
    assert (found.statements, found.statements_problem) == ([], "It is not loaded.")
    # The statements are not asked for.
    assert asked == ["server", "now", "sizes", "rows", "rows"]
