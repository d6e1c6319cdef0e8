"""Processes that share a run of a backfill, and a run that takes another's place."""

import asyncio

import pytest

from consumer.operations import runs
from consumer.operations.backfill import backfill
from tests.support.backfills import begun, filled, held, long_ago, named, truth
from tests.support.databases import rows
from tests.support.fake_stack import FakeStack
from tests.support.outbox import work
from tests.support.stack_api import stack_api


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consumer.stack_api.client.USERS_LIMIT", 2)
    monkeypatch.setattr("consumer.stack_api.client.TEAMS_LIMIT", 2)


async def test_a_page_that_another_process_has_stored_is_thrown_away(emptied: str, any_fake: FakeStack) -> None:
    long_ago(any_fake)
    named(any_fake, 9)
    for each in range(12):
        any_fake.project.sign_up(with_personal_team=True, primary_email=f"own{each}@example.com")

    first, second = await asyncio.gather(filled(emptied, any_fake), filled(emptied, any_fake))
    await work(emptied)

    assert first.id == second.id
    assert (second.users, second.teams, second.memberships) == (21, 12, 12)
    assert held(emptied) == truth(any_fake)


async def test_a_page_that_was_fetched_for_another_cursor_is_not_stored(emptied: str, fake: FakeStack) -> None:
    long_ago(fake)
    named(fake, 9)
    async with begun(emptied) as (conn, access, run), stack_api(fake) as api:
        slow = backfill(conn, access, api, run)
        stale = await runs.read(conn, run.id)
        await anext(slow)
        async with conn.transaction():
            assert not await runs.lock(conn, stale)
            assert await runs.lock(conn, await runs.read(conn, run.id))


async def test_another_run_gives_up_the_open_one(emptied: str, fake: FakeStack) -> None:
    long_ago(fake)
    user_id = named(fake, 1)[0]
    for _ in range(12):
        fake.project.create_team(creator=user_id)
    first = await filled(emptied, fake, pages=9)
    assert first.stage == "members"

    async with begun(emptied, is_new=True) as (_, _, second):
        pass

    found = rows(emptied, "SELECT id, abandoned_at IS NOT NULL AS is_given_up FROM consumer.runs ORDER BY begun_at")
    assert [tuple(row.values()) for row in found] == [(first.id, True), (second.id, False)]
    assert rows(emptied, "SELECT FROM consumer.run_teams") == []


async def test_a_run_that_was_given_up_meanwhile_ends_without_another_page(emptied: str, fake: FakeStack) -> None:
    long_ago(fake)
    named(fake, 9)
    async with begun(emptied) as (conn, access, run), stack_api(fake) as api:
        pages = backfill(conn, access, api, run)
        await anext(pages)
        async with begun(emptied, is_new=True):
            pass
        rest = [page async for page in pages]

    assert [page.abandoned_at is not None for page in rest] == [True]
    assert rest[-1].users == 2
