"""Default privileges: what ALTER DEFAULT PRIVILEGES hands to others of every new object."""

from collections.abc import Sequence

import psycopg

from consumer.postgres.queries import query


def withhold(conn: psycopg.Connection) -> Sequence[str]:
    """Suspend them for the objects that this transaction makes; return the statements that bring them back."""
    found = conn.execute(query("default_privileges/read")).fetchall()
    for statement, _ in found:
        conn.execute(statement.encode())
    return [give_back for _, give_back in found]


def give_back(conn: psycopg.Connection, statements: Sequence[str]) -> None:
    """Bring them back as they were, in the same transaction: nobody else has seen them gone."""
    for statement in statements:
        conn.execute(statement.encode())
