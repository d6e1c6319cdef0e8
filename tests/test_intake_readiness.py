"""What the intake says of its database when it is asked whether it can store."""

from collections.abc import Iterator
from contextlib import contextmanager

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
from tests.support.still_clock import StillLoop, run_still

AWAY = "the database is away"
DATABASE = "ALTER DATABASE {} SET default_transaction_read_only = {}"


@contextmanager
def read_only(url: str) -> Iterator[None]:
    """Make each new session read-only."""
    name = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
    with schema_change(url, DATABASE.format(name, "on"), f"ALTER DATABASE {name} RESET default_transaction_read_only"):
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
