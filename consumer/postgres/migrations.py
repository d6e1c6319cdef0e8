"""Migrations: the only user of yoyo, safe under any number of replicas, and under those who use the database."""

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from socket import gethostname
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid1

import psycopg
from psycopg.errors import InsufficientPrivilege, UndefinedTable
from psycopg.rows import dict_row
from yoyo import read_migrations
from yoyo.backends.core.postgresql import PostgresqlPsycopgBackend

from consumer.errors import ConsumerError
from consumer.postgres import migration_records
from consumer.postgres.migration_steps import StepRunner
from consumer.postgres.queries import query, sql_root

# Any constant shared by all releases: the migrators of one database take turns under it.
LOCK_KEY = 7_305_013_982_001
# A migrator polls for its turn: a blocking pg_advisory_lock and CREATE INDEX CONCURRENTLY never end beside each other.
LOCK_POLL_SECONDS = 0.1
LOCK_WAIT_SECONDS = 600
LEDGER = "_yoyo_migration"
SCHEMAS = ("consumer", "identity")
DUTIES = ("receiver", "worker", "operator", "app", "tenant", "definer")
ROLES = re.compile(rf"\bconsumer_({'|'.join(DUTIES)})\b")


class MigrationsBusy(ConsumerError):
    """Another process has been migrating this database for too long."""


class MayNotMigrate(ConsumerError):
    """The login lacks a right that the migrations need."""


class MigratedOtherwise(ConsumerError):
    """The database was migrated under another ROLE_PREFIX."""


def apply(conninfo: str, role_prefix: str) -> list[str]:
    """Apply pending migrations and return their ids. Parallel callers take turns; all but one find nothing to do.

    Before any change it raises MigrationChanged when a migration is not the one that was released or applied,
    MigratedOtherwise when the roles have another prefix, and MayNotMigrate when the login lacks a right for the pending
    migrations.
    """
    hashes = migration_records.frozen(sql_root() / "migrations")
    with _migrator(conninfo) as backend, _carried(role_prefix) as carried:
        _require_prefix(backend, role_prefix)
        if backend.is_up_to_date(carried, hashes):
            return []
        # Objects left by half of the migrations would belong to the wrong login and block the right one.
        _require_rights(backend, role_prefix)
        backend.begin_schema()
        migration_records.begin(backend.connection, hashes)
        pending = backend.to_apply(carried)
        for migration in pending:
            backend.apply(migration, hashes[migration.id])
        return [migration.id for migration in pending]


@contextmanager
def _migrator(conninfo: str) -> Iterator["_Backend"]:
    with _Backend(conninfo, LEDGER) as backend:
        deadline = time.monotonic() + LOCK_WAIT_SECONDS
        # The lock belongs to the session: a killed migrator frees it with its connection.
        while not backend.execute(f"SELECT pg_try_advisory_lock({LOCK_KEY})").fetchone()[0]:
            if time.monotonic() > deadline:
                raise MigrationsBusy
            time.sleep(LOCK_POLL_SECONDS)
        yield backend


def _require_prefix(backend: "_Backend", role_prefix: str) -> None:
    found = [prefix for (prefix,) in backend.connection.execute(query("migrations/prefixes"))]
    if found and role_prefix not in found:
        raise MigratedOtherwise(
            f"The database was migrated under ROLE_PREFIX {' or '.join(found)}, not {role_prefix}: correct it."
        )


def _require_rights(backend: "_Backend", role_prefix: str) -> None:
    roles = [f"{role_prefix}_{duty}" for duty in DUTIES]
    with backend.connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(query("migrations/lacks"), {"roles": roles, "schemas": list(SCHEMAS)})
        found = cursor.fetchone()
    reasons = {
        "CREATE on the database, to make the schemas": found["schemas_to_make"],
        "CREATEROLE, to make the roles": found["roles_to_make"],
        "membership in the roles, which somebody else made:": found["roles_of_others"],
        "membership in the owner of the schemas": found["schemas_of_others"],
    }
    if lacks := [f"{right} {', '.join(names)}" for right, names in reasons.items() if names]:
        hint = " A second installation in one cluster needs another ROLE_PREFIX." if found["roles_of_others"] else ""
        raise MayNotMigrate(
            f"The login {found['login']} may not migrate {found['database']}, and nothing was changed; it lacks "
            f"{'; '.join(lacks)}.{hint}"
        )


@contextmanager
def _carried(role_prefix: str) -> Iterator[Any]:
    """Read this release's migrations, their roles under *role_prefix*."""
    folder = sql_root() / "migrations"
    if role_prefix == "consumer":
        yield read_migrations(str(folder))
        return
    with TemporaryDirectory() as renamed:
        for file in folder.glob("*.sql"):
            text = ROLES.sub(rf"{role_prefix}_\1", file.read_text())
            (Path(renamed) / file.name).write_text(text)
        yield read_migrations(renamed)


class _Backend(PostgresqlPsycopgBackend):  # type: ignore[misc]  # yoyo carries no types
    """yoyo's backend on one connection, so that the last step of a migration and its mark are one transaction.

    yoyo itself runs each migration on a connection of its own and marks it in a second transaction, and its lock is a
    table row: a migrator killed in between leaves a schema that its successor can neither use nor apply again.
    """

    def connect(self, dburi: str) -> Any:
        self.schema = "consumer"
        # Never prepared: a page is found by its last key, and a generic plan reads the table from its beginning.
        return psycopg.connect(dburi, autocommit=True, prepare_threshold=None, application_name="consumer migrate")

    def list_tables(self, **_: Any) -> list[str]:
        """Return the ledger's tables that exist."""
        return [name for (name,) in self.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'consumer'")]

    def is_up_to_date(self, carried: Any, hashes: Mapping[str, str]) -> bool:
        """Tell whether every migration is applied and recorded; False too if this login may not read the ledger."""
        try:
            is_recorded = migration_records.are_complete(self.connection, hashes)
            return is_recorded and LEDGER in self.list_tables() and not self.to_apply(carried)
        # Without USAGE on the schema its tables do not exist for this login.
        except (UndefinedTable, InsufficientPrivilege):
            return False

    def begin_schema(self) -> None:
        """Create the schema of the ledger, and the ledger."""
        # IF NOT EXISTS needs CREATE on the database even if the schema exists.
        if not self.execute("SELECT 1 FROM pg_namespace WHERE nspname = 'consumer'").fetchone():
            self.execute("CREATE SCHEMA consumer")
        self.ensure_internal_schema_updated()

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
