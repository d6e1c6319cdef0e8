"""The intake's wake-ups: how often, and that each commits with its rows."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from consumer.postgres import session
from tests.support.factories import user_updated
from tests.support.intake import (
    commits_wait,
    held,
    site,
    started,
    stored_count,
)
from tests.support.still_clock import StillLoop, advance, run_still


@contextmanager
def listener(url: str) -> Iterator["psycopg.Connection[tuple[object, ...]]"]:
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("LISTEN consumer_wake")
        yield conn


def heard(conn: "psycopg.Connection[tuple[object, ...]]") -> int:
    """Count the wake-ups of transactions that have ended."""
    conn.execute("SELECT")
    return len(list(conn.notifies(timeout=0)))


def test_workers_are_woken_at_most_once_in_50_ms(emptied: str) -> None:
    async def act(_: StillLoop) -> None:
        with listener(emptied) as ear:
            async with site(emptied) as here:
                counts = []
                for seconds in (0, 0, 0.05 - 2**-10, 2**-10, 0, 1, 0.03, 0.03):
                    await advance(seconds)
                    await here.intake.put(user_updated())
                    counts.append(heard(ear))
                assert counts == [1, 0, 0, 1, 0, 1, 0, 1]

    run_still(act)


def test_workers_are_woken_when_the_rows_are_there_and_not_before(emptied: str) -> None:
    async def act(_: StillLoop) -> None:
        with listener(emptied) as ear:
            async with site(emptied) as here:
                with held(emptied) as holder:
                    puts = await started(here.intake.put(user_updated()))
                    await commits_wait(emptied, 1)
                    assert heard(ear) == 0
                    holder.rollback()
                    await asyncio.gather(*puts)
                assert (heard(ear), stored_count(emptied)) == (1, 1)

    run_still(act)


def test_a_wake_up_commits_with_its_rows_or_neither_does(emptied: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(session, "wake", broken)

    async def act(_: StillLoop) -> None:
        async with site(emptied) as here:
            assert await here.put_all(user_updated()) == ["StoreUnavailable"]
            assert here.counted == {}

    run_still(act)

    assert stored_count(emptied) == 0
