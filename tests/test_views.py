"""The two views over the users' data: exact numbers, and each reader's own."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

import pytest

from consumer.outbox.storage import Delivery
from tests.support.databases import rows
from tests.support.effects import applied
from tests.support.factories import delivery, membership, snapshot, team_event, user_deleted, user_updated
from tests.support.tenants import reader, seen

STATS = (
    "SELECT company_id, company_name, total_profiles, synced_profiles, sync_percentage, avg_sync_version "
    "FROM identity.stack_integration_stats"
)
NEEDING = "SELECT user_id FROM identity.profiles_needing_sync"


def at(event: Delivery, age: timedelta, source: str = "stack") -> Delivery:
    return event._replace(source=source, occurred_at=datetime.now(UTC) - age)


def known_to_the_application_only(user_id: UUID) -> Delivery:
    return delivery("user.signed_in", user_id, "app", **snapshot())


async def test_a_company_counts_its_living_profiles_and_those_that_stack_itself_sent(emptied: str) -> None:
    company_id, synced, twice, unsynced, deleted = (uuid4() for _ in range(5))
    await applied(
        emptied,
        team_event("created", company_id, display_name="Crew"),
        user_updated(synced),
        user_updated(twice),
        user_updated(twice, display_name="Other"),
        known_to_the_application_only(unsynced),
        user_updated(deleted),
        *(membership("created", company_id, user_id) for user_id in (synced, twice, unsynced, deleted)),
        user_deleted(deleted),
    )

    [row] = rows(emptied, STATS)
    [times] = rows(
        emptied,
        "SELECT first_profile_created = min(p.created_at) AS is_first, "
        "last_profile_updated = max(p.updated_at) AS is_last FROM identity.stack_integration_stats, "
        "identity.profiles AS p WHERE p.deleted_at IS NULL "
        "GROUP BY first_profile_created, last_profile_updated",
    )

    assert tuple(row.values()) == (company_id, "Crew", 3, 2, Decimal("66.67"), Decimal("1.50"))
    assert times == {"is_first": True, "is_last": True}


async def test_a_company_without_profiles_has_no_percentage_and_a_deleted_one_no_row(emptied: str) -> None:
    empty, deleted = uuid4(), uuid4()
    await applied(emptied, team_event("created", empty), team_event("created", deleted), team_event("deleted", deleted))

    assert [tuple(row.values()) for row in rows(emptied, STATS)] == [(empty, "Crew", 0, 0, None, None)]


async def test_who_has_no_snapshot_from_stack_needs_one(emptied: str) -> None:
    synced, unsynced, deleted, anonymous = (uuid4() for _ in range(4))
    await applied(
        emptied,
        at(user_updated(synced), timedelta(days=9)),
        known_to_the_application_only(unsynced),
        known_to_the_application_only(deleted),
        user_updated(anonymous, is_anonymous=True),
        user_deleted(deleted),
    )

    [row] = rows(emptied, "SELECT * FROM identity.profiles_needing_sync")

    updated_at = row.pop("profile_updated_at")
    assert updated_at == rows(emptied, f"SELECT updated_at FROM identity.profiles WHERE user_id = '{unsynced}'")[0][
        "updated_at"
    ]  # fmt: skip
    assert row == {
        "user_id": unsynced,
        "full_name": "Ada",
        "company_id": None,
        "company_name": None,
        "last_synced_at": None,
        "hours_since_sync": None,
    }


@pytest.mark.parametrize("source", ["backfill", "reconcile"])
async def test_once_an_api_key_was_used_who_was_not_confirmed_for_a_day_needs_it(emptied: str, source: str) -> None:
    old, confirmed, brought = (uuid4() for _ in range(3))
    await applied(
        emptied,
        at(user_updated(old), timedelta(hours=25)),
        at(user_updated(confirmed), timedelta(hours=25)),
        # The same content: nothing changes, and it is confirmed.
        at(user_updated(confirmed), timedelta(hours=23)),
    )
    before = rows(emptied, NEEDING)
    await applied(emptied, at(user_updated(brought), timedelta(hours=1), source))

    [row] = rows(emptied, "SELECT user_id, hours_since_sync FROM identity.profiles_needing_sync")

    assert before == []
    assert row["user_id"] == old
    assert row["hours_since_sync"] == pytest.approx(25, abs=0.1)


async def test_a_tenant_counts_its_own(emptied: str) -> None:
    ours, theirs, ada, eve = (uuid4() for _ in range(4))
    await applied(
        emptied,
        *(team_event("created", company_id) for company_id in (ours, theirs)),
        *(known_to_the_application_only(user_id) for user_id in (ada, eve)),
        membership("created", ours, ada),
        membership("created", theirs, eve),
    )

    with reader(emptied, company=ours) as conn:
        stats = conn.execute(STATS).fetchall()
    with reader(emptied) as conn:
        nothing = conn.execute(STATS).fetchall()

    assert stats == [(ours, "Crew", 1, 0, Decimal("0.00"), None)]
    assert seen(emptied, NEEDING, company=ours) == [ada]
    assert (nothing, seen(emptied, NEEDING)) == ([], [])
    assert len(seen(emptied, STATS, "app")) == len(seen(emptied, NEEDING, "app")) == 2
