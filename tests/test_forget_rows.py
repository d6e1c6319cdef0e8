"""Which rows of deleted users each statement forgets, marks or removes: every combination of policy and marks."""

from itertools import product
from typing import Any
from uuid import UUID

import pytest

from consumer.settings.settings import DeletePolicy, ShapingSettings
from tests.support.databases import change, record, rows
from tests.support.queries import ran
from tests.test_anew_rows import company, fill, joined, member, mirror, profile
from tests.test_stored import FEBRUARY, JANUARY, store

CREW, TEAM = UUID(int=0xC0), UUID(int=0xC1)
ADA, BOB, EVE, MAX = (UUID(int=0xA0 + n) for n in range(4))
POLICIES: list[DeletePolicy] = ["soft", "anonymise", "hard"]
MARKS = ("is_erased", "is_forgotten", "is_removed", "is_held")
# Deleted or not, with each combination of the marks, and whether the statement is asked about the user.
CASES = [
    (UUID(int=number), is_deleted, dict(zip(MARKS, marks, strict=True)), is_asked)
    for number, (is_deleted, *marks, is_asked) in enumerate(product([False, True], repeat=6), 1)
]
ASKED = [user_id for user_id, *_, is_asked in CASES if is_asked]
SAID = {
    "stack_display_name": "'Ada'",
    "stack_primary_email": "'a@x'",
    "stack_primary_email_verified": "TRUE",
    "stack_profile_image_url": "'u'",
    "stack_metadata": "'{}'",
    "signed_up_at": "now()",
    "source_company_id": f"'{CREW}'",
    "last_active_at": "now()",
    "last_sign_in_at": "now()",
    "last_sign_out_at": "now()",
}
DERIVED = {"is_anonymous": "FALSE", "is_restricted": "TRUE", "source_role": "'r'", "source_department": "'d'"}


def cases(url: str) -> None:
    fill(
        url,
        *(
            mirror(
                user_id,
                deleted_at="now()" if is_deleted else "NULL",
                **{name: str(mark) for name, mark in marks.items()},
                **SAID,
                **DERIVED,
            )
            for user_id, is_deleted, marks, _ in CASES
        ),
    )


def mirrored(url: str) -> dict[UUID, dict[str, Any]]:
    return {row["stack_user_id"]: row for row in rows(url, "SELECT * FROM identity.stack_user_profiles")}


@pytest.mark.parametrize("policy", POLICIES)
async def test_who_is_deleted_is_forgotten_as_policy_and_marks_say(emptied: str, policy: DeletePolicy) -> None:
    await record(emptied, ShapingSettings(delete_policy=policy))
    cases(emptied)
    before = mirrored(emptied)

    await ran(emptied, "users/forget", user_ids=ASKED)

    after = mirrored(emptied)
    for user_id, is_deleted, marks, is_asked in CASES:
        expected = before[user_id]
        if is_asked and is_deleted and (policy != "soft" or marks["is_forgotten"] or marks["is_erased"]):
            is_removed = not marks["is_held"] and (policy == "hard" or marks["is_erased"] or marks["is_removed"])
            emptied_columns = [*SAID, *(DERIVED if is_removed else ())]
            expected = expected | dict.fromkeys(emptied_columns) | {"is_forgotten": True, "is_removed": is_removed}
        assert after[user_id] == expected, (is_deleted, marks, is_asked)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("held_by", ["profile", "member", None])
async def test_who_should_be_gone_and_still_has_a_row_is_held(
    emptied: str, policy: DeletePolicy, held_by: str | None
) -> None:
    await record(emptied, ShapingSettings(delete_policy=policy))
    cases(emptied)
    fill(emptied, company(CREW), "SELECT 1")
    for user_id, *_ in CASES:
        if held_by:
            fill(emptied, profile(user_id) if held_by == "profile" else member(user_id, CREW))

    await ran(emptied, "users/mark_held", user_ids=ASKED)

    after = mirrored(emptied)
    for user_id, is_deleted, marks, is_asked in CASES:
        should_be_gone = is_deleted and (policy == "hard" or marks["is_erased"] or marks["is_removed"])
        is_held = marks["is_held"] or (is_asked and should_be_gone and held_by is not None)
        assert after[user_id]["is_held"] == is_held, (is_deleted, marks, is_asked)


@pytest.mark.parametrize("policy", POLICIES)
async def test_who_should_be_gone_and_is_not_held_loses_profile_and_memberships(
    emptied: str, policy: DeletePolicy
) -> None:
    await record(emptied, ShapingSettings(delete_policy=policy))
    cases(emptied)
    fill(emptied, company(CREW), company(TEAM))
    fill(emptied, *(row for user_id, *_ in CASES for row in (profile(user_id, CREW), member(user_id, CREW))))
    fill(emptied, *(member(user_id, TEAM) for user_id, *_ in CASES))

    [(seqs, removed)] = await ran(emptied, "users/remove_profiles", user_ids=ASKED, seqs=[], operation=None)

    gone = {
        user_id
        for user_id, is_deleted, marks, is_asked in CASES
        if is_asked and is_deleted and not marks["is_held"]
        if policy == "hard" or marks["is_erased"] or marks["is_removed"]
    }
    left = {user_id for user_id, *_ in CASES} - gone
    assert (seqs, set(removed)) == ([], gone)
    assert {row["user_id"] for row in rows(emptied, "SELECT user_id FROM identity.profiles")} == left
    members = [row["user_id"] for row in rows(emptied, "SELECT user_id FROM identity.company_members ORDER BY 1")]
    assert members == [user_id for user_id in sorted(left) for _ in "12"]


@pytest.mark.parametrize(("operation", "named"), [(None, ["deleted", "erased"]), ("rebuilt", ["rebuilt"] * 2)])
async def test_a_removed_profile_is_audited_under_its_oldest_deletion(
    emptied: str, operation: str | None, named: list[str]
) -> None:
    await record(emptied, ShapingSettings(delete_policy="hard"))
    fill(
        emptied,
        company(CREW),
        mirror(ADA, deleted_at="now()"),
        mirror(BOB, deleted_at="now()", is_erased="TRUE"),
        mirror(EVE, deleted_at="now()"),
        *(profile(one, CREW) for one in (BOB, ADA, EVE)),
    )
    store(emptied, "user.deleted", user_id=ADA)
    told = [
        store(emptied, "user.updated", user_id=ADA),
        store(emptied, "user.deleted", user_id=ADA, at=FEBRUARY, source="backfill"),
        store(emptied, "user.deleted", user_id=ADA, source="reconcile"),
        store(emptied, "user.erased", user_id=BOB, at=FEBRUARY, source="operator"),
        store(emptied, "user.updated", user_id=BOB, at=JANUARY),
    ]

    [(seqs, removed)] = await ran(
        emptied, "users/remove_profiles", user_ids=[EVE, BOB, ADA], seqs=told, operation=operation
    )

    assert (sorted(seqs), sorted(removed)) == ([told[2], told[3]], [ADA, BOB, EVE])
    found = rows(emptied, "SELECT user_id, company_id, operation, source, seq, new_values FROM identity.profile_audit")
    assert [tuple(row.values()) for row in found] == [
        (ADA, CREW, named[0], "reconcile", told[2], None),
        (BOB, CREW, named[1], "operator", told[3], None),
    ]


async def test_deleted_users_get_their_marks_again_each_its_own_and_the_living_none(emptied: str) -> None:
    fill(emptied, *(mirror(one, deleted_at="now()") for one in (ADA, BOB, MAX)), mirror(EVE))

    await ran(
        emptied,
        "users/mark_again",
        user_ids=[BOB, EVE, ADA],
        forgotten=[True, True, False],
        held=[False, True, True],
        removed=[True, True, False],
    )

    found = mirrored(emptied)
    assert [[found[one][name] for name in MARKS[1:]] for one in (ADA, BOB, EVE, MAX)] == [
        [False, False, True],
        [True, True, False],
        [False, False, False],
        [False, False, False],
    ]


async def test_edits_that_no_row_is_made_of_are_forgotten(emptied: str) -> None:
    fill(
        emptied,
        mirror(ADA, is_forgotten="TRUE"),
        mirror(BOB, is_forgotten="TRUE", is_removed="TRUE"),
        mirror(EVE, is_removed="TRUE"),
        mirror(MAX, is_forgotten="TRUE", is_removed="TRUE"),
    )
    for one, field in product((ADA, BOB, EVE, MAX), ("company_id", "department", "role_type")):
        change(emptied, f"INSERT INTO consumer.edits VALUES ('{one}', '{field}', NULL, '1', 1)")

    await ran(emptied, "edits/forget", user_ids=[ADA, BOB, EVE])

    left = rows(emptied, "SELECT user_id, field FROM consumer.edits ORDER BY user_id, field")
    every = ["company_id", "department", "role_type"]
    assert [tuple(row.values()) for row in left] == [
        (ADA, "department"),
        (ADA, "role_type"),
        *((EVE, field) for field in every),
        *((MAX, field) for field in every),
    ]


async def test_memberships_that_nobody_tells_of_or_of_removed_users_go(emptied: str) -> None:
    fill(
        emptied,
        *(company(one) for one in (CREW, TEAM)),
        mirror(ADA),
        mirror(BOB, is_removed="TRUE"),
        *(member(one, each) for one in (ADA, BOB, EVE, MAX) for each in (CREW, TEAM)),
        joined(ADA, CREW),
        joined(BOB, CREW),
        joined(BOB, TEAM),
        joined(EVE, TEAM),
    )

    await ran(emptied, "members/remove_untold", user_ids=[ADA, BOB, EVE])

    left = rows(emptied, "SELECT user_id, company_id FROM identity.company_members ORDER BY 1, 2")
    assert [tuple(row.values()) for row in left] == [(ADA, CREW), (EVE, TEAM), (MAX, CREW), (MAX, TEAM)]
