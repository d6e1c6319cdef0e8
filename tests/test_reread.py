"""Deliveries that an earlier release stored dead, because of a part that this one leaves out."""

from uuid import UUID

import pytest
from psycopg.errors import InsufficientPrivilege

from consumer.operations.replay import Replayed
from consumer.outbox.storage import Delivery
from tests.support import model
from tests.support.databases import change, rows
from tests.support.factories import edited, user_deleted, user_updated
from tests.support.outbox import arrive, replayed, set_aside, states, work
from tests.support.tenants import reader

USER = UUID(int=7)
ROLE = {"role": "member"}
METADATA = {
    "readable then": b"[" * 600 + b"]" * 600,
    "not even parsed then": b"[" * 2000 + b"]" * 2000,
    "no JSON then": rb'"\ud800"',
}


def dead(metadata: bytes, display_name: str = "Ada") -> Delivery:
    """Return a demotion as an earlier release stored it."""
    update = user_updated(server_metadata=ROLE, client_metadata="here", display_name=display_name)
    is_readable = metadata.startswith(b"[") and len(metadata) < 2000
    return update._replace(
        body=update.body.replace(b'"here"', metadata),
        event_type=update.event_type if is_readable else None,
        user_id=update.user_id if is_readable else None,
        error_code="too_deep",
        error="$: nests more than 512 levels",
    )


@pytest.mark.parametrize("metadata", METADATA.values(), ids=METADATA)
async def test_a_dead_delivery_is_applied_without_the_part_that_killed_it(metadata: bytes, emptied: str) -> None:
    delivery = dead(metadata)
    await arrive(emptied, delivery)

    assert await replayed(emptied) == Replayed(queued=1, unusable=0)
    await work(emptied)

    [row] = rows(emptied, "SELECT event_type, user_id IS NOT NULL AS is_known, body FROM consumer.outbox")
    [profile] = model.state(emptied).profiles.values()
    assert row == {"event_type": "user.updated", "is_known": True, "body": delivery.body}
    assert profile["role_type"] == "member"


async def test_a_dead_delivery_whose_needed_field_cannot_be_stored_stays_dead(emptied: str) -> None:
    delivery = dead(METADATA["readable then"], display_name="a\0b")
    await arrive(emptied, delivery)

    assert await replayed(emptied) == Replayed(queued=0, unusable=1)

    [row] = rows(emptied, "SELECT error_code, error FROM consumer.deliveries")
    assert row["error_code"] == "nul"
    assert row["error"].startswith("$.data.display_name: ")


async def test_of_what_nobody_could_read_type_and_user_are_stored_even_if_it_stays_dead(emptied: str) -> None:
    unreadable = dead(METADATA["not even parsed then"], display_name="a\0b")
    await arrive(emptied, unreadable)
    # As a worker of the release before stores it.
    change(emptied, "UPDATE consumer.failures SET source = NULL")

    assert await replayed(emptied) == Replayed(queued=0, unusable=1)

    [row] = rows(emptied, "SELECT event_type, user_id, error_code FROM consumer.deliveries")
    assert (row["event_type"], row["error_code"]) == ("user.updated", "nul")
    assert str(row["user_id"]) in unreadable.body.decode()
    # The counts of dead deliveries by type read it here.
    assert rows(emptied, "SELECT source, event_type FROM consumer.failures") == [
        {"source": "stack", "event_type": "user.updated"}
    ]


async def test_a_delivery_stored_without_its_user_is_applied_to_the_one_that_its_body_names(emptied: str) -> None:
    told = user_updated(USER)
    await arrive(emptied, told._replace(user_id=None, error_code="no_subject", error="$.data"))

    assert await replayed(emptied) == Replayed(queued=1, unusable=0)
    await work(emptied)

    assert rows(emptied, "SELECT user_id FROM identity.profiles") == [{"user_id": USER}]


async def test_a_delivery_stored_under_another_user_stays_dead(emptied: str) -> None:
    delivery = dead(METADATA["readable then"])._replace(user_id=user_updated().user_id)
    await arrive(emptied, delivery)

    assert await replayed(emptied) == Replayed(queued=0, unusable=1)

    assert rows(emptied, "SELECT reduced FROM consumer.outbox") == [{"reduced": None}]


async def test_a_page_of_all_kinds_keeps_each_delivery_s_own_reading(emptied: str) -> None:
    fit = [user_updated(USER), edited(USER, role_type="owner"), user_deleted(USER)]
    await arrive(emptied, *fit, *(dead(metadata) for metadata in METADATA.values()))
    await work(emptied)

    assert await replayed(emptied) == Replayed(queued=6, unusable=0, rebuilt=3)
    await work(emptied)

    assert set(states(emptied).values()) == {"done"}
    assert len(rows(emptied, "SELECT FROM consumer.outbox WHERE reduced IS NOT NULL")) == len(METADATA)


def test_the_pages_of_a_replay_add_up() -> None:
    assert Replayed(1, 2, 3) + Replayed(10, 20, 30) == Replayed(11, 22, 33)


@pytest.mark.parametrize("state", ["pending", "retrying", "done"])
async def test_only_what_is_dead_is_read_again(state: str, emptied: str) -> None:
    delivery = user_updated(USER)
    await arrive(emptied, delivery)
    if state == "done":
        await work(emptied)
    elif state == "retrying":
        set_aside(emptied, [delivery], state)
    [row] = rows(emptied, "SELECT seq FROM consumer.outbox")

    with reader(emptied, "operator") as conn, pytest.raises(InsufficientPrivilege, match="only 0 of 1"):
        conn.execute(
            "SELECT consumer.reread(%s::bigint[], %s::text[], %s::uuid[], %s::uuid[], %s::bytea[])",
            [[row["seq"]], ["user.deleted"], [USER], [None], [b"{}"]],
        )


async def test_what_an_earlier_release_left_out_is_read_again_where_this_one_can_store_it(emptied: str) -> None:
    delivery = user_updated(USER)._replace(error_code="23514", error="x")
    await arrive(emptied, delivery)
    change(emptied, "UPDATE consumer.outbox SET reduced = '{}'")

    assert await replayed(emptied) == Replayed(queued=1, unusable=0)

    assert rows(emptied, "SELECT reduced FROM consumer.outbox") == [{"reduced": None}]
