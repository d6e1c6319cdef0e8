"""Could each process do its work? Its queries are planned under its role, and none is run."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

import psycopg
from psycopg import errors as postgres

from consumer.doctor.check import Check, fail_unless
from consumer.postgres.connections import Access, Connection, transaction
from consumer.postgres.error_classes import code
from consumer.postgres.queries import query, sql_root

# What each process runs, by folder or name. The queries of a session, of the doctor, of the demo and of the migrator's
# own login need no grant of ours, nor do those of the catalogue; those of `profiles` run as an application's login.
QUERIES: Mapping[str, Sequence[str]] = {
    "receiver": ("ledger/applied", "recorded_settings/read", "storage/*", "waits/*"),
    "worker": (
        "companies/*",
        "deliveries/stats",
        "edits/*",
        "effects/*",
        "fill/page",
        "ledger/applied",
        "members/*",
        "queue/*",
        "recorded_settings/lock_shared",
        "recorded_settings/read",
        "rehome/*",
        "users/*",
    ),
    "operator": ("deliveries/*", "ledger/applied", "prune/audit", "recorded_settings/read"),
}
LINE = re.compile(r"^LINE (\d+):", re.MULTILINE)
# What is said of these names a relation, column, function or schema, and can hold no value: planning reads no row.
NAMING = (
    postgres.InsufficientPrivilege,
    postgres.InvalidSchemaName,
    postgres.UndefinedColumn,
    postgres.UndefinedFunction,
    postgres.UndefinedTable,
)


def names(duty: str) -> list[str]:
    """Return the queries of the process with this duty."""
    found = [
        f"{folder.name}/{file.name.removesuffix('.sql')}"
        for folder in (sql_root() / "queries").iterdir()
        if folder.is_dir()
        for file in folder.iterdir()
        if file.name.endswith(".sql")
    ]
    return sorted(name for name in found if any(fnmatchcase(name, pattern) for pattern in QUERIES[duty]))


async def rehearse(conn: Connection, access: Access, duty: str) -> Check:
    """Plan every query of a duty under its role: relations, columns, functions and privileges must be there.

    Raises OperationalError when a table is locked for too long.
    """
    refusals: defaultdict[str, list[str]] = defaultdict(list)
    async with transaction(conn, access):
        for name in names(duty):
            if error := await _refusal(conn, query(name)):
                refusals[_error_text(error)].append(name)
    return fail_unless(
        not refusals,
        f"{duty}'s queries",
        "; ".join(f"{refusal} for {', '.join(wanting)}" for refusal, wanting in refusals.items()) or "all can be run",
        "Undo what was revoked, renamed or dropped: sql/schema.sql shows each name and grant as `migrate` made it.",
    )


async def rehearse_statement(conn: Connection, access: Access, statement: bytes) -> Check:
    """Plan the application's statement as the worker that will run it."""
    async with transaction(conn, access):
        error = await _refusal(conn, statement)
    return fail_unless(
        error is None,
        "application's statement",
        f"{_error_text(error)}{_line(error)}" if error else "can be run",
        f"Correct the file of CONSUMER_PROJECTION_SQL, or grant {access.role} what it touches: `consumer adopt --plan` "
        "prints how. Until then no profile changes.",
    )


async def _refusal(conn: Connection, statement: bytes) -> psycopg.Error | None:
    """Return why a statement can't be planned: privileges on all it touches are checked when its plan is explained."""
    try:
        async with conn.transaction(force_rollback=True):
            await conn.execute(b"EXPLAIN " + statement, defaultdict(lambda: None))
    except psycopg.OperationalError:
        raise
    except psycopg.Error as error:
        return error
    return None


def _error_text(error: psycopg.Error) -> str:
    said = error.diag.message_primary if isinstance(error, NAMING) else None
    return f"{said or type(error).__name__} ({code(error)})"


def _line(error: psycopg.Error) -> str:
    """Return where in a file it is, as far as libpq says; the line itself may hold a value."""
    found = LINE.search(str(error))
    return f" in line {found[1]}" if found else ""
