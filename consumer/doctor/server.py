"""Checks of the server: its version and durability, its clock, vacuum and connections."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg.rows import class_row

from consumer.doctor.check import Check, fail_unless, ok, warn_unless
from consumer.postgres.connections import Connection
from consumer.postgres.queries import rows

VERSION_MIN = 150_000
# NTP keeps two hosts well below it, and it is well below the 300 s after which a signature is refused.
SKEW_MAX = timedelta(seconds=5)
# Vacuum must keep every row version younger than the oldest transaction; a claim over 60,000 dead rows took three to
# fifteen times as long (fault F37), and a busy queue leaves that many in minutes.
TRANSACTION_MAX = timedelta(minutes=5)
XMIN_AGE_MAX = 1_000_000
# The last connections are reserved for superusers, and during a deploy old and new processes run together.
CONNECTIONS_SHARE_MAX = 0.9


@dataclass(frozen=True, slots=True)
class Server:
    """The server, its settings, and this login's rights."""

    version: str
    version_number: int
    started_at: datetime
    database: str
    database_oid: int
    login: str
    is_superuser: bool
    encoding: str
    backend_pid: int
    is_standby: bool
    is_read_only: bool
    has_fsync: bool
    has_full_page_writes: bool
    synchronous_commit: str
    has_autovacuum: bool
    connections_max: int
    database_bytes: int
    outbox_bytes: int
    now: datetime

    @property
    def is_migrated(self) -> bool:
        """The outbox exists: with its indexes it is never empty."""
        return self.outbox_bytes > 0

    @property
    def place(self) -> tuple[datetime, int]:
        """Identify one database on one server, whatever their names and addresses."""
        return self.started_at, self.database_oid


@dataclass(frozen=True, slots=True)
class Activity:
    """The connections, and the transactions that hold vacuum back."""

    connections: int
    workers: int
    transaction_seconds: float
    transaction_application: str | None
    prepared_transactions: int
    xmin_age: int


async def server(conn: Connection) -> Server:
    """Read the server's properties, which any login may."""
    [found] = await rows(conn, class_row(Server), "server/read")
    return found


async def activity(conn: Connection) -> Activity:
    """Read the activity of all sessions; without pg_read_all_stats other logins' transactions stay hidden."""
    [found] = await rows(conn, class_row(Activity), "server/activity")
    return found


def is_pooled(conn: Connection, found: Server) -> bool:
    """Tell whether a pooler answers: it names another backend at the connect than the one that runs queries."""
    return conn.info.backend_pid != found.backend_pid


def judge_server(found: Server, *, skew: timedelta) -> list[Check]:
    """Judge the server's version, encoding, durability and clock."""
    return [
        fail_unless(found.version_number >= VERSION_MIN, "server version", f"PostgreSQL {found.version}"),
        fail_unless(found.encoding == "UTF8", "encoding", found.encoding),
        fail_unless(
            not found.is_standby and not found.is_read_only,
            "writable",
            "a standby" if found.is_standby else "read-only" if found.is_read_only else "yes",
        ),
        fail_unless(
            found.has_fsync and found.has_full_page_writes,
            "durability",
            f"fsync is {_on(found.has_fsync)}, full_page_writes is {_on(found.has_full_page_writes)}",
        ),
        warn_unless(found.synchronous_commit != "off", "synchronous_commit", found.synchronous_commit),
        warn_unless(
            abs(skew) <= SKEW_MAX,
            "clocks",
            f"the database's and this host's are {abs(skew.total_seconds()):.1f} s apart",
        ),
    ]


def judge_room(found: Server, active: Activity, *, unvacuumed: list[str]) -> list[Check]:
    """Judge vacuum, old transactions and connections, which slow the queue down in time."""
    return [
        warn_unless(
            found.has_autovacuum and not unvacuumed,
            "autovacuum",
            f"off for {', '.join(unvacuumed)}" if unvacuumed else _on(found.has_autovacuum),
        ),
        warn_unless(active.transaction_seconds <= TRANSACTION_MAX.total_seconds(), "old transactions", _oldest(active)),
        warn_unless(active.prepared_transactions == 0, "prepared transactions", str(active.prepared_transactions)),
        warn_unless(active.xmin_age <= XMIN_AGE_MAX, "oldest snapshot", f"{active.xmin_age:,} transactions ago"),
        warn_unless(
            active.connections <= CONNECTIONS_SHARE_MAX * found.connections_max,
            "connections",
            f"{active.connections} of {found.connections_max}",
        ),
        ok("size", f"{found.database_bytes / 1e6:,.0f} MB, of which the outbox {found.outbox_bytes / 1e6:,.0f} MB"),
    ]


def _oldest(active: Activity) -> str:
    if not active.transaction_seconds:
        return "none"
    client = active.transaction_application or "an unnamed client"
    return f"the oldest is {active.transaction_seconds:.0f} s old, of {client}"


def _on(is_on: bool) -> str:
    return "on" if is_on else "off"
