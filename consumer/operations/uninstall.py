"""Removes the product and leaves the users' data: what sql/privileges.sql declares is taken back, and nothing else."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import psycopg
from psycopg import errors as postgres
from psycopg.rows import tuple_row

from consumer.errors import ConsumerError
from consumer.postgres import ledger
from consumer.postgres.connections import ACCESSES, Access, Connection, as_login
from consumer.postgres.migration_steps import table_holders
from consumer.postgres.preflight import DUTIES
from consumer.postgres.privileges import declared
from consumer.postgres.queries import rows

# Applications read through them; nobody works as one of the others once the machinery is gone.
READING_DUTIES = ("app", "tenant")
# They only read a setting of the session, and an application's queries may call them.
KEPT_FUNCTIONS = ("identity.current_company_id()", "identity.current_user_id()")
# It works on the kept tables alone.
KEPT_VIEW = "identity.stack_integration_stats"
OF_IDENTITY = ("SCHEMA", "ALL TABLES IN SCHEMA", "ALL SEQUENCES IN SCHEMA", "ALL FUNCTIONS IN SCHEMA")

POLICY = re.compile(r"CREATE (POLICY .*? ON \S+)")
FUNCTION = re.compile(r"ALTER FUNCTION (.*) OWNER TO ")
RELATION = re.compile(r"ALTER TABLE (\S+) OWNER TO ")
SEQUENCE = re.compile(r"ALTER SEQUENCE (consumer\.\S+) OWNER TO ")
VIEW = re.compile(r"ALTER TABLE (\S+) SET \(security_invoker=true\)|ALTER TABLE (consumer_masked\.\S+) OWNER TO ")
SECURED = re.compile(r"ALTER TABLE (identity\.\S+) FORCE ROW LEVEL SECURITY")


class UninstallRefused(ConsumerError):
    """The product could not be removed, and nothing was changed."""


@dataclass(frozen=True, slots=True)
class Uninstall:
    """What removes the product: the statements of one transaction, then those on roles, each for itself.

    *kept* roles have members outside; *connected* are our sessions by name.
    """

    statements: list[str]
    drops: list[str]
    kept: Mapping[str, Sequence[str]]
    connected: Mapping[str, int]


async def plan(conn: Connection, access: Access, role_prefix: str) -> Uninstall:
    """Read what there is to remove, and change nothing; UninstallRefused on a database of another release."""
    async with as_login(conn, access):
        if await ledger.applied_ids(conn) != ledger.carried_ids():
            raise UninstallRefused("The database is another release's: let that one uninstall it, or migrate first.")
        reading = [f"{role_prefix}_{duty}" for duty in READING_DUTIES]
        kept: dict[str, list[str]] = dict(await rows(conn, tuple_row, "uninstall/members", {"roles": reading}))
        names = [ACCESSES[duty](role_prefix).name for duty in ("receiver", "worker")]
        connected: dict[str, int] = dict(await rows(conn, tuple_row, "uninstall/sessions", {"names": names}))
    dropped = [role for duty in DUTIES if (role := f"{role_prefix}_{duty}") not in kept]
    statements = list(_statements(declared(role_prefix), dropped))
    return Uninstall(statements, [f"DROP ROLE {role};" for role in dropped], kept, connected)


async def run(conn: Connection, access: Access, planned: Uninstall) -> dict[str, str]:
    """Do what is planned in one transaction; return the DROP ROLEs that the server refused, each with its reason.

    UninstallRefused, and nothing is changed, if a statement fails: an object of others depends on one of ours, the
    login may not, or others hold a table.
    """
    refused: dict[str, str] = {}
    statement = ""
    try:
        async with as_login(conn, access):
            for statement in planned.statements:
                await conn.execute(statement.encode())
            for statement in planned.drops:
                if reason := await _refusal(conn, statement):
                    refused[statement] = reason
    except (postgres.LockNotAvailable, postgres.DeadlockDetected) as error:
        holders = "; ".join(await table_holders(conn)) or "nobody now"
        raise UninstallRefused(f"Others hold our tables, and nothing was changed: {holders}. Try again.") from error
    except psycopg.OperationalError:
        raise
    except psycopg.Error as error:
        raise UninstallRefused(f"Nothing was changed: {statement} failed: {_reason(error)}.") from error
    return refused


async def _refusal(conn: Connection, statement: str) -> str | None:
    """Execute a DROP ROLE; a role that other objects or databases of the cluster need stays, and they are named."""
    try:
        async with conn.transaction():
            await conn.execute(statement.encode())
    except (postgres.DependentObjectsStillExist, postgres.InsufficientPrivilege, postgres.UndefinedObject) as error:
        return _reason(error)
    return None


def _reason(error: psycopg.Error) -> str:
    """Return the server's message, which names objects and roles and can hold no value: the statements have none."""
    parts = [error.diag.message_primary or type(error).__name__, *(error.diag.message_detail or "").splitlines()]
    return "; ".join(parts)


def _statements(rights: Sequence[str], dropped: Sequence[str]) -> Iterator[str]:
    """Return statements without CASCADE: what is not ours is not dropped."""

    def found(pattern: re.Pattern[str]) -> list[str]:
        return [match[match.lastindex or 1] for right in rights if (match := pattern.match(right))]

    views = found(VIEW)
    relations = [name for name in found(RELATION) if name not in views and name.startswith("consumer.")]
    functions = [name for name in found(FUNCTION) if name not in KEPT_FUNCTIONS]
    # As a migration begins: no batch of a worker runs while it goes on.
    yield "SELECT consumer.pause_work();"
    yield from (f"DROP {policy};" for policy in found(POLICY))
    yield from (
        f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY;" for table in found(SECURED)
    )
    yield f"DROP VIEW {', '.join(name for name in views if name != KEPT_VIEW)};"
    yield f"DROP FUNCTION {', '.join(functions)};"
    yield f"DROP TABLE {', '.join(relations)};"
    # Those of identity columns went with their tables.
    yield from (f"DROP SEQUENCE IF EXISTS {name};" for name in found(SEQUENCE))
    yield "DROP SCHEMA consumer, consumer_masked;"
    for role in dropped:
        yield from (f"REVOKE ALL ON {kind} identity FROM {role};" for kind in OF_IDENTITY)
