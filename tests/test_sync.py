"""An application in Python hands over sign-ins, sign-outs and users: they become rows of the outbox, like all else."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege
from psycopg.rows import dict_row

from consumer.profiles import acting_as
from consumer.sync import REPLICA_LAG, Stored, Synced, handle_sign_in, handle_sign_out, sync_users
from tests.support.databases import rows
from tests.support.factories import delivery, snapshot, user_updated
from tests.support.worker import drain_all, stored, worker

USER = UUID("6f1c2f0e-9d3b-4a57-8c21-0b7d5e9a4f10")
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
T = TypeVar("T")
Work = Callable[[psycopg.AsyncConnection[Any]], Awaitable[T]]


def user(user_id: UUID = USER, **data: object) -> dict[str, object]:
    return {"id": str(user_id), **snapshot(**data)}


async def done_as(role: str, url: str, work: Work[T]) -> T:
    """Do an application's work in one transaction under a role, with rows of the application's own taste."""

    async with (
        await psycopg.AsyncConnection.connect(url, autocommit=True, row_factory=dict_row) as conn,
        acting_as(conn, f"consumer_{role}"),
    ):
        return await work(conn)


async def reported(url: str, work: Work[T]) -> T:
    return await done_as("app", url, work)


async def synced(url: str, users: Iterable[Mapping[str, object]], requested_at: datetime = NOON) -> list[Synced]:
    return await done_as("operator", url, lambda conn: sync_users(conn, users, requested_at=requested_at))


async def profile(url: str) -> dict[str, Any]:
    await drain_all(url, worker())
    [row] = rows(url, "SELECT * FROM identity.profiles")
    return row


async def test_a_sign_in_and_a_sign_out_tell_when(emptied: str) -> None:
    await stored(emptied, [user_updated(USER)])
    await reported(emptied, lambda conn: handle_sign_in(conn, USER, at=NOON))
    await reported(emptied, lambda conn: handle_sign_out(conn, USER, at=NOON + timedelta(hours=1)))

    found = await profile(emptied)

    assert (found["last_sign_in_at"], found["last_sign_out_at"]) == (NOON, NOON + timedelta(hours=1))


async def test_without_a_time_a_sign_in_is_now_by_the_databases_clock(emptied: str) -> None:
    await stored(emptied, [user_updated(USER)])
    result = await reported(emptied, lambda conn: handle_sign_in(conn, USER))

    assert result.is_new
    age = datetime.now(UTC) - (await profile(emptied))["last_sign_in_at"]
    assert timedelta(0) <= age < timedelta(minutes=1)


async def test_a_repeat_under_the_same_id_is_told_and_stored_once(emptied: str) -> None:
    results = [await reported(emptied, lambda conn: handle_sign_in(conn, USER, message_id="session_1")) for _ in "12"]

    assert results == [Stored("session_1", is_new=True), Stored("session_1", is_new=False)]
    assert len(rows(emptied, "SELECT seq FROM consumer.outbox")) == 1


async def test_what_the_callers_transaction_takes_back_was_never_stored(emptied: str) -> None:
    async def fail(conn: psycopg.AsyncConnection[Any]) -> None:
        await handle_sign_in(conn, USER)
        raise LookupError

    with pytest.raises(LookupError):
        await reported(emptied, fail)

    assert rows(emptied, "SELECT seq FROM consumer.outbox") == []


@pytest.mark.parametrize("role", ["app", "receiver", "tenant"])
async def test_nobody_but_the_operator_speaks_as_stack(emptied: str, role: str) -> None:
    with pytest.raises(InsufficientPrivilege):
        await done_as(role, emptied, lambda conn: sync_users(conn, [user()], requested_at=NOON))

    assert rows(emptied, "SELECT seq FROM consumer.outbox") == []


async def test_users_of_the_api_are_stored_as_stacks_word_and_each_is_answered_for(emptied: str) -> None:
    users: list[dict[str, object]] = [
        user(display_name="Ada"),
        {"id": str(uuid4())},
        user(uuid4(), display_name="Grace"),
    ]

    results = await synced(emptied, users)

    assert [result.error is None for result in results] == [True, False, True]
    found = rows(emptied, "SELECT source, message_id, occurred_at, user_id FROM consumer.outbox ORDER BY seq")
    assert {row["source"] for row in found} == {"backfill"}
    assert {row["message_id"] for row in found} == {result.message_id for result in results if not result.error}
    assert {row["occurred_at"] for row in found} == {NOON - REPLICA_LAG}
    await drain_all(emptied, worker())
    names = rows(emptied, "SELECT full_name FROM identity.profiles ORDER BY full_name")
    assert [row["full_name"] for row in names] == ["Ada", "Grace"]


async def test_a_webhook_about_the_moment_of_the_request_wins_over_a_synced_user(emptied: str) -> None:
    webhook = user_updated(USER, display_name="Webhook")
    await stored(emptied, [webhook])

    await synced(emptied, [user(display_name="Replica")], webhook.occurred_at + REPLICA_LAG / 2)

    assert (await profile(emptied))["full_name"] == "Webhook"


async def test_a_synced_user_wins_over_the_applications_own(emptied: str) -> None:
    await stored(emptied, [delivery("user.signed_in", USER, "app", **snapshot(display_name="Cached"))])

    await synced(emptied, [user(display_name="Stack")])

    assert (await profile(emptied))["full_name"] == "Stack"


async def test_nobody_to_sync_stores_nothing(emptied: str) -> None:
    assert await synced(emptied, []) == []


async def test_a_user_is_stored_whatever_is_in_its_metadata(emptied: str) -> None:
    deep: list[object] = []
    for _ in range(600):
        deep = [deep]
    odd = [deep, "\ud800", 2**70, "\0", float("inf")]

    users = [user(uuid4(), client_metadata=metadata, server_metadata={"role": "owner"}) for metadata in odd]

    results = await synced(emptied, users)
    await drain_all(emptied, worker())

    assert [result.error for result in results] == [None] * len(odd)
    assert rows(emptied, "SELECT DISTINCT role_type FROM identity.profiles") == [{"role_type": "owner"}]


async def test_a_user_object_of_python_may_hold_an_id_beside_what_orjson_refuses(emptied: str) -> None:
    user_id = uuid4()

    assert (await synced(emptied, [user(client_metadata=2**70) | {"id": user_id}]))[0].error is None

    assert rows(emptied, "SELECT user_id FROM consumer.outbox") == [{"user_id": user_id}]


CIRCLE: list[object] = []
CIRCLE.append(CIRCLE)


@pytest.mark.parametrize("value", [CIRCLE, {1, 2}], ids=["circle", "set"])
async def test_a_value_without_a_form_in_json_is_refused(value: object, emptied: str) -> None:
    [result] = await synced(emptied, [user(client_metadata=value)])

    assert result.error == "$: holds a value that JSON has no form for"
    assert rows(emptied, "SELECT seq FROM consumer.outbox") == []


async def test_a_user_that_cannot_be_encoded_is_reported_and_the_others_are_stored(emptied: str) -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]

    results = await synced(emptied, [user(client_metadata=deep), user(uuid4())])

    assert [result.error is None for result in results] == [False, True]
    assert len(rows(emptied, "SELECT seq FROM consumer.outbox")) == 1
