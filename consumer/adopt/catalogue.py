"""What the catalogue says of an application's tables; any login may read it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from psycopg.rows import class_row

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
class Surroundings:
    """What else a write to a table meets; *leads_to* names the table behind each column that is a foreign key."""

    triggers: list[str]
    referrers: list[str]
    unique_indexes: list[str]
    checks: list[str]
    leads_to: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class InspectedTable:
    """A table with all that is known of it."""

    table: Table
    columns: list[Column]
    surroundings: Surroundings


async def tables(conn: Connection) -> list[Table]:
    """Return every table that is neither ours nor the server's, by name."""
    async with conn.cursor(binary=True, row_factory=class_row(Table)) as cursor:
        await cursor.execute(query("catalogue/tables"))
        return await cursor.fetchall()


async def inspect(conn: Connection, table: Table) -> InspectedTable:
    """Return a table's columns and surroundings."""
    async with conn.cursor(binary=True, row_factory=class_row(Column)) as columns:
        await columns.execute(query("catalogue/columns"), {"oid": table.oid})
        async with conn.cursor(binary=True, row_factory=class_row(Surroundings)) as cursor:
            await cursor.execute(query("catalogue/surroundings"), {"oid": table.oid})
            surroundings = await cursor.fetchone()
            assert surroundings is not None, "lists always have a row"
            return InspectedTable(table, await columns.fetchall(), surroundings)
