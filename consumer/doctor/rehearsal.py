"""Plans the queries of each process under its role, without running them."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

import psycopg
from psycopg import errors as postgres

from consumer.doctor.check import Check, fail_unless, warn_unless
from consumer.effects import reached_code
from consumer.postgres.connections import Access, Connection, transaction
from consumer.postgres.error_classes import code
from consumer.postgres.queries import names as query_names
from consumer.postgres.queries import query

# The queries of each process, by folder or name. Those of a session, the doctor, the demo, the migrator's login and the
# catalogue need no grant of ours; those of `profiles` and `sync` run under an application's login.
QUERIES: Mapping[str, Sequence[str]] = {
    "receiver": ("ledger/applied", "recorded_settings/read", "reports/put_receiver", "storage/*", "waits/*"),
    "worker": (
        "anew/*",
        "as_of/*",
        "companies/*",
        "deliveries/last_received",
        "deliveries/oldest_received",
        "deliveries/stats",
        "dry_run/*",
        "edits/*",
        "effects/*",
        "fill/page",
        "late/*",
        "ledger/*",
        "maintenance/read",
        "members/*",
        "observe/*",
        "origin/database",
        "origin/recorded",
        "origin/table_number",
        "queue/*",
        "reached_code/*",
        "rebuild_queue/*",
        "recorded_settings/read",
        "rehome/*",
        "reports/*",
        "reread/*",
        "stored/*",
        "users/*",
    ),
    "operator": (
        "actions/*",
        "activity/*",
        "background/*",
        "audit/*",
        "connect/*",
        "dead/*",
        "deliveries/*",
        "drift/*",
        "erase/*",
        "exclusions/*",
        "export/*",
        "hours/*",
        "id_prefixes/*",
        "imports/*",
        "labels/*",
        "ledger/*",
        "listing/*",
        "maintenance/*",
        "metadata_keys/*",
        "numbers/*",
        "observe/*",
        "one_company/*",
        "one_delivery/*",
        "one_user/*",
        "origin/database",
        "origin/recorded",
        "origin/table_number",
        "prune/*",
        "rates/*",
        "rebuild_queue/named_by",
        "rebuild_queue/next_*",
        "rebuild_queue/put_companies",
        "rebuild_queue/put_users",
        "rebuild_queue/users_of",
        "recorded_settings/read",
        "recover/*",
        "recovery/*",
        "reported/*",
        "reports/*",
        "revealed/*",
        "runs/*",
        "sample/*",
        "sign_in/*",
        "storage/*",
        "stored_bodies/*",
        "suspects/*",
        "notification_states/*",
        "system/*",
    ),
}
LINE = re.compile(r"^LINE (\d+):", re.MULTILINE)
# Their messages name a relation, column, function or schema and can hold no value, because planning reads no row.
NAMING = (
    postgres.InsufficientPrivilege,
    postgres.InvalidSchemaName,
    postgres.UndefinedColumn,
    postgres.UndefinedFunction,
    postgres.UndefinedTable,
)


def names(duty: str) -> list[str]:
    """Return the queries of the process with this duty, by name."""
    return [name for name in query_names() if any(fnmatchcase(name, pattern) for pattern in QUERIES[duty])]


async def rehearse(conn: Connection, access: Access, duty: str) -> Check:
    """Plan every query of a duty under its role, to find missing relations, columns, functions and privileges.

    Raises OperationalError if a table is locked for too long.
    """
    refusals: defaultdict[str, list[str]] = defaultdict(list)
    async with transaction(conn, access):
        for name in names(duty):
            if error := await _refusal(conn, query(name)):
                refusals[_error_text(error)].append(name)
    return fail_unless(
        not refusals,
        f"{duty}'s queries",
        "; ".join(f"{refusal} for {', '.join(queries)}" for refusal, queries in refusals.items()) or "all can be run",
        "Undo the REVOKE, RENAME or DROP: sql/schema.sql shows each name and grant as `migrate` made it.",
    )


async def rehearse_statement(conn: Connection, access: Access, statement: bytes | None) -> list[Check]:
    """Plan the application's statement under the worker's role, and look for code of other roles that writes reach."""
    async with transaction(conn, access):
        error = await _refusal(conn, statement) if statement else None
        # Code is looked for where the server can tell which: a statement that can't be planned reaches none.
        checks = await _code(conn, access, None if error else statement)
    if statement:
        planned = fail_unless(
            error is None,
            "application's statement",
            f"{_error_text(error)}{_line(error)}" if error else "can be run",
            f"Correct the file of CONSUMER_PROJECTION_SQL, or grant {access.role} the tables it touches: "
            "`consumer adopt plan` prints the grants. Until then no profile changes.",
        )
        checks.insert(0, planned)
    return checks


async def _code(conn: Connection, access: Access, statement: bytes | None) -> list[Check]:
    """Judge the code that runs in the worker's session, where it could take the login over."""
    name = "application's code"
    cure = f"Set WORKER_DATABASE_URL to a login of its own that is a member of {access.role} only."
    if found := await reached_code.untrusted(conn, statement):
        finding = f"would run with the worker's login: {', '.join(found)}"
        return [Check(name, "failing", finding, f"{cure} Until then no profile changes.")]
    if statement is None:
        return []
    is_privileged = await reached_code.is_privileged(conn)
    finding = f"runs beside a login that may do {'more' if is_privileged else 'nothing more'} than {access.role}"
    return [warn_unless(not is_privileged, name, finding, cure)]


async def _refusal(conn: Connection, statement: bytes) -> psycopg.Error | None:
    """Return why a statement can't be planned; EXPLAIN checks the privileges on every relation too."""
    try:
        async with conn.transaction(force_rollback=True):
            await conn.execute(b"EXPLAIN " + statement, defaultdict(lambda: None))
    except psycopg.OperationalError:
        raise
    except psycopg.Error as error:
        return error
    return None


def _error_text(error: psycopg.Error) -> str:
    message = error.diag.message_primary if isinstance(error, NAMING) else None
    return f"{message or type(error).__name__} ({code(error)})"


def _line(error: psycopg.Error) -> str:
    """Return the line number that libpq reports; the line itself may hold a value."""
    found = LINE.search(str(error))
    return f" in line {found[1]}" if found else ""
