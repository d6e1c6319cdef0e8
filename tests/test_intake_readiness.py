"""What the intake says of its database when it is asked whether it can store."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import psycopg
import pytest
from psycopg.errors import ReadOnlySqlTransaction

from consumer.errors import StoreUnavailable
from tests.support.databases import end_sessions, schema_change
from tests.support.factories import user_updated
from tests.support.intake import (
    POOL_SIZE,
    failing_inserts,
    site,
)
from tests.support.pooler import pooled
from tests.support.still_clock import StillLoop, run_still

AWAY = "the database is away"


@contextmanager
def read_only(url: str, level: str = "DATABASE {}") -> Iterator[None]:
    """Make each new session read-only."""
    target = level.format(psycopg.conninfo.conninfo_to_dict(url)["dbname"])
    change = f"ALTER {target} SET default_transaction_read_only = on"
    with schema_change(url, change, f"ALTER {target} RESET default_transaction_read_only"):
        yield


def test_what_a_receiver_says_of_its_database(emptied: str) -> None:
    async def act(_: StillLoop) -> None:
        async with site(emptied) as here:
            assert await here.intake.not_ready_reason() is None
            end_sessions(emptied, "receiver")
            # One lost connection tells of the others: they are all replaced.
            assert [await here.intake.not_ready_reason() for _ in range(3)] == [AWAY, None, None]
            for sqlstate in ("42501", "23514", "55P03"):
                with failing_inserts(emptied, sqlstate, first_only=False):
                    refusal = await here.intake.not_ready_reason()
                assert refusal == f"the database refuses to store ({sqlstate}): see `consumer doctor`"
        with read_only(emptied):
            async with site(emptied) as here:
                assert await here.intake.not_ready_reason() == "the database is read-only"
                with pytest.raises(StoreUnavailable) as raised:
                    await here.intake.put(user_updated())
                assert isinstance(raised.value.__cause__, ReadOnlySqlTransaction)
        assert here.counted == {}

    run_still(act)


@pytest.mark.lone_server
@pytest.mark.parametrize("level", ["ROLE CURRENT_USER", "ROLE CURRENT_USER IN DATABASE {}"])
@pytest.mark.parametrize("is_direct", [True, False], ids=["direct", "behind a pooler"])
def test_a_login_that_is_read_only_by_habit_stores_all_the_same(emptied: str, level: str, is_direct: bool) -> None:
    async def act(url: str) -> None:
        async with site(url) as here:
            assert await here.intake.not_ready_reason() is None
            assert await here.put_all(user_updated()) == ["NoneType"]

    with read_only(emptied, level), nullcontext(emptied) if is_direct else pooled(emptied) as url:
        asyncio.run(act(url))


def test_a_session_that_became_read_only_is_replaced(emptied: str) -> None:
    async def act(_: StillLoop) -> None:
        async with site(emptied) as here:
            for _round in range(POOL_SIZE):
                async with here.pool.connection() as conn:
                    await conn.execute("SET default_transaction_read_only = on")
            assert await here.intake.not_ready_reason() == "the database is read-only"
            assert await here.put_all(user_updated()) == ["NoneType"]
            assert await here.intake.not_ready_reason() is None

    run_still(act)
