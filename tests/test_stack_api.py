"""What the client reads of Stack's API, from old servers and new ones."""

from collections.abc import Awaitable, Callable
from uuid import UUID, uuid4

import orjson
import pytest

from consumer.stack_api.client import StackApi
from consumer.stack_api.errors import KnownError, UnexpectedAnswer
from tests.support.fake_stack import FakeStack, trouble
from tests.support.stack_api import stack_api
from tests.support.stack_requests import many, one


async def test_a_user_is_read_as_its_webhook_tells_it(any_fake: FakeStack) -> None:
    [event] = any_fake.project.sign_up(primary_email="oda@example.com", server_metadata={"role": "manager"})

    async with stack_api(any_fake) as api:
        body = await api.user(UUID(str(event.data["id"])))

    assert body is not None
    assert orjson.loads(body) == event.data


async def test_hidden_users_are_read_too(any_fake: FakeStack) -> None:
    [event] = any_fake.project.sign_up_anonymously()

    async with stack_api(any_fake) as api:
        assert await api.user(UUID(str(event.data["id"])))


async def test_a_user_and_a_team_are_gone_only_if_stack_says_so_by_its_code(any_fake: FakeStack) -> None:
    async with stack_api(any_fake) as api:
        assert await api.user(uuid4()) is None
        assert await api.team(uuid4()) is None


NOT_FOUND = b'{"code": "USER_NOT_FOUND", "error": "User not found."}'


NO_PROOF = {
    "text": trouble.text(404),
    "page": trouble.page(404),
    "empty": trouble.body(b"", 404),
    "another code": trouble.body(b'{"code": "TEAM_NOT_FOUND", "error": ""}', 404),
    "another status": trouble.body(NOT_FOUND, 400),
    "header and body differ": trouble.body(NOT_FOUND, 404, headers={"x-stack-known-error": "TEAM_NOT_FOUND"}),
    "a list": trouble.body(b"[]", 404),
    "gone": trouble.body(b"{}", 410),
    "a success with the code": trouble.body(NOT_FOUND, 200),
    "a redirect": trouble.redirect("/api/v1/elsewhere"),
}


@pytest.mark.parametrize("answer", NO_PROOF.values(), ids=NO_PROOF)
async def test_no_other_answer_proves_that_a_user_is_gone(fake: FakeStack, answer: object) -> None:
    fake.troubles.append(answer)  # type: ignore[arg-type]  # An ASGI application.

    async with stack_api(fake) as api:
        with pytest.raises((UnexpectedAnswer, KnownError)):
            await api.user(uuid4())


@pytest.mark.parametrize("header", [{"x-stack-known-error": "USER_NOT_FOUND"}, {}], ids=["header", "body"])
async def test_the_code_may_stand_in_the_header_or_in_the_body(fake: FakeStack, header: dict[str, str]) -> None:
    fake.troubles.append(trouble.body(b"{}" if header else NOT_FOUND, 404, headers=header))

    async with stack_api(fake) as api:
        assert await api.user(uuid4()) is None


async def test_an_answer_about_another_user_is_none(fake: FakeStack) -> None:
    [one] = many(fake, 1)
    fake.troubles.append(trouble.body(orjson.dumps(fake.project.user(one))))

    async with stack_api(fake) as api:
        with pytest.raises(UnexpectedAnswer, match="another id"):
            await api.user(uuid4())


async def test_a_team_s_members_come_with_their_users_hidden_ones_too(any_fake: FakeStack) -> None:
    team, [user] = one(any_fake.project.create_team()), many(any_fake, 1)
    guest = one(any_fake.project.sign_up_anonymously())
    any_fake.project.join(team, user)
    any_fake.project.join(team, guest)

    async with stack_api(any_fake) as api:
        members = await api.team_member_profiles(UUID(team))

    assert members is not None
    assert [str(member.user_id) for member in members] == [user, guest]
    assert orjson.loads(members[0].user_body) == any_fake.project.user(user)


async def test_an_unknown_team_has_no_members_and_an_empty_one_has_an_empty_list(any_fake: FakeStack) -> None:
    team = UUID(one(any_fake.project.create_team()))

    async with stack_api(any_fake) as api:
        assert await api.team_member_profiles(uuid4()) is None
        assert await api.team_member_profiles(team) == ()


async def test_permissions_are_the_direct_ones(any_fake: FakeStack) -> None:
    [user] = many(any_fake, 1)
    team = one(any_fake.project.create_team(creator=user))
    any_fake.project.definitions["moderator"] = ()
    any_fake.project.grant(user, "moderator")

    async with stack_api(any_fake) as api:
        [of_team] = await api.team_permissions(UUID(team))
        [of_project] = await api.project_permissions()

    assert (of_team.id, str(of_team.user_id), str(of_team.team_id)) == ("team_admin", user, team)
    assert (of_project.id, str(of_project.user_id), of_project.team_id) == ("moderator", user, None)


ASKS: dict[str, Callable[[StackApi], Awaitable[object]]] = {
    "user": lambda api: api.user(uuid4()),
    "team": lambda api: api.team(uuid4()),
    "users": lambda api: api.users(),
    "active": lambda api: api.recently_active_users(),
    "teams": lambda api: api.teams(),
    "members": lambda api: api.team_member_profiles(uuid4()),
    "team permissions": lambda api: api.team_permissions(uuid4()),
    "project permissions": lambda api: api.project_permissions(),
}


@pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS)
async def test_a_wrong_key_is_an_error_of_every_call(
    any_fake: FakeStack, ask: Callable[[StackApi], Awaitable[object]]
) -> None:
    any_fake.keys["server"] = "another"

    async with stack_api(any_fake) as api:
        with pytest.raises(KnownError) as raised:
            await ask(api)

    assert (raised.value.status, raised.value.code) == (401, "INVALID_SECRET_SERVER_KEY")
    assert len(any_fake.asked) == 1


@pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS)
async def test_a_wrong_address_is_an_error_of_every_call(
    fake: FakeStack, ask: Callable[[StackApi], Awaitable[object]]
) -> None:
    fake.troubles.append(trouble.text(404))

    async with stack_api(fake) as api:
        with pytest.raises(UnexpectedAnswer, match="check STACK_API_URL"):
            await ask(api)


@pytest.mark.parametrize("name", ["members", "team permissions"])
async def test_an_answer_about_another_team_is_none(fake: FakeStack, name: str) -> None:
    user, team = str(uuid4()), str(uuid4())
    item = {"id": "team_member", "team_id": team, "user_id": user, "user": {"id": user}}
    fake.troubles.append(trouble.body(orjson.dumps({"items": [item], "is_paginated": False})))

    async with stack_api(fake) as api:
        with pytest.raises(UnexpectedAnswer, match="another team"):
            await ASKS[name](api)


async def test_only_the_headers_that_old_servers_know_are_sent(old_fake: FakeStack) -> None:
    async with stack_api(old_fake) as api:
        await api.users()

    [asked] = old_fake.asked
    ours = {name for name in asked.headers if name.startswith("x-")}
    assert ours == {"x-stack-access-type", "x-stack-project-id", "x-stack-secret-server-key"}
    assert asked.headers["x-stack-access-type"] == "server"
