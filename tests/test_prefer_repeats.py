"""A repeat is never worth a profile: a captured request can be sent again with a `Prefer`, which is not signed."""

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from consumer.web.connection_limits import Limits
from tests.faults.proxy import wire
from tests.support.databases import end_sessions, rows
from tests.support.effects import applied
from tests.support.factories import snapshot, user_updated
from tests.support.outbox import work
from tests.support.prefer import USER, answer, event, told
from tests.support.web import Site, running

DATA = {"id": str(USER), **snapshot()}


@pytest.fixture
def site(emptied: str) -> Iterator[Site]:
    with running(emptied, Limits()) as site:
        yield site


def repeat(state: str, message_id: str = "in_1") -> tuple[int, dict[str, object]]:
    return 202, {"message_id": message_id, "state": state, "repeat": True}


async def test_a_captured_request_is_answered_with_the_state_alone(site: Site, emptied: str) -> None:
    request = event(DATA)
    first = await answer(site, emptied, request)

    replies = [site.ask(request), site.ask(event(DATA, prefer="wait=1")), await answer(site, emptied, request)]

    assert (first.status, json.loads(first.body)["user_id"]) == (200, str(USER))
    assert [told(reply) for reply in replies] == 3 * [repeat("done")]
    assert replies[0].headers["preference-applied"] == "wait=4"


async def test_a_request_that_did_not_wait_makes_its_repeat_no_first(site: Site, emptied: str) -> None:
    assert site.ask(event(DATA, prefer=None)).status == 204
    pending = site.ask(event(DATA))
    await work(emptied)

    assert (told(pending), told(site.ask(event(DATA)))) == (repeat("pending"), repeat("done"))


async def test_neither_another_receiver_nor_a_restart_makes_a_repeat_a_first(emptied: str) -> None:
    with running(emptied, Limits()) as first:
        assert (await answer(first, emptied, event(DATA))).status == 200
        with running(emptied, Limits()) as second:
            beside = told(second.ask(event(DATA)))
    with running(emptied, Limits()) as restarted:
        after = told(restarted.ask(event(DATA)))

    assert (beside, after) == (repeat("done"), repeat("done"))


async def test_of_two_at_once_on_two_receivers_one_gets_the_profile(emptied: str) -> None:
    with running(emptied, Limits()) as one, running(emptied, Limits()) as other, ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(site.ask, event(DATA)) for site in 4 * (one, other)]
        while not all(reply.done() for reply in asked):
            await work(emptied)

    replies = [reply.result() for reply in asked]
    assert sorted(reply.status for reply in replies) == [200, *7 * [202]]
    assert all(json.loads(reply.body).get("repeat") for reply in replies if reply.status == 202)


def test_a_repeat_of_what_is_dead_is_told_so_and_not_why(site: Site) -> None:
    dead = event({"id": str(USER), "isAnonymous": True})
    assert site.ask(dead).status == 202

    assert told(site.ask(dead)) == repeat("dead")


async def test_another_body_under_the_same_id_is_a_repeat_and_names_nobody(site: Site, emptied: str) -> None:
    other = user_updated()
    await applied(emptied, other)
    first = site.ask(event({"id": "nobody"}))

    replies = [
        site.ask(event({"id": str(other.user_id)})),
        site.ask(event({"id": str(other.user_id), "role_type": "owner"}, "profile.edited")),
        site.ask(event({"id": "nobody"})),
    ]

    assert told(first)[1]["state"] == "dead"
    assert [told(reply) for reply in replies] == 3 * [repeat("dead")]
    assert len(rows(emptied, "SELECT FROM consumer.outbox WHERE source = 'app'")) == 1


async def test_a_request_whose_commit_was_answered_into_the_void_is_still_the_first(emptied: str) -> None:
    with wire(emptied) as cable, running(cable.url, Limits()) as site:
        # The first commit wakes the workers, in a transaction whose answer looks otherwise.
        assert (await answer(site, emptied, event(DATA, message_id="in_0"))).status == 200
        cable.lose_commits(1)

        reply = await answer(site, emptied, event(DATA))

        assert (cable.lost, reply.status) == (1, 200)
        assert told(site.ask(event(DATA))) == repeat("done")


async def test_a_repeat_whose_commit_is_tried_twice_is_still_a_repeat(emptied: str) -> None:
    with wire(emptied) as cable, running(cable.url, Limits()) as site:
        assert (await answer(site, emptied, event(DATA))).status == 200
        cable.lose_commits(1)
        lost = told(site.ask(event(DATA)))
        await asyncio.to_thread(end_sessions, emptied, "receiver")
        ended = told(site.ask(event(DATA)))

        assert (cable.lost, lost, ended) == (1, repeat("done"), repeat("done"))
