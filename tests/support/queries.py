"""One query, run as a worker runs it, and in whatever order PostgreSQL finds the rows."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from consumer.postgres.connections import Access, Connection, transaction, worker_access
from consumer.postgres.queries import query
from tests.support.databases import change, rows, schema_change
from tests.support.kept import kept

ACCESS = worker_access("consumer")
# What brings rows in an order that no statement asks for, as far as this release of PostgreSQL knows it.
ORDERING = ("indexscan", "indexonlyscan", "bitmapscan", "mergejoin", "presorted_aggregate")
SWITCHED_OFF = "SELECT set_config(name, 'off', TRUE) FROM pg_settings WHERE name = ANY(%s)"
# To sort compares more often than to hash.
DEAR = "SET LOCAL cpu_operator_cost = 1000"


@asynccontextmanager
async def unordered(url: str, access: Access = ACCESS) -> AsyncIterator[Connection]:
    """Yield a session in a transaction in which rows come in an order only where a statement asks for it."""
    async with kept(url, access) as conn, transaction(conn, access):
        await conn.execute(SWITCHED_OFF, [[f"enable_{each}" for each in ORDERING]])
        await conn.execute(DEAR)
        yield conn


async def ran(url: str, name: str, **values: object) -> list[tuple[Any, ...]]:
    """Run a query in a transaction of its own; return its rows."""
    async with unordered(url) as conn:
        cursor = await conn.execute(query(name), values, binary=True)
        return await cursor.fetchall() if cursor.description else []


def turned_over(url: str) -> None:
    """Let the deliveries and their outcomes lie in the tables in the reverse order."""
    for table, column in (("outbox", "body"), ("outcomes", "outcome")):
        change(
            url,
            "DO $$ DECLARE r record; BEGIN "
            f"FOR r IN SELECT seq FROM consumer.{table} ORDER BY seq DESC LOOP "
            f"UPDATE consumer.{table} SET {column} = {column} WHERE seq = r.seq; END LOOP; END $$",
        )


@contextmanager
def written_down(url: str, table: str, key: str) -> Iterator[None]:
    """Write down the rows of a table that are written meanwhile, in the order of the writing."""
    change = f"""
        CREATE TABLE public.written (n bigint GENERATED ALWAYS AS IDENTITY, key text);
        CREATE FUNCTION public.write_down() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
        BEGIN INSERT INTO public.written (key) VALUES (concat_ws(' ', {key})); RETURN NEW; END $$;
        CREATE TRIGGER write_down BEFORE INSERT OR UPDATE ON {table}
        FOR EACH ROW EXECUTE FUNCTION public.write_down();
    """
    with schema_change(url, change, "DROP FUNCTION public.write_down CASCADE; DROP TABLE public.written"):
        yield


def written_keys(url: str) -> list[str]:
    """Return the keys of the written rows in the order of the writing."""
    return [row["key"] for row in rows(url, "SELECT key FROM public.written ORDER BY n")]
