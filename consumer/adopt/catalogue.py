"""Read an application's tables from PostgreSQL's catalogue; any login may."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

from psycopg.rows import class_row, kwargs_row

from consumer.postgres.connections import Connection
from consumer.postgres.queries import rows

ColumnKind = Literal["text", "uuid", "boolean", "time", "number", "enum", "json", "jsonb", "array", "other"]


@dataclass(frozen=True, slots=True)
class Table:
    """A table: *name* as people write it, *sql_name* quoted where SQL needs it."""

    oid: int
    name: str
    sql_name: str
    sql_schema: str
    has_row_security: bool
    column_names: list[str]


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its type, whether it must not be null, and its default; the rest: sql/queries/catalogue/columns.sql."""

    name: str
    sql_name: str
    kind: ColumnKind
    type_name: str
    cast_type: str
    characters_max: int | None
    is_required: bool
    default_value: str | None
    is_generated: bool
    is_unique: bool
    is_exclusive: bool
    has_equal_nulls: bool
    labels: list[str]
    sequence: str | None


@dataclass(frozen=True, slots=True)
class InspectedTable:
    """A table, its columns, and what else a write meets; *leads_to* names the table behind each foreign key column."""

    table: Table
    columns: list[Column]
    triggers: list[str]
    referrers: list[str]
    unique_indexes: list[str]
    checks: list[str]
    leads_to: Mapping[str, str]


async def tables(conn: Connection) -> list[Table]:
    """Return the application's tables by name: neither ours nor the server's."""
    return await rows(conn, class_row(Table), "catalogue/tables")


async def inspect(conn: Connection, table: Table) -> InspectedTable:
    """Return a table with its columns, triggers, references and constraints."""
    columns = await rows(conn, class_row(Column), "catalogue/columns", {"oid": table.oid})
    surrounded = kwargs_row(partial(InspectedTable, table, columns))
    [inspected] = await rows(conn, surrounded, "catalogue/surroundings", {"oid": table.oid})
    return inspected
