"""The parts of the clients of Svix and of Stack's administration: what a body holds, and what is asked for."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
import pytest

from consumer.stack_api import svix_answers
from consumer.stack_api.admin import StackAdmin, SvixToken
from consumer.stack_api.errors import SvixRefused, UnexpectedAnswer
from consumer.stack_api.listing import NotAnAnswer
from consumer.stack_api.svix import SvixApi
from consumer.stack_api.svix_answers import EndpointsPage, ExpiredMessage, MessagesPage, SvixMessage
from tests.test_stack_parts import Answers, answer

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def test_an_endpoint_is_read_by_the_names_of_any_age() -> None:
    def read(**named: object) -> Any:
        return svix_answers.endpoint(orjson.dumps({"id": "ep_1", "url": "u", **named}))

    plain = read()
    assert (plain.id, plain.url, plain.is_disabled, plain.event_types, plain.channels) == (
        "ep_1",
        "u",
        False,
        None,
        None,
    )
    assert [read(disabled=each).is_disabled for each in (None, False, True)] == [False, False, True]
    assert read(eventTypes=["a"], filterTypes=["b"]).event_types == ("a",)
    assert read(filterTypes=["b"]).event_types == ("b",)
    assert read(channels=["c", "d"]).channels == ("c", "d")
    for odd, said in (({"disabled": 1}, "disabled is no boolean"), ({"channels": [1]}, "channels is no list of texts")):
        with pytest.raises(NotAnAnswer, match=f"^{said}$"):
            read(**odd)


def test_the_last_attempts_tell_which_failed() -> None:
    statuses = [{"status": n} for n in (2, 0, 1, 3, 2)]

    assert svix_answers.attempted_page(orjson.dumps({"data": statuses})) == (True, False, False, False, True)
    with pytest.raises(NotAnAnswer, match=r"^status is no number$"):
        svix_answers.attempted_page(orjson.dumps({"data": [{"status": 1}, {}]}))


def message(message_id: str, second: int, payload: object) -> dict[str, object]:
    return {"id": message_id, "timestamp": (NOON + timedelta(seconds=second)).isoformat(), "payload": payload}


def test_a_page_of_messages_has_its_ends_and_what_has_expired_apart() -> None:
    told = [message("b", 2, {"a": 1}), message("c", 3, {}), message("a", 1, {"expired": True})]
    told += [message("d", 0, {"expired": False}), message("e", 2, {"expired": True, "a": 1})]

    page = svix_answers.messages_page(orjson.dumps({"data": told, "iterator": "i", "done": False}))

    at = {second: NOON + timedelta(seconds=second) for second in range(4)}
    kept = (
        SvixMessage("b", at[2], b'{"a":1}'),
        SvixMessage("d", at[0], b'{"expired":false}'),
        SvixMessage("e", at[2], b'{"expired":true,"a":1}'),
    )
    assert page == MessagesPage(kept, (ExpiredMessage("c", at[3]), ExpiredMessage("a", at[1])), at[3], at[0], "i")
    assert page.since(at[2]) == MessagesPage(
        (kept[0], kept[2]), (ExpiredMessage("c", at[3]),), at[3], at[0], "i"
    )  # fmt: skip
    assert not page.is_empty
    assert MessagesPage((), (), None, None, None).is_empty


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        ({"id": "a b"}, "id is no message id"),
        ({"id": "m" * 257}, "id is no message id"),
        ({"timestamp": "x"}, "timestamp is no time"),
        ({"timestamp": "2026-11-24T12:00:00"}, "timestamp has no zone"),
    ],
)
def test_a_message_without_id_or_time_is_no_answer(odd: dict[str, object], said: str) -> None:
    told = message("m" * 256, 1, {"a": 1})
    assert svix_answers.messages_page(orjson.dumps({"data": [told], "done": True})).messages[0].id == "m" * 256

    with pytest.raises(NotAnAnswer, match=f"^{said}$"):
        svix_answers.messages_page(orjson.dumps({"data": [{**told, **odd}], "done": True}))


def test_a_list_ends_where_it_is_done() -> None:
    for body, iterator in (({"done": True, "iterator": "i"}, None), ({"done": False, "iterator": "i"}, "i")):
        page = svix_answers.endpoints_page(orjson.dumps({"data": [], **body}))
        assert page == EndpointsPage((), iterator)
        assert page.is_empty
    for odd, said in (({}, "done is no boolean"), ({"done": False}, "iterator is no text")):
        with pytest.raises(NotAnAnswer, match=f"^{said}$"):
            svix_answers.endpoints_page(orjson.dumps({"data": [], **odd}))


def endpoints(*ids: str, iterator: str | None = None) -> dict[str, object]:
    return {"data": [{"id": each, "url": "u"} for each in ids], "done": iterator is None, "iterator": iterator}


class Admin:
    """Stack, as it gives new tokens."""

    async def svix_token(self) -> SvixToken:
        return SvixToken("new", is_hosted=False)


def svix(*answers: object) -> tuple[SvixApi, Answers]:
    caller: Any = Answers(*answers)
    admin: Any = Admin()
    return SvixApi(caller, admin, "old", "a/b"), caller


async def test_a_list_is_walked_with_the_iterator_of_the_page_before() -> None:
    api, caller = svix(endpoints("a", iterator="1"), endpoints("b", iterator="2"), endpoints())

    assert [each.id for each in await api.endpoints()] == ["a", "b"]
    assert [call.query.get("iterator") for call in caller.calls] == [None, "1", "2"]
    assert {(call.method, call.path, call.query["limit"]) for call in caller.calls} == {
        ("GET", "/api/v1/app/a%2Fb/endpoint", "150")
    }


@pytest.mark.parametrize(
    ("pages", "said"),
    [
        ([endpoints("a", iterator="1"), endpoints("b", iterator="1")], "its iterator is one of before"),
        ([endpoints("a", iterator="1"), endpoints(iterator="2")], "it is empty and not the last"),
    ],
)
async def test_a_list_that_leads_nowhere_is_no_answer(pages: list[object], said: str) -> None:
    api, _ = svix(*pages)

    with pytest.raises(UnexpectedAnswer, match=rf"^The answer to GET /api/v1/app/a%2Fb/endpoint \(200\) .*: {said}\.$"):
        await api.endpoints()


async def test_an_expired_token_is_replaced_once_and_the_new_one_is_kept() -> None:
    expired = answer({"detail": "x"}, 401)
    api, caller = svix(expired, endpoints("a"), endpoints(), answer(b"<html>", 401), answer({"detail": "x"}, 403))

    assert [each.id for each in await api.endpoints()] == ["a"]
    assert await api.endpoints() == ()
    with pytest.raises(UnexpectedAnswer):
        await api.endpoints()
    with pytest.raises(SvixRefused, match="403"):
        await api.endpoints()

    assert [call.headers["authorization"] for call in caller.calls] == ["Bearer old", *["Bearer new"] * 4]


async def test_each_call_of_an_endpoint_has_its_method_path_and_body() -> None:
    one = {"id": "ep_1", "url": "u"}
    api, caller = svix(one, one, one, {"key": "whsec_1"}, {"data": []})

    await api.endpoint("e/1")
    await api.create_endpoint("u", "d")
    await api.patch_endpoint("e1", {"disabled": False})
    assert await api.endpoint_secret("e1") == "whsec_1"
    assert await api.last_failures("e1") == ()

    root = "/api/v1/app/a%2Fb/endpoint"
    assert [(call.method, call.path, call.body) for call in caller.calls] == [
        ("GET", f"{root}/e%2F1", None),
        ("POST", root, {"url": "u", "description": "d"}),
        ("PATCH", f"{root}/e1", {"disabled": False}),
        ("GET", f"{root}/e1/secret", None),
        ("GET", f"{root}/e1/msg", None),
    ]
    assert UUID(caller.calls[1].headers["idempotency-key"])
    assert dict(caller.calls[4].query) == {"limit": "10", "with_content": "false"}


async def test_a_walk_ends_behind_the_page_that_is_older_than_wanted() -> None:
    def told(*messages: dict[str, object], iterator: str | None) -> dict[str, object]:
        return {"data": list(messages), "done": iterator is None, "iterator": iterator}

    exact, older = message("b", 0, {"a": 1}), message("c", -1, {"a": 1})
    api, caller = svix(told(exact, iterator="1"), told(older, iterator="2"))

    pages = [page async for page in api.messages(NOON, "0", 7)]

    assert [[each.id for each in page.messages] for page in pages] == [["b"], []]
    assert [dict(call.query) for call in caller.calls] == [
        {"with_content": "true", "limit": "7", "iterator": each} for each in "01"
    ]


async def test_stack_makes_a_token_and_tells_whether_the_test_event_arrived() -> None:
    caller: Any = Answers({"token": "t", "url": "x"}, {"token": "t"}, {"success": True}, {"success": False})
    admin = StackAdmin(caller)

    assert await admin.svix_token() == SvixToken("t", is_hosted=True)
    assert await admin.svix_token() == SvixToken("t", is_hosted=False)
    assert [await admin.send_test_webhook("ep_1") for _ in "12"] == [True, False]
    assert [(call.method, call.path, call.body) for call in caller.calls[1:3]] == [
        ("POST", "/api/v1/webhooks/svix-token", {}),
        ("POST", "/api/v1/internal/send-test-webhook", {"endpoint_id": "ep_1"}),
    ]
