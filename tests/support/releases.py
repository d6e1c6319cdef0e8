"""Databases as an earlier release left them: its migrations, run by the present code, and rows that matter."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import psycopg

from consumer.postgres import carried_objects, ledger, migrations
from consumer.postgres.queries import sql_root
from tests.support import hashes
from tests.support.databases import migrator

ROWS = Path(__file__).parents[1] / "data" / "releases"
IDS = ledger.carried_ids()
# Each migration has a row in its ledger and in the fence, and these rows differ by design.
TABLES = """
SELECT format('%I.%I', n.nspname, c.relname)
FROM pg_class AS c
INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
WHERE n.nspname IN ('consumer', 'consumer_masked', 'identity') AND c.relkind = 'r' AND c.relname NOT LIKE '%yoyo%'
AND c.relname <> 'fence'
ORDER BY 1
"""
COLUMNS = """
SELECT quote_ident(attname) FROM pg_attribute
WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""
Rows = dict[str, tuple[list[str], list[Any]]]


@contextmanager
def release(count: int, planted: Mapping[str, str] | None = None) -> Iterator[Path]:
    """Let the present code carry the first *count* migrations and *planted* ones, by their ids; yield their folder."""
    with TemporaryDirectory() as folder:
        carried = Path(folder) / "migrations"
        carried.mkdir()
        for migration_id in IDS[:count]:
            for suffix in (".sql", ".rollback.sql"):
                shutil.copy(str(sql_root() / "migrations" / f"{migration_id}{suffix}"), carried)
        for migration_id, text in (planted or {}).items():
            (carried / f"{migration_id}.sql").write_text(text)
        hashes.write(carried)
        with ExitStack() as patches:
            for module in (migrations, ledger, carried_objects):
                patches.enter_context(patch.object(module, "sql_root", lambda: Path(folder)))
            ledger._carried.cache_clear()
            patches.callback(ledger._carried.cache_clear)
            yield carried


def migrate(
    url: str, count: int = len(IDS), role_prefix: str = "consumer", planted: Mapping[str, str] | None = None
) -> list[str]:
    """Migrate to the release with *count* migrations and *planted* ones; return those applied.

    With 0 there is only the ledger.
    """
    if not count:
        with migrator(url) as backend:
            backend.begin_schema()
        return []
    with release(count, planted):
        return migrations.apply(url, role_prefix)


def undo(url: str, migration_id: str) -> None:
    """Roll one migration back, the newest."""
    with migrator(url) as backend, migrations._carried("consumer") as carried:
        backend.begin_schema()
        [newest] = [each for each in carried if each.id == migration_id]
        backend.undo(newest)


def fill(url: str, count: int) -> None:
    """Put in the rows that the first *count* releases left."""
    with psycopg.connect(url) as conn:
        conn.execute(
            "CREATE FUNCTION pg_temp.id(n integer) RETURNS uuid LANGUAGE sql IMMUTABLE STRICT "
            "AS $$ SELECT lpad(to_hex(n), 32, '0')::uuid $$"
        )
        for migration_id in IDS[:count]:
            if (file := ROWS / f"{migration_id}.sql").exists():
                conn.execute(file.read_bytes())


def stored(url: str, known: Rows | None = None) -> Rows:
    """Return the columns and rows of each table; with *known*, only its tables and columns."""
    found: Rows = {}
    with psycopg.connect(url) as conn:
        tables = [name for (name,) in conn.execute(TABLES).fetchall()] if known is None else known
        for table in tables:
            columns = (
                known[table][0]
                if known is not None
                else [name for (name,) in conn.execute(COLUMNS, [table]).fetchall()]
            )
            rows = conn.execute(f"SELECT {', '.join(columns)} FROM {table}".encode()).fetchall()
            found[table] = (columns, sorted(rows, key=str))
    return found
