"""Columns and tables of an application, as the catalogue describes them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from consumer.adopt.catalogue import Column, InspectedTable, Table

PLAIN = Column(
    name="name",
    sql_name="name",
    kind="text",
    type_name="pg_catalog.text",
    cast_type="text",
    characters_max=None,
    is_required=False,
    default_value=None,
    is_generated=False,
    is_unique=False,
    is_exclusive=False,
    has_equal_nulls=False,
    labels=[],
    sequence=None,
)


def column(name: str, **values: Any) -> Column:
    """Return a column of type text that may be null, but for the given values."""
    return replace(PLAIN, name=name, sql_name=values.pop("sql_name", name), **values)


ID = column("id", kind="uuid", type_name="pg_catalog.uuid", cast_type="uuid", is_required=True, is_unique=True)


def table(name: str, names: Sequence[str] = (), **values: Any) -> Table:
    """Return a table, `public.name` or `schema.name`, with columns of these names."""
    schema = name.partition(".")[0]
    given: dict[str, Any] = {"oid": 1, "sql_name": name, "sql_schema": schema, "has_row_security": False} | values
    return Table(name=name, column_names=list(names), **given)


def inspected(*columns: Column, of: Table | None = None, **values: Any) -> InspectedTable:
    """Return a table with these columns, and nothing else that a write meets."""
    found = of or table("app.users", [each.name for each in columns])
    none: dict[str, Any] = {"triggers": [], "referrers": [], "unique_indexes": [], "checks": [], "leads_to": {}}
    return InspectedTable(found, list(columns), **(none | values))
