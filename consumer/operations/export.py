"""Export: everything that is held about a user, row by row."""

from collections.abc import AsyncGenerator, Mapping
from typing import NamedTuple
from uuid import UUID

from psycopg.rows import args_row, scalar_row

from consumer.errors import BadPayload
from consumer.events import json_limits
from consumer.operations import actions
from consumer.operations.actions import Action
from consumer.postgres.connections import Access, Connection, transaction
from consumer.postgres.queries import query, rows

# In the order of the document: the name of a part, and whether the user has any number of its rows or at most one.
PARTS: Mapping[str, bool] = {
    "mirror": False,
    "profile": False,
    "members": True,
    "memberships": True,
    "permissions": True,
    "edits": True,
    "audit": True,
    "deliveries": True,
    "failures": True,
    "exclusions": True,
    "actions": True,
}


class Exported(NamedTuple):
    """A row as a JSON object; of a delivery also the signed bytes."""

    document: str
    body: bytes | None = None


async def begin(conn: Connection, access: Access, user_id: UUID, action: Action) -> bool:
    """Tell whether any row is about the user; if so, record that it is exported."""
    async with transaction(conn, access):
        if is_held := await rows(conn, scalar_row, "export/is_held", {"user_id": user_id}) == [True]:
            await actions.record(conn, action, 1)
        return is_held


async def part(conn: Connection, access: Access, user_id: UUID, name: str) -> AsyncGenerator[str, None]:
    """Yield the rows of one of PARTS as JSON objects, one at a time: there may be 100,000 deliveries.

    A delivery's `body` is its JSON as it was signed; `body_hex` has its bytes if it is none, or none that can be
    cast to jsonb.
    """
    async with transaction(conn, access), conn.cursor(row_factory=args_row(Exported)) as cursor:
        async for row in cursor.stream(query(f"export/{name}"), {"user_id": user_id}, binary=True):
            yield row.document if row.body is None else _with_body(row.document, row.body)


def _with_body(document: str, body: bytes) -> str:
    try:
        json_limits.read(body)
    except BadPayload:
        return f'{document[:-1]}, "body_hex": "{body.hex()}"}}'
    return f'{document[:-1]}, "body": {body.decode()}}}'
