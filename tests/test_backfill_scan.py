"""A list that loses its place in the middle of a scan: nobody is skipped."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import orjson
import pytest

from consumer.operations.backfill import backfill
from consumer.operations.runs import Run
from consumer.operations.scan import RESTARTS_MAX, ScanDisturbed
from tests.support.backfills import LIMITS, begun, filled, held, long_ago, named, now_is_now, truth
from tests.support.databases import rows
from tests.support.fake_stack import FakeStack, Replica, trouble
from tests.support.outbox import work
from tests.support.stack_api import Time, stack_api
from tests.support.stack_requests import many, one

Change = Callable[[FakeStack, str], object]


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consumer.stack_api.client.USERS_LIMIT", 2)
    monkeypatch.setattr("consumer.stack_api.client.TEAMS_LIMIT", 2)


class Waiting(Time):
    """A clock that Stack's replicas go by."""

    def __init__(self, fake: FakeStack) -> None:
        super().__init__()
        self.fake = fake

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds)
        self.fake.project.now += timedelta(seconds=seconds)


def delete(fake: FakeStack, user_id: str) -> None:
    fake.project.delete_user(user_id)


def upgrade(fake: FakeStack, user_id: str) -> None:
    fake.project.upgrade(user_id, "up@example.com")


def anonymous(fake: FakeStack, number: int) -> list[str]:
    return [one(fake.project.sign_up_anonymously()) for _ in range(number)]


async def interrupted(url: str, fake: FakeStack, change: Change, pages: int = 2) -> Run:
    """Store some pages, change the user at the cursor, and go on to the end."""
    first = await filled(url, fake, pages=pages)
    assert first.cursor is not None
    now_is_now(fake)
    change(fake, first.cursor)
    run = await filled(url, fake, time=Waiting(fake))
    assert run.id == first.id
    return run


@pytest.mark.parametrize("change", [delete, upgrade])
async def test_users_behind_a_lost_cursor_are_listed_all_the_same(
    emptied: str, any_fake: FakeStack, change: Change
) -> None:
    long_ago(any_fake)
    anonymous(any_fake, 9)

    run = await interrupted(emptied, any_fake, change)
    await work(emptied)

    assert run.restarts >= 1
    assert run.finished_at is not None
    assert held(emptied)["mirror"] >= truth(any_fake)["mirror"]


@pytest.mark.parametrize("offset", [0, 1])
async def test_replicas_that_lag_do_not_hide_that_the_cursors_user_has_moved(
    emptied: str, any_fake: FakeStack, offset: int
) -> None:
    def move_unseen_by_every_other(fake: FakeStack, user_id: str) -> None:
        upgrade(fake, user_id)
        many(fake, 1)
        fake.replicas = [Replica(), Replica(lag_of={user_id: timedelta(seconds=50)})]
        for _ in range(offset):
            fake.next_replica()

    long_ago(any_fake)
    anonymous(any_fake, 9)

    await interrupted(emptied, any_fake, move_unseen_by_every_other)
    await work(emptied)

    assert held(emptied)["mirror"] >= truth(any_fake)["mirror"]


async def test_many_that_signed_up_behind_a_moved_user_do_not_hide_the_gap(emptied: str, any_fake: FakeStack) -> None:
    def move_to_before_many(fake: FakeStack, user_id: str) -> None:
        upgrade(fake, user_id)
        many(fake, 5)

    long_ago(any_fake)
    anonymous(any_fake, 9)

    run = await interrupted(emptied, any_fake, move_to_before_many)
    await work(emptied)

    assert run.restarts >= 1
    assert held(emptied)["mirror"] >= truth(any_fake)["mirror"]


async def test_new_sign_ups_at_the_end_of_a_list_cost_a_call_and_no_second_scan(emptied: str, fake: FakeStack) -> None:
    long_ago(fake)
    users = named(fake, 3)

    def replace_the_third(fake: FakeStack, _: str) -> None:
        delete(fake, users[2])
        named(fake, 3)

    run = await interrupted(emptied, fake, replace_the_third, pages=1)

    assert (run.restarts, run.users) == (0, 5)
    assert [asked.path for asked in fake.asked].count(f"/api/v1/users/{users[1]}") == 1


async def test_a_second_scan_stores_only_what_the_first_has_not(emptied: str, any_fake: FakeStack) -> None:
    long_ago(any_fake)
    anonymous(any_fake, 7)

    run = await interrupted(emptied, any_fake, delete)

    stored = rows(emptied, "SELECT message_id FROM consumer.outbox")
    assert run.users == len(truth(any_fake)["mirror"])
    assert run.stored == len(stored) == len({row["message_id"] for row in stored})


async def test_a_list_that_loses_its_place_again_and_again_is_given_up(emptied: str, any_fake: FakeStack) -> None:
    long_ago(any_fake)
    anonymous(any_fake, 60)

    async def delete_at_each_cursor() -> None:
        async with begun(emptied) as (conn, access, run), stack_api(any_fake) as api:
            async for page in backfill(conn, access, api, run):
                if page.cursor:
                    any_fake.project.delete_user(page.cursor)

    with pytest.raises(ScanDisturbed, match="--new"):
        await delete_at_each_cursor()

    [row] = rows(emptied, "SELECT restarts, finished_at FROM consumer.runs")
    assert (row["restarts"], row["finished_at"]) == (RESTARTS_MAX, None)


async def test_an_update_of_the_server_in_the_middle_of_a_list_loses_nobody(emptied: str, old_fake: FakeStack) -> None:
    long_ago(old_fake)
    named(old_fake, 9)
    await filled(emptied, old_fake, pages=2)
    old_fake.age = "new"

    await filled(emptied, old_fake)
    await work(emptied)

    assert held(emptied) == truth(old_fake)


async def test_ids_and_cursors_that_are_none_stop_nothing(emptied: str, any_fake: FakeStack) -> None:
    long_ago(any_fake)
    named(any_fake, 1)
    odd = {"items": [{"id": "Ä: no id", "signed_up_at_millis": 1}], "is_paginated": True}
    first, second = ({**odd, "pagination": {"next_cursor": "opaque"}}, {"items": [], "is_paginated": False})
    any_fake.troubles.extend(trouble.body(orjson.dumps(page)) for page in (first, second))

    run = await filled(emptied, any_fake)
    await work(emptied)

    assert (run.restarts, run.unusable) == (1, 1)
    assert held(emptied) == truth(any_fake)


async def test_a_team_deleted_at_the_cursor_hides_no_other_team(emptied: str, fake: FakeStack) -> None:
    long_ago(fake)
    [user_id] = named(fake, 1)
    for _ in range(7):
        fake.project.create_team(creator=user_id)
    first = await filled(emptied, fake, pages=2)
    assert (first.stage, first.teams) == ("teams", 2)
    fake.project.delete_team(str(first.cursor))

    run = await filled(emptied, fake)
    await work(emptied)

    assert run.restarts == 1
    assert held(emptied)["companies"].keys() >= truth(fake)["companies"].keys()
    assert held(emptied)["members"].keys() >= truth(fake)["members"].keys()


async def test_a_team_that_goes_before_its_members_are_listed_stops_nothing(emptied: str, any_fake: FakeStack) -> None:
    long_ago(any_fake)
    [user_id] = named(any_fake, 1)
    teams = [one(any_fake.project.create_team(creator=user_id)) for _ in range(3)]
    async with begun(emptied) as (conn, access, run), stack_api(any_fake) as api:
        async for page in backfill(conn, access, api, run):
            if page.stage == "members" and teams[0] in truth(any_fake)["companies"]:
                any_fake.project.delete_team(teams[0])

    await work(emptied)

    assert {team_id for team_id, _ in held(emptied)["members"]} == set(teams[1:])


async def test_the_members_of_a_team_that_fits_in_no_answer_are_listed_by_page(
    emptied: str, any_fake: FakeStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    long_ago(any_fake)
    users = named(any_fake, 9)
    crew = one(any_fake.project.create_team(display_name="Crew"))
    for user_id in users:
        any_fake.project.join(crew, user_id)
    # Two users fit, and nine do not.
    monkeypatch.setattr("tests.support.backfills.LIMITS", replace(LIMITS, body_bytes=6_000))

    await filled(emptied, any_fake)
    await work(emptied)

    assert [asked for asked in any_fake.asked if asked.path == "/api/v1/users" and "team_id=" in asked.query]
    assert held(emptied) == truth(any_fake)


async def test_a_user_that_the_list_skips_comes_with_its_team(emptied: str, fake: FakeStack) -> None:
    long_ago(fake)
    named(fake, 2)
    run = await filled(emptied, fake, pages=1)
    assert run.stage == "teams"
    fake.project.sign_up(with_personal_team=True, primary_email="late@example.com")

    await filled(emptied, fake)
    await work(emptied)

    assert held(emptied) == truth(fake)


async def test_the_cursors_time_is_compared_not_only_its_place(emptied: str, fake: FakeStack) -> None:
    """Without a fresh first user there is no doubt, and no call for it."""
    long_ago(fake)
    named(fake, 9)
    await filled(emptied, fake, pages=2)
    before = len(fake.asked)
    fake.project.now += timedelta(days=1)

    await filled(emptied, fake)

    assert not [asked for asked in fake.asked[before:] if asked.path.startswith("/api/v1/users/")]
