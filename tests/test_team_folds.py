"""companies/fold and members/fold: which of several facts about a team or a membership is stored.

Each table gives the batches, the outcomes, and the row that they end in.
"""

from typing import Any
from uuid import UUID

import pytest

from consumer.outbox.storage import Delivery
from tests.support.batches import (
    FIRST,
    SECOND,
    USER,
    A,
    Batches,
    Outcomes,
    S,
    U,
    at,
    crew,
    edit,
    every,
    gone,
    in_batches,
    may,
    member,
    one,
    signed,
    snapshot,
    user,
)
from tests.support.databases import rows
from tests.support.factories import team

UNNAMED = "Unnamed team"


def choose(second: float, name: str = "Chosen", team_id: UUID = FIRST, **data: Any) -> Delivery:
    """A user from Stack with a selected team."""
    return user(second, selected_team=team(team_id, display_name=name, **data))


def placed(second: float, team_id: UUID) -> Delivery:
    return user(second, server_metadata={"company_id": str(team_id)})


def joined(second: float, team_id: UUID = FIRST) -> Delivery:
    return member("created", second, team_id)


def left(second: float, team_id: UUID = FIRST) -> Delivery:
    return member("deleted", second, team_id)


@pytest.mark.parametrize(
    ("batches", "outcomes", "company"),
    [
        pytest.param([[crew("deleted", 5)], [crew("deleted", 3)]], [[A]] * 2, (UNNAMED, at(3)), id="older"),
        pytest.param([[crew("deleted", 3)], [crew("deleted", 5)]], [[A], [U]], (UNNAMED, at(3)), id="younger"),
        pytest.param(
            [[crew("deleted", 5), crew("deleted", 3), crew("deleted", 4)]],
            # The first one makes the company.
            [[A, A, U]],
            (UNNAMED, at(3)),
            id="three deletions at once",
        ),
        pytest.param([[crew("deleted", 3)], [crew("deleted", 3)]], [[A], [U]], (UNNAMED, at(3)), id="equal"),
        pytest.param([[crew("deleted", 3), crew("deleted", 3)]], [[A, U]], (UNNAMED, at(3)), id="equal at once"),
        pytest.param(
            [[crew("created", 1), crew("deleted", 5)], [crew("deleted", 3, source="backfill")]],
            [[A, A], [A]],
            ("Crew", at(3)),
            id="older of another source",
        ),
        pytest.param(
            [[crew("created", 1)], [crew("deleted", 3), crew("updated", 4, display_name="B")]],
            [[A], [A, A]],
            ("B", at(3)),
            id="deleted and renamed",
        ),
        pytest.param(
            [[crew("updated", 4, display_name="B")], [crew("created", 1), crew("deleted", 3)]],
            [[A], [S, A]],
            ("B", at(3)),
            id="deleted with a stale name",
        ),
        pytest.param(
            [[crew("updated", 3, display_name="C"), crew("updated", 2, display_name="B"), crew("created", 1)]],
            [[A, S, S]],
            ("C", None),
            id="the newest of a batch",
        ),
        pytest.param(
            [[crew("created", 1)], [crew("updated", 2), crew("updated", 3)]],
            [[A], [S, U]],
            ("Crew", None),
            id="an equal name",
        ),
        pytest.param(
            [[crew("created", 1, profile_image_url="l")], [crew("updated", 2)]], [[A]] * 2, ("Crew", None), id="a logo"
        ),
        pytest.param([[choose(9, "A")], [crew("created", 1)]], [[A]] * 2, ("Crew", None), id="an event beats a choice"),
        pytest.param([[choose(9, "A"), crew("created", 1)]], [[A, A]], ("Crew", None), id="at once"),
        pytest.param(
            [[crew("created", 1), crew("deleted", 3)], [crew("deleted", 5)]],
            [[A, A], [U]],
            ("Crew", at(3)),
            id="a younger deletion of a named team",
        ),
        pytest.param(
            [[crew("created", 1)], [crew("deleted", 5, source="reconcile"), crew("deleted", 3, source="reconcile")]],
            [[A], [A, U]],
            ("Crew", at(5)),
            id="found missing twice at once",
        ),
        pytest.param(
            [[crew("created", 1), crew("deleted", 3, source="reconcile")], [crew("updated", 6), crew("updated", 4)]],
            [[A, A], [A, S]],
            ("Crew", None),
            id="shown alive twice at once",
        ),
        pytest.param(
            [[crew("created", 1), crew("deleted", 3, source="reconcile")], [crew("updated", 4), crew("updated", 6)]],
            [[A, A], [S, A]],
            ("Crew", None),
            id="shown alive twice, the later one last",
        ),
        pytest.param(
            [[crew("created", 1), crew("deleted", 3, source="reconcile")], [crew("updated", 6), crew("updated", 6)]],
            [[A, A], [A, U]],
            ("Crew", None),
            id="shown alive twice at one time",
        ),
        pytest.param([[choose(2, "A")], [choose(3, "B")]], [[A]] * 2, ("B", None), id="the newest choice"),
        pytest.param(
            [[choose(3, "B")], [signed("in", 2, source="stack", **snapshot(selected_team=team(FIRST)))]],
            [[A], [A]],
            ("B", None),
            id="an older choice",
        ),
        pytest.param([[crew("deleted", 3)], [choose(2, "A")]], [[A]] * 2, ("A", at(3)), id="a choice names a deleted"),
        pytest.param([[choose(5, "A")], [crew("deleted", 3)]], [[A]] * 2, ("A", at(3)), id="a chosen one is deleted"),
        pytest.param([[left(5)], [choose(1, "A")]], [[A]] * 2, ("A", None), id="a placeholder is named"),
        pytest.param([[joined(5)], [joined(6)]], [[A]] * 2, (UNNAMED, None), id="joins"),
    ],
)
async def test_a_company_is_named_by_its_newest_event_and_ended_by_its_oldest(
    emptied: str, batches: Batches, outcomes: Outcomes, company: tuple[object, ...]
) -> None:
    assert await in_batches(emptied, *batches) == outcomes

    assert one(emptied, "identity.companies", "name, deleted_at") == company


@pytest.mark.parametrize(
    ("second", "is_moved"),
    [
        (crew("updated", 3, display_name="B"), True),
        (crew("updated", 3, profile_image_url="l"), True),
        (crew("updated", 3), False),
        (crew("updated", 1, display_name="B"), False),
        (crew("deleted", 6), False),
        (crew("deleted", 4), True),
        (choose(9, "B"), False),
        (joined(9), False),
    ],
    ids=lambda value: f"{value.event_type} at {value.occurred_at:%S}" if isinstance(value, Delivery) else str(value),
)
async def test_updated_at_of_a_company_moves_with_what_it_shows(emptied: str, second: Delivery, is_moved: bool) -> None:
    await in_batches(emptied, [crew("created", 2)], [crew("deleted", 5)])
    updated_at, created_at = one(emptied, "identity.companies", "updated_at, created_at")

    await in_batches(emptied, [second])

    after = one(emptied, "identity.companies", "updated_at, created_at")
    assert (after[0] > updated_at, after[1]) == (is_moved, created_at)


@pytest.mark.parametrize(
    ("before", "batch", "queued"),
    [
        pytest.param([], [crew("deleted", 1)], None, id="born deleted"),
        pytest.param([crew("created", 1)], [crew("deleted", 2)], 0, id="deleted"),
        pytest.param([crew("created", 1)], [crew("updated", 3), crew("deleted", 2)], 1, id="renamed and deleted"),
        pytest.param([crew("deleted", 2)], [crew("deleted", 1)], 0, id="an older deletion"),
        pytest.param([crew("deleted", 1)], [crew("deleted", 2)], None, id="a younger one"),
        pytest.param([crew("created", 1)], [crew("updated", 2, display_name="B")], None, id="renamed"),
        pytest.param([], [crew("created", 1)], None, id="nobody waits"),
        pytest.param([placed(1, FIRST)], [crew("created", 2)], 0, id="named"),
        pytest.param([placed(1, SECOND)], [crew("created", 2)], None, id="another"),
        pytest.param(
            [edit(1, company_id=str(FIRST).upper())], [crew("created", 2), crew("updated", 3)], 1, id="edited"
        ),
        pytest.param([edit(1, role_type=str(FIRST))], [crew("created", 2)], None, id="another field"),
        pytest.param([edit(1, company_id=str(FIRST))], [crew("deleted", 2)], 0, id="edited and born deleted"),
        pytest.param([edit(1, company_id=str(FIRST))], [joined(2)], 0, id="made by a join"),
    ],
)
async def test_a_company_queues_its_users_when_its_existence_changes(
    emptied: str, before: list[Delivery], batch: list[Delivery], queued: int | None
) -> None:
    await in_batches(emptied, *([each] for each in before))

    await in_batches(emptied, batch)

    queue = rows(
        emptied,
        "SELECT company_id, message_id, attempts, next_user_id, last_user_id, due_at <= now() AS is_due "
        "FROM consumer.rehome INNER JOIN consumer.outbox USING (seq) ORDER BY id DESC LIMIT 1",
    )
    row = None if queued is None else (FIRST, batch[queued].message_id, 0, UUID(int=0), UUID(int=2**128 - 1), True)
    newest = [tuple(each.values()) for each in queue if each["message_id"] in {one.message_id for one in batch}]
    assert newest == ([row] if row else [])


MEMBER = "joined_at, removed_at, permissions, is_guest"


@pytest.mark.parametrize(
    ("batches", "outcomes", "row"),
    [
        ([[joined(3)], [joined(1)]], [[A]] * 2, (at(1), None, [], False)),
        ([[joined(1)], [joined(3)]], [[A]] * 2, (at(1), None, [], False)),
        ([[joined(3), joined(1)]], [[A, A]], (at(1), None, [], False)),
        ([[joined(3), joined(2), joined(1)]], [[A, S, A]], (at(1), None, [], False)),
        ([[joined(3)], [left(2)]], [[A]] * 2, (at(3), None, [], False)),
        ([[left(4), left(6)], [left(5)]], [[A, A], [S]], (None, at(6), [], False)),
        ([[crew("created", 1)], [left(4), left(6)]], [[A], [S, A]], (None, at(6), [], False)),
        ([[joined(1)], [left(4), left(6)]], [[A], [S, A]], (at(1), at(6), [], False)),
        ([[left(5)], [joined(3)]], [[A]] * 2, (at(3), at(5), [], False)),
        ([[joined(3), left(5)], [joined(7)]], [[A, A], [A]], (at(3), None, [], False)),
        ([[choose(3)], [joined(5)]], [[A]] * 2, (at(3), None, [], False)),
        ([[joined(5)], [choose(3)]], [[A]] * 2, (at(3), None, [], False)),
        ([[choose(3)], [left(2)]], [[A]] * 2, (at(3), at(2), [], False)),
        ([[left(2)], [choose(3)]], [[A]] * 2, (at(3), at(2), [], False)),
        ([[joined(3), gone(4)]], [[A, A]], (at(3), at(4), [], False)),
        ([[gone(4)], [joined(9)]], [[A]] * 2, (at(9), at(4), [], False)),
        ([[joined(3), left(4), gone(2)]], [[A] * 3], (at(3), at(2), [], False)),
        ([[joined(3)], [gone(6)], [gone(5)], [gone(7)]], [[A]] * 3 + [[U]], (at(3), at(5), [], False)),
        ([[joined(3), crew("deleted", 5), gone(4)]], [[A] * 3], (at(3), at(4), [], False)),
        ([[joined(3), crew("deleted", 4), gone(5)]], [[A] * 3], (at(3), at(4), [], False)),
        ([[may("created", 1, "r")], [joined(3)]], [[A]] * 2, (at(3), None, ["r"], False)),
        ([[joined(3), gone(4)], [may("created", 9, "r")]], [[A, A], [A]], (at(3), at(4), ["r"], False)),
        ([[gone(4), may("created", 1, "r"), joined(3)]], [[A] * 3], (at(3), at(4), ["r"], False)),
        ([[placed(1, SECOND), crew("created", 1, SECOND), joined(3)]], [[A] * 3], (at(3), None, [], True)),
        ([[joined(1, SECOND), joined(3)], [gone(4)]], [[A, A], [A]], (at(3), at(4), [], False)),
        ([[joined(1, SECOND), joined(3)], [left(4)]], [[A, A], [A]], (at(3), at(4), [], False)),
        ([[joined(1, SECOND), joined(1)], [user(5)]], [[A, A], [A]], (at(1), None, [], False)),
    ],
)
async def test_a_membership_is_what_joins_removals_and_ends_say(
    emptied: str, batches: Batches, outcomes: Outcomes, row: tuple[object, ...]
) -> None:
    found = await in_batches(emptied, *batches)

    assert one(emptied, "identity.company_members", MEMBER, f"company_id = '{FIRST}'") == row
    assert found == outcomes


@pytest.mark.parametrize("told", [[choose(3), joined(5)], [joined(5), choose(3)], [choose(3), left(5)]])
@pytest.mark.parametrize("is_together", [True, False])
async def test_a_choice_is_remembered_beside_later_facts(emptied: str, told: list[Delivery], is_together: bool) -> None:
    await in_batches(emptied, *([told] if is_together else [[each] for each in told]))

    assert one(emptied, "consumer.memberships", "is_implied, joined_at") == (True, at(3))


async def test_two_users_of_a_batch_choose_each_his_own_team(emptied: str) -> None:
    other = UUID(int=2)
    await in_batches(
        emptied, [choose(2, "B", SECOND), user(1, other, selected_team=team(FIRST, display_name="A")), gone(3, other)]
    )

    assert every(emptied, "identity.companies", "id, name") == [(FIRST, "A"), (SECOND, "B")]
    assert every(emptied, "consumer.memberships", "user_id, company_id, joined_at, is_implied, join_version") == [
        (USER, SECOND, at(2), True, ""),
        (other, FIRST, at(1), True, ""),
    ]
