"""The messages that Svix keeps, newest first, without those that have expired."""

from collections.abc import Sequence
from datetime import timedelta

import orjson
import pytest
from starlette.types import ASGIApp

from consumer.stack_api.errors import UnexpectedAnswer
from consumer.stack_api.svix import SvixApi
from consumer.stack_api.svix_answers import MessagesPage
from tests.support.fake_stack import Event, FakeStack, trouble
from tests.support.fake_stack.project import START
from tests.support.stack_api import svix_api


def events(fake: FakeStack, number: int) -> Sequence[Event]:
    """Let events happen a day apart, the newest now; the newest comes first."""
    for _ in range(number):
        fake.project.now += timedelta(days=1)
        fake.project.sign_up()
    return fake.project.events[::-1]


async def walked(svix: SvixApi, fake: FakeStack, days: float) -> list[MessagesPage]:
    return [page async for page in svix.messages(fake.project.now - timedelta(days=days))]


def ids(pages: Sequence[MessagesPage]) -> list[str]:
    return [message.id for page in pages for message in page.messages]


def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consumer.stack_api.svix.PAGE_LIMIT", 2)


async def test_messages_come_newest_first_until_they_are_older_than_wanted(
    any_svix: FakeStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_pages(monkeypatch)
    sent = events(any_svix, 7)

    async with svix_api(any_svix) as svix:
        pages = await walked(svix, any_svix, 3.5)

    assert ids(pages) == [event.message_id for event in sent[:4]]
    assert len(pages) == 3
    assert orjson.loads(pages[0].messages[0].payload) == orjson.loads(sent[0].body)
    assert pages[0].messages[0].at == sent[0].at
    assert [asked.query for asked in any_svix.asked if "after" in asked.query] == []


async def test_all_messages_are_found_where_none_is_too_old(
    any_svix: FakeStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_pages(monkeypatch)
    sent = events(any_svix, 7)

    async with svix_api(any_svix) as svix:
        pages = await walked(svix, any_svix, 80)

    assert ids(pages) == [event.message_id for event in sent]


async def test_a_walk_goes_on_behind_the_page_that_was_read_last(
    fake: FakeStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_pages(monkeypatch)
    sent = events(fake, 5)

    async with svix_api(fake) as svix:
        first = await anext(svix.messages(START))
        rest = [page async for page in svix.messages(START, first.iterator)]

    assert ids([first, *rest]) == [event.message_id for event in sent]
    assert rest[-1].iterator is None


async def test_a_project_without_messages_has_an_empty_page(any_svix: FakeStack) -> None:
    async with svix_api(any_svix) as svix:
        assert await walked(svix, any_svix, 1) == [MessagesPage((), (), None, None, None)]


async def test_what_is_kept_no_more_is_counted_and_is_no_message(
    fake: FakeStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_pages(monkeypatch)
    sent = events(fake, 5)
    fake.svix.retention = timedelta(days=2.5)

    async with svix_api(fake) as svix:
        pages = await walked(svix, fake, 80)

    assert ids(pages) == [event.message_id for event in sent[:3]]
    assert [len(page.expired) for page in pages] == [0, 1, 1]


async def test_content_is_asked_for_and_a_message_without_it_is_none(fake: FakeStack) -> None:
    message = {"id": "msg_1", "eventType": "user.created", "timestamp": "2026-11-24T12:00:00Z", "payload": {}}
    body = orjson.dumps({"data": [message], "iterator": "msg_1", "done": True})

    async with svix_api(fake) as svix:
        fake.troubles.append(trouble.body(body))
        pages = await walked(svix, fake, 1)

    assert [(page.messages, len(page.expired)) for page in pages] == [((), 1)]
    assert "with_content=true" in fake.asked[-1].query


async def test_a_payload_that_has_expired_among_other_things_is_a_payload(fake: FakeStack) -> None:
    payload = {"type": "own", "expired": True}
    message = {"id": "msg_1", "timestamp": "2026-11-24T12:00:00Z", "payload": payload}

    async with svix_api(fake) as svix:
        fake.troubles.append(trouble.body(orjson.dumps({"data": [message], "iterator": "msg_1", "done": True})))
        pages = await walked(svix, fake, 1)

    assert ids(pages) == ["msg_1"]


NO_MESSAGES = {
    "no time": trouble.body(b'{"data": [{"id": "msg_1", "timestamp": "now", "payload": {}}], "done": true}'),
    "no zone": trouble.body(b'{"data": [{"id": "msg_1", "timestamp": "2026-11-24", "payload": {}}], "done": true}'),
    "an id of two lines": trouble.body(
        b'{"data": [{"id": "msg_1\\n2", "timestamp": "2026-11-24T00:00:00Z", "payload": {"type": "x"}}], "done": true}'
    ),
    "an id that no receiver takes": trouble.body(
        b'{"data": [{"id": "%b", "timestamp": "2026-11-24T00:00:00Z", "payload": {"type": "x"}}], "done": true}'
        % (b"m" * 257)
    ),
    "an empty page before the last": trouble.body(b'{"data": [], "iterator": "msg_1", "done": false}'),
    "no payload": trouble.body(b'{"data": [{"id": "msg_1", "timestamp": "2026-11-24T00:00:00Z"}], "done": true}'),
}


@pytest.mark.parametrize("answer", NO_MESSAGES.values(), ids=NO_MESSAGES)
async def test_what_is_no_list_of_messages_is_an_error(fake: FakeStack, answer: ASGIApp) -> None:
    async with svix_api(fake) as svix:
        fake.troubles.append(answer)
        with pytest.raises(UnexpectedAnswer):
            await walked(svix, fake, 1)


async def test_an_expired_message_from_before_is_left_out_as_any_other(fake: FakeStack) -> None:
    sent = events(fake, 4)
    fake.svix.retention = timedelta(days=1.5)

    async with svix_api(fake) as svix:
        [page] = await walked(svix, fake, 2.5)

    assert [message.id for message in page.messages] == [event.message_id for event in sent[:2]]
    assert [message.id for message in page.expired] == [sent[2].message_id]


async def test_iterators_that_lead_round_in_a_circle_end_the_walk_with_an_error(fake: FakeStack) -> None:
    message = {"id": "msg_1", "timestamp": "2030-01-01T00:00:00Z", "payload": {"type": "x"}}
    pages = [trouble.body(orjson.dumps({"data": [message], "iterator": each, "done": False})) for each in "abcb"]

    async with svix_api(fake) as svix:
        fake.troubles.extend(pages)
        with pytest.raises(UnexpectedAnswer, match="iterator"):
            await walked(svix, fake, 1)

    assert not fake.troubles


async def test_pages_are_as_small_as_wanted(fake: FakeStack) -> None:
    events(fake, 3)

    async with svix_api(fake) as svix:
        pages = [page async for page in svix.messages(START, page_limit=2)]

    assert [len(page.messages) for page in pages] == [2, 1]


async def test_a_page_is_of_150_unless_it_is_to_be_smaller(fake: FakeStack) -> None:
    endpoint = fake.svix.add_endpoint("https://hooks.example.com", fake.project.now)

    async with svix_api(fake) as svix:
        fake.asked.clear()
        await svix.endpoints()
        assert [page async for page in svix.messages(START)]
        await svix.last_failures(endpoint.id)

    assert [asked.query for asked in fake.asked] == [
        "limit=150",
        "with_content=true&limit=150",
        "limit=10&with_content=false",
    ]


async def test_an_iterator_that_does_not_move_ends_the_walk_with_an_error(fake: FakeStack) -> None:
    message = {"id": "msg_1", "timestamp": "2030-01-01T00:00:00Z", "payload": {"type": "x"}}
    stuck = trouble.body(orjson.dumps({"data": [message], "iterator": "msg_1", "done": False}))

    async with svix_api(fake) as svix:
        fake.troubles.extend([stuck, stuck])
        with pytest.raises(UnexpectedAnswer, match="iterator"):
            await walked(svix, fake, 1)
