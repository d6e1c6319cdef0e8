"""What each delete policy leaves, column by column, of users that an application holds and of free ones."""

from typing import Any

import pytest

from consumer.outbox.storage import Delivery
from consumer.settings.settings import DeletePolicy, ShapingSettings
from tests.support.application import referred_to
from tests.support.batches import (
    FIRST,
    OTHER,
    SECOND,
    USER,
    at,
    audited,
    crew,
    edit,
    every,
    gone,
    in_batches,
    may,
    member,
    millis,
    one,
    signed,
    snapshot,
    user,
)
from tests.support.databases import record
from tests.support.effects import under

SERVER = {"role": "admin", "department": "Sales", "company_id": str(FIRST)}
FULL: dict[str, Any] = {
    "display_name": "Mallory",
    "primary_email": "mallory@example.com",
    "profile_image_url": "https://example.com/mallory.png",
    "server_metadata": SERVER,
    "is_restricted": True,
    "last_active_at_millis": millis(1),
}
# The columns that are emptied, and those that a row is derived from.
PERSONAL = (
    "stack_display_name, stack_primary_email, stack_primary_email_verified, stack_profile_image_url, stack_metadata, "
    "signed_up_at, source_company_id, last_active_at, last_sign_in_at, last_sign_out_at"
)
DERIVED = "is_anonymous, is_restricted, source_role, source_department"
ALWAYS = "company_id, has_profile, deleted_at, occurred_at"
MIRROR = "identity.stack_user_profiles"
OF_USER = f"stack_user_id = '{USER}'"


def life(end: float | None = 5, second: float = 2) -> list[Delivery]:
    told = [
        user(second, **FULL),
        signed("in", 3),
        signed("out", 4),
        member("created", 1, SECOND),
        may("created", 1, "r"),
    ]
    return [*told, gone(end)] if end else told


KEPT = (False, True, "admin", "Sales")


@pytest.mark.parametrize("order", ["one batch", "deletion last", "deletion first", "snapshot last", "repeated"])
@pytest.mark.parametrize(
    ("policy", "is_held", "is_forgotten", "derived"),
    [
        ("soft", False, False, KEPT),
        ("anonymise", False, True, KEPT),
        ("hard", False, True, (None,) * 4),
        ("hard", True, True, KEPT),
    ],
)
async def test_a_mirror_row_keeps_what_the_policy_leaves(
    emptied: str, policy: DeletePolicy, is_held: bool, is_forgotten: bool, derived: tuple[object, ...], order: str
) -> None:
    await under(emptied, policy)
    *told, end = life()
    await in_batches(emptied, [crew("created", 0), user(1, OTHER, **FULL)])
    if is_held:
        await in_batches(emptied, told[:1])
        with referred_to(emptied, USER, ""):
            await _arrive(emptied, order, told, end)
    else:
        await _arrive(emptied, order, told, end)

    found = one(emptied, MIRROR, f"is_forgotten, is_held, {ALWAYS}", OF_USER)
    assert found == (is_forgotten, is_held, None, True, at(5), at(6 if order == "snapshot last" else 2))
    assert one(emptied, MIRROR, DERIVED, OF_USER) == derived
    personal = one(emptied, MIRROR, PERSONAL, OF_USER)
    assert [value is None for value in personal] == [is_forgotten] * len(personal)
    assert len(every(emptied, "identity.profiles", "user_id", f"user_id = '{USER}'")) == (policy != "hard" or is_held)
    members = every(emptied, "identity.company_members", "removed_at, is_guest", f"user_id = '{USER}'")
    assert members == ([(at(5), False)] if policy != "hard" or is_held else [])
    # Nobody else is touched.
    assert one(emptied, MIRROR, "is_forgotten, is_held, stack_display_name", f"stack_user_id = '{OTHER}'") == (
        False,
        False,
        "Mallory",
    )


async def _arrive(url: str, order: str, told: list[Delivery], end: Delivery) -> None:
    later = user(6, **FULL)
    batches = {
        "one batch": [[*told, end]],
        "deletion last": [told, [end]],
        "deletion first": [[end], told],
        "snapshot last": [told, [end], [later]],
        "repeated": [told, [end], [gone(9)], [signed("in", 8)]],
    }
    await in_batches(url, *batches[order])


NOBODY = {"full_name": "Deleted user", "email": None, "email_verified": None, "avatar_url": None, "company_id": None}
FIELDS = "full_name, email, email_verified, avatar_url, company_id, role_type, department, is_restricted, deleted_at"


@pytest.mark.parametrize("is_held", [False, True])
async def test_a_forgotten_profile_keeps_role_department_and_dates(emptied: str, is_held: bool) -> None:
    await under(emptied, "hard" if is_held else "anonymise")
    await in_batches(emptied, life(end=None), [edit(3, role_type="owner", company_id=str(SECOND))])
    with referred_to(emptied, USER, ""):
        await in_batches(emptied, [gone(5)])
    # Nothing holds the profile any more; yet it stays, because its user is marked.
    made_at = one(emptied, "identity.profiles", "created_at")
    await in_batches(
        emptied, [user(7, **FULL | {"is_restricted": False})], [edit(8, department="R&D", company_id=str(FIRST))]
    )
    await in_batches(emptied, [gone(4)])

    assert one(emptied, "identity.profiles", FIELDS) == (
        *("Deleted user", None, None, None, None),
        *("owner", "R&D", False, at(4)),
    )
    assert one(emptied, "identity.profiles", "last_active_at, last_sign_in_at, last_sign_out_at") == (None, None, None)
    assert every(emptied, "consumer.edits", "field, value") == [("department", "R&D"), ("role_type", "owner")]
    assert one(emptied, "identity.company_members", "removed_at, permissions") == (at(4), [])
    assert one(emptied, MIRROR, "is_held") == (is_held,)
    assert one(emptied, "identity.profiles", "created_at") == made_at
    operations = [operation for operation, _ in audited(emptied) if not operation.startswith("signed")]
    assert operations == ["created", "updated", "deleted", "updated", "updated", "updated"]


async def test_a_membership_of_a_held_user_is_kept_up(emptied: str) -> None:
    await under(emptied, "hard")
    await in_batches(emptied, [user(1, **FULL), member("created", 1)])
    with referred_to(emptied, USER, ""):
        await in_batches(emptied, [gone(5)])

    await in_batches(emptied, [may("created", 6, "r"), member("deleted", 3)])

    assert one(emptied, "identity.company_members", "removed_at, permissions, is_guest") == (at(3), ["r"], False)


@pytest.mark.parametrize("policy", ["soft", "anonymise"])
async def test_nobody_is_held_but_under_hard(emptied: str, policy: DeletePolicy) -> None:
    await under(emptied, policy)

    await in_batches(emptied, life(), [user(9, **FULL)])

    assert one(emptied, MIRROR, "is_held") == (False,)


@pytest.mark.parametrize(
    ("first", "second", "is_forgotten", "is_there"),
    [
        ("soft", "anonymise", True, True),
        ("soft", "hard", True, False),
        ("anonymise", "soft", True, True),
        ("anonymise", "hard", True, False),
        ("hard", "soft", True, False),
        ("hard", "anonymise", True, False),
    ],
)
@pytest.mark.parametrize(
    "late", [gone(4), user(9, **FULL), signed("in", 9, **snapshot())], ids=lambda d: str(d.event_type)
)
async def test_another_policy_reaches_a_deleted_user_with_the_next_delivery(
    emptied: str, first: DeletePolicy, second: DeletePolicy, is_forgotten: bool, is_there: bool, late: Delivery
) -> None:
    await under(emptied, first)
    await in_batches(emptied, life())
    await under(emptied, second)

    await in_batches(emptied, [late])

    # A sign-in writes a mirror row only while the row keeps times.
    if late.event_type == "user.signed_in" and first != "soft":
        is_forgotten, is_there = True, first == "anonymise"
    assert one(emptied, MIRROR, "is_forgotten") == (is_forgotten,)
    found = every(emptied, "identity.profiles", "full_name, email")
    assert found == ([("Deleted user", None)] if is_there else [])


@pytest.mark.parametrize("policy", ["anonymise", "hard"])
async def test_the_audit_of_a_forgotten_user_keeps_no_personal_field_and_that_of_others_all(
    emptied: str, policy: DeletePolicy
) -> None:
    await under(emptied, policy)
    await in_batches(
        emptied, [user(1, OTHER, **FULL)], life(end=None), [user(3, **FULL | {"display_name": "Eve"})], [gone(5)]
    )

    personal = {"full_name", "email", "email_verified", "avatar_url"}
    images = audited(emptied, "user_id, previous_values, new_values")
    found: dict[Any, set[bool]] = {}
    for user_id, *both in images:
        for image in both:
            if image is not None:
                found.setdefault(user_id, set()).add(bool(personal & image.keys()))
                assert {"role_type", "department", "is_restricted", "deleted_at", "company_id"} <= image.keys()
    assert found == {OTHER: {True}, USER: {False}}


DEFAULTS = {"default_role": "guest", "default_department": "Nowhere"}
KEYS = {"role_key": "rank", "department_key": "unit", "company_key": "firm"}
ALL_KEYS = {"role": "r", "department": "d", "company_id": str(SECOND), "rank": "R", "unit": "D", "firm": str(FIRST)}


@pytest.mark.parametrize(
    ("settings", "metadata", "expected"),
    [
        ({}, ALL_KEYS, ("r", "d", SECOND)),
        (KEYS, ALL_KEYS, ("R", "D", FIRST)),
        (KEYS, SERVER, ("member", "General", None)),
        ({"role_key": "rank"}, ALL_KEYS, ("R", "d", SECOND)),
        ({"department_key": "unit"}, ALL_KEYS, ("r", "D", SECOND)),
        ({"company_key": "firm"}, ALL_KEYS, ("r", "d", FIRST)),
        ({"default_role": "guest"}, None, ("guest", "General", None)),
        ({"default_department": "Nowhere"}, None, ("member", "Nowhere", None)),
        (DEFAULTS, {"role": " ", "department": ""}, ("guest", "Nowhere", None)),
        (DEFAULTS, ALL_KEYS, ("r", "d", SECOND)),
    ],
)
async def test_keys_and_defaults_are_those_recorded(
    emptied: str, settings: dict[str, str], metadata: object, expected: tuple[object, ...]
) -> None:
    await record(emptied, ShapingSettings(**settings))  # type: ignore[arg-type]
    await in_batches(emptied, [crew("created", 0), crew("created", 0, SECOND)])

    await in_batches(emptied, [user(1, server_metadata=metadata)])

    assert one(emptied, "identity.profiles", "role_type, department, company_id") == expected
