"""What a stretch of work cost the database, whoever did it."""

import time
from dataclasses import dataclass

import psycopg

# A backend whose client has died ends when it next speaks to it; a batch takes milliseconds.
GONE_SECONDS_MAX = 30.0
GONE_POLL_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Counters:
    """WAL bytes written and row versions killed so far."""

    wal_bytes: int
    dead_rows: int


@dataclass(frozen=True, slots=True)
class Sample:
    """One measured stretch of work."""

    events: int
    seconds: float
    wal_bytes: int
    dead_rows: int


def settled(url: str) -> Counters:
    """Read both once all other sessions have ended: an open one may keep its figures for itself."""
    await_gone(url)
    return counters(url)


def counters(url: str) -> Counters:
    """Read both as they are."""
    with psycopg.connect(url) as conn:
        [(wal_bytes, dead_rows)] = conn.execute(
            "SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint, sum(n_tup_upd + n_tup_del)::bigint"
            " FROM pg_stat_user_tables"
        ).fetchall()
    return Counters(int(wal_bytes), int(dead_rows or 0))


def sample(events: int, seconds: float, before: Counters, after: Counters) -> Sample:
    return Sample(events, seconds, after.wal_bytes - before.wal_bytes, after.dead_rows - before.dead_rows)


def await_gone(url: str) -> None:
    """Return when no other client is connected to this database."""
    deadline = time.monotonic() + GONE_SECONDS_MAX
    with psycopg.connect(url, autocommit=True) as conn:
        while conn.execute(
            "SELECT FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        ).fetchall():
            if time.monotonic() > deadline:
                raise TimeoutError("a client stays connected")
            time.sleep(GONE_POLL_SECONDS)
