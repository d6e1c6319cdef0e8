"""The cost of one stretch of work, in all processes that did it."""

import time
from dataclasses import dataclass

import psutil
import psycopg

# Made anew for every measure, and dropped.
DATABASE = "bench_peers"
# A backend whose client has died ends when it next speaks to it; a batch takes milliseconds.
GONE_SECONDS_MAX = 30.0
GONE_POLL_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Counters:
    """WAL bytes written, row versions killed and processor time used by sessions that have ended, so far."""

    wal_bytes: int
    dead_rows: int
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class Sample:
    """One measured stretch of work."""

    events: int
    seconds: float
    wal_bytes: int
    dead_rows: int
    # Of the subject's processes.
    own_cpu_seconds: float
    # Of these and of the server's sessions; None when the server runs elsewhere.
    cpu_seconds: float | None


def settled(url: str) -> Counters:
    """Read all once the other sessions have ended: an open one keeps its figures for itself."""
    await_gone(url)
    return counters(url)


def counters(url: str) -> Counters:
    """Read all as they are."""
    with psycopg.connect(url) as conn:
        [(wal_bytes, dead_rows)] = conn.execute(
            "SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint, sum(n_tup_upd + n_tup_del)::bigint"
            " FROM pg_stat_user_tables"
        ).fetchall()
        return Counters(int(wal_bytes), int(dead_rows or 0), _server_cpu_seconds(conn))


def sample(events: int, seconds: float, before: Counters, after: Counters, *, own_cpu_seconds: float) -> Sample:
    server_cpu_seconds = after.cpu_seconds - before.cpu_seconds
    return Sample(
        events,
        seconds,
        after.wal_bytes - before.wal_bytes,
        after.dead_rows - before.dead_rows,
        own_cpu_seconds,
        server_cpu_seconds + own_cpu_seconds if after.cpu_seconds else None,
    )


def _server_cpu_seconds(conn: psycopg.Connection) -> float:
    """Return what the postmaster's ended children have used; 0 when it is not to be seen from here."""
    if not conn.info.host.startswith("/"):
        return 0.0
    try:
        [(pid,)] = conn.execute("SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)::integer").fetchall()
        times = psutil.Process(pid).cpu_times()
    except (psycopg.Error, psutil.Error):
        return 0.0
    return float(times.children_user + times.children_system)


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
