"""What the catalogue says of an application's tables; any login may read it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

from psycopg.rows import class_row, kwargs_row

from consumer.postgres.connections import Connection
from consumer.postgres.queries import query

ColumnKind = Literal["text", "uuid", "boolean", "time", "number", "enum", "json", "jsonb", "array", "other"]


@dataclass(frozen=True, slots=True)
class Table:
    """A table by name; *name* as people write it, *sql_name* quoted where it must be."""

    oid: int
    name: str
    sql_name: str
    sql_schema: str
    has_row_security: bool
    column_names: list[str]


@dataclass(frozen=True, slots=True)
class Column:
    """A column: what it can hold, whether it must, and what fills it unasked."""

    name: str
    sql_name: str
    kind: ColumnKind
    type_name: str
    characters_max: int | None
    is_required: bool
    default_value: str | None
    is_generated: bool
    is_unique: bool
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
    """Return every table that is neither ours nor the server's, by name."""
    async with conn.cursor(binary=True, row_factory=class_row(Table)) as cursor:
        await cursor.execute(query("catalogue/tables"))
        return await cursor.fetchall()


async def inspect(conn: Connection, table: Table) -> InspectedTable:
    """Return a table with all that is known of it."""
    async with conn.cursor(binary=True, row_factory=class_row(Column)) as cursor:
        await cursor.execute(query("catalogue/columns"), {"oid": table.oid})
        columns = await cursor.fetchall()
    async with conn.cursor(binary=True, row_factory=kwargs_row(partial(InspectedTable, table, columns))) as inspecting:
        await inspecting.execute(query("catalogue/surroundings"), {"oid": table.oid})
        [inspected] = await inspecting.fetchall()
        return inspected
