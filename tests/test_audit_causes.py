"""users/put_profiles and its neighbours: what the audit says of a batch, and by which delivery.

In the tables a delivery is named by its place: ("updated", "b") is a row that the second delivery of the batch caused.
"""

from typing import Any

import pytest

from consumer.outbox.storage import Delivery
from tests.support.batches import (
    ALL_FIELDS,
    DEFAULT,
    FIRST,
    SECOND,
    audited,
    audited_by,
    crew,
    edit,
    every,
    gone,
    in_batches,
    member,
    millis,
    one,
    signed,
    user,
)

HOME: dict[str, Any] = {"server_metadata": {"company_id": str(FIRST)}}


def named(second: float) -> Delivery:
    return user(second, display_name="B")


NAME, ROLE, END = ["full_name"], ["role_type"], ["deleted_at"]


@pytest.mark.parametrize(
    ("before", "batch", "expected"),
    [
        pytest.param([user(1)], [named(2), gone(1.5)], [("deleted", [*END, *NAME], None, "b")], id="end"),
        pytest.param([user(1)], [gone(1.5), named(2)], [("deleted", [*END, *NAME], None, "a")], id="end 2"),
        pytest.param([user(1)], [gone(4), gone(2), gone(3)], [("deleted", END, None, "b")], id="the oldest end"),
        pytest.param([user(1), gone(9)], [gone(4), gone(2)], [("updated", END, None, "b")], id="an older end"),
        pytest.param([user(1), gone(3)], [gone(3), named(4)], [("updated", NAME, None, "b")], id="a known end"),
        pytest.param([user(1), gone(3)], [gone(5), named(4)], [("updated", NAME, None, "b")], id="a younger end"),
        pytest.param(
            [user(1), gone(9)],
            [named(8), gone(3), user(7)],
            [("updated", [*END, *NAME], None, "b")],
            id="an end that got older",
        ),
        pytest.param([user(1)], [user(3, display_name="C"), user(2)], [("updated", NAME, None, "a")], id="the winner"),
        pytest.param(
            [user(1)], [user(2), user(3, display_name="C")], [("updated", NAME, None, "b")], id="the winner 2"
        ),
        pytest.param(
            [user(1)], [edit(3, role_type="x"), user(2)], [("updated", ROLE, None, "a")], id="an edit beside no news"
        ),
        pytest.param(
            [user(1)], [edit(2, role_type="x"), user(3)], [("updated", ROLE, None, "a")], id="an edit before no news"
        ),
        pytest.param(
            [user(1)],
            [edit(9, role_type="x"), named(2)],
            [("updated", [*NAME, *ROLE], None, "b")],
            id="news before an edit",
        ),
        pytest.param(
            [user(1)],
            [edit(2, role_type="x"), edit(3, role_type="y"), signed("in", 4)],
            [("updated", ROLE, None, "b"), ("signed_in", [], None, "c")],
            id="the edit that counts",
        ),
        pytest.param(
            [user(1)],
            [edit(3, role_type="y"), edit(2, department="z"), signed("out", 4)],
            [("updated", ["department", *ROLE], None, "a"), ("signed_out", [], None, "c")],
            id="the newer of two edits",
        ),
        pytest.param(
            [user(1)],
            [edit(2, role_type="y"), edit(2, department="z")],
            [("updated", ["department", *ROLE], None, "b")],
            id="the later of two edits at one time",
        ),
        pytest.param(
            [user(1)],
            [member("created", 2), signed("in", 9), user(3)],
            [("updated", ["company_id"], FIRST, "a"), ("signed_in", [], FIRST, "b")],
            id="a join",
        ),
        pytest.param(
            [user(1), member("created", 1)],
            [member("deleted", 2), member("created", 1, SECOND)],
            [("company_changed", ["company_id"], FIRST, "a"), ("updated", ["company_id"], SECOND, "a")],
            id="a move",
        ),
        pytest.param(
            [user(1), member("created", 1)],
            [member("deleted", 2)],
            [("updated", ["company_id"], FIRST, "a")],
            id="to none",
        ),
        pytest.param(
            [user(1), member("created", 1)],
            [named(2), member("created", 3, SECOND), edit(4, company_id=str(SECOND))],
            [("company_changed", ["company_id"], FIRST, "a"), ("updated", ["company_id", *NAME], SECOND, "a")],
            id="a move with a name",
        ),
        pytest.param(
            [user(1), member("created", 1)],
            [gone(5)],
            [("deleted", ["company_id", *END], FIRST, "a")],
            id="an end takes the home",
        ),
        pytest.param([], [gone(5), user(3)], [("created", ["deleted_at", *ALL_FIELDS], None, "a")], id="born dead"),
        pytest.param([gone(5)], [user(3)], [("created", ["deleted_at", *ALL_FIELDS], None, "a")], id="late snapshot"),
        pytest.param(
            [user(5, is_anonymous=True)],
            [signed("in", 9), user(3), user(2)],
            [("created", ALL_FIELDS, None, "a"), ("signed_in", [], None, "a")],
            id="an old snapshot brings it about",
        ),
        pytest.param([user(1)], [user(2, last_active_at_millis=millis(1)), user(0)], [], id="no news is no row"),
    ],
)
async def test_the_audit_names_the_delivery_that_made_the_change(
    emptied: str, before: list[Delivery], batch: list[Delivery], expected: list[tuple[object, ...]]
) -> None:
    if before:
        await in_batches(emptied, before)
    count = len(audited(emptied))

    await in_batches(emptied, batch)

    assert audited_by(emptied, count, batch) == [tuple(row) for row in expected]


IMAGE: dict[str, Any] = {
    "company_id": None,
    "full_name": "Ada",
    "email": "ada@example.com",
    "email_verified": True,
    "avatar_url": None,
    "role_type": "member",
    "department": "General",
    "is_restricted": None,
    "deleted_at": None,
}


@pytest.mark.parametrize(
    ("data", "changed"),
    [
        ({"display_name": "B"}, {"full_name": "B"}),
        ({"primary_email": None}, {"email": None}),
        ({"primary_email_verified": False}, {"email_verified": False}),
        ({"profile_image_url": "https://x/y"}, {"avatar_url": "https://x/y"}),
        ({"server_metadata": {"role": "r"}}, {"role_type": "r"}),
        ({"server_metadata": {"department": "d"}}, {"department": "d"}),
        ({"is_restricted": False}, {"is_restricted": False}),
        ({"server_metadata": {"company_id": str(FIRST)}}, {"company_id": str(FIRST)}),
    ],
)
async def test_each_field_is_imaged_and_moves_updated_at_and_leaves_created_at(
    emptied: str, data: dict[str, Any], changed: dict[str, object]
) -> None:
    await in_batches(emptied, [crew("created", 0)], [user(1)])
    created_at, updated_at = one(emptied, "identity.profiles", "created_at, updated_at")

    await in_batches(emptied, [user(2, **data)])

    assert audited(emptied, "operation, changed_fields, previous_values, new_values") == [
        ("created", ALL_FIELDS, None, IMAGE),
        ("updated", sorted(changed), IMAGE, IMAGE | changed),
    ]
    assert one(emptied, "identity.profiles", "created_at") == (created_at,)
    assert one(emptied, "identity.profiles", "updated_at")[0] > updated_at


async def test_a_move_shows_neither_company_the_other(emptied: str) -> None:
    await in_batches(emptied, [crew("created", 0)], [crew("created", 0, SECOND)], [user(1, **HOME)], [
        user(2, display_name="B", server_metadata={"company_id": str(SECOND)})
    ])  # fmt: skip

    columns = "company_id, previous_values ->> 'company_id' AS old, new_values ->> 'company_id' AS new"
    assert audited(emptied, f"{columns}, new_values ->> 'full_name'")[1:] == [
        (FIRST, str(FIRST), None, "Ada"),
        (SECOND, None, str(SECOND), "B"),
    ]


@pytest.mark.parametrize(
    ("batch", "columns", "is_written"),
    [
        ([user(2, last_active_at_millis=millis(1))], "last_active_at", True),
        ([signed("in", 2)], "last_sign_in_at", True),
        ([signed("out", 2)], "last_sign_out_at", True),
        ([member("created", 2, SECOND)], "guest_keys", True),
        ([user(2)], "last_active_at", False),
        ([edit(2, role_type="member")], "role_type", False),
    ],
)
async def test_times_and_guest_keys_are_written_without_moving_updated_at(
    emptied: str, batch: list[Delivery], columns: str, is_written: bool
) -> None:
    await in_batches(emptied, [member("created", 0)], [user(1)])
    before = one(emptied, "identity.profiles", "updated_at, created_at")
    stored = one(emptied, "identity.profiles", f"xmin::text, {columns}")

    await in_batches(emptied, batch)

    after = one(emptied, "identity.profiles", f"xmin::text, {columns}")
    assert [old != new for old, new in zip(stored, after, strict=True)] == [is_written, is_written]
    assert one(emptied, "identity.profiles", "updated_at, created_at") == before
    assert not [row for row in audited(emptied)[1:] if not row[0].startswith("signed")]


async def test_a_profile_and_a_mirror_row_carry_the_same_guest_keys_in_order(emptied: str) -> None:
    await in_batches(
        emptied, [user(1)], [member("created", n, team_id) for n, team_id in enumerate((FIRST, SECOND, DEFAULT))]
    )

    [guest_keys] = one(emptied, "identity.profiles", "guest_keys")
    assert guest_keys == [key for (key,) in every(emptied, "identity.companies", "guest_key", f"id <> '{FIRST}'")]
    assert one(emptied, "identity.stack_user_profiles", "guest_keys") == (guest_keys,)
