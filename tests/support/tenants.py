"""Readers of the users' data as applications are: a role and a context inside one transaction."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypedDict, Unpack
from uuid import UUID

import psycopg
from psycopg import Connection

from tests.support.effects import applied
from tests.support.factories import membership, team_event, user_updated


class Context(TypedDict, total=False):
    """Whom a transaction is for."""

    company: UUID | str
    user: UUID | str


@contextmanager
def reader(url: str, role: str = "tenant", **context: Unpack[Context]) -> Iterator[Connection[Any]]:
    """Open a transaction for a company, a person, both or neither."""
    with psycopg.connect(url) as conn:
        conn.execute(f"SET LOCAL ROLE consumer_{role}")
        for name, value in context.items():
            conn.execute("SELECT set_config(%s, %s, TRUE)", [f"app.{name}_id", str(value)])
        yield conn
        conn.rollback()


def seen(url: str, statement: str, role: str = "tenant", **context: Unpack[Context]) -> list[Any]:
    """Return the first column of what a reader sees."""
    with reader(url, role, **context) as conn:
        return [row[0] for row in conn.execute(statement.encode()).fetchall()]


async def join(url: str, company_id: UUID, *user_ids: UUID) -> None:
    """Make users with profiles active members of a company; it becomes the home of who has none."""
    made = [
        event for user_id in user_ids for event in (user_updated(user_id), membership("created", company_id, user_id))
    ]
    await applied(url, team_event("created", company_id), *made)
