"""Who is in which company since when, and what they may do there; the laws cover the orders."""

from uuid import UUID, uuid4

import pytest

from consumer.settings.settings import ShapingSettings
from tests.support.databases import record, rows
from tests.support.effects import applied
from tests.support.factories import membership, permission, team, team_event, user_deleted, user_updated


def member(url: str, team_id: UUID, user_id: UUID) -> tuple[object, ...]:
    """Return when somebody joined and left, and the permissions."""
    [row] = rows(
        url,
        "SELECT joined_at, removed_at, permissions FROM identity.company_members "
        f"WHERE company_id = '{team_id}' AND user_id = '{user_id}'",
    )
    return tuple(row.values())


async def test_a_join_makes_a_member_before_anything_is_known_of_the_user(emptied: str) -> None:
    team_id, user_id = uuid4(), uuid4()
    joined = membership("created", team_id, user_id)

    assert await applied(emptied, joined) == ["applied"]

    assert member(emptied, team_id, user_id) == (joined.occurred_at, None, [])
    assert not rows(emptied, "SELECT user_id FROM identity.profiles")


async def test_the_newer_of_join_and_removal_decides_in_any_order(emptied: str) -> None:
    team_id, user_id = uuid4(), uuid4()
    first, removal, second = (membership(verb, team_id, user_id) for verb in ("created", "deleted", "created"))

    outcomes = await applied(emptied, removal, first)
    removed = member(emptied, team_id, user_id)
    outcomes += await applied(emptied, second)

    assert outcomes == ["applied", "applied", "applied"]
    assert removed == (first.occurred_at, removal.occurred_at, [])
    assert member(emptied, team_id, user_id) == (first.occurred_at, None, [])


async def test_a_join_or_removal_between_others_is_stale(emptied: str) -> None:
    team_id, user_id = uuid4(), uuid4()
    verbs = ("created", "created", "deleted", "created", "deleted")
    first, second, removal, third, last = (membership(verb, team_id, user_id) for verb in verbs)

    outcomes = await applied(emptied, first, third, last, second, removal)

    assert outcomes == ["applied", "applied", "applied", "stale", "stale"]


async def test_a_removal_alone_leaves_who_never_joined(emptied: str) -> None:
    team_id, user_id = uuid4(), uuid4()
    removal = membership("deleted", team_id, user_id)

    await applied(emptied, removal)

    assert member(emptied, team_id, user_id) == (None, removal.occurred_at, [])


async def test_a_selected_team_implies_a_join_that_undoes_no_removal(emptied: str) -> None:
    team_id, user_id = uuid4(), uuid4()
    selecting = user_updated(user_id, selected_team=team(team_id), is_anonymous=True)
    removal = membership("deleted", team_id, user_id)

    await applied(emptied, selecting)
    implied = member(emptied, team_id, user_id)
    await applied(emptied, removal, user_updated(user_id, selected_team=team(team_id)))

    assert implied == (selecting.occurred_at, None, [])
    assert member(emptied, team_id, user_id) == (selecting.occurred_at, removal.occurred_at, [])


async def test_a_deleted_user_has_no_active_membership(emptied: str) -> None:
    team_id, user_id = uuid4(), uuid4()
    joined, deleted = membership("created", team_id, user_id), user_deleted(user_id)

    await applied(emptied, joined, deleted)

    assert member(emptied, team_id, user_id) == (joined.occurred_at, deleted.occurred_at, [])


@pytest.mark.parametrize("is_late", [False, True])
async def test_hard_leaves_no_membership(emptied: str, is_late: bool) -> None:
    await record(emptied, ShapingSettings(delete_policy="hard"))
    user_id = uuid4()
    joined, deleted = membership("created", uuid4(), user_id), user_deleted(user_id)

    await applied(emptied, *([deleted, joined] if is_late else [joined, deleted]))

    assert not rows(emptied, "SELECT user_id FROM identity.company_members")


async def test_who_joins_a_deleted_company_is_no_active_member(emptied: str) -> None:
    team_id, user_id = uuid4(), uuid4()
    deleted, joined = team_event("deleted", team_id), membership("created", team_id, user_id)

    await applied(emptied, deleted, joined)

    assert member(emptied, team_id, user_id) == (joined.occurred_at, deleted.occurred_at, [])


async def test_the_newest_of_each_permission_counts_and_waits_for_a_membership(emptied: str) -> None:
    team_id, user_id = uuid4(), uuid4()
    told = [("created", "write"), ("deleted", "read"), ("created", "$a"), ("created", "read"), ("deleted", "$a")]
    facts = [permission(verb, team_id, user_id, name) for verb, name in told]

    outcomes = await applied(emptied, *reversed(facts))
    waiting = rows(emptied, "SELECT user_id FROM identity.company_members")
    await applied(emptied, membership("created", team_id, user_id))

    assert outcomes == ["applied", "applied", "stale", "stale", "applied"]
    assert waiting == []
    assert member(emptied, team_id, user_id)[2] == ["read", "write"]


async def test_an_old_permission_in_a_later_batch_changes_nothing(emptied: str) -> None:
    team_id, user_id = uuid4(), uuid4()
    given, taken = (permission(verb, team_id, user_id, "read") for verb in ("created", "deleted"))
    await applied(emptied, membership("created", team_id, user_id), taken, given)

    assert member(emptied, team_id, user_id)[2] == []


async def test_a_repeated_snapshot_writes_no_membership(emptied: str) -> None:
    user_id = uuid4()
    await applied(emptied, user_updated(user_id, selected_team=team(uuid4())))
    tables = ("consumer.memberships", "identity.company_members", "consumer.rehome")
    before = [rows(emptied, f"SELECT xmin::text FROM {table}") for table in tables]
    [selected] = rows(emptied, "SELECT id FROM identity.companies")

    outcomes = await applied(emptied, user_updated(user_id, selected_team=team(selected["id"])))

    assert outcomes == ["unchanged"]
    assert [rows(emptied, f"SELECT xmin::text FROM {table}") for table in tables] == before
