"""How a prune goes on: the lengths of its steps, what its action counts, and that an older release prunes nothing."""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import pytest

from consumer.errors import WrongRelease
from consumer.operations import prune
from consumer.operations.actions import Action
from consumer.operations.prune import DeliveryPrune, count_audit, prune_audit, prune_deliveries
from consumer.postgres import session
from consumer.postgres.connections import Connection, operator_access, transaction
from tests.support.acting import action
from tests.support.databases import change, rows
from tests.support.factories import NOON
from tests.support.fence import ahead
from tests.support.kept import kept
from tests.test_prune_rows import ADA, tell, user

OPERATOR = operator_access("consumer")
HOUR = timedelta(hours=1)


@pytest.fixture
async def conn(emptied: str) -> AsyncIterator[Connection]:
    async with kept(emptied, OPERATOR) as conn:
        yield conn


def audited(url: str, hours: float, count: int = 1) -> None:
    """Let the audit have so many rows of one time."""
    change(
        url,
        "INSERT INTO identity.profile_audit (user_id, operation, source, message_id, seq, at) "
        f"SELECT '{ADA}', 'updated', 'stack', n, n, now() - interval '{hours} h' FROM generate_series(1, {count}) AS n",
    )


@pytest.mark.parametrize(
    ("count", "hours", "removed"),
    [
        # An hour, then two; then four.
        (99, 2.5, [99, 0]),
        (99, 3.5, [99, 0, 0]),
        (99, 6.5, [99, 0, 0]),
        (99, 7.5, [99, 0, 0, 0]),
        # After a step with many rows it is an hour again.
        (100, 1.5, [100, 0]),
        (100, 2.5, [100, 0, 0]),
        (100, 3.5, [100, 0, 0]),
        (100, 4.5, [100, 0, 0, 0]),
    ],
)
async def test_a_step_with_few_rows_is_followed_by_one_twice_as_long(
    emptied: str, conn: Connection, count: int, hours: float, removed: list[int]
) -> None:
    audited(emptied, 100, count)
    audited(emptied, 1)

    kept_for = timedelta(hours=100 - hours)
    assert await count_audit(conn, OPERATOR, kept_for) == count
    assert [found async for found in prune_audit(conn, OPERATOR, kept_for)] == removed


async def test_no_step_is_longer_than_a_day(emptied: str, conn: Connection) -> None:
    audited(emptied, 240)
    audited(emptied, 1)

    # 1, 2, 4, 8 and 16 hours, then days: 31 hours, and 2.5 days.
    found = [each async for each in prune_audit(conn, OPERATOR, timedelta(hours=240 - 31 - 60))]

    assert found == [1, *[0] * 7]


def counted(url: str) -> list[tuple[str, int]]:
    return [tuple(row.values()) for row in rows(url, "SELECT action, affected FROM consumer.actions")]


async def test_an_action_counts_the_rows_of_all_steps_and_one_without_rows_is_none(
    emptied: str, conn: Connection
) -> None:
    def pruned(of: Action | None) -> AsyncIterator[int]:
        return prune_audit(conn, OPERATOR, HOUR, HOUR, action=of)

    audited(emptied, 5, 3)
    audited(emptied, 2.5, 2)
    assert sum([each async for each in pruned(None)]) == 5
    assert counted(emptied) == []
    audited(emptied, 5, 3)
    audited(emptied, 2.5, 2)
    change(emptied, "UPDATE consumer.settings SET audited_since = NULL")

    assert sum([each async for each in pruned(action("prune"))]) == 5
    assert sum([each async for each in pruned(action("prune"))]) == 0

    assert counted(emptied) == [("prune", 5)]


async def test_an_action_counts_the_removed_deliveries_and_those_of_a_dry_run_are_not_removed(
    emptied: str, conn: Connection
) -> None:
    for second in range(4):
        tell(emptied, user(False, second), ADA)
    async with transaction(conn, OPERATOR):
        now = await session.now(conn)

    async def pruned(wanted: DeliveryPrune) -> Counter[str]:
        return sum([page async for page in prune_deliveries(conn, OPERATOR, wanted)], Counter())

    three = Counter({"user.updated": 3})
    assert await pruned(DeliveryPrune(now, is_dry_run=True, action=action("prune"))) == three
    assert counted(emptied) == []
    assert await pruned(DeliveryPrune(now, page_size=2, action=action("prune"))) == three
    assert await pruned(DeliveryPrune(now, action=action("prune"))) == Counter()
    assert counted(emptied) == [("prune", 3)]


async def test_without_an_action_nobody_is_named(emptied: str, conn: Connection) -> None:
    for second in range(2):
        tell(emptied, user(False, second), ADA)
    async with transaction(conn, OPERATOR):
        now = await session.now(conn)

    assert [page async for page in prune_deliveries(conn, OPERATOR, DeliveryPrune(now))] == [{"user.updated": 1}]
    assert counted(emptied) == []


def test_a_prune_removes_ten_thousand_at_once_unless_it_is_told_otherwise() -> None:
    assert DeliveryPrune(NOON) == DeliveryPrune(NOON, is_dry_run=False, page_size=10_000, action=None)
    assert prune.SUBJECTS == ("users", "teams")


@pytest.mark.parametrize("is_dry_run", [False, True])
async def test_a_release_that_is_too_old_neither_removes_nor_counts_deliveries(
    emptied: str, conn: Connection, is_dry_run: bool
) -> None:
    with ahead(emptied, 9999), pytest.raises(WrongRelease):
        [page async for page in prune_deliveries(conn, OPERATOR, DeliveryPrune(NOON, is_dry_run))]


async def test_a_release_that_is_too_old_removes_nothing_of_the_audit(emptied: str, conn: Connection) -> None:
    audited(emptied, 5)

    with ahead(emptied, 9999), pytest.raises(WrongRelease):
        [each async for each in prune_audit(conn, OPERATOR, HOUR)]

    assert len(rows(emptied, "SELECT FROM identity.profile_audit")) == 1


@pytest.mark.parametrize("is_read", [True, False])
async def test_a_body_counts_as_it_is_read_without_what_cannot_be_stored(
    emptied: str, conn: Connection, is_read: bool
) -> None:
    """A snapshot is one by the body that is read instead of the received one."""
    first, second = tell(emptied, user(False, 1), ADA), tell(emptied, user(False, 2, {}), ADA)
    if is_read:
        change(emptied, f"UPDATE consumer.outbox SET reduced = '{{\"data\": {{\"primary_email\": 1}}}}' "
                        f"WHERE seq = {second}")  # fmt: skip
    change(emptied, f"UPDATE consumer.outbox SET event_type = 'user.signed_in' WHERE seq IN ({first}, {second})")
    extra = tell(emptied, user(True, 9), UUID(int=5))
    async with transaction(conn, OPERATOR):
        now = await session.now(conn)

    [_ async for _ in prune_deliveries(conn, OPERATOR, DeliveryPrune(now))]

    left = {row["seq"] for row in rows(emptied, "SELECT seq FROM consumer.outbox")}
    assert left == {second, extra} if is_read else left == {first, second, extra}
