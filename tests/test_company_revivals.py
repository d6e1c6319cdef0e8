"""companies/lock judges before it has the lock: what another transaction ends meanwhile is not made again under it."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from psycopg.errors import SerializationFailure

from consumer.effects import anew
from consumer.outbox.rebuild_queue import Stage
from consumer.outbox.storage import Delivery
from consumer.postgres.connections import Connection, connect, transaction
from consumer.settings.settings import ShapingSettings
from tests.support import model
from tests.support.batches import ACCESS, FIRST, crew, in_batches
from tests.support.databases import change
from tests.support.effects import rehomed
from tests.support.outbox import apply_next, put
from tests.support.worker import run_once, worker


async def find_missing(conn: Connection) -> None:
    await apply_next(conn, 10)


async def remove_untold(conn: Connection) -> None:
    await anew.make_anew(conn, Stage.NAMED_BY_USERS, [FIRST], is_kept=True)


@pytest.mark.parametrize(
    ("before", "ending", "end"),
    [
        pytest.param([crew("created", 1)], [crew("deleted", 5, source="reconcile")], find_missing, id="found missing"),
        pytest.param([], [], remove_untold, id="removed by a rebuild"),
    ],
)
async def test_a_company_that_ended_behind_a_shared_lock_is_made_again_only_under_its_exclusive_one(
    emptied: str, before: list[Delivery], ending: list[Delivery], end: Callable[[Connection], Awaitable[object]]
) -> None:
    """A join that reads the company as ended shares the lock too, and nobody would look for it again."""
    await in_batches(emptied, before)
    if not before:
        change(emptied, f"INSERT INTO identity.companies (id, name) VALUES ('{FIRST}', 'Nobody told')")
    again = crew("updated", 9)

    async with await connect(emptied, ACCESS) as holder, await connect(emptied, ACCESS) as other:
        await put(holder, ending)
        async with transaction(holder, ACCESS):
            await end(holder)
            await put(other, [again])
            following = asyncio.create_task(apply_next(other, 10))
            assert not (await asyncio.wait({following}, timeout=0.3))[0]
        with pytest.raises(SerializationFailure):
            await following

    await run_once(emptied, worker())
    await rehomed(emptied)
    assert model.state(emptied) == model.fold([*before, *ending, again], ShapingSettings())
