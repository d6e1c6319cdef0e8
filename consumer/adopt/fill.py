"""Filling an adopted table: the statement for everybody who has or had a profile, page by page."""

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple
from uuid import UUID

from consumer.effects import application, users
from consumer.errors import ConsumerError, Inseparable
from consumer.postgres.connections import Access, Connection, transaction
from consumer.postgres.error_classes import summary
from consumer.postgres.queries import query
from consumer.worker.bisect import Failing, apply_except_failing

# A worker that wants one of the page's users waits for as long as a page takes: about as long as for another worker.
PAGE_SIZE = 500
FIRST = UUID(int=0)


class Page(NamedTuple):
    """What one transaction did: for how many users up to which, and whom the statement or a lock kept out."""

    users: int
    last_user_id: UUID
    refused: Failing[UUID]


async def fill(conn: Connection, access: Access, statement: bytes, after: UUID = FIRST) -> AsyncIterator[Page]:
    """Run the statement for everybody whose id comes after that one, a transaction a page; repeating it is harmless.

    Raises ConsumerError where it can be run for nobody.
    """
    async with transaction(conn, access):
        if refusal := await application.refusal_of_all(conn, statement):
            raise ConsumerError(f"Nobody can be filled in: {summary(refusal)}.")
    size = PAGE_SIZE
    while True:
        try:
            async with transaction(conn, access):
                page = await _page(conn, after, size)
                refused = await _fill_around(conn, statement, page)
        except Inseparable:
            # Who is refused only together with somebody is refused alone once the other is written.
            size = max(1, size // 2)
            continue
        if not page:
            return
        after, size = page[-1], PAGE_SIZE
        yield Page(len(page), after, refused)


async def _page(conn: Connection, after: UUID, size: int) -> list[UUID]:
    cursor = await conn.execute(query("fill/page"), {"after": after, "page_size": size}, binary=True)
    return [user_id for (user_id,) in await cursor.fetchall()]


async def _fill_around(conn: Connection, statement: bytes, page: Sequence[UUID]) -> Failing[UUID]:
    async def attempt(user_ids: Sequence[UUID]) -> None:
        # As in a batch, a user's row is settled before it is read.
        await users.lock(conn, user_ids)
        await application.run_app_statement(conn, statement, user_ids)

    _, refused = await apply_except_failing(conn, page, attempt, _NoLimit())
    return refused


class _NoLimit:
    """Sets no limit: whoever is refused is told, and the others are filled in."""

    overrun: Exception | None = None

    def count(self, _user_id: UUID, error: Exception, *, is_alone: bool) -> None:
        """Go on."""
