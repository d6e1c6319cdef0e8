"""The parts of the client of Stack: which error an answer is, what a body holds, and what is asked for."""

from typing import Any
from uuid import UUID

import httpx
import orjson
import pytest

from consumer.stack_api import listing, refusals
from consumer.stack_api.calls import ApiAnswer, Call
from consumer.stack_api.client import StackAccess, StackApi, answer_to, project_headers
from consumer.stack_api.errors import AnswerTooLarge, CannotListAll, KnownError, SvixRefused, UnexpectedAnswer
from consumer.stack_api.listing import ListedObject, ListPage, NotAnAnswer, Permission

CALL = Call("GET", "/x")
USER, TEAM = UUID("0b6f7d52-1c3e-4f0a-9a41-5d2e8c7b1f01"), UUID("9d2b4f60-8e1c-4a35-bd74-c6e8f0a2b402")


def answer(body: object = b"", status: int = 200, **headers: str) -> ApiAnswer:
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    return ApiAnswer(status, httpx.Headers({name.replace("_", "-"): text for name, text in headers.items()}), content)


class Answers:
    """A caller with the answers to come, or errors; it keeps the calls."""

    def __init__(self, *answers: object) -> None:
        self.answers = list(answers)
        self.calls: list[Call] = []

    async def answer(self, call: Call) -> ApiAnswer:
        self.calls.append(call)
        found = self.answers.pop(0)
        if isinstance(found, Exception):
            raise found
        return found if isinstance(found, ApiAnswer) else answer(found)


def refused(code: str, status: int = 400) -> ApiAnswer:
    return answer({"code": code}, status)


def stack(*answers: object) -> tuple[StackApi, Answers]:
    caller: Any = Answers(*answers)
    return StackApi(caller), caller


HEADER = "x_stack_known_error"


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (answer({"code": "A_1"}, 400), "A_1"),
        (answer({"code": "A"}, 399), None),
        (answer({"code": "A"}, 500), "A"),
        (answer({"code": "A"}, 400, **{HEADER: "A"}), "A"),
        (answer({"code": "A"}, 400, **{HEADER: "B"}), None),
        (answer(b"", 400, **{HEADER: "B"}), "B"),
        (answer({"code": 7}, 400), None),
        (answer({"code": "A" * 100}, 400), "A" * 100),
        (answer({"code": "A" * 101}, 400), None),
        (answer({"code": "a"}, 400), None),
        (answer({"code": "1A"}, 400), None),
        (answer({"code": "A B"}, 400), None),
        (answer({"code": "A\n"}, 400), None),
        (answer({}, 400), None),
        (answer(b"no json", 400), None),
    ],
)
def test_a_refusal_is_stacks_own_by_its_code_alone(given: ApiAnswer, code: str | None) -> None:
    error = refusals.refusal(CALL, given)

    if code is None:
        assert isinstance(error, UnexpectedAnswer)
        assert str(error).endswith("an unknown type without one of Stack's codes, check STACK_API_URL.")
    else:
        assert isinstance(error, KnownError)
        assert (error.code, error.status, str(error)) == (
            code,
            given.status,
            f"Stack refused GET /x: {code} ({given.status}).",
        )


@pytest.mark.parametrize(
    ("given", "is_svix"),
    [
        (answer({"detail": "x"}, 400), True),
        (answer({"detail": "x"}, 399), False),
        (answer({"code": "x"}, 400), False),
        (answer(b"<html>", 404), False),
    ],
)
def test_a_refusal_is_svixs_own_by_its_detail(given: ApiAnswer, is_svix: bool) -> None:
    error = refusals.svix_refusal(CALL, given)

    assert isinstance(error, SvixRefused if is_svix else UnexpectedAnswer)
    assert error.status == given.status
    assert is_svix or str(error).endswith("an unknown type without Svix's shape, check SVIX_SERVER_URL.")


@pytest.mark.parametrize(
    ("media_type", "named"),
    [
        ("Text/HTML; charset=utf-8", "text/html"),
        (" application/problem+json ;x", "application/problem+json"),
        ("", "an unknown type"),
        ("text", "an unknown type"),
        ("text/<b>", "an unknown type"),
        (f"{'a' * 40}/{'b' * 60}", f"{'a' * 40}/{'b' * 60}"),
        (f"{'a' * 41}/b", "an unknown type"),
        (f"a/{'b' * 61}", "an unknown type"),
    ],
)
def test_an_unexpected_answer_names_its_media_type(media_type: str, named: str) -> None:
    error = refusals.refusal(CALL, answer(b"", 404, content_type=media_type))

    assert str(error).startswith(f"The answer to GET /x (404) is not one of the API: {named} without")


async def test_the_text_of_a_body_that_is_no_answer_is_not_told() -> None:
    caller: Any = Answers(answer(b"secret", 201), refused("CODE"))

    with pytest.raises(UnexpectedAnswer, match=r"^The answer to GET /x \(201\) .*: no object where one was expected"):
        await answer_to(caller, CALL, listing.page)
    with pytest.raises(KnownError, match="CODE"):
        await answer_to(caller, CALL, listing.page)


def test_a_call_is_told_by_method_and_path_and_its_headers_are_shown_to_nobody() -> None:
    access = StackAccess("https://x", "project", "ssk_1", "sak_1")

    assert str(Call("PATCH", "/a", {"b": "c"}, {}, {"key": "ssk_1"})) == "PATCH /a"
    assert "ssk_1" not in repr(Call("GET", "/a", headers={"key": "ssk_1"}))
    assert project_headers(access, "admin") == {"x-stack-access-type": "admin", "x-stack-project-id": "project"}


def paged(*ids: str, cursor: str | None = None) -> dict[str, object]:
    return {"items": [{"id": each} for each in ids], "is_paginated": True, "pagination": {"next_cursor": cursor}}


ITEM = ListedObject("a", b'{"id":"a"}')


async def test_a_page_of_users_is_tried_with_a_tenth_until_it_is_small_enough_and_stays_so() -> None:
    api, caller = stack(*[AnswerTooLarge("x")] * 3, paged("a", cursor="c"), paged("a"), AnswerTooLarge("x"))

    assert await api.users() == ListPage((ITEM,), "c")
    assert await api.users("c") == ListPage((ITEM,), None)
    with pytest.raises(AnswerTooLarge):
        await api.users("d")

    assert [call.query["limit"] for call in caller.calls] == ["1000", "100", "10", "1", "1", "1"]
    assert [call.query.get("cursor") for call in caller.calls] == [*[None] * 4, "c", "d"]
    assert {call.query["include_anonymous"] for call in caller.calls} == {"true"}


async def test_only_a_schema_error_of_the_first_page_tells_that_a_server_cannot_list_all() -> None:
    api, _ = stack(refused("SCHEMA_ERROR"), refused("OTHER"), refused("SCHEMA_ERROR"))

    with pytest.raises(CannotListAll):
        await api.users()
    with pytest.raises(KnownError, match="OTHER"):
        await api.users()
    with pytest.raises(KnownError, match="SCHEMA_ERROR"):
        await api.users("c")


async def test_a_server_that_cannot_sort_has_no_recently_active_users_and_another_error_is_one() -> None:
    api, caller = stack(paged("a"), refused("SCHEMA_ERROR"), refused("OTHER"))

    assert await api.recently_active_users() == ListPage((ITEM,), None)
    assert await api.recently_active_users("c") is None
    with pytest.raises(KnownError, match="OTHER"):
        await api.recently_active_users()

    order = {"limit": "100", "include_anonymous": "true", "order_by": "last_active_at", "desc": "true"}
    assert [dict(call.query) for call in caller.calls] == [order, {**order, "cursor": "c"}, order]


async def test_an_old_server_is_asked_for_all_teams_without_a_cursor_and_another_error_is_one() -> None:
    api, caller = stack(paged("a", cursor="c"), refused("SCHEMA_ERROR"), paged("a"), refused("OTHER"))

    assert await api.teams() == ListPage((ITEM,), "c")
    assert await api.teams("c") == ListPage((ITEM,), None)
    with pytest.raises(KnownError, match="OTHER"):
        await api.teams()

    queries = [dict(call.query) for call in caller.calls]
    assert queries == [{"limit": "200"}, {"limit": "200", "cursor": "c"}, {}, {"limit": "200"}]
    assert {call.path for call in caller.calls} == {"/api/v1/teams"}


@pytest.mark.parametrize(
    ("code", "status", "is_gone"),
    [("TEAM_NOT_FOUND", 404, True), ("TEAM_NOT_FOUND", 400, False), ("USER_NOT_FOUND", 404, False)],
)
async def test_a_team_is_gone_by_its_own_code_and_404(code: str, status: int, is_gone: bool) -> None:
    for ask in ("team", "team_member_profiles"):
        api, _ = stack(refused(code, status))
        if is_gone:
            assert await getattr(api, ask)(TEAM) is None
        else:
            with pytest.raises(KnownError):
                await getattr(api, ask)(TEAM)


async def test_a_user_may_be_written_in_capitals_and_is_another_with_another_id() -> None:
    body = orjson.dumps({"id": str(USER).upper()})
    api, caller = stack(body, {"id": str(TEAM)})

    assert await api.user(USER) == body
    with pytest.raises(UnexpectedAnswer, match=r"\(200\) .*it has another id"):
        await api.user(USER)
    assert [str(call) for call in caller.calls] == [f"GET /api/v1/users/{USER}"] * 2


async def test_a_teams_users_end_with_an_empty_first_page_and_never_with_an_empty_later_one() -> None:
    api, caller = stack(paged(), paged("a"), paged())

    assert await api.team_users(TEAM) == ListPage((), None)
    assert await api.team_users(TEAM, "c") == ListPage((ITEM,), None)
    with pytest.raises(UnexpectedAnswer, match=r"\(200\) .*the cursor's user is gone"):
        await api.team_users(TEAM, "c")
    assert dict(caller.calls[1].query) == {
        "limit": "1000",
        "include_anonymous": "true",
        "team_id": str(TEAM),
        "cursor": "c",
    }


async def test_a_cursor_that_is_the_one_before_leads_nowhere() -> None:
    api, _ = stack(paged("a", cursor="c"))

    with pytest.raises(UnexpectedAnswer, match=r"/users \(200\) .*: its next cursor is the one"):
        await api.users("c")


async def test_a_list_of_another_team_is_no_answer_even_if_one_element_is_of_it() -> None:
    def item(team: UUID) -> dict[str, object]:
        return {"id": "p", "team_id": str(team), "user_id": str(USER), "user": {"id": str(USER)}}

    own, mixed = {"items": [item(TEAM)]}, {"items": [item(TEAM), item(USER)]}
    api, caller = stack(own, own, {"items": [item(TEAM)]}, mixed, mixed)

    assert [each.user_id for each in await api.team_member_profiles(TEAM) or ()] == [USER]
    assert await api.team_permissions(TEAM) == (Permission("p", USER, TEAM),)
    assert await api.project_permissions() == (Permission("p", USER),)
    with pytest.raises(UnexpectedAnswer, match=r"\(200\) .*members of another team"):
        await api.team_member_profiles(TEAM)
    with pytest.raises(UnexpectedAnswer, match=r"\(200\) .*permissions of another team"):
        await api.team_permissions(TEAM)
    asked = [(call.path, dict(call.query)) for call in caller.calls[:3]]
    team = {"team_id": str(TEAM)}
    assert asked == [
        ("/api/v1/team-member-profiles", team),
        ("/api/v1/team-permissions", team),
        ("/api/v1/project-permissions", {}),
    ]


def test_a_page_ends_only_where_the_answer_says_so() -> None:
    assert listing.page(orjson.dumps({"items": [], "is_paginated": False})) == ListPage((), None)
    assert listing.page(orjson.dumps(paged("a", cursor="c"))) == ListPage((ITEM,), "c")
    for odd, said in (
        ({"items": []}, "is_paginated is no boolean"),
        ({"items": [], "is_paginated": 1}, "is_paginated is no boolean"),
        ({"items": [], "is_paginated": True, "pagination": {}}, "next_cursor is missing"),
        (paged(cursor=""), "next_cursor is no text"),
    ):
        with pytest.raises(NotAnAnswer, match=f"^{said}$"):
            listing.page(orjson.dumps(odd))


@pytest.mark.parametrize(("digits", "is_time"), [(18, True), (19, False)])
def test_a_time_has_at_most_eighteen_digits(digits: int, is_time: bool) -> None:
    text = b'{"id":"a","last_active_at_millis":%b}' % (b"9" * digits)

    assert listing.one(text) == ListedObject("a", text, None, 10**18 - 1 if is_time else None)


def test_a_value_is_parsed_or_absent_or_no_json() -> None:
    assert listing.value({"a": b"[1]"}, "a") == [1]
    assert listing.value({}, "a") is None
    with pytest.raises(NotAnAnswer, match=r"^a is no JSON$"):
        listing.value({"a": b"["}, "a")
    for odd in (b'""', b"7", b"null"):
        with pytest.raises(NotAnAnswer, match=r"^a is no text$"):
            listing.text({"a": odd}, "a")
