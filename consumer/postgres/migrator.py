"""A migrator's two connections: one that works, and one whose open transaction holds the lock of all migrators.

A lock of a session would stay behind in a pooler, and settings of a session would reach a pooler's other clients.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from select import select

import psycopg
from psycopg import Connection, IsolationLevel
from psycopg.conninfo import make_conninfo
from psycopg.rows import TupleRow, class_row

from consumer import logs
from consumer.errors import ConsumerError
from consumer.postgres.connections import KEEPALIVE, is_pooled
from consumer.postgres.queries import query

# Any constant shared by all releases: the migrators of one database take turns under it.
LOCK_KEY = 7_305_013_982_001
# A migrator polls for its turn: a blocking pg_advisory_lock and CREATE INDEX CONCURRENTLY never end beside each other.
LOCK_POLL_SECONDS = 0.1
LOCK_WAIT_SECONDS = 600
# A person at a terminal wonders after a second.
QUIET_WAIT_SECONDS = 1.0
CONNECT_SECONDS = "10"
# A pooler answers within milliseconds when it has a free server connection; PgBouncer itself gives up after 120 s.
POOLER_WAIT_SECONDS = 10.0

log = logging.getLogger(__name__)

MigratorConnection = Connection[TupleRow]


class MigrationsBusy(ConsumerError):
    """Another process has been migrating this database for too long."""


class NoSecondConnection(ConsumerError):
    """The migrator could not work beside the connection that holds its lock."""


@dataclass(frozen=True, slots=True)
class Holder:
    """The session that holds the migrators' lock."""

    pid: int
    login: str
    application: str


def connect(conninfo: str) -> MigratorConnection:
    """Open an autocommit connection that takes nothing from its server, database or role but names and rights.

    Behind a pooler only its transactions do: `isolate` begins each of them.
    """
    names = {"application_name": "consumer migrate", "client_encoding": "UTF8", "connect_timeout": CONNECT_SECONDS}
    # Never prepared: PgBouncer before 1.21 loses prepared statements in transaction mode.
    conn = psycopg.connect(make_conninfo(conninfo, **names, **KEEPALIVE), autocommit=True, prepare_threshold=None)
    if not is_pooled(conn):
        isolate(conn, is_local=False)
    # Not serializable, whatever the server's default: an old snapshot would block CREATE INDEX CONCURRENTLY.
    conn.isolation_level = IsolationLevel.READ_COMMITTED
    return conn


def isolate(conn: MigratorConnection, *, is_local: bool) -> None:
    """Replace odd settings, until the transaction ends or for the session; the login acts as itself."""
    for name in ("isolate", "settings"):
        conn.execute(query(f"migrator/{name}"), {"is_local": is_local})


@contextmanager
def turn(conninfo: str, conn: MigratorConnection) -> Iterator[MigratorConnection]:
    """Hold the lock of all migrators, and yield the connection that does; a killed process frees it.

    Raises NoSecondConnection if the lock can't be held while *conn* works.
    """
    try:
        holder = connect(conninfo)
    except psycopg.OperationalError as error:
        raise NoSecondConnection(_no_second("the server refuses it")) from error
    with holder, ExitStack() as transaction:
        _wait(holder, transaction)
        if not _answers(conn):
            raise NoSecondConnection(_no_second("the pooler has no other for it"))
        require_lock(holder)
        yield holder


def require_lock(holder: MigratorConnection) -> None:
    """Raise OperationalError if the connection that held the lock is lost: others may migrate then."""
    # By a statement without parameters: after one with, the server keeps the snapshot until the next statement, and
    # CREATE INDEX CONCURRENTLY would wait for it without end.
    holder.execute(query("migrator/keep_lock"))


def _no_second(reason: str) -> str:
    cure = "let MIGRATE_DATABASE_URL lead straight to the server, and allow the login and the database two connections"
    return f"`migrate` works on one connection while another holds its lock, but {reason}: {cure}. Nothing was changed."


def _wait(holder: MigratorConnection, transaction: ExitStack) -> None:
    """Enter the transaction that has the lock. No transaction stays open while it waits: it would occupy a pooler."""
    started = since = time.monotonic()
    seen: Holder | None = None
    is_logged = False
    while not _try_lock(holder, transaction):
        before, seen, now = seen, _lock_holder(holder), time.monotonic()
        if seen != before:
            since, is_logged = now, False
        if seen and not is_logged and now - since > QUIET_WAIT_SECONDS:
            fields = {"pid": seen.pid, "login": seen.login, "application": seen.application}
            log.warning(logs.MIGRATION_WAITED, extra=fields)
            is_logged = True
        if now - started > LOCK_WAIT_SECONDS:
            raise MigrationsBusy(_busy(seen))
        time.sleep(LOCK_POLL_SECONDS)


def _busy(holder: Holder | None) -> str:
    named = f"process {holder.pid} (login {holder.login}, application {holder.application})" if holder else "another"
    return (
        f"The migrators' lock was held by {named} for {LOCK_WAIT_SECONDS} s: end that session if it does nothing. "
        "Nothing was changed."
    )


def _try_lock(holder: MigratorConnection, transaction: ExitStack) -> bool:
    transaction.enter_context(holder.transaction())
    isolate(holder, is_local=True)
    [(is_taken,)] = holder.execute(query("migrator/try_lock"), {"key": LOCK_KEY}).fetchall()
    if not is_taken:
        transaction.close()
    return bool(is_taken)


def _lock_holder(conn: MigratorConnection) -> Holder | None:
    with conn.transaction(), conn.cursor(row_factory=class_row(Holder)) as cursor:
        isolate(conn, is_local=True)
        return cursor.execute(query("migrator/lock_holder"), {"key": LOCK_KEY}).fetchone()


def _answers(conn: MigratorConnection) -> bool:
    """Tell whether the server answers this connection in time; if not, it can't be used any more."""
    conn.pgconn.send_query(b"SELECT")
    is_answered = bool(select([conn.pgconn.socket], [], [], POOLER_WAIT_SECONDS)[0])
    while is_answered and conn.pgconn.get_result():
        pass
    return is_answered
