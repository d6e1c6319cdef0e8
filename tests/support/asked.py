"""The console's queries, asked in the transaction that fills the tables: its time is now, so each border is met."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from psycopg.rows import dict_row, tuple_row
from psycopg.types.json import Jsonb

from consumer.postgres.queries import query
from tests.support.rolled_back import Conn

TICK, SECOND, MINUTE, HOUR = timedelta(microseconds=1), timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
ONE, OTHER = UUID(int=1), UUID(int=2)


def now(conn: Conn) -> datetime:
    [(at,)] = conn.execute("SELECT now()").fetchall()
    return at.astimezone(UTC)  # type: ignore[no-any-return]  # A time.


def asked(conn: Conn, name: str, **values: object) -> list[dict[str, Any]]:
    """Return what a query finds."""
    with conn.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query(name), values or None).fetchall()


def tuples(conn: Conn, name: str, **values: object) -> list[tuple[Any, ...]]:
    with conn.cursor(row_factory=tuple_row) as cursor:
        return cursor.execute(query(name), values or None).fetchall()


def log(conn: Conn, seqs: range, source: str = "stack", *, user_id: UUID | None = None) -> None:
    """Store deliveries that came an hour ago."""
    conn.execute(
        "INSERT INTO consumer.outbox (seq, source, message_id, event_type, user_id, occurred_at, received_at, body)"
        " OVERRIDING SYSTEM VALUE SELECT n, %s, 'm' || n, 'user.updated', %s, now(), now() - interval '1 hour', ''"
        " FROM generate_series(%s::bigint, %s::bigint) AS n",
        (source, user_id, seqs[0], seqs[-1]),
    )


def report(
    conn: Conn, ago: timedelta, counters: dict[str, int], process_id: UUID | None = None, **histograms: object
) -> None:
    conn.execute(
        "INSERT INTO consumer.reports (at, process_id, duty, host, pid, release, clock_skew_seconds, counters,"
        " histograms) VALUES (now() - %s, %s, 'worker', 'h', 1, '0', 0, %s, %s)",
        (ago, process_id or uuid4(), Jsonb(counters), Jsonb(histograms)),
    )


def failed(conn: Conn, seq: int, state: str, ago: timedelta = timedelta(0), due: timedelta | None = None) -> None:
    conn.execute(
        "INSERT INTO consumer.failures (seq, state, attempts, next_attempt_at, error_code, error, failed_at)"
        " VALUES (%s, %s, 1, now() + %s::interval, 'x', 'x', now() - %s::interval)",
        (seq, state, due, ago),
    )


def died(conn: Conn, seq: int, code: str, event_type: str | None, error: str = "e", ago: timedelta = HOUR) -> None:
    conn.execute(
        "INSERT INTO consumer.failures (seq, state, attempts, error_code, error, failed_at, source, event_type)"
        " VALUES (%s, 'dead', 1, %s, %s, now() - %s::interval, 'stack', %s)",
        (seq, code, error, ago, event_type),
    )
