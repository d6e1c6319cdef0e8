"""Processes that share a run of a backfill, and a run that takes another's place."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from consumer.errors import BadSettings
from consumer.operations import runs
from consumer.operations.backfill import backfill
from consumer.postgres.connections import operator_access, transaction
from tests.support.backfills import begun, filled, held, long_ago, named, truth
from tests.support.databases import change, rows
from tests.support.fake_stack import FakeStack
from tests.support.kept import kept
from tests.support.outbox import work
from tests.support.stack_api import stack_api

ACCESS = operator_access("consumer")


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


async def test_a_run_is_locked_only_at_the_place_where_it_is(emptied: str) -> None:
    async with kept(emptied, ACCESS) as conn:
        run = (await runs.begin(conn, ACCESS, "backfill", "project", is_new=False)).run
        others = (replace(run, stage="teams"), replace(run, restarts=1), replace(run, cursor="next"))
        async with transaction(conn, ACCESS):
            assert [await runs.lock(conn, other) for other in others] == [False] * 3
            assert await runs.lock(conn, run)


@pytest.mark.parametrize(
    ("calls", "project", "is_given_up"), [(0, "typo", True), (1, "typo", False), (0, "same", False)]
)
async def test_only_a_run_of_another_project_that_stored_no_page_is_given_up_unasked(
    emptied: str, calls: int, project: str, is_given_up: bool
) -> None:
    async with kept(emptied, ACCESS) as conn:
        first = (await runs.begin(conn, ACCESS, "backfill", project, is_new=False)).run
        change(emptied, f"UPDATE consumer.runs SET calls = {calls}")
        with suppress(BadSettings):
            await runs.begin(conn, ACCESS, "backfill", "same", is_new=False)
        abandoned_at = (await runs.read(conn, first.id)).abandoned_at

    assert (abandoned_at is not None) == is_given_up


async def test_a_complete_run_forgets_what_those_of_its_kind_suspected(emptied: str) -> None:
    async with kept(emptied, ACCESS) as conn:
        of_kind = {}
        for kind in ("backfill", "reconcile"):
            of_kind[kind] = (await runs.begin(conn, ACCESS, kind, "project", is_new=False)).run
            change(emptied, f"INSERT INTO consumer.suspects (run_id, kind, user_id) VALUES "
                   f"('{of_kind[kind].id}', 'undeleted_user', gen_random_uuid())")  # fmt: skip
            change(emptied, f"UPDATE consumer.runs SET finished_at = now() WHERE id = '{of_kind[kind].id}'")
        latest = (await runs.begin(conn, ACCESS, "reconcile", "project", is_new=False)).run
        await runs.advance(conn, latest, None, runs.PageCounts())

    assert rows(emptied, "SELECT run_id FROM consumer.suspects") == [{"run_id": of_kind["backfill"].id}]


@pytest.mark.parametrize(
    ("later", "suspect", "is_fixing", "is_found"),
    [
        ("", "'undeleted_user', NULL", False, True),
        ("", "'undeleted_user', now()", False, False),
        ("", "'undeleted_user', now()", True, True),
        ("", "'listed_team', NULL", True, False),
        ("reconcile", "'undeleted_user', NULL", False, False),
        ("reconcile given up", "'undeleted_user', NULL", False, True),
        ("backfill", "'undeleted_user', NULL", False, True),
    ],
)
async def test_a_run_is_undecided_until_another_begins_or_nothing_of_it_is_open(
    emptied: str, later: str, suspect: str, is_fixing: bool, is_found: bool
) -> None:
    async with kept(emptied, ACCESS) as conn:
        run = (await runs.begin(conn, ACCESS, "reconcile", "project", is_new=False)).run
        change(emptied, "UPDATE consumer.runs SET finished_at = now(), begun_at = now() - interval '1 h'")
        change(emptied, f"INSERT INTO consumer.suspects (run_id, kind, confirmed_at, asked_at, user_id) VALUES "
               f"('{run.id}', {suspect}, now(), gen_random_uuid())")  # fmt: skip
        if kind := later.partition(" ")[0]:
            await runs.begin(conn, ACCESS, kind, "project", is_new=False)  # type: ignore[arg-type]  # As in the table.
        if later.endswith("given up"):
            change(emptied, "UPDATE consumer.runs SET abandoned_at = now() WHERE finished_at IS NULL")
        found = await runs.undecided(conn, "reconcile", within=timedelta(days=1), is_fixing=is_fixing)

    assert (found is not None and found.id == run.id) == is_found
