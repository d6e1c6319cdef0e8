"""members/fold_permissions and edits/fold: the newest fact of each permission and each field, whatever its batch."""

from uuid import UUID

import pytest

from consumer.outbox.storage import Delivery
from consumer.postgres.connections import connect
from tests.support.batches import (
    ACCESS,
    FIRST,
    SECOND,
    USER,
    A,
    Batches,
    Outcomes,
    S,
    U,
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
from tests.support.databases import change
from tests.support.factories import team
from tests.support.outbox import apply_next

ROLE, UNIT = "role_type", "department"
CAPITAL = UUID("abcdefab-cdef-abcd-efab-cdefabcdefab")


def given(second: float, name: str, message_id: str | None = None, team_id: UUID = FIRST) -> Delivery:
    return may("created", second, name, message_id, team_id)


def taken(second: float, name: str, message_id: str | None = None, team_id: UUID = FIRST) -> Delivery:
    return may("deleted", second, name, message_id, team_id)


@pytest.mark.parametrize(
    ("batches", "outcomes", "names"),
    [
        ([[given(1, "r")], [taken(2, "r")]], [[A]] * 2, []),
        ([[taken(2, "r")], [given(1, "r")]], [[A], [S]], []),
        ([[taken(1, "r"), given(2, "r")]], [[S, A]], ["r"]),
        ([[given(2, "r"), taken(1, "r")], [given(3, "r")]], [[A, S], [A]], ["r"]),
        # At one time the id decides, compared by bytes: "Z" sorts before "a" there, and behind it in a language.
        ([[given(1, "r", "a")], [taken(1, "r", "Z")]], [[A], [S]], ["r"]),
        ([[given(1, "r", "Z")], [taken(1, "r", "a")]], [[A], [A]], []),
        ([[given(1, "r", "a"), taken(1, "r", "Z")]], [[A, S]], ["r"]),
        ([[given(1, "a"), given(1, "Z"), given(1, "$b")]], [[A] * 3], ["$b", "Z", "a"]),
        ([[given(1, "r"), given(1, "r", team_id=SECOND), taken(2, "r", team_id=SECOND)]], [[A, S, A]], ["r"]),
        ([[given(1, "r"), taken(2, "w")]], [[A] * 2], ["r"]),
    ],
)
async def test_of_each_permission_the_newest_counts(
    emptied: str, batches: Batches, outcomes: Outcomes, names: list[str]
) -> None:
    await in_batches(emptied, [member("created", 0)])

    assert await in_batches(emptied, *batches) == outcomes

    assert one(emptied, "identity.company_members", "permissions") == (names,)


@pytest.mark.parametrize(
    ("batches", "outcomes", "edits"),
    [
        ([[edit(2, role_type="a")], [edit(1, role_type="b")]], [[A], [S]], [(ROLE, "a")]),
        ([[edit(1, role_type="a")], [edit(2, role_type="b")]], [[A]] * 2, [(ROLE, "b")]),
        ([[edit(2, role_type="a"), edit(1, role_type="b")]], [[A, S]], [(ROLE, "a")]),
        (
            [[edit(1, role_type="a")], [edit(2, role_type="a")], [edit(1.5, role_type="b")]],
            [[A], [U], [S]],
            [(ROLE, "a")],
        ),
        ([[edit(1, role_type="a")], [edit(2, role_type=None)]], [[A]] * 2, [(ROLE, None)]),
        ([[edit(2, role_type=None)], [edit(1, role_type="a")]], [[U], [S]], [(ROLE, None)]),
        ([[edit(1, role_type="a", department="d")], [edit(2, role_type="b")]], [[A]] * 2, [(UNIT, "d"), (ROLE, "b")]),
        ([[edit(2, role_type="a")], [edit(1, role_type="b", department="d")]], [[A]] * 2, [(UNIT, "d"), (ROLE, "a")]),
        (
            [[edit(1, company_id=str(CAPITAL).upper(), role_type="A")]],
            [[A]],
            [("company_id", str(CAPITAL)), (ROLE, "A")],
        ),
        ([[edit(1)]], [[U]], []),
    ],
)
async def test_of_each_edited_field_the_newest_counts(
    emptied: str, batches: Batches, outcomes: Outcomes, edits: list[tuple[str, str | None]]
) -> None:
    assert await in_batches(emptied, *batches) == outcomes

    assert every(emptied, "consumer.edits", "field, value") == edits
    assert {user_id for (user_id,) in every(emptied, "consumer.edits", "user_id")} <= {USER}


TOLD = [
    crew("created", 1),
    user(2, selected_team=team(FIRST)),
    user(3, selected_team=team(SECOND)),
    member("created", 4),
    member("deleted", 5, SECOND),
    given(6, "r"),
    edit(7, role_type="a"),
    signed("in", 8),
    signed("out", 9),
    signed("out", 9, **snapshot()),
    crew("deleted", 10),
    gone(11),
]


@pytest.mark.parametrize("size", [1, len(TOLD)])
async def test_what_is_applied_again_is_unchanged_or_stale(emptied: str, size: int) -> None:
    await in_batches(emptied, *([each] for each in TOLD))
    change(
        emptied, "INSERT INTO consumer.pending (seq) SELECT seq FROM consumer.outcomes; DELETE FROM consumer.outcomes"
    )

    async with await connect(emptied, ACCESS) as conn:
        outcomes: dict[int, str] = {}
        for _ in TOLD[::size]:
            outcomes |= await apply_next(conn, size)

    assert [outcomes[seq] for seq in sorted(outcomes)] == [U, S, U, U, U, U, U, U, U, U, U, U]
