"""`Prefer: wait=N` over real HTTP: a sign-in callback gets the row that its own event makes."""

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from consumer.postgres.connections import open_pool, receiver_access, worker_access
from consumer.receiver.waits import WAIT_SECONDS_MAX, WAITS_MAX, open_waits, wait_asked_for
from consumer.web.connection_limits import Limits
from tests.support.databases import rows, schema_change
from tests.support.factories import snapshot
from tests.support.outbox import work
from tests.support.web import APP_SECRET, Reply, Site, post, running

WORKER = worker_access("consumer")
RECEIVER = receiver_access("consumer")
LONG = timedelta(seconds=60)
USER = UUID("6f1c2f0e-9d3b-4a57-8c21-0b7d5e9a4f10")


@pytest.fixture
def site(emptied: str) -> Iterator[Site]:
    with running(emptied, Limits()) as site:
        yield site


def signed_in(data: object, *, message_id: str = "in_1", prefer: str = "wait=4", path: str = "/webhooks/app") -> bytes:
    body = json.dumps({"type": "user.signed_in", "data": data}).encode()
    return post(body, path=path, secret=APP_SECRET, message_id=message_id, more={"prefer": prefer})


async def answer(site: Site, database_url: str, request: bytes) -> Reply:
    """Ask, and work until the answer is there."""
    with ThreadPoolExecutor(1) as pool:
        reply = pool.submit(site.ask, request)
        while not reply.done():
            await work(database_url)
        return reply.result()


async def test_the_answer_is_the_profile_as_soon_as_it_is_applied(site: Site, emptied: str) -> None:
    data = {"id": str(USER), "signed_in_at_millis": 1_795_330_800_123, **snapshot(display_name="Ada")}

    reply = await answer(site, emptied, signed_in(data))

    assert (reply.status, reply.headers["preference-applied"]) == (200, "wait=4")
    profile: dict[str, Any] = json.loads(reply.body)
    [row] = rows(emptied, "SELECT * FROM identity.profiles")
    assert {name: profile[name] for name in ("user_id", "full_name", "email", "role_type", "company_id")} == {
        "user_id": str(USER),
        "full_name": "Ada",
        "email": "ada@example.com",
        "role_type": "member",
        "company_id": None,
    }
    assert profile.keys() == row.keys() - {"search_name", "guest_keys"}
    assert profile["last_sign_in_at"] == "2026-11-22T07:00:00.123+00:00"


async def test_a_repeat_is_answered_with_the_profile_as_it_is_now(site: Site, emptied: str) -> None:
    request = signed_in({"id": str(USER), **snapshot()})
    await answer(site, emptied, request)

    reply = site.ask(request)

    assert (reply.status, json.loads(reply.body)["user_id"]) == (200, str(USER))


async def test_an_applied_event_of_someone_without_a_profile_is_answered_204(site: Site, emptied: str) -> None:
    reply = await answer(site, emptied, signed_in({"id": str(uuid4())}))

    assert (reply.status, reply.body, reply.headers["preference-applied"]) == (204, b"", "wait=4")


@pytest.mark.parametrize(
    ("data", "state"), [({"id": str(USER)}, "pending"), ({"id": "nobody"}, "dead")], ids=["pending", "dead"]
)
def test_what_is_not_applied_in_time_is_stored_and_answered_202(
    data: object, state: str, site: Site, emptied: str
) -> None:
    reply = site.ask(signed_in(data, prefer="wait=1"))

    assert (reply.status, json.loads(reply.body)) == (202, {"message_id": "in_1", "state": state})
    assert [row["state"] for row in rows(emptied, "SELECT state FROM consumer.deliveries")] == [state]


def test_stack_is_answered_at_once_whatever_it_prefers(site: Site) -> None:
    reply = site.ask(post(more={"prefer": "wait=5"}))

    assert (reply.status, reply.headers.get("preference-applied")) == (204, None)


def test_a_database_that_goes_away_after_the_commit_turns_the_answer_into_not_yet(site: Site, emptied: str) -> None:
    rename = "ALTER FUNCTION consumer.{} RENAME TO {}"

    with schema_change(emptied, rename.format("app_deliveries", "gone"), rename.format("gone", "app_deliveries")):
        reply = site.ask(signed_in({"id": str(USER)}, prefer="wait=1"))

    assert reply.status == 202


async def test_more_who_wait_than_there_is_room_for_are_told_at_once(emptied: str) -> None:
    async with (
        open_pool(emptied, RECEIVER, size=1, wait_timeout=LONG) as pool,
        open_waits(pool, RECEIVER) as waits,
        asyncio.timeout(20),
    ):
        waiting = [asyncio.create_task(waits.wait_for(f"in_{n}", LONG)) for n in range(WAITS_MAX)]
        await asyncio.sleep(0)
        assert await waits.wait_for("one_more", LONG) is None
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
        assert await waits.wait_for("in_time", timedelta(0)) is None


@pytest.mark.parametrize(
    ("preferences", "seconds"),
    [
        (["wait=3"], 3),
        (["Wait = 3"], 3),
        (['wait="3"'], 3),
        (["respond-async, wait=3"], 3),
        (["respond-async", "wait=3; x=1"], 3),
        (["wait=3, wait=4"], 3),
        (["wait=60"], 60),
        (["wait=0"], 0),
        (["wait=-1"], 0),
        (["wait=1.5"], 0),
        (["wait=" + "9" * 40], 0),
        (["await=3"], 0),
        (["handling=strict; wait=3"], 0),
        (["wait"], 0),
        ([""], 0),
        ([], 0),
    ],
)
def test_a_preference_is_read_as_rfc_7240_writes_it(preferences: list[str], seconds: int) -> None:
    assert wait_asked_for([(b"prefer", text.encode()) for text in preferences]) == seconds


async def test_nobody_waits_longer_than_the_limit(site: Site, emptied: str) -> None:
    reply = await answer(site, emptied, signed_in({"id": str(USER), **snapshot()}, prefer="wait=60"))

    assert reply.headers["preference-applied"] == f"wait={WAIT_SECONDS_MAX}"
