"""A batch's decisions: who is retried when, who dies, and when a batch is rolled back as a whole."""

from collections.abc import Iterator

import pytest
from psycopg.errors import LockNotAvailable, UndefinedColumn

from consumer.errors import WorkerPaused
from tests.support.batch import (
    BROKEN,
    CONSTRAINT,
    LOCKED,
    POISON,
    failed_before,
    named,
    picky,
    replayed,
    run_bounded,
    states,
    value,
)
from tests.support.databases import rows, schema_change
from tests.support.factories import user_updated
from tests.support.worker import run_once, stored, worker

GOOD = "Ada"


@pytest.fixture
def database(emptied: str) -> Iterator[str]:
    with picky(emptied):
        yield emptied


@pytest.mark.parametrize(
    ("name", "attempts", "expected"),
    [
        (POISON, 0, ("dead", 1)),
        (POISON, 1, ("dead", 2)),
        (CONSTRAINT, 0, ("retrying", 1)),
        (CONSTRAINT, 1, ("retrying", 2)),
        (CONSTRAINT, 2, ("dead", 3)),
        (CONSTRAINT, 3, ("dead", 4)),
        (LOCKED, 0, ("retrying", 0)),
        (LOCKED, 2, ("retrying", 2)),
        (LOCKED, 7, ("retrying", 7)),
    ],
)
async def test_of_three_attempts_the_third_is_the_last_and_a_lock_costs_none(
    database: str, name: str, attempts: int, expected: tuple[str, int]
) -> None:
    deliveries = named(name)
    if attempts:
        await failed_before(database, deliveries, attempts)
    else:
        await stored(database, deliveries)

    batch = await run_once(database, worker(attempts_max=3))

    assert states(database) == [expected]
    assert (len(batch.retried), len(batch.buried)) == (expected[0] == "retrying", expected[0] == "dead")
    [row] = rows(database, "SELECT error_code FROM consumer.failures")
    assert row["error_code"] == name


@pytest.mark.parametrize(
    ("names", "stopped"),
    [
        pytest.param([POISON] * 10 + [GOOD] * 10, "10 of 20", id="half of twenty"),
        pytest.param([POISON] * 9 + [GOOD] * 11, None, id="fewer than half"),
        pytest.param([POISON] * 19, None, id="all of nineteen"),
        pytest.param([POISON] * 20, "10 of 20", id="all of twenty"),
        pytest.param([POISON] * 10 + [GOOD] * 11, None, id="ten of twenty-one"),
        pytest.param([POISON] * 11 + [GOOD] * 10, "11 of 21", id="eleven of twenty-one"),
        pytest.param([CONSTRAINT] * 10 + [GOOD] * 10, "10 of 20", id="a constraint"),
        pytest.param([POISON] * 9 + [CONSTRAINT] * 9 + [GOOD] * 2, None, id="two errors"),
        pytest.param(
            [f"{CONSTRAINT}:a"] * 9 + [f"{CONSTRAINT}:b"] * 9 + [GOOD] * 2, None, id="two constraints of one code"
        ),
        pytest.param([LOCKED] * 5 + [POISON] * 9 + [GOOD] * 6, None, id="locks are no failures"),
    ],
)
async def test_a_batch_of_twenty_users_half_of_whom_fail_alike_is_rolled_back(
    database: str, names: list[str], stopped: str | None
) -> None:
    subject = worker()
    await stored(database, named(*names))

    if stopped:
        with pytest.raises(WorkerPaused, match=rf"^{stopped} failed alike: "):
            await run_once(database, subject)
        assert states(database) == [("pending", 0)] * len(names)
        assert value(subject, "batch_deliveries_count") == 0
    else:
        batch = await run_once(database, subject)
        assert len(batch.outcomes) == names.count(GOOD)
        assert len(batch) == len(names)


async def test_a_user_counts_once_however_many_of_its_deliveries_fail(database: str) -> None:
    users = named(*[GOOD] * 20)
    unlucky = users[0].user_id
    await stored(database, [*users[1:], *(user_updated(unlucky, display_name=POISON) for _ in range(30))])

    batch = await run_once(database, worker())

    assert (len(batch.outcomes), len(batch.buried)) == (19, 30)


async def test_deliveries_that_failed_before_count_on_neither_side(database: str) -> None:
    users = named(*[POISON] * 9, *[GOOD] * 11, *[POISON] * 5, *[GOOD] * 5)
    await replayed(database, users[20:])
    await stored(database, users[:20])

    # 14 of 30 fail, but the news is 9 of 20.
    assert len((await run_once(database, worker())).buried) == 14


async def test_old_successes_do_not_hide_that_half_of_the_news_fails(database: str) -> None:
    users = named(*[POISON] * 10, *[GOOD] * 10, *[GOOD] * 10)
    await replayed(database, users[20:])
    await stored(database, users[:20])

    with pytest.raises(WorkerPaused, match=r"^10 of 20 "):
        await run_once(database, worker())


@pytest.mark.parametrize(
    ("names", "applied", "retried"),
    [
        pytest.param([GOOD, *[LOCKED] * 9, *[GOOD] * 10], 11, 9, id="nine: only they wait"),
        pytest.param([GOOD, *[LOCKED] * 10, *[GOOD] * 9], 1, 19, id="ten: the rest waits untried"),
        pytest.param([LOCKED] * 9, 0, 9, id="nine and nobody else"),
    ],
)
async def test_ten_locked_users_end_the_search(database: str, names: list[str], applied: int, retried: int) -> None:
    await stored(database, named(*names))

    batch = await run_once(database, worker())

    assert (len(batch.outcomes), len(batch.retried), len(batch.buried)) == (applied, retried, 0)
    assert sorted(states(database)) == [("done", 0)] * applied + [("retrying", 0)] * retried


@pytest.mark.parametrize("others", [0, 5], ids=["nobody else", "others after them"])
async def test_ten_locked_users_before_anybody_succeeds_roll_the_batch_back(database: str, others: int) -> None:
    await stored(database, named(*[LOCKED] * 10, *[GOOD] * others))

    with pytest.raises(LockNotAvailable):
        await run_once(database, worker())

    assert states(database) == [("pending", 0)] * (10 + others)


async def test_an_error_of_ours_rolls_everything_back_at_once(database: str) -> None:
    await stored(database, named(GOOD, BROKEN, POISON))

    with pytest.raises(UndefinedColumn):
        await run_once(database, worker())

    assert states(database) == [("pending", 0)] * 3


async def test_of_two_deliveries_that_fail_only_together_the_second_waits(emptied: str) -> None:
    unique = "ALTER TABLE identity.profiles ADD CONSTRAINT late UNIQUE (full_name) DEFERRABLE INITIALLY DEFERRED"
    subject = worker()
    await stored(emptied, named(GOOD, GOOD))

    with schema_change(emptied, unique, "ALTER TABLE identity.profiles DROP CONSTRAINT late"):
        batches = [await run_bounded(emptied, subject) for _ in range(3)]

    assert [(len(batch.outcomes), len(batch.retried)) for batch in batches] == [(1, 0), (0, 1), (0, 0)]
