"""Filling an adopted table: run the statement for all users that have or had a profile, page by page."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from math import inf
from uuid import UUID

from psycopg.rows import scalar_row

from consumer.effects import application, users
from consumer.errors import ConsumerError, Inseparable
from consumer.postgres import ledger
from consumer.postgres.connections import Access, Connection, transaction
from consumer.postgres.error_classes import code, summary
from consumer.postgres.queries import rows
from consumer.worker.bisect import Failing, FailureLimit, apply_except_failing

# A worker that wants one of the page's users waits for as long as a page takes: about as long as for another worker.
PAGE_SIZE = 500
FIRST = UUID(int=0)


@dataclass(frozen=True, slots=True)
class RefusedUser:
    """A user that the statement refused, or that another transaction locked."""

    user_id: UUID
    error_code: str
    error: str


@dataclass(frozen=True, slots=True)
class Page:
    """The result of one transaction: how many users it took, the last of them, and the refused ones."""

    users: int
    last_user_id: UUID
    refused: list[RefusedUser]


async def fill(conn: Connection, access: Access, statement: bytes, after: UUID = FIRST) -> AsyncIterator[Page]:
    """Run the statement for all users behind the id *after*, a transaction a page; a repeat changes nothing.

    Raises ConsumerError when the statement fails for every user.
    """
    async with transaction(conn, access):
        if refusal := await application.refusal_of_all(conn, statement):
            raise ConsumerError(f"No user can be filled in: {summary(refusal)}.")
    size = PAGE_SIZE
    while True:
        try:
            async with transaction(conn, access):
                await ledger.begin_work(conn)
                page: list[UUID] = await rows(conn, scalar_row, "fill/page", {"after": after, "page_size": size})
                failing = await _fill_page(conn, statement, page)
        except Inseparable:
            # Some users fail only together. On a smaller page the first is written, and then the second fails alone.
            size = max(1, size // 2)
            continue
        if not page:
            return
        after, size = page[-1], PAGE_SIZE
        yield Page(len(page), after, [RefusedUser(user_id, code(error), summary(error)) for user_id, error in failing])


async def _fill_page(conn: Connection, statement: bytes, page: Sequence[UUID]) -> Failing[UUID]:
    async def attempt(user_ids: Sequence[UUID]) -> None:
        # As in a batch: lock a user's row before the statement reads it.
        await users.lock(conn, user_ids)
        await application.run_app_statement(conn, statement, user_ids)

    # No limit: each refused user is listed, and the others are filled in.
    _, failing = await apply_except_failing(conn, page, attempt, FailureLimit(inf))
    return failing
