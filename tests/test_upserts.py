"""One row a user, whatever comes at once, and whatever a user is called."""

import asyncio
from uuid import UUID

import orjson
import pytest

from consumer.events.check import check
from consumer.postgres.connections import connect, receiver_access, worker_access
from consumer.worker.batch import drain
from tests.support.databases import rows
from tests.support.factories import user_updated
from tests.support.outbox import put
from tests.support.worker import PATIENT, deliveries, drain_all, stored, worker

USER = UUID("6f1c2f0e-9d3b-4a57-8c21-0b7d5e9a4f10")
AT_ONCE = 50
FAMILY = "👩\u200d👩\u200d👧\u200d👦"
LARGE = {"note": "x" * 300_000}
AVATAR = "data:image/png;base64," + "A" * 100_000


async def test_fifty_identical_deliveries_at_once_are_one_row(emptied: str) -> None:
    delivery = user_updated(USER)

    async def store() -> None:
        async with await connect(emptied, receiver_access("consumer")) as conn:
            await put(conn, [delivery])

    await asyncio.gather(*(store() for _ in range(AT_ONCE)))
    await drain_all(emptied, worker())

    assert deliveries(emptied, "state, outcome") == [("done", "applied")]
    assert len(rows(emptied, "SELECT user_id FROM identity.profiles")) == 1


async def test_fifty_equal_snapshots_applied_at_once_are_one_row_and_no_error(emptied: str) -> None:
    await stored(emptied, [user_updated(USER) for _ in range(AT_ONCE)])

    async def work() -> None:
        async with await connect(emptied, worker_access("consumer")) as conn:
            await drain(conn, worker(batch_size=1, access=PATIENT))

    await asyncio.gather(*(work() for _ in range(10)))

    assert {state for (state,) in deliveries(emptied, "state")} == {"done"}
    assert len(rows(emptied, "SELECT user_id FROM identity.profiles")) == 1
    assert len(rows(emptied, "SELECT id FROM identity.profile_audit")) == 1


async def test_an_id_in_either_case_is_one_user(emptied: str) -> None:
    small = user_updated(USER)
    large = user_updated(USER, display_name="Grace")
    large = large._replace(body=large.body.replace(str(USER).encode(), str(USER).upper().encode()))
    await stored(emptied, [small, large])

    await drain_all(emptied, worker())

    assert rows(emptied, "SELECT user_id, full_name FROM identity.profiles") == [
        {"user_id": USER, "full_name": "Grace"}
    ]


@pytest.mark.parametrize(
    ("said", "field", "kept"),
    [
        pytest.param({"display_name": "  Ada\u3000"}, "full_name", "Ada", id="trimmed"),
        pytest.param({"display_name": FAMILY}, "full_name", FAMILY, id="emoji"),
        pytest.param({"display_name": "עדה \u202eAda"}, "full_name", "עדה \u202eAda", id="both directions"),
        pytest.param({"display_name": "🦊" * 128}, "full_name", "🦊" * 128, id="256 UTF-16 units"),
        pytest.param({"display_name": ""}, "full_name", "Unknown User", id="empty"),
        pytest.param({"display_name": None}, "full_name", "Unknown User", id="null"),
        pytest.param({"profile_image_url": AVATAR}, "avatar_url", AVATAR, id="data URL"),
        pytest.param({"server_metadata": LARGE}, "role_type", "member", id="300 kB of metadata"),
        pytest.param({"server_metadata": [{"role": "admin"}]}, "role_type", "member", id="metadata is an array"),
        pytest.param({"server_metadata": 7}, "role_type", "member", id="metadata is a number"),
        pytest.param({"client_metadata": {"role": "admin"}}, "role_type", "member", id="a role of the user's own"),
    ],
)
async def test_what_a_sender_may_say_is_usable_and_kept(
    said: dict[str, object], field: str, kept: object, emptied: str
) -> None:
    delivery = user_updated(USER, **said)
    assert check(delivery.body, delivery.source).user_id == USER
    await stored(emptied, [delivery])

    await drain_all(emptied, worker())

    [row] = rows(
        emptied,
        "SELECT p.*, m.stack_metadata FROM identity.profiles AS p "
        "JOIN identity.stack_user_profiles AS m ON p.user_id = m.stack_user_id",
    )
    assert row[field] == kept
    assert row["stack_metadata"]["server"] == orjson.loads(delivery.body)["data"]["server_metadata"]
