"""Comparing an application's rows with what the statement would write; nothing is written or locked."""

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import errors as postgres
from psycopg.rows import class_row, scalar_row

from consumer.adopt.mapping import AdoptedTable, WrittenColumn, quoted
from consumer.adopt.statement import fill_in, template_values
from consumer.errors import ConsumerError
from consumer.postgres import session
from consumer.postgres.connections import Connection

# Of each column: enough to look at; the count tells how many there are.
IDS_MAX = 1000


@dataclass(frozen=True, slots=True)
class Difference:
    """The rows that differ in one column; without a column: the rows that are missing."""

    table: str
    column: str | None
    rows: int
    ids: list[str]


@dataclass(frozen=True, slots=True)
class Comparison:
    """The differences, a column each, and the number of the application's rows whose user no event has named."""

    differences: list[Difference]
    unknown_users: int


@dataclass(frozen=True, slots=True)
class _Found:
    column_name: str | None
    rows: int
    ids: list[str]


async def compare(conn: Connection, worker_role: str, adopted: Sequence[AdoptedTable]) -> Comparison:
    """Compare all users and companies in one read-only transaction.

    Reads as the login if it may read what the worker's role may, else as that role; ConsumerError when neither may
    read the application's tables.
    """
    users, *companies = adopted
    differences: list[Difference] = []
    try:
        async with conn.transaction():
            await session.forbid_writes(conn)
            if not await session.has_rights_of(conn, worker_role):
                await session.set_role(conn, worker_role)
            differences += await _found(conn, users, _users(users))
            for each in companies:
                differences += await _found(conn, each, fill_in("compare_companies", _values(each)))
            return Comparison(differences, await _unknown_users(conn, users))
    except postgres.InsufficientPrivilege as error:
        tables = ", ".join(each.inspected.table.name for each in adopted)
        raise ConsumerError(
            f"Neither the login nor {worker_role} may read {tables}: run `consumer adopt grant`."
        ) from error


async def _unknown_users(conn: Connection, users: AdoptedTable) -> int:
    async with conn.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(fill_in("compare_unknown", template_values(users)).encode())
        return int(await cursor.fetchone() or 0)


async def _found(conn: Connection, adopted: AdoptedTable, differing: str) -> list[Difference]:
    text = fill_in("compare", {"differing": differing, "ids_max": str(IDS_MAX)})
    async with conn.cursor(row_factory=class_row(_Found)) as cursor:
        await cursor.execute(text.encode())
        found = {each.column_name: each for each in await cursor.fetchall()}
    order = [None, *(w.column.name for w in adopted.written)]
    table = adopted.inspected.table.name
    return [Difference(table, name, found[name].rows, found[name].ids) for name in order if name in found]


def _users(users: AdoptedTable) -> str:
    values = _values(users)
    parts = ",\n\n".join(fill_in(part, values) for part in ("compare_changed", "known", "ours"))
    removed = f"\n{fill_in('compare_removed', values)}" if values["removals"] else ""
    return f"{parts}\n\n{fill_in('compare_users', values)}{removed}"


def _values(adopted: AdoptedTable) -> dict[str, str]:
    """Return the values of the statement's templates without its locks, and those of the comparison's own."""
    key, updated = adopted.key.sql_name, [w for w in adopted.written if w.is_updated]
    removed = [(w, w.gone) for w in adopted.written if w.gone is not None]
    lacking = [f"\n    AND o.{w.sql_name} IS NOT NULL" for w in adopted.written if w.may_lack]
    return template_values(adopted) | {
        "lock": "",
        "locked": "",
        "user_differences": _differences(key, [(w, f"o.{w.sql_name}") for w in updated]),
        "company_differences": _differences(key, [(w, w.value) for w in updated]),
        "removed_differences": _differences(None, removed),
        "lacks_nothing": "".join(lacking),
    }


def _differences(key: str | None, offered: Sequence[tuple[WrittenColumn, str]]) -> str:
    """Return a row of VALUES for each column: its name, and whether an existing row differs in it."""
    there = f"t.{key} IS NOT NULL AND " if key else ""
    rows = [("NULL", f"t.{key} IS NULL")] if key else []
    for written, value in offered:
        name = quoted(written.column.name)
        rows.append((name, f"{there}t.{written.sql_name} IS DISTINCT FROM ({value})::{written.column.cast_type}"))
    return ", ".join(f"({name}, {differs})" for name, differs in rows)
