"""What `consumer user` prints of each fact, from facts made by hand."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from consumer.cli import user as user_page
from consumer.lookup.one_user import Entry, KnownMembership, KnownUser, StoredCounts, Timeline
from consumer.lookup.origins import FieldOrigin
from consumer.lookup.shown import ShownUser
from consumer.postgres.first_rows import FirstRows
from tests.support.shown import OTHER_ID, TEAM_ID, USER_ID, audited, known_user, listed_delivery

NOW = datetime(2026, 11, 29, 14, 32, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
USER = known_user(is_known=True, has_profile=True, full_name="A••• B•••", company_id=TEAM_ID)
COUNTS = StoredCounts(2, 0, 0, 0, NOW)


def shown(user: KnownUser = USER, counts: StoredCounts = COUNTS, **named: Any) -> ShownUser:
    facts: dict[str, Any] = {"fields": [], "memberships": FirstRows(), "timeline": Timeline(FirstRows(), None), **named}
    return ShownUser(user=user, counts=counts, now=NOW, **facts)


@pytest.mark.parametrize(
    ("named", "state"),
    [
        ({}, "active"),
        ({"is_restricted": True}, "active, restricted"),
        ({"has_profile": False}, "without a profile"),
        ({"has_profile": False, "is_anonymous": True}, "anonymous, without a profile"),
        ({"is_known": False, "has_profile": False}, "not applied yet"),
        ({"deleted_at": NOW}, "deleted 2026-11-29 14:32:08Z"),
        ({"deleted_at": NOW, "is_erased": True}, "erased"),
    ],
)
def test_the_state_of_a_user_is_a_word_or_two(named: dict[str, Any], state: str) -> None:
    assert user_page._state(replace(USER, **named)) == state


@pytest.mark.parametrize(
    ("user", "counts", "timeline", "remark"),
    [
        (
            {"is_known": False},
            {"deliveries": 1, "first_received_at": None},
            None,
            "1 delivery stored, none waits.",
        ),
        (
            {"is_known": False, "is_rebuild_queued": True},
            {"deliveries": 5000, "pending": 1, "retrying": 2, "dead": 1003, "is_more": True},
            9,
            "Over 5,000 deliveries stored since 2026-11-29 14:32:08Z, 1 pending, 2 retrying, 1,003 dead. "
            "The user's rows wait to be made anew. Older: --before 9.",
        ),
        (
            {},
            {},
            None,
            "2 deliveries stored since 2026-11-29 14:32:08Z, none waits. No sign-in is known. "
            "No snapshot of the sender's is stored: `consumer refresh` asks for one.",
        ),
        (
            {"last_sign_out_at": NOW, "is_unlisted": True, "snapshot_at": NOW},
            {},
            None,
            "2 deliveries stored since 2026-11-29 14:32:08Z, none waits. "
            "The user last signed out at 2026-11-29 14:32:08Z. "
            "The newest reconciliation did not find this user at the sender.",
        ),
        (
            {"last_sign_in_at": NOW, "last_sign_out_at": NOW, "deleted_at": NOW, "is_unlisted": True},
            {},
            None,
            "2 deliveries stored since 2026-11-29 14:32:08Z, none waits. "
            "The user last signed in at 2026-11-29 14:32:08Z, out at 2026-11-29 14:32:08Z. "
            "The sender deleted the user at 2026-11-29 14:32:08Z.",
        ),
        (
            {"snapshot_at": NOW - 2 * HOUR},
            {},
            None,
            "2 deliveries stored since 2026-11-29 14:32:08Z, none waits. No sign-in is known. "
            "The sender confirmed the user 2h ago.",
        ),
    ],
    ids=["unknown", "many wait", "no snapshot", "unlisted", "deleted", "confirmed"],
)
def test_the_remark_counts_and_says_what_the_sender_says(
    user: dict[str, Any], counts: dict[str, Any], timeline: int | None, remark: str
) -> None:
    page = shown(replace(USER, **user), replace(COUNTS, **counts), timeline=Timeline(FirstRows(), timeline))

    assert user_page._remark(page) == remark


@pytest.mark.parametrize(
    ("named", "is_stored"),
    [((True, 1), True), ((True, 0), True), ((False, 1), True), ((False, 0), False)],
)
def test_a_user_is_stored_if_known_or_told_of(named: tuple[bool, int], *, is_stored: bool) -> None:
    known, deliveries = named

    assert shown(replace(USER, is_known=known), replace(COUNTS, deliveries=deliveries)).is_stored is is_stored


def test_the_page_of_a_user_has_fields_teams_and_events(capsys: pytest.CaptureFixture[str]) -> None:
    user = replace(USER, email="a•••@b.c", company_name="Crew")
    fields = [
        FieldOrigin("role_type", "admin", "edit", "app profile.edited", NOW - 24 * HOUR, "member"),
        FieldOrigin("company_id", TEAM_ID, "default", "the default company", None),
    ]
    memberships = FirstRows(
        [
            KnownMembership(TEAM_ID, "Crew", None, NOW, None, ["a", "b"]),
            KnownMembership(OTHER_ID, None, None, None, None, []),
            KnownMembership(OTHER_ID, "Old", None, NOW, NOW, []),
        ],
        is_more=True,
    )
    delivery = listed_delivery(state="dead", error_code="23505")
    changes = [audited(NOW, 1, ("email", "name")), audited(NOW, 2, ("name", "x"))]
    entries = FirstRows([Entry(NOW, 8, delivery, ()), Entry(NOW, 7, None, changes)], is_more=True)

    user_page._print(shown(user, fields=fields, memberships=memberships, timeline=Timeline(entries, None)))

    assert [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()] == [
        "A••• B••• · a•••@b.c · active",
        str(USER_ID),
        "",
        "field now since (UTC) set by",
        "role_type admin 28 Nov 14:32 app profile.edited (else member)",
        "company_id Crew - the default company",
        "",
        "team id joined state permissions",
        f"Crew {TEAM_ID} 14:32:08.000 home a, b",
        f"{OTHER_ID} {OTHER_ID} - guest -",
        f"Old {OTHER_ID} 14:32:08.000 removed 14:32:08.000 -",
        f"The first 3, and more: `consumer export {USER_ID}` has all.",
        "",
        "when (UTC) event outcome number changed",
        "14:32:08.000 user.updated dead 23505 8 -",
        "14:32:08.000 update changed 7 email, name, x",
        "Not all changes are shown: choose a lower --limit, or `consumer deliveries show NUMBER`.",
        "",
        "2 deliveries stored since 2026-11-29 14:32:08Z, none waits. No sign-in is known. "
        "No snapshot of the sender's is stored: `consumer refresh` asks for one.",
    ]


def test_an_empty_page_of_a_user_has_its_name_and_the_remark(capsys: pytest.CaptureFixture[str]) -> None:
    user_page._print(shown(replace(USER, full_name=None, is_known=False)))

    assert capsys.readouterr().out.splitlines() == [
        "not applied yet",
        str(USER_ID),
        "",
        "2 deliveries stored since 2026-11-29 14:32:08Z, none waits.",
    ]
