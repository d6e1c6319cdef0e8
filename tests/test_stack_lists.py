"""The lists of Stack's API, page by page, from old servers and new ones."""

from dataclasses import replace
from uuid import UUID

import orjson
import pytest

from consumer.stack_api.client import StackApi
from consumer.stack_api.errors import AnswerTooLarge, CannotListAll, KnownError, UnexpectedAnswer
from consumer.stack_api.listing import ListPage
from tests.support.fake_stack import FakeStack
from tests.support.fake_stack.serving import Port
from tests.support.stack_api import SHORT, stack_api
from tests.support.stack_requests import many, one


async def all_users(api: StackApi) -> list[str]:
    found, page = [], await api.users()
    while True:
        found += [user.id for user in page.items]
        if page.next_cursor is None:
            return found
        page = await api.users(page.next_cursor)


def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consumer.stack_api.client.USERS_LIMIT", 2)
    monkeypatch.setattr("consumer.stack_api.client.TEAMS_LIMIT", 2)
    monkeypatch.setattr("consumer.stack_api.client.ACTIVE_USERS_LIMIT", 2)


async def test_all_users_are_listed_page_by_page_hidden_ones_too(
    any_fake: FakeStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_pages(monkeypatch)
    any_fake.project.requires_verified_email = True
    expected = many(any_fake, 4)
    expected += [one(any_fake.project.sign_up_anonymously())]
    any_fake.project.change_silently(expected[0], restricted_by_admin=True)

    async with stack_api(any_fake) as api:
        assert await all_users(api) == expected

    assert {asked.query.split("&cursor=")[0] for asked in any_fake.asked} == {"limit=2&include_anonymous=true"}


async def test_a_page_is_asked_for_with_the_most_that_servers_allow(any_fake: FakeStack) -> None:
    async with stack_api(any_fake) as api:
        assert await api.users() == ListPage((), None)
        assert api.requests == 1

    assert [asked.query for asked in any_fake.asked] == ["limit=1000&include_anonymous=true"]


async def test_of_teams_and_of_active_users_a_page_has_its_own_size(fake: FakeStack) -> None:
    async with stack_api(fake) as api:
        await api.teams()
        await api.recently_active_users()

    active = "limit=100&include_anonymous=true&order_by=last_active_at&desc=true"
    assert [asked.query for asked in fake.asked] == ["limit=200", active]


async def test_a_listed_user_is_its_json_text_with_its_times(any_fake: FakeStack) -> None:
    many(any_fake, 1)

    async with stack_api(any_fake) as api:
        [user] = (await api.users()).items

    data = orjson.loads(user.body)
    assert data == any_fake.project.user(user.id)
    assert user.signed_up_at_millis == data["signed_up_at_millis"]
    assert user.last_active_at_millis == data["last_active_at_millis"]
    assert "primary_email" not in repr(user)


async def test_a_cursor_whose_user_was_deleted_ends_the_list(
    any_fake: FakeStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_pages(monkeypatch)
    many(any_fake, 5)

    async with stack_api(any_fake) as api:
        page = await api.users()
        any_fake.project.delete_user(str(page.next_cursor))

        assert await api.users(page.next_cursor) == ListPage((), None)


async def test_a_cursor_whose_user_moved_skips_users_without_a_sign(
    any_fake: FakeStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_pages(monkeypatch)
    ids = [one(any_fake.project.sign_up_anonymously()) for _ in range(5)]

    async with stack_api(any_fake) as api:
        page = await api.users()
        any_fake.project.upgrade(str(page.next_cursor), "new@example.com")
        rest = await api.users(page.next_cursor)

    assert {user.id for user in rest.items} <= {str(page.next_cursor)}
    assert rest.next_cursor is None
    assert ids[3] not in {user.id for user in (*page.items, *rest.items)}


async def test_a_server_that_cannot_list_anonymous_users_is_no_server_to_list(stack_port: Port) -> None:
    oldest = stack_port.serve(FakeStack("oldest"))

    async with stack_api(oldest) as api:
        with pytest.raises(CannotListAll, match="older than 2025-08-24"):
            await api.users()


async def test_a_bad_cursor_does_not_make_a_server_an_old_one(any_fake: FakeStack) -> None:
    async with stack_api(any_fake) as api:
        with pytest.raises(KnownError, match="SCHEMA_ERROR"):
            await api.users("no-uuid")


async def test_users_that_are_too_large_for_a_page_come_in_smaller_ones(any_fake: FakeStack) -> None:
    ids = many(any_fake, 25)
    for user_id in ids:
        any_fake.project.change_silently(user_id, profile_image_url="data:," + "x" * 5_000)

    async with stack_api(any_fake, limits=replace(SHORT, body_bytes=70_000)) as api:
        assert await all_users(api) == ids

    asked = [asked.query.split("&")[0] for asked in any_fake.asked]
    assert asked == ["limit=1000", "limit=100", "limit=10", "limit=10", "limit=10"]


async def test_a_list_of_members_that_loses_its_place_is_no_list(
    any_fake: FakeStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a reconciliation would take all members behind the place for lost removals."""
    small_pages(monkeypatch)
    crew = one(any_fake.project.create_team())
    for user_id in many(any_fake, 5):
        any_fake.project.join(crew, user_id)

    async with stack_api(any_fake) as api:
        page = await api.team_users(UUID(crew))
        assert page.next_cursor is not None
        any_fake.project.delete_user(page.next_cursor)
        with pytest.raises(UnexpectedAnswer, match="the cursor's user is gone"):
            await api.team_users(UUID(crew), page.next_cursor)


async def test_one_user_that_is_too_large_is_an_error(any_fake: FakeStack) -> None:
    many(any_fake, 1)

    async with stack_api(any_fake, limits=replace(SHORT, body_bytes=500)) as api:
        with pytest.raises(AnswerTooLarge, match="larger than 500 bytes"):
            await api.users()


async def test_new_servers_tell_who_was_active_lately(fake: FakeStack, monkeypatch: pytest.MonkeyPatch) -> None:
    small_pages(monkeypatch)
    ids = many(fake, 3)
    fake.project.change_silently(ids[0], last_active_at_millis=1895000000000, primary_email_verified=True)

    async with stack_api(fake) as api:
        page = await api.recently_active_users()
        assert page is not None
        rest = await api.recently_active_users(page.next_cursor)

    assert rest is not None
    assert [user.id for user in (*page.items, *rest.items)] == [ids[0], ids[2], ids[1]]


async def test_an_old_server_says_that_it_cannot_tell_who_was_active(old_fake: FakeStack) -> None:
    async with stack_api(old_fake) as api:
        assert await api.recently_active_users() is None


async def all_teams(api: StackApi) -> list[str]:
    page = await api.teams()
    found = [team.id for team in page.items]
    while page.next_cursor is not None:
        page = await api.teams(page.next_cursor)
        found += [team.id for team in page.items]
    return found


async def test_teams_are_listed_in_pages_or_by_old_servers_all_at_once(
    any_fake: FakeStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_pages(monkeypatch)
    expected = [one(any_fake.project.create_team()) for _ in range(5)]

    async with stack_api(any_fake) as api:
        assert await all_teams(api) == expected
        assert api.requests == (3 if any_fake.age == "new" else 2)


async def test_a_list_of_teams_survives_a_deploy_of_an_old_server(
    fake: FakeStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_pages(monkeypatch)
    expected = {one(fake.project.create_team()) for _ in range(5)}

    async with stack_api(fake) as api:
        first = await api.teams()
        fake.age = "old"
        rest = await api.teams(first.next_cursor)

    assert {team.id for team in rest.items} == expected
    assert rest.next_cursor is None
