"""A sweep of the poll of recent activity: its pages, its mark, and what makes it lose its place."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from psycopg import errors as postgres

from consumer.operations.activity import OVERLAP_MILLIS, PAGES_MAX
from consumer.operations.imports import PutCounts
from tests.support.activity import LAG, be_active, day_ago, place, polled, small_pages, stored
from tests.support.backfills import held, truth
from tests.support.databases import change, rows
from tests.support.fake_stack import FakeStack, Replica
from tests.support.fake_stack.project import millis
from tests.support.outbox import work


async def test_everybody_active_since_the_last_sweep_is_found_on_as_many_pages(
    emptied: str, fake: FakeStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_pages(monkeypatch)
    users = day_ago(fake, 9)
    await polled(emptied, fake)
    fake.project.now -= timedelta(hours=1)
    be_active(fake, *users[:7], primary_email_verified=True, seconds=200)

    await polled(emptied, fake)
    await work(emptied)

    verified = rows(emptied, "SELECT user_id FROM identity.profiles WHERE email_verified")
    assert {str(row["user_id"]) for row in verified} == set(users[:7])
    assert place(emptied)["mark_millis"] == fake.project.users.latest[users[6]]["last_active_at_millis"]


async def test_a_poll_takes_so_many_pages_and_the_next_goes_on_behind_them(
    emptied: str, fake: FakeStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = day_ago(fake, 9)
    await polled(emptied, fake)
    before, mark = len(stored(emptied)), place(emptied)["mark_millis"]
    small_pages(monkeypatch, pages=2)
    fake.project.now -= timedelta(hours=1)
    be_active(fake, *users, seconds=200)

    await polled(emptied, fake)
    between = place(emptied)
    await polled(emptied, fake)
    await polled(emptied, fake)

    assert (between["mark_millis"], between["cursor"] is None) == (mark, False)
    assert set(stored(emptied)[before:]) == set(users)
    assert place(emptied) == {"mark_millis": between["newest_millis"], "cursor": None, "newest_millis": None}


def test_a_poll_takes_two_seconds_at_the_default_rate_and_sweeps_overlap_by_two_lags() -> None:
    assert (PAGES_MAX, OVERLAP_MILLIS) == (20, 120_000)


async def test_a_mark_moves_only_with_its_page(emptied: str, fake: FakeStack) -> None:
    be_active(fake, *day_ago(fake, 1))
    change(emptied, "REVOKE INSERT (body) ON consumer.outbox FROM consumer_operator")
    try:
        with pytest.raises(postgres.InsufficientPrivilege):
            await polled(emptied, fake)
    finally:
        change(emptied, "GRANT INSERT (body) ON consumer.outbox TO consumer_operator")

    assert rows(emptied, "SELECT FROM consumer.activity") == []
    assert await polled(emptied, fake) == PutCounts(1, 0)


async def test_of_two_polls_at_once_one_stores_the_page(emptied: str, fake: FakeStack) -> None:
    be_active(fake, *day_ago(fake, 3))

    both = await asyncio.gather(polled(emptied, fake), polled(emptied, fake))

    assert sorted(put.stored for put in both if put) == [0, 3]
    assert len(stored(emptied)) == 3


async def test_a_user_that_a_lagging_replica_hides_is_found_by_the_next_poll(emptied: str, fake: FakeStack) -> None:
    hidden, shown = day_ago(fake, 2)
    be_active(fake, hidden, shown)
    fake.replicas = (Replica(lag_of={hidden: LAG}), Replica())
    await polled(emptied, fake)
    fake.project.change_silently(hidden, primary_email_verified=True)
    await work(emptied)
    change(emptied, "UPDATE consumer.outbox SET occurred_at = occurred_at - interval '1 minute'")

    await polled(emptied, fake)

    assert stored(emptied).count(hidden) == 2


async def test_a_sweep_reads_on_to_what_a_replica_hid_from_the_one_before(
    emptied: str, fake: FakeStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_pages(monkeypatch)
    hidden, *others = day_ago(fake, 3)
    be_active(fake, hidden, primary_email_verified=True)
    be_active(fake, *others)
    fake.replicas = (Replica(lag_of={hidden: LAG}),)
    await polled(emptied, fake)
    await work(emptied)
    assert held(emptied) != truth(fake)

    fake.replicas = (Replica(),)
    await polled(emptied, fake)
    await work(emptied)

    assert held(emptied) == truth(fake)


@pytest.mark.parametrize("loss", ["deleted", "lagging"])
async def test_a_cursor_that_is_lost_loses_nobody(
    emptied: str, fake: FakeStack, monkeypatch: pytest.MonkeyPatch, loss: str
) -> None:
    # Whoever is idle stands behind the place at which a lagging replica begins the second page.
    _, _, *users = day_ago(fake, 9)
    await polled(emptied, fake)
    before = len(stored(emptied))
    small_pages(monkeypatch, pages=1)
    fake.project.now = datetime.now(UTC) - timedelta(seconds=600)
    be_active(fake, *users[:5], seconds=80)
    # The cursor of the first page is users[5].
    fake.project.now = datetime.now(UTC) - timedelta(seconds=10)
    be_active(fake, users[5], users[6])

    await polled(emptied, fake)
    assert place(emptied)["cursor"] == users[5]
    if loss == "deleted":
        fake.project.delete_user(users[5])
    else:
        fake.replicas = (Replica(lag_of={users[5]: LAG}),)
    await polled(emptied, fake)
    lost = place(emptied)
    fake.replicas = (Replica(),)
    # Time passes, so that each replica knows of every activity.
    for user_id in set(users[5:]) & fake.project.users.latest.keys():
        fake.project.change_silently(user_id, last_active_at_millis=millis(datetime.now(UTC) - timedelta(minutes=5)))
    for _ in range(6):
        await polled(emptied, fake)

    assert lost["cursor"] is None
    assert lost["mark_millis"] < fake.project.users.latest[users[0]]["last_active_at_millis"]
    assert set(stored(emptied)[before:]) >= set(users) - {users[5]}


async def test_an_old_server_in_the_middle_of_a_sweep_keeps_the_place(
    emptied: str, fake: FakeStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_pages(monkeypatch, pages=1)
    be_active(fake, *day_ago(fake, 3))
    await polled(emptied, fake)
    before = place(emptied)
    old = FakeStack("old", project=fake.project)
    fake.app = old.app

    assert await polled(emptied, fake) is None
    assert (before["cursor"] is None, place(emptied)) == (False, before)
