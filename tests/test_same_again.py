"""A delivery that is applied again brings nothing, even if its body reads otherwise by then: its version is known."""

from typing import Any

import orjson
import pytest

from tests.support.batches import FIRST, SECOND, USER, U, at, crew, fact, in_batches, millis, one, snapshot, user
from tests.support.databases import change, rows
from tests.support.kept import kept
from tests.support.outbox import apply_next, put
from tests.support.queries import ACCESS

MIRROR = "identity.stack_user_profiles"
FULL: dict[str, Any] = {
    "display_name": "Ada",
    "primary_email": "a@x",
    "primary_email_verified": True,
    "profile_image_url": "u",
    "is_anonymous": False,
    "is_restricted": True,
    "signed_up_at_millis": millis(1),
    "last_active_at_millis": millis(9),
    "server_metadata": {"role": "r", "department": "d", "company_id": str(FIRST)},
    "client_metadata": {"a": 1},
}
OTHER: dict[str, Any] = {
    "display_name": "Bob",
    "primary_email": "b@x",
    "primary_email_verified": False,
    "profile_image_url": "v",
    "is_anonymous": True,
    "is_restricted": False,
    "signed_up_at_millis": millis(2),
    "last_active_at_millis": millis(8),
    "server_metadata": {"role": "q", "department": "e", "company_id": str(SECOND)},
    "client_metadata": {"a": 2},
}


async def again(url: str, data: dict[str, Any]) -> list[str]:
    """Let every stored delivery read otherwise, and apply it once more; return the outcomes."""
    body = orjson.dumps({"type": "x", "data": data}).hex()
    change(
        url,
        f"UPDATE consumer.outbox SET body = '\\x{body}';"
        "INSERT INTO consumer.pending (seq) SELECT seq FROM consumer.outcomes; DELETE FROM consumer.outcomes",
    )
    async with kept(url, ACCESS) as conn:
        outcomes = await apply_next(conn, 9)
    return [outcomes[seq] for seq in sorted(outcomes)]


@pytest.mark.parametrize("event_type", ["user.updated", "user.created"])
async def test_a_snapshot_that_is_applied_again_changes_no_value_of_its_user(emptied: str, event_type: str) -> None:
    await in_batches(emptied, [user(5, event_type=event_type, **FULL)])
    before = one(emptied, MIRROR, "*"), one(emptied, "identity.profiles", "*")

    outcomes = await again(emptied, {"id": str(USER), **snapshot(**OTHER)})

    assert (one(emptied, MIRROR, "*"), one(emptied, "identity.profiles", "*")) == before
    assert outcomes == [U]
    assert len(rows(emptied, "SELECT FROM identity.profile_audit")) == 1


async def test_of_a_snapshot_that_is_applied_again_only_a_later_activity_counts(emptied: str) -> None:
    await in_batches(emptied, [crew("created", 1), crew("created", 1, SECOND), user(5, **FULL)])
    [before] = rows(emptied, f"SELECT * FROM {MIRROR}")
    change(emptied, "DELETE FROM consumer.outcomes WHERE seq < (SELECT max(seq) FROM consumer.outbox)")

    await again(emptied, {"id": str(USER), **snapshot(**OTHER | {"last_active_at_millis": millis(10)})})

    [after] = rows(emptied, f"SELECT * FROM {MIRROR}")
    assert after["last_active_at"] == at(10)
    clocked = {"last_active_at", "last_synced_at", "sync_version"}
    assert {name for name in after if after[name] != before[name]} <= clocked


async def test_a_teams_event_that_is_applied_again_changes_no_value_of_its_company(emptied: str) -> None:
    await in_batches(emptied, [crew("updated", 5, display_name="Crew", profile_image_url="l")])
    before = one(emptied, "identity.companies", "*")

    outcomes = await again(emptied, {"id": str(FIRST), "display_name": "Other", "profile_image_url": "m"})

    assert (one(emptied, "identity.companies", "*"), outcomes) == (before, [U])
    assert rows(emptied, "SELECT FROM consumer.rehome") == []


async def test_beside_an_end_a_teams_event_that_is_applied_again_renames_nothing(emptied: str) -> None:
    await in_batches(emptied, [crew("updated", 5, display_name="Crew", profile_image_url="l")])
    before = one(emptied, "identity.companies", "name, logo_url, version")
    async with kept(emptied, ACCESS) as conn:
        await put(conn, [crew("deleted", 9)])
    change(emptied, "INSERT INTO consumer.outcomes (seq, outcome) SELECT seq, 'applied' FROM consumer.pending; "
                    "DELETE FROM consumer.pending")  # fmt: skip

    outcomes = await again(emptied, {"id": str(FIRST), "display_name": "Other", "profile_image_url": "m"})

    assert one(emptied, "identity.companies", "name, logo_url, version") == before
    assert one(emptied, "identity.companies", "deleted_at") == (at(9),)
    assert outcomes == [U, "applied"]


async def test_an_older_snapshot_of_the_same_time_changes_nothing_either(emptied: str) -> None:
    """At one time the id decides."""
    newer, older = (
        fact("user.updated", 5, {"id": "x", **snapshot(**data)}, user_id=USER, message_id=message_id)
        for data, message_id in ((FULL, "b"), (OTHER, "a"))
    )
    await in_batches(emptied, [newer])
    columns = "stack_display_name, stack_primary_email, is_restricted, source_role, version, message_id"
    before = one(emptied, MIRROR, columns)

    assert await in_batches(emptied, [older]) == [["stale"]]

    assert one(emptied, MIRROR, columns) == before
