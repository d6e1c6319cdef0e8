"""An intake over a real pool, and the traces of its commits in the database."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import psycopg

from consumer.outbox.storage import Delivery
from consumer.postgres.connections import Access, Pool, open_pool, receiver_access
from consumer.receiver.intake import Intake, open_intake
from tests.support.databases import rows, schema_change, sessions
from tests.support.factories import user_updated
from tests.support.processes import until

# The server's own limits are out of the way: a test moves the intake's clock and no other.
PATIENT = replace(
    receiver_access("consumer"), lock_timeout=timedelta(minutes=1), statement_timeout=timedelta(minutes=1)
)
POOL_SIZE = 3


@dataclass
class Site:
    """An open intake, its pool, and its counts."""

    intake: Intake
    pool: Pool
    counted: Counter[str] = field(default_factory=Counter)

    async def put_all(self, *deliveries: Delivery) -> list[str]:
        """Put deliveries in one turn of the loop; return the type of each answer."""
        puts = (self.intake.put(delivery) for delivery in deliveries)
        return [type(answer).__name__ for answer in await asyncio.gather(*puts, return_exceptions=True)]


@asynccontextmanager
async def site(url: str, access: Access = PATIENT, size: int = POOL_SIZE) -> AsyncIterator[Site]:
    """Open an intake, with all connections of its pool established."""
    counted = Counter[str]()
    async with open_pool(url, access, size=size, wait_timeout=timedelta(seconds=1)) as pool:
        await pool.wait()
        async with open_intake(pool, access, lambda outcome, n: counted.update({outcome: n})) as intake:
            yield Site(intake, pool, counted)


async def started(*puts: Coroutine[Any, Any, None]) -> "list[asyncio.Task[None]]":
    """Start puts in one turn of the loop, and let each come as far as it waits."""
    tasks = [asyncio.create_task(put) for put in puts]
    await asyncio.sleep(0)
    return tasks


def updates(count: int) -> list[Delivery]:
    return [user_updated() for _ in range(count)]


def dead(delivery: Delivery) -> Delivery:
    return delivery._replace(error_code="bad_shape", error="$.data.id: missing")


# PostgreSQL refuses the length of its message id (22001).
def refused() -> Delivery:
    return user_updated()._replace(message_id="x" * 257)


@contextmanager
def held(url: str) -> Iterator["psycopg.Connection[tuple[object, ...]]"]:
    """Lock the outbox until the block ends, or the connection is rolled back."""
    with psycopg.connect(url) as holder:
        holder.execute("LOCK TABLE consumer.outbox IN ACCESS EXCLUSIVE MODE")
        yield holder


async def commits_wait(url: str, count: int) -> None:
    """Return once that many commits wait for a lock."""
    waiting = f"{sessions('receiver')} AND wait_event_type = 'Lock'"
    await asyncio.to_thread(until, lambda: len(rows(url, waiting)) == count)


def backends(url: str) -> set[int]:
    """Return the server processes of the receiver."""
    found = rows(url, sessions("receiver"))
    return {int(row["pid"]) for row in found}


def batches(url: str) -> list[int]:
    """Return the sizes of the stored batches, the largest first: rows of one transaction share their xmin."""
    found = rows(url, "SELECT count(*) FROM consumer.outbox GROUP BY xmin ORDER BY 1 DESC")
    return [int(row["count"]) for row in found]


def stored_count(url: str) -> int:
    return len(rows(url, "SELECT FROM consumer.outbox"))


@contextmanager
def failing_inserts(url: str, sqlstate: str, *, first_only: bool) -> Iterator[None]:
    """Refuse each statement that inserts into the outbox, or the first one only; a sequence counts them."""
    condition = "nextval('public.attempts') = 1" if first_only else "nextval('public.attempts') > 0"
    change = f"""
        CREATE SEQUENCE public.attempts;
        GRANT USAGE ON SEQUENCE public.attempts TO consumer_receiver;
        CREATE FUNCTION public.fail() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN IF {condition} THEN RAISE EXCEPTION USING ERRCODE = '{sqlstate}'; END IF; RETURN NULL; END $$;
        CREATE TRIGGER fail BEFORE INSERT ON consumer.outbox FOR EACH STATEMENT EXECUTE FUNCTION public.fail();
    """
    with schema_change(url, change, "DROP FUNCTION public.fail CASCADE; DROP SEQUENCE public.attempts"):
        yield


def attempts(url: str) -> int:
    """Return how many statements `failing_inserts` has seen."""
    [row] = rows(url, "SELECT CASE WHEN is_called THEN last_value ELSE 0 END AS count FROM public.attempts")
    return int(row["count"])
