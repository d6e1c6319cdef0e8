"""The SQL of this package: one file under sql/queries is one query, named by its path."""

from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from psycopg import AsyncConnection
from psycopg.abc import Params
from psycopg.rows import AsyncRowFactory

Row = TypeVar("Row")


def sql_root() -> Path:
    """Return the folder of all SQL: inside the wheel, or beside the package in a checkout."""
    package = Path(__file__).parents[1]
    return next(folder for folder in (package / "sql", package.parent / "sql") if folder.is_dir())


@cache
def query(name: str) -> bytes:
    """Return the text of ``sql/queries/<name>.sql`` with the name behind it; FileNotFoundError when there is none.

    By the name `pg_stat_statements` and the server's log tell which query it is. Since PostgreSQL 18 the former drops
    what stands before a statement, and always what stands behind its semicolon.
    """
    folder, verb = name.split("/")
    text = (sql_root() / "queries" / folder / f"{verb}.sql").read_bytes()
    return text.rstrip().removesuffix(b";") + f"\n/* consumer {name} */\n".encode()


@cache
def names() -> list[str]:
    """Return the names of all queries."""
    return sorted(f"{file.parent.name}/{file.stem}" for file in (sql_root() / "queries").glob("*/*.sql"))


async def rows(
    conn: AsyncConnection[Any], factory: AsyncRowFactory[Row], name: str, values: Params | None = None
) -> list[Row]:
    """Run a query and return its rows, made by *factory*: an application's connection may have any of its own."""
    cursor = conn.cursor(binary=True, row_factory=factory)
    await cursor.execute(query(name), values)
    return await cursor.fetchall()
