"""The look that `migrate` takes before it changes anything; `migrate --check` and `doctor` take the same."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from psycopg import IsolationLevel
from psycopg.errors import ProtocolViolation
from psycopg.rows import class_row, scalar_row

from consumer.errors import ConsumerError
from consumer.postgres import ledger, migrator
from consumer.postgres.carried_objects import made_by
from consumer.postgres.connections import Connection, is_pooled
from consumer.postgres.migrator import MigratorConnection
from consumer.postgres.queries import Row, query, rows
from consumer.postgres.refusals import (
    VERSION_MIN,
    MigrationTarget,
    Refusal,
    Role,
    Schema,
    judge_ledger_rights,
    judge_newer,
    judge_objects,
    judge_owners,
    judge_prefix,
    judge_rights,
    judge_search_path,
    judge_target,
)

SCHEMAS = ("consumer", "consumer_masked", "identity")
# PgBouncer's answer in statement mode.
NO_TRANSACTIONS = Refusal(
    "pooler", "the pooler allows no transactions", "let MIGRATE_DATABASE_URL lead straight to the server"
)
DUTIES = ("receiver", "worker", "operator", "viewer", "app", "tenant", "definer", "masker")


class MigrationRefused(ConsumerError):
    """The database is in a state in which nothing may be migrated; nothing was changed."""

    def __init__(self, refusals: Sequence[Refusal]) -> None:
        sentences = [f"{str(refusal)[0].upper()}{str(refusal)[1:]}." for refusal in refusals]
        if len(sentences) == 1:
            super().__init__(f"{sentences[0]} Nothing was changed.")
        else:
            super().__init__("\n".join([f"Nothing was changed, for {len(sentences)} reasons:", *sentences]))


@dataclass(frozen=True, slots=True)
class Preflight:
    """What the look found: the ledger against this release, the reasons not to migrate, and what deserves a warning."""

    applied: list[str]
    pending: list[str]
    newer: list[str]
    refusals: list[Refusal]
    # What later migrations will need, also while none is pending.
    lacking: list[Refusal]
    warnings: list[Refusal]
    is_pooled: bool

    def require(self) -> None:
        """Raise MigrationRefused if there is any reason."""
        if self.refusals:
            raise MigrationRefused(self.refusals)


def look(conninfo: str, role_prefix: str) -> Preflight:
    """Look at the database on a connection of its own; OperationalError when the server does not answer."""
    with migrator.connect(conninfo) as conn:
        return look_on(conn, role_prefix)


def look_on(conn: MigratorConnection, role_prefix: str) -> Preflight:
    """Look at the database in one snapshot. It changes nothing, and needs no right but to connect."""
    conn.isolation_level, conn.read_only = IsolationLevel.REPEATABLE_READ, True
    with _transaction(conn):
        migrator.isolate(conn, is_local=True)
        [target] = _rows(conn, MigrationTarget, "target")
        refusals, applied, lacking = judge_target(target), list[str](), list[Refusal]()
        if target.version_number >= VERSION_MIN:
            if target.may_read_ledger:
                applied = ledger.read_applied_ids(conn)
            schemas = _rows(conn, Schema, "schemas", schemas=list(SCHEMAS))
            lacking = judge_owners(target, schemas)
            refusals += _judge_database(conn, target, schemas, role_prefix, applied)
    conn.isolation_level, conn.read_only = IsolationLevel.READ_COMMITTED, None
    carried = ledger.carried_ids()
    return Preflight(
        applied=applied,
        pending=[migration_id for migration_id in carried if migration_id not in applied],
        newer=[migration_id for migration_id in applied if migration_id not in carried],
        refusals=refusals,
        lacking=lacking,
        warnings=judge_search_path(target),
        is_pooled=is_pooled(conn),
    )


async def other_prefixes(conn: Connection, role_prefix: str) -> list[str]:
    """Return the prefixes of the roles under which the database was migrated, if this is none of them."""
    found = [str(prefix) for prefix in await rows(conn, scalar_row, "preflight/prefixes")]
    return [] if role_prefix in found else found


@contextmanager
def _transaction(conn: MigratorConnection) -> Iterator[None]:
    with ExitStack() as stack:
        try:
            stack.enter_context(conn.transaction())
        except ProtocolViolation as error:
            raise MigrationRefused([NO_TRANSACTIONS]) from error
        yield


def _judge_database(
    conn: MigratorConnection,
    target: MigrationTarget,
    schemas: Sequence[Schema],
    role_prefix: str,
    applied: Sequence[str],
) -> list[Refusal]:
    carried = ledger.carried_ids()
    prefixes = [prefix for (prefix,) in conn.execute(query("preflight/prefixes")).fetchall()]
    refusals = judge_prefix(role_prefix, prefixes)
    # Under a wrong prefix the roles would be those of nobody.
    is_pending = not set(carried) <= set(applied) and not refusals
    if target.has_ledger and not target.may_read_ledger:
        # What it holds is unknown, so nothing else can be judged.
        return refusals + (judge_owners(target, schemas) or judge_ledger_rights(target))
    if newer := sorted(set(applied) - set(carried)):
        refusals += judge_newer(newer, sorted(set(carried) - set(applied)))
        is_pending = False
    else:
        found = conn.execute(query("preflight/objects"), {"schemas": list(SCHEMAS)})
        existing = {(str(kind), str(name)) for kind, name in found.fetchall()}
        made = made_by(applied)
        # Of several pending migrations the first may be half done; before the first of all, none is.
        begun = made_by(carried[: len(applied) + 1]) if applied else made
        refusals += judge_objects(existing, made, made_by(carried) - begun, schemas)
    if is_pending:
        roles = _rows(conn, Role, "roles", roles=[f"{role_prefix}_{duty}" for duty in DUTIES])
        refusals += judge_rights(target, roles, schemas, is_first=not applied)
    return refusals


def _rows(conn: MigratorConnection, kind: type[Row], name: str, **values: object) -> list[Row]:
    with conn.cursor(row_factory=class_row(kind)) as cursor:
        return cursor.execute(query(f"preflight/{name}"), values).fetchall()
