"""Re-homing for tests: one page at a time, with people whose ids are their order."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager
from datetime import timedelta
from uuid import UUID

import psycopg

from consumer.outbox.storage import Delivery
from consumer.postgres.connections import Connection, connect, transaction
from consumer.worker import rehome
from consumer.worker.rehome import PageResult
from tests.support.batches import ACCESS, FIRST, crew, every, in_batches, member, user
from tests.support.kept import kept

PAGE, PAGES_MAX = 3, 30
DELAY = timedelta(hours=5)
LOWEST, HIGHEST = UUID(int=0), UUID(int=2**128 - 1)
MIRROR = "identity.stack_user_profiles"
QUEUE = "company_id, next_user_id, last_user_id, attempts"


def person(number: int) -> UUID:
    return UUID(int=number << 64)


async def turn(url: str, page_size: int = PAGE, asked: list[int] | None = None) -> PageResult | None:
    """Re-home one page; *asked* takes the attempts that a delay is asked for."""

    def delay(attempts: int) -> timedelta:
        if asked is not None:
            asked.append(attempts)
        return DELAY

    async with kept(url, ACCESS) as conn, transaction(conn, ACCESS):
        return await rehome.run_page(conn, delay, page_size)


async def pages(url: str, page_size: int = PAGE) -> AsyncIterator[PageResult]:
    """Re-home page after page until nobody is due."""
    for _ in range(PAGES_MAX):
        if (result := await turn(url, page_size)) is None:
            return
        yield result
    raise AssertionError(f"re-homing goes on after {PAGES_MAX} pages")


async def turns(url: str, page_size: int = PAGE) -> list[PageResult]:
    return [result async for result in pages(url, page_size)]


def at_home(n: int, team_id: UUID = FIRST) -> list[Delivery]:
    return [user(n, person(n)), member("created", n, team_id, person(n))]


def homeless(url: str) -> list[int]:
    return [user_id.int >> 64 for (user_id,) in every(url, MIRROR, "stack_user_id", "company_id IS NULL")]


async def delete_seven(url: str) -> str:
    """Put seven users into a company and delete it; return the conninfo."""
    await in_batches(url, [each for n in range(1, 8) for each in at_home(n)])
    await in_batches(url, [crew("deleted", 99)])
    return url


@contextmanager
def held(url: str, *numbers: int) -> Iterator[None]:
    """Hold users as a foreign transaction would."""
    with psycopg.connect(url) as foreign:
        users = [person(n) for n in numbers]
        foreign.execute(f"SELECT FROM {MIRROR} WHERE stack_user_id = ANY(%s) FOR UPDATE", [users])
        yield


async def begun(stack: AsyncExitStack, url: str) -> Connection:
    """Return another worker's connection, inside a transaction that ends with the stack."""
    conn = await stack.enter_async_context(await connect(url, ACCESS))
    await stack.enter_async_context(transaction(conn, ACCESS))
    return conn
