"""companies/lock: which stripes a transaction locks, how and in which order, and what that keeps apart."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import UUID

import psycopg
import pytest

from consumer.effects import recorded_settings
from consumer.outbox.storage import Delivery
from consumer.postgres import ledger
from consumer.postgres.connections import Connection, connect, operator_access, transaction
from consumer.settings.settings import ShapingSettings
from consumer.worker import rehome
from tests.support import model
from tests.support.batches import (
    ACCESS,
    DEFAULT,
    FIRST,
    OTHER,
    SECOND,
    THIRD,
    USER,
    crew,
    edit,
    gone,
    in_batches,
    may,
    member,
    one,
    signed,
    user,
)
from tests.support.databases import record, rows, waits_for_locks
from tests.support.effects import held_apart, rehomed
from tests.support.factories import team
from tests.support.outbox import apply_next, put
from tests.support.polling import until
from tests.support.worker import run_once, worker

SHARED, EXCLUSIVE = "ShareLock", "ExclusiveLock"
LOCKS = """
SELECT l.objid AS stripe, l.mode
FROM pg_locks AS l
INNER JOIN pg_database AS d ON l.database = d.oid
WHERE l.locktype = 'advisory' AND l.objsubid = 2 AND d.datname = current_database()
    AND l.classid = (hashtext('consumer.companies')::bigint & 4294967295)::oid AND l.granted = {}
"""


def locks(url: str, *, granted: bool = True) -> dict[int, str]:
    """Return the locked stripes, or those waited for, as a stranger sees them."""
    return {row["stripe"]: row["mode"] for row in rows(url, LOCKS.format(granted))}


async def locked(url: str, batch: list[Delivery]) -> dict[int, str]:
    async def apply() -> dict[int, str]:
        async with await connect(url, ACCESS) as conn:
            await put(conn, batch)
            async with transaction(conn, ACCESS):
                await apply_next(conn, len(batch))
                return await asyncio.to_thread(locks, url)

    return await apply()


def named(second: float, team_id: UUID, user_id: UUID = USER) -> Delivery:
    return user(second, user_id, server_metadata={"company_id": str(team_id)})


def chosen(second: float, team_id: UUID = FIRST) -> Delivery:
    return user(second, selected_team=team(team_id))


# A company of the stripe of FIRST.
TWIN = UUID(int=FIRST.int + 256)


@pytest.mark.parametrize(
    ("before", "batch", "expected"),
    [
        pytest.param([], [crew("created", 1)], {20: EXCLUSIVE}, id="made"),
        pytest.param([crew("created", 1)], [crew("updated", 2)], {20: SHARED}, id="renamed"),
        pytest.param([crew("created", 1)], [crew("deleted", 2)], {20: EXCLUSIVE}, id="deleted"),
        pytest.param([], [crew("deleted", 2)], {20: EXCLUSIVE}, id="born deleted"),
        pytest.param([], [member("created", 2)], {20: EXCLUSIVE}, id="made by a join"),
        pytest.param([crew("created", 1)], [member("created", 2)], {20: SHARED}, id="joined"),
        pytest.param([crew("created", 1)], [member("deleted", 2)], {20: SHARED}, id="left"),
        pytest.param([], [chosen(1)], {20: EXCLUSIVE}, id="made by a choice"),
        pytest.param([crew("created", 1)], [chosen(2)], {20: SHARED}, id="chosen"),
        pytest.param([], [named(1, FIRST)], {20: SHARED}, id="named in metadata before it exists"),
        pytest.param([crew("created", 1)], [named(2, FIRST)], {20: SHARED}, id="named in metadata"),
        pytest.param([], [edit(1, company_id=str(FIRST))], {20: SHARED}, id="named by an edit"),
        pytest.param([edit(1, company_id=str(FIRST))], [named(2, SECOND)], {20: SHARED, 30: SHARED}, id="named before"),
        pytest.param([member("created", 1), user(1)], [edit(2, role_type="x")], {20: SHARED}, id="an edit of a member"),
        pytest.param(
            [member("created", 1), named(1, SECOND)], [gone(2)], {20: SHARED, 30: SHARED}, id="a member's end"
        ),
        pytest.param([member("created", 1)], [may("created", 2, "r", team_id=SECOND)], {20: SHARED}, id="a permission"),
        pytest.param([crew("created", 1)], [crew("updated", 2), crew("created", 2, TWIN)], {20: EXCLUSIVE}, id="twins"),
        pytest.param(
            [crew("created", 1)], [crew("created", 2, TWIN), crew("updated", 2)], {20: EXCLUSIVE}, id="twins 2"
        ),
        pytest.param([], [user(1)], {}, id="no company"),
        pytest.param([member("created", 1)], [signed("in", 2)], {}, id="a sign-in decides no company"),
        pytest.param(
            [member("created", 1, THIRD)],
            [member("created", 2), crew("deleted", 2, THIRD), crew("created", 3, SECOND)],
            {20: EXCLUSIVE, 30: EXCLUSIVE, 40: EXCLUSIVE},
            id="several",
        ),
    ],
)
async def test_a_batch_locks_what_it_makes_or_deletes_alone_and_shares_what_it_refers_to(
    emptied: str, before: list[Delivery], batch: list[Delivery], expected: dict[int, str]
) -> None:
    await in_batches(emptied, *([each] for each in before))

    assert await locked(emptied, batch) == expected


@pytest.mark.parametrize("batch", [[user(1)], [crew("created", 1)], [edit(1, role_type="x")], [gone(1)]])
async def test_whoever_may_get_a_home_shares_the_default_company(emptied: str, batch: list[Delivery]) -> None:
    await record(emptied, ShapingSettings(default_company_id=DEFAULT))

    assert (await locked(emptied, batch))[10] == SHARED


async def test_a_page_shares_all_that_its_users_refer_to(emptied: str) -> None:
    await record(emptied, ShapingSettings(default_company_id=DEFAULT))
    await in_batches(
        emptied, [member("created", 1), named(1, SECOND), edit(1, company_id=str(THIRD))], [crew("deleted", 2)]
    )

    async def page() -> dict[int, str]:
        async with await connect(emptied, ACCESS) as conn, transaction(conn, ACCESS):
            await rehome.run_page(conn, lambda _: timedelta(0))
            return await asyncio.to_thread(locks, emptied)

    assert await page() == dict.fromkeys((10, 20, 30, 40), SHARED)


@pytest.mark.parametrize("stripe", [20, 30, 40])
async def test_stripes_are_locked_from_the_lowest_up(emptied: str, stripe: int) -> None:
    await record(emptied, ShapingSettings(default_company_id=DEFAULT))
    await in_batches(emptied, [crew("created", 1), crew("created", 1, THIRD)])
    batch = [crew("deleted", 2, THIRD), crew("created", 2, SECOND), member("created", 2), named(1, THIRD)]
    modes = {10: SHARED, 20: SHARED, 30: EXCLUSIVE, 40: EXCLUSIVE}

    async def wait() -> tuple[dict[int, str], dict[int, str]]:
        async with await connect(emptied, ACCESS) as conn:
            await put(conn, batch)
            async with await psycopg.AsyncConnection.connect(emptied) as stranger:
                await stranger.execute("SELECT pg_advisory_xact_lock(hashtext('consumer.companies'), %s)", [stripe])
                applying = asyncio.create_task(apply_next(conn, 9))
                while not (waited := await asyncio.to_thread(locks, emptied, granted=False)):
                    assert not applying.done()
                    await asyncio.sleep(0.01)
                held = await asyncio.to_thread(locks, emptied)
            await applying
            return held, waited

    held, waited = await wait()

    assert waited == {stripe: modes[stripe]}
    assert held == {known: mode for known, mode in modes.items() if known < stripe} | {stripe: EXCLUSIVE}


async def test_two_batches_may_refer_to_one_company_at_once(emptied: str) -> None:
    await in_batches(emptied, [crew("created", 1)])

    assert not await held_apart(emptied, member("created", 2), member("created", 2, user_id=OTHER))


# Each pair decides by what the other writes: a home in a company, and that company's existence.
PAIRS: dict[str, tuple[list[Delivery], Delivery, Delivery, UUID | None]] = {
    "a new user, the default's end": ([], user(5), crew("deleted", 6, DEFAULT), None),
    "an old user's news, the default's end": ([user(1)], user(5, display_name="B"), crew("deleted", 6, DEFAULT), None),
    "metadata, its company made": ([], named(5, FIRST), crew("created", 6), FIRST),
    "metadata, its company ended": ([crew("created", 1)], named(5, FIRST), crew("deleted", 6), DEFAULT),
    "an edit, its company made": ([user(1)], edit(5, company_id=str(FIRST)), crew("created", 6), FIRST),
    "an edit, its company ended": (
        [user(1), crew("created", 1)],
        edit(5, company_id=str(FIRST)),
        crew("deleted", 6),
        DEFAULT,
    ),
    "an edit withdrawn, the default's end": (
        [user(1), crew("created", 1), edit(2, company_id=str(FIRST))],
        edit(5, company_id=None),
        crew("deleted", 6, DEFAULT),
        None,
    ),
    "a removal, the next one's end": (
        [user(1), member("created", 1), member("created", 2, SECOND)],
        member("deleted", 5),
        crew("deleted", 6, SECOND),
        DEFAULT,
    ),
    "a choice, its company ended": ([user(1), crew("created", 1)], chosen(5), crew("deleted", 6), DEFAULT),
}


@pytest.mark.parametrize("is_user_first", [True, False])
@pytest.mark.parametrize("pair", PAIRS)
async def test_a_home_and_the_existence_of_its_company_are_decided_one_after_the_other(
    emptied: str, pair: str, is_user_first: bool
) -> None:
    settings = ShapingSettings(default_company_id=DEFAULT)
    await record(emptied, settings)
    before, decided, existence, expected = PAIRS[pair]
    await in_batches(emptied, *([each] for each in before))
    first, second = (decided, existence) if is_user_first else (existence, decided)

    assert await held_apart(emptied, first, second)

    await rehomed(emptied)
    assert one(emptied, "identity.profiles", "company_id") == (expected,)
    assert model.state(emptied) == model.fold([*before, decided, existence], settings)


Step = Callable[[Connection], Awaitable[object]]


async def one_after_the_other(url: str, first: Step, second: Step) -> bool:
    """Run both at once, the second when the first has done its work; return whether the second waited."""
    async with await connect(url, ACCESS) as holder, await connect(url, operator_access("consumer")) as other:
        async with transaction(holder, ACCESS):
            await first(holder)
            following = asyncio.ensure_future(second(other))
            is_waiting = not (await asyncio.wait({following}, timeout=0.3))[0]
        await following
        return is_waiting


@pytest.mark.parametrize("is_user_first", [True, False])
async def test_a_default_company_that_is_recorded_takes_in_who_comes_at_the_same_time_or_not_at_all(
    emptied: str, is_user_first: bool
) -> None:
    await put_all(emptied, [user(1)])

    async def declare(conn: Connection) -> None:
        async with conn.transaction():
            settings = ShapingSettings(default_company_id=DEFAULT)
            access = operator_access("consumer")
            await recorded_settings.record(conn, access, settings, worker_role="consumer_worker", is_forced=True)

    async def work(conn: Connection) -> None:
        await ledger.begin_work(conn)
        await apply_next(conn, 10)

    if is_user_first:
        assert await one_after_the_other(emptied, work, declare)
    else:
        async with await connect(emptied, operator_access("consumer")) as holder:
            async with holder.transaction():
                await declare(holder)
                following = asyncio.create_task(run_once(emptied, worker()))
                # It waits for 100 ms at most: the other is to commit at once.
                await until(lambda: waits_for_locks(emptied))
            await following
    assert one(emptied, "identity.profiles", "company_id") == (None if is_user_first else DEFAULT,)


async def put_all(url: str, deliveries: list[Delivery]) -> None:
    async with await connect(url, ACCESS) as conn:
        await put(conn, deliveries)


async def test_a_company_is_not_made_while_a_page_decides_by_its_absence(emptied: str) -> None:
    before = [member("created", 1), edit(1, company_id=str(SECOND)), user(1), crew("deleted", 2)]
    made = crew("created", 3, SECOND)
    await in_batches(emptied, *([each] for each in before))
    await put_all(emptied, [made])

    async def page(conn: Connection) -> None:
        await rehome.run_page(conn, lambda _: timedelta(0))

    async def make(conn: Connection) -> None:
        await conn.execute("RESET ROLE")
        await apply_next(conn, 10)

    assert await one_after_the_other(emptied, page, make)
    await rehomed(emptied)
    assert one(emptied, "identity.profiles", "company_id") == (SECOND,)
