"""Changes of the schema that one session sees and that nobody has to undo."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from consumer.postgres.connections import Connection, connect, operator_access


@asynccontextmanager
async def passing(url: str, statement: str = "SELECT") -> AsyncIterator[Connection]:
    """Yield a session in a transaction that is rolled back, after a statement."""
    async with await connect(url, operator_access("consumer")) as conn, conn.transaction(force_rollback=True):
        await conn.execute(statement.encode())
        yield conn
