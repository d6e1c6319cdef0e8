"""Rows for the verdict's queries, in one transaction whose `now()` stands still, so that each limit is met exactly."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson

from consumer.postgres.connections import Connection

SECOND, MINUTE, HOUR = (timedelta(seconds=each) for each in (1, 60, 3600))
MOMENT = timedelta(microseconds=1)
NONE = timedelta(0)


@asynccontextmanager
async def standing(url: str) -> AsyncIterator[Connection]:
    """A transaction that leaves nothing behind."""
    async with await Connection.connect(url) as conn, conn.transaction(force_rollback=True):
        yield conn


async def wait(conn: Connection, seq: int, ago: timedelta, source: str = "stack", count: int = 1) -> None:
    """Let deliveries wait that came so long ago, with the numbers from *seq* on, the greatest first."""
    await conn.execute(
        "INSERT INTO consumer.outbox (seq, source, message_id, occurred_at, received_at, body) OVERRIDING SYSTEM VALUE "
        "SELECT n, %s, 'm' || n, now(), now() - %s, '' FROM generate_series(%s::bigint, %s) AS n",
        (source, ago, seq, seq + count - 1),
    )
    await conn.execute(
        "INSERT INTO consumer.pending (seq) SELECT n FROM generate_series(%s::bigint, %s, -1) AS n",
        (seq + count - 1, seq),
    )


async def end(conn: Connection, seq: int, outcome: str = "applied") -> None:
    await conn.execute("INSERT INTO consumer.outcomes (seq, outcome) VALUES (%s, %s)", (seq, outcome))


async def die(conn: Connection, seq: int, ago: timedelta, cause: tuple[str, str], count: int = 1) -> None:
    await conn.execute(
        "INSERT INTO consumer.failures (seq, state, attempts, error_code, error, failed_at) "
        "SELECT n, 'dead', 1, %s, %s, now() - %s FROM generate_series(%s::bigint, %s) AS n",
        (*cause, ago, seq, seq + count - 1),
    )


async def retry(conn: Connection, seq: int, due_ago: timedelta) -> None:
    """Let a delivery fail now that is or was tried again at another time."""
    await conn.execute(
        "INSERT INTO consumer.failures (seq, state, attempts, next_attempt_at, error_code, error) "
        "VALUES (%s, 'retrying', 1, now() - %s, 'r', 'retried')",
        (seq, due_ago),
    )


async def report(conn: Connection, ago: timedelta, process: int = 1, **values: Any) -> None:
    row = {"duty": "receiver", "host": "h", "pid": 1, "release": "1", "clock_skew_seconds": 0, **values}
    row |= {name: orjson.dumps(row[name]).decode() for name in ("counters", "histograms") if name in row}
    places = ", ".join(["%s"] * len(row))
    await conn.execute(
        f"INSERT INTO consumer.reports (at, process_id, {', '.join(row)}) VALUES (now() - %s, %s, {places})".encode(),
        (ago, UUID(int=process), *row.values()),
    )


async def fitted_none(conn: Connection, ago: timedelta, count: int) -> None:
    await report(conn, ago, counters={"deliveries_refused:no_match": count})


async def accept(conn: Connection, ago: timedelta, count: int = 1) -> None:
    await report(conn, ago, 2, counters={"deliveries_received:stored": count})


async def now(conn: Connection) -> datetime:
    [[found]] = await (await conn.execute("SELECT now()")).fetchall()
    assert isinstance(found, datetime)
    return found
