"""`Prefer: wait=N` over real HTTP: a sign-in callback gets the row that its own event makes."""

import asyncio
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from consumer.events import registry
from consumer.events.registry import APP, EVENT_TYPES, EventType
from consumer.postgres.connections import open_pool, receiver_access
from consumer.providers.payload import Payload
from consumer.receiver.waits import WAIT_SECONDS_MAX, WAITS_MAX, open_waits, wait_asked_for
from consumer.settings.settings import DeletePolicy
from consumer.web.connection_limits import Limits
from tests.support.databases import rows, schema_change
from tests.support.effects import applied, under
from tests.support.factories import snapshot, user_deleted, user_updated
from tests.support.prefer import USER, answer, event, told
from tests.support.web import Site, post, running

RECEIVER = receiver_access("consumer")
LONG = timedelta(seconds=60)


@pytest.fixture
def site(emptied: str) -> Iterator[Site]:
    with running(emptied, Limits()) as site:
        yield site


async def test_the_answer_is_the_profile_as_soon_as_it_is_applied(site: Site, emptied: str) -> None:
    data = {"id": str(USER), "signed_in_at_millis": 1_795_330_800_123, **snapshot(display_name="Ada")}

    reply = await answer(site, emptied, event(data))

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


async def test_an_applied_event_of_someone_without_a_profile_is_answered_204(site: Site, emptied: str) -> None:
    reply = await answer(site, emptied, event({"id": str(uuid4())}))

    assert (reply.status, reply.body, reply.headers["preference-applied"]) == (204, b"", "wait=4")


def test_what_is_not_applied_in_time_is_stored_and_answered_202(site: Site, emptied: str) -> None:
    reply = site.ask(event({"id": str(USER)}, prefer="wait=1"))

    assert told(reply) == (202, {"message_id": "in_1", "state": "pending"})
    assert [row["state"] for row in rows(emptied, "SELECT state FROM consumer.deliveries")] == ["pending"]


@pytest.mark.parametrize(
    ("event_type", "data", "code", "path", "reason"),
    [
        ("user.signed_in", {"id": "nobody"}, "bad_shape", "$.data.id", "Expected a UUID with its hyphens"),
        ("user.signed_out", {}, "bad_shape", "$.data.id", "Required field is missing"),
        ("user.signed_in", {"id": str(USER), "display_name": "\0"}, "nul", "$.data.display_name", None),
        ("user.signed_in", {"id": str(USER), "isAnonymous": 1}, "unknown_field", "$.data.isAnonymous", None),
        ("profile.edited", {"id": str(USER), "roleType": "x"}, "unknown_field", "$.data.roleType", None),
        ("profile.edited", {"id": str(USER), "a: b": "x"}, "unknown_field", "$.data", None),
    ],
)
def test_what_can_never_be_applied_is_told_at_once_with_path_and_reason(
    event_type: str, data: object, code: str, path: str, reason: str | None, site: Site, emptied: str
) -> None:
    status, document = told(site.ask(event(data, event_type, prefer="wait=5")))

    [error] = [row["error"] for row in rows(emptied, "SELECT error FROM consumer.deliveries WHERE state = 'dead'")]
    assert status == 202
    assert document == {
        "message_id": "in_1",
        "state": "dead",
        "error_code": code,
        "path": path,
        "reason": reason or error.removeprefix(f"{path}: "),
    }
    assert error == f"{path}: {document['reason']}"


async def test_what_the_database_refused_is_told_by_its_code(site: Site, poison: str) -> None:
    reply = await answer(site, poison, event({"id": str(USER), **snapshot(display_name="Mallory")}))

    status, document = told(reply)
    assert document.pop("reason")
    assert (status, document) == (202, {"message_id": "in_1", "state": "dead", "error_code": "23514", "path": None})


async def test_a_type_of_one_s_own_is_not_waited_for(site: Site, emptied: str, monkeypatch: pytest.MonkeyPatch) -> None:
    own = {"order.placed": EventType(Payload, APP, user="id")}
    monkeypatch.setattr(registry, "EVENT_TYPES", {**EVENT_TYPES, **own})
    await applied(emptied, user_updated(USER))

    reply = await answer(site, emptied, event({"id": str(USER), "user_id": str(USER)}, "order.placed"))

    assert (reply.status, reply.body, reply.headers.get("preference-applied")) == (204, b"", None)


@pytest.mark.parametrize("event_type", ["order.lost", "user.updated", "user.signed_in "])
async def test_an_unknown_type_is_told_and_returns_nobody(event_type: str, site: Site, emptied: str) -> None:
    await applied(emptied, user_updated(USER))

    status, document = told(site.ask(event({"id": str(USER), "user_id": str(USER)}, event_type, prefer="wait=5")))

    assert (status, str(document.pop("reason"))[:15]) == (202, "Expected one of")
    assert document == {"message_id": "in_1", "state": "dead", "error_code": "unknown_type", "path": "$.type"}


@pytest.mark.parametrize(
    ("policy", "status", "name"), [("soft", 200, "Ada"), ("anonymise", 200, "Deleted user"), ("hard", 204, None)]
)
async def test_a_sign_in_of_a_deleted_user_tells_the_deletion(
    policy: DeletePolicy, status: int, name: str | None, site: Site, emptied: str
) -> None:
    await applied(await under(emptied, policy), user_updated(USER), deletion := user_deleted(USER))

    reply = await answer(site, emptied, event({"id": str(USER)}))

    found = json.loads(reply.body or b"{}")
    deleted_at = datetime.fromisoformat(found["deleted_at"]) if name else None
    assert (reply.status, found.get("full_name"), deleted_at) == (status, name, deletion.occurred_at if name else None)


async def test_an_edit_is_answered_with_the_profile_that_it_made(site: Site, emptied: str) -> None:
    await applied(emptied, user_updated(USER))

    reply = await answer(site, emptied, event({"id": str(USER), "role_type": "owner"}, "profile.edited"))

    assert (reply.status, json.loads(reply.body)["role_type"]) == (200, "owner")


@pytest.mark.parametrize("is_stack_first", [True, False])
async def test_an_anonymous_visitor_gets_no_profile_in_either_order(
    is_stack_first: bool, site: Site, emptied: str
) -> None:
    """The user object is what the page's sample sends of an anonymous user."""
    anonymous = {"display_name": None, "primary_email": None, "profile_image_url": None, "is_anonymous": True}
    stack = user_updated(USER, **anonymous)
    if is_stack_first:
        await applied(emptied, stack)

    reply = await answer(site, emptied, event({"id": str(USER), **anonymous}))
    await applied(emptied, stack)

    assert (reply.status, rows(emptied, "SELECT * FROM identity.profiles")) == (204, [])


def test_stack_is_answered_at_once_whatever_it_prefers(site: Site) -> None:
    reply = site.ask(post(more={"prefer": "wait=5"}))

    assert (reply.status, reply.headers.get("preference-applied")) == (204, None)


def test_a_database_that_goes_away_after_the_commit_turns_the_answer_into_not_yet(site: Site, emptied: str) -> None:
    rename = "ALTER FUNCTION consumer.{} RENAME TO {}"

    with schema_change(emptied, rename.format("app_deliveries", "gone"), rename.format("gone", "app_deliveries")):
        reply = site.ask(event({"id": str(USER)}, prefer="wait=1"))

    assert reply.status == 202


async def test_more_who_wait_than_there_is_room_for_are_told_at_once(emptied: str) -> None:
    async with (
        open_pool(emptied, RECEIVER, size=1, wait_timeout=LONG) as pool,
        open_waits(pool, RECEIVER) as waits,
        asyncio.timeout(20),
    ):
        waiting = [asyncio.create_task(waits.wait_for(f"in_{n}", uuid4(), LONG)) for n in range(WAITS_MAX)]
        await asyncio.sleep(0)
        assert await waits.wait_for("one_more", uuid4(), LONG) is None
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
        assert await waits.wait_for("in_time", uuid4(), timedelta(0)) is None


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
    reply = await answer(site, emptied, event({"id": str(USER), **snapshot()}, prefer="wait=60"))

    assert reply.headers["preference-applied"] == f"wait={WAIT_SECONDS_MAX}"
