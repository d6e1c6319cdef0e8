"""Migrations: the only user of yoyo, safe under any number of replicas, and under those who use the database."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from functools import partial
from operator import attrgetter
from pathlib import Path
from socket import gethostname
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid1

import psycopg
from psycopg.errors import InsufficientPrivilege
from yoyo import internalmigrations, read_migrations
from yoyo.backends.core.postgresql import PostgresqlPsycopgBackend

from consumer.errors import ConsumerError
from consumer.postgres import default_privileges, migration_records, migrator, preflight
from consumer.postgres.error_classes import code, summary
from consumer.postgres.migration_steps import StepRunner
from consumer.postgres.migrator import MigratorConnection
from consumer.postgres.preflight import DUTIES, Preflight
from consumer.postgres.queries import query, sql_root

LEDGER = "_yoyo_migration"
ROLES = re.compile(rf"\bconsumer_({'|'.join(DUTIES)})\b")


class MigrationFailed(ConsumerError):
    """The database refused a statement of a migration, and nothing of that migration was kept."""


def apply(conninfo: str, role_prefix: str) -> list[str]:
    """Apply pending migrations and return their ids. Parallel callers take turns; all but one find nothing to do.

    Before any change it raises MigrationChanged when a migration is not the one that was released or applied, and
    MigrationRefused with every reason that the look finds.
    """
    hashes = migration_records.frozen(sql_root() / "migrations")
    with _Backend(conninfo, LEDGER) as backend, _carried(role_prefix) as carried:
        found = _look(backend, role_prefix)
        if backend.is_recorded(hashes) and not found.pending:
            return []
        with backend.turn():
            # Once more, because another migrator may have been at work until now.
            backend.is_first = not _look(backend, role_prefix).applied
            # A first migration that fails, for a reason that no look can find, leaves nothing behind.
            with backend.transaction() if backend.is_first else nullcontext():
                backend.make_roles(role_prefix)
                applied: list[str] = backend.apply_pending(carried, hashes)
        return applied


@contextmanager
def turn(conninfo: str) -> Iterator[None]:
    """Take a turn among the migrators of a database."""
    with _Backend(conninfo, LEDGER) as backend, backend.turn():
        yield


def _look(backend: "_Backend", role_prefix: str) -> Preflight:
    found = preflight.look_on(backend.connection, role_prefix)
    found.require()
    return found


@contextmanager
def _carried(role_prefix: str) -> Iterator[Any]:
    """Read this release's migrations, their roles under *role_prefix*."""
    folder = sql_root() / "migrations"
    if role_prefix == "consumer":
        yield read_migrations(str(folder))
        return
    with TemporaryDirectory() as folder_of_ours:
        for file in folder.glob("*.sql"):
            (Path(folder_of_ours) / file.name).write_text(renamed(file.read_text(), role_prefix))
        yield read_migrations(folder_of_ours)


def renamed(text: str, role_prefix: str) -> str:
    """Return SQL with our roles under *role_prefix*."""
    return ROLES.sub(rf"{role_prefix}_\1", text)


class _Backend(PostgresqlPsycopgBackend):  # type: ignore[misc]  # yoyo carries no types
    """yoyo's backend on one connection, so that the last step of a migration and its mark are one transaction.

    yoyo itself runs each migration on a connection of its own and marks it in a second transaction, and its lock is a
    table row: a migrator killed in between leaves a schema that its successor can neither use nor apply again.
    """

    holder: MigratorConnection
    is_first = False
    withheld: Sequence[str] = ()

    def connect(self, dburi: str) -> Any:
        self.schema = "consumer"
        return migrator.connect(dburi)

    def init_connection(self, connection: Any) -> None:
        """Do nothing: `migrator.connect` has set what a session may keep, and `begin` sets the rest."""

    def begin(self) -> None:
        """Begin a transaction that may write, whatever the defaults are, and whose objects nobody is handed."""
        migrator.require_lock(self.holder)
        self._in_transaction = True
        self.execute("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE NOT DEFERRABLE")
        migrator.isolate(self.connection, is_local=True)
        self.withheld = default_privileges.withhold(self.connection)

    def commit(self) -> None:
        """Commit, with the default privileges as they were."""
        default_privileges.give_back(self.connection, self.withheld)
        super().commit()

    def list_tables(self, **_: Any) -> list[str]:
        """Return the ledger's tables that exist."""
        return [name for (name,) in self.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'consumer'")]

    def make_roles(self, role_prefix: str) -> None:
        """Make the roles that are missing."""
        with self.transaction():
            self.connection.execute(renamed(query("migrations/make_roles").decode(), role_prefix).encode())

    def begin_schema(self) -> None:
        """Create the schema of the ledger, and the ledger."""
        with self.transaction():
            # IF NOT EXISTS needs CREATE on the database even if the schema exists.
            if not self.execute("SELECT 1 FROM pg_namespace WHERE nspname = 'consumer'").fetchone():
                self.execute("CREATE SCHEMA consumer")
            # yoyo's own check refuses to run in a transaction.
            if internalmigrations.needs_upgrading(self):
                internalmigrations.upgrade(self)
        self._internal_schema_updated = True

    def is_recorded(self, hashes: Mapping[str, str]) -> bool:
        """Tell whether each migration is recorded; True for a login that may neither read nor write the record."""
        try:
            return migration_records.are_complete(self.connection, hashes)
        except InsufficientPrivilege:
            return True

    def apply_pending(self, carried: Any, hashes: Mapping[str, str]) -> list[str]:
        """Apply what is not applied yet, and return the ids."""
        self.begin_schema()
        with self.transaction():
            migration_records.begin(self.connection, hashes)
            applied = set(self.get_applied_migration_hashes())
            # By their numbers: yoyo's own order needs each statement parsed, for a quarter of a second.
            pending = sorted((each for each in carried if each.hash not in applied), key=attrgetter("id"))
        for migration in pending:
            with self.refusal_explained(migration):
                self.apply(migration, hashes[migration.id])
        return [migration.id for migration in pending]

    def apply(self, migration: Any, content_hash: str) -> None:
        """Take the steps of one migration that are still to take; the last one marks it as applied."""
        record = partial(migration_records.advance, self.connection, migration.id, content_hash)

        def advance(next_step: int | None, page: str | None) -> None:
            record(next_step=next_step, page=page)
            if next_step is None:
                self.mark_one(migration)

        number, page = migration_records.progress(self.connection, migration.id)
        runner = StepRunner(self.connection, self.transaction, migration.id, advance)
        runner.run(Path(migration.path).read_text(), number, page)

    def undo(self, migration: Any) -> None:
        """Roll one migration back and forget it, together or not at all."""
        with self.transaction():
            migration.process_steps(self, "rollback")
            self.unmark_one(migration)
            migration_records.forget(self.connection, migration.id)

    @contextmanager
    def refusal_explained(self, migration: Any) -> Iterator[None]:
        """Raise MigrationFailed for a statement that the database refuses."""
        try:
            yield
        except psycopg.OperationalError:
            raise
        except psycopg.Error as error:
            # Before the first migration no row exists whose values a message could hold.
            text = error.diag.message_primary if self.is_first else summary(error)
            kept = "nothing was changed" if self.is_first else "nothing of this step was kept"
            sentence = f"The database refused the migration {migration.id} ({code(error)}), and {kept}: {text}."
            raise MigrationFailed(sentence) from error

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Hold the lock of all migrators."""
        with migrator.turn(self.uri, self.connection) as self.holder:
            yield

    def lock(self, timeout: float = 10) -> AbstractContextManager[None]:
        """Do nothing: the advisory lock is held already."""
        return nullcontext()

    def copy(self) -> AbstractContextManager["_Backend"]:
        """Return this backend: a second connection would be a second transaction."""
        return nullcontext(self)

    def get_log_data(self, migration: Any = None, operation: str = "apply") -> dict[str, Any]:
        """Describe the operation without the operating system's user: a container's may have no name to look up."""
        return {
            "id": str(uuid1()),
            "migration_id": migration.id if migration else None,
            "migration_hash": migration.hash if migration else None,
            "username": "consumer",
            "hostname": gethostname(),
            "created_at_utc": datetime.now(UTC).replace(tzinfo=None),
            "operation": operation,
        }
