"""The steps of a migration: what each locks and for how long, so that everybody else goes on meanwhile.

A line `-- step: KIND` of the file begins a step; the text before the first such line is one of the kind `catalogue`:

- `catalogue` makes what nobody uses yet: functions, new tables, grants. It may change `consumer.settings`.
- `identity` changes the tables of identity, locked together in the workers' order.
- `intake` changes the tables that the receiver writes, locked alone.
- `pages as ROLE` works under that role on rows that others write too, page by page. Its first statement returns the
  last key of the page that begins after %(after)s, null at the end; the others work on the keys up to %(last)s.
- `concurrently` holds nothing but CREATE INDEX CONCURRENTLY.

A step is one transaction, and so is a page; what an ended migrator leaves is taken up where it stood. The first three
kinds work between two batches. In a transaction of the caller's, whose tables nobody else sees, indexes are made in it.
"""

import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import count

from psycopg import errors as postgres
from psycopg import sql
from psycopg.pq import TransactionStatus
from psycopg.rows import TupleRow, tuple_row

from consumer import logs
from consumer.errors import ConsumerError
from consumer.postgres.connections import Connection, is_pooled
from consumer.postgres.migrator import MigratorConnection
from consumer.postgres.queries import query, rows

log = logging.getLogger(__name__)

MARKER = re.compile(r"^-- step: (\w+)(?: as (\w+))?$", re.MULTILINE)
COMMENT = re.compile(r"^--.*$", re.MULTILINE)
INDEX = re.compile(r"CREATE (?:UNIQUE )?INDEX CONCURRENTLY (?P<name>\w+)\s+ON (?P<schema>\w+)\.")
CATALOGUE, IDENTITY, INTAKE, PAGES, CONCURRENTLY = "catalogue", "identity", "intake", "pages", "concurrently"
# Every batch reads them first.
SETTINGS = ("consumer.settings",)
# In the order in which a batch locks their rows.
TABLES: Mapping[str, Sequence[str]] = {
    CATALOGUE: (),
    IDENTITY: (
        "identity.stack_user_profiles",
        "identity.companies",
        "identity.company_members",
        "identity.profiles",
        "identity.profile_audit",
    ),
    INTAKE: ("consumer.outbox", "consumer.pending", "consumer.failures"),
}
# How long one LOCK may take in all. What queues behind it waits as long: a reader of a profile at most 3 s, and a
# delivery is answered within 100 ms.
LOCK_SECONDS = {CATALOGUE: 2.0, IDENTITY: 2.0, INTAKE: 0.05}
# The wait for running batches and the LOCK together: less than a worker waits for a lock (3 s).
WORKERS_WAIT_SECONDS = 2.0
# Below PostgreSQL's deadlock_timeout of 1 s: where an application locks our tables in another order, the migration
# gives way before the server ends the application's transaction.
WAIT_SECONDS = 0.9
# Between two attempts, each time twice as long: what queued behind the migration goes first.
PAUSE_SECONDS_MAX = 10.0
# A step that others keep from its locks this long is given up. No index waits longer for one transaction either.
PATIENCE_SECONDS = 600.0
# An index waits for every transaction that began before it; the log names those that have lasted this long.
LONG_SECONDS = 1.0


class TablesHeld(ConsumerError):
    """Others have held the tables of a migration for too long."""


@dataclass(frozen=True, slots=True)
class MigrationStep:
    """One step of a migration, with the role that its pages work under."""

    kind: str
    role: str | None
    text: str

    @property
    def statements(self) -> list[str]:
        """The statements of a step that holds no function, and no semicolon but at their ends."""
        return [one.strip() for one in COMMENT.sub("", self.text).split(";") if one.strip()]


def steps(text: str) -> list[MigrationStep]:
    """Return the steps of a migration's file."""
    first, *rest = MARKER.split(text)
    found = [MigrationStep(CATALOGUE, None, first)] if COMMENT.sub("", first).strip() else []
    for kind, role, part in zip(rest[::3], rest[1::3], rest[2::3], strict=True):
        assert kind in {CATALOGUE, IDENTITY, INTAKE, PAGES, CONCURRENTLY}, kind
        found.append(MigrationStep(kind, role, part))
    return found


async def table_holders(conn: Connection) -> list[str]:
    """Return the sessions that hold tables of ours, as text."""
    return _named(await rows(conn, tuple_row, "migration_steps/holders"))


def _named(holders: Sequence[TupleRow], seconds_min: float = 0.0) -> list[str]:
    return [
        f"pid {pid} ({login}, {program or 'no name'}{'' if seconds is None else f', {seconds:.0f} s'})"
        for pid, login, program, seconds in holders
        if not seconds_min or (seconds or 0) >= seconds_min
    ]


@dataclass(frozen=True, slots=True)
class StepRunner:
    """Takes the steps of one migration over one connection."""

    conn: MigratorConnection
    # Begins a transaction, or a savepoint in one.
    transaction: Callable[[], AbstractContextManager[object]]
    migration_id: str
    # Records, in the transaction of the work, which step and page come next; the step is null after the last.
    advance: Callable[[int | None, str | None], None]

    def run(self, text: str, number: int, page: str | None) -> None:
        """Take the steps from this *number* and the last key of its pages on.

        A step whose locks somebody else holds gives way, says so, and is tried again; TablesHeld after ten minutes.
        """
        found = steps(text)
        while number < len(found):
            following = number + 1 if number + 1 < len(found) else None
            page = self._patiently(found[number], number, page, following)
            if page is None:
                number += 1

    def _patiently(self, step: MigrationStep, number: int, page: str | None, following: int | None) -> str | None:
        begun = time.monotonic()
        for attempt in count(1):
            try:
                if step.kind == CONCURRENTLY:
                    self._make_indexes(step)
                with self.transaction():
                    last = self._work(step, page)
                    self.advance(number if last else following, last)
            except (postgres.LockNotAvailable, postgres.QueryCanceled, postgres.DeadlockDetected) as error:
                holders = self._holders()
                if time.monotonic() - begun > PATIENCE_SECONDS:
                    raise TablesHeld(
                        f"Others have held the tables of {self.migration_id} for {PATIENCE_SECONDS / 60:.0f} minutes: "
                        f"{'; '.join(holders) or 'nobody now'}. What is done stays done: run `consumer migrate` again."
                    ) from error
                facts = {"attempt": attempt, "error_code": error.sqlstate, "holders": holders}
                log.warning(logs.MIGRATION_HELD_UP, extra={"migration": self.migration_id, "step": number, **facts})
                time.sleep(min(2.0 ** (attempt - 1), PAUSE_SECONDS_MAX))
            else:
                return last
        raise AssertionError("count() has no end")

    def _work(self, step: MigrationStep, page: str | None) -> str | None:
        """Do the work of a step's transaction; return the last key of a page."""
        self._limit(wait=WAIT_SECONDS)
        if step.kind == PAGES:
            return self._take_page(step, page)
        if step.kind in TABLES:
            self._lock_between_batches(step.kind)
            self.conn.execute(step.text.encode())
        return None

    def _lock_between_batches(self, kind: str) -> None:
        """Wait until no batch runs, let none begin, and lock the tables of a kind.

        A batch reads tables in another order than it locks their rows, so beside it no order of a LOCK is safe.
        """
        deadline = time.monotonic() + WORKERS_WAIT_SECONDS
        for tables, seconds_max in ((SETTINGS, WORKERS_WAIT_SECONDS), (TABLES[kind], LOCK_SECONDS[kind])):
            seconds = min(seconds_max, max(deadline - time.monotonic(), 0.001))
            self._limit(wait=min(WAIT_SECONDS, seconds), statement=seconds)
            found = self.conn.execute(query("migration_steps/existing"), {"tables": list(tables)}).fetchall()
            if found:
                names = sql.SQL(", ").join(sql.Identifier(*table) for table in found)
                self.conn.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(names))
        self._limit(wait=min(WAIT_SECONDS, LOCK_SECONDS[kind]))

    def _take_page(self, step: MigrationStep, after: str | None) -> str | None:
        assert step.role, "pages name their role"
        first, *others = step.statements
        self.conn.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(step.role)))
        [(last,)] = self.conn.execute(first.encode(), {"after": after}).fetchall()
        if last is not None:
            for statement in others:
                self.conn.execute(statement.encode(), {"after": after, "last": last})
        self.conn.execute("SET LOCAL ROLE NONE")
        assert last is None or isinstance(last, str)
        return last

    def _make_indexes(self, step: MigrationStep) -> None:
        """Make each index of a step that is not there; one that an ended migrator left behind is dropped first."""
        if self.conn.info.transaction_status is not TransactionStatus.IDLE:
            self.conn.execute(step.text.replace(" CONCURRENTLY ", " ").encode())
            return
        # Its waits hold nobody up; the limit is there so that it comes to an end. A pooler's session is others' too.
        if not is_pooled(self.conn):
            self._limit(wait=PATIENCE_SECONDS, is_local=False)
        for statement in step.statements:
            found = INDEX.match(statement)
            assert found, statement
            schema, name = found.group("schema", "name")
            state = self.conn.execute(query("migration_steps/is_valid"), {"index": f"{schema}.{name}"}).fetchone()
            if state == (True,):
                continue
            if state:
                self.conn.execute(sql.SQL("DROP INDEX CONCURRENTLY {}").format(sql.Identifier(schema, name)))
            if holders := self._holders(seconds_min=LONG_SECONDS):
                log.info(logs.MIGRATION_HELD_UP, extra={"index": name, "holders": holders})
            self.conn.execute(statement.encode())

    def _holders(self, seconds_min: float = 0.0) -> list[str]:
        return _named(self.conn.execute(query("migration_steps/holders")).fetchall(), seconds_min)

    def _limit(self, *, wait: float, statement: float = 0.0, is_local: bool = True) -> None:
        """Limit each wait for a lock and each statement, in seconds; a *statement* of 0 takes as long as it needs."""
        milliseconds = {"lock_timeout": str(int(wait * 1000)), "statement_timeout": str(int(statement * 1000))}
        self.conn.execute(query("migration_steps/limit"), {**milliseconds, "is_local": is_local})
