"""What a delivery says that the profile does not show, reason by reason and on both sides of each condition."""

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from consumer.lookup.forecast import replay_forecast
from consumer.lookup.one_delivery import OneDelivery
from consumer.lookup.one_user import KnownMembership, KnownUser, NewestEdit
from consumer.lookup.unfollowed import Known, MetadataKeys, Unfollowed, unfollowed
from consumer.postgres.first_rows import FirstRows
from tests.support.factories import NOON
from tests.support.shown import OTHER_ID, TEAM_ID, USER_ID, known_user, one_delivery

KEYS = MetadataKeys(role_type="role", department="unit", company_id="org")
HOUR = timedelta(hours=1)
USER = known_user(is_known=True, has_profile=True, company_id=TEAM_ID, snapshot_seq=7, snapshot_source="stack")
NO_APP = Unfollowed(
    "email_verified, role_type, department, company_id",
    "of your backend's user object only name, e-mail and picture count",
)
Found = list[tuple[str, str, str | None, str | None]]


def found(
    delivery: OneDelivery,
    data: object = None,
    user: KnownUser | None = USER,
    *,
    edits: tuple[NewestEdit, ...] = (),
    memberships: FirstRows[KnownMembership] | None = None,
) -> Found:
    known = (
        None
        if user is None
        else Known(user, {each.field: each for each in edits}, FirstRows() if memberships is None else memberships)
    )
    listed = unfollowed(delivery, {"data": data}, known, KEYS)
    return [(each.field, each.because, each.says, each.has) for each in listed]


def everything(because: str, has: str | None = None) -> Found:
    return [("everything", because, None, has)]


@pytest.mark.parametrize(
    ("named", "because"),
    [
        ({"excluded_at": NOON, "excluded_by": "me", "excluded_reason": "wrong"}, "me discarded it: wrong"),
        ({"state": "dead", "error": "Twice"}, "it could not be applied: Twice"),
        ({"state": "pending"}, "it is not applied yet"),
        ({"state": "retrying"}, "it is not applied yet"),
        ({"outcome": "ignored"}, "its type has no effect in this release"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_has_no_effect_at_all_says_why(named: dict[str, Any], because: str) -> None:
    assert found(one_delivery(**named)) == everything(because)


def test_the_snapshot_that_counts_leaves_nothing_out() -> None:
    assert found(one_delivery()) == []
    assert unfollowed(one_delivery(), None, Known(USER, {}, FirstRows()), KEYS) == []
    assert unfollowed(one_delivery(), {"data": [1]}, Known(USER, {}, FirstRows()), KEYS) == []


@pytest.mark.parametrize("outcome", ["stale", "applied"])
def test_an_event_of_a_team_is_decided_by_a_newer_one_only_if_it_is_stale(outcome: str) -> None:
    delivery = one_delivery(event_type="team.updated", user_id=None, team_id=TEAM_ID, outcome=outcome)

    newer = "a newer event about the team decides"
    assert found(delivery, user=None) == (everything(newer) if outcome == "stale" else [])


@pytest.mark.parametrize("outcome", ["stale", "applied"])
def test_a_permission_is_decided_by_a_newer_one_only_if_it_is_stale(outcome: str) -> None:
    delivery = one_delivery(event_type="team_permission.created", team_id=TEAM_ID, outcome=outcome)

    newer = ("permissions", "a newer event about this permission decides", None, None)
    assert found(delivery) == ([newer] if outcome == "stale" else [])


@pytest.mark.parametrize("event_type", ["user.deleted", "user.erased"])
def test_a_deletion_is_not_followed_if_the_user_is_shown_alive(event_type: str) -> None:
    alive = ("deleted_at", "the sender has shown the user alive since", "deleted", "active")

    assert found(one_delivery(event_type=event_type)) == [alive]
    assert found(one_delivery(event_type=event_type), user=replace(USER, deleted_at=NOON)) == []


def test_a_snapshot_of_a_deleted_user_counts_for_nothing() -> None:
    gone = replace(USER, deleted_at=NOON)

    assert found(one_delivery(), user=gone) == everything(
        "the user is deleted, and no snapshot brings a user back", "deleted"
    )


@pytest.mark.parametrize("way", ["in", "out"])
def test_an_earlier_sign_in_or_out_is_named(way: str) -> None:
    later = [(f"last_{way}", "a later one is known", None, None)]
    delivery = one_delivery(event_type=f"user.signed_{way}", seq=8, source="app")

    def known(hours: int, which: str = way) -> KnownUser:
        time: dict[str, Any] = {f"last_sign_{which}_at": NOON + hours * HOUR}
        return replace(USER, **time)

    assert found(delivery, user=known(1)) == later
    assert found(delivery, user=known(0)) == []
    assert found(delivery, user=known(1, "out" if way == "in" else "in")) == []
    assert found(delivery) == []
    superseded = ("everything", "the sender's own snapshot outranks your backend's user object", None, None)
    assert found(delivery, {"primary_email": None}, known(1)) == [*later, superseded]


@pytest.mark.parametrize(
    ("source", "user", "because"),
    [
        ("app", {"snapshot_source": "stack"}, "the sender's own snapshot outranks your backend's user object"),
        ("app", {"snapshot_source": "app", "snapshot_at": NOON}, "the snapshot of 2026-11-22 12:00:00Z is newer"),
        ("stack", {"snapshot_source": "stack", "snapshot_at": NOON}, "the snapshot of 2026-11-22 12:00:00Z is newer"),
        ("stack", {"snapshot_source": "stack"}, "another snapshot decides"),
    ],
)
def test_a_superseded_snapshot_names_what_decides(source: str, user: dict[str, Any], because: str) -> None:
    assert found(one_delivery(source=source, seq=6), user=replace(USER, **user)) == everything(because)


def test_a_user_object_of_the_backend_sets_three_fields_only() -> None:
    delivery = one_delivery(event_type="user.signed_in", source="app")

    assert found(delivery, {"primary_email": "a@b.c"}) == [(NO_APP.field, NO_APP.because, None, None)]
    assert found(one_delivery(source="backfill")) == []


@pytest.mark.parametrize(
    ("edit", "because"),
    [
        (None, "it is not derived yet"),
        (NewestEdit("role_type", None, 9, NOON, False), "it is not derived yet"),
        (
            NewestEdit("role_type", "admin", 9, NOON, False),
            "your backend set it on 2026-11-22 12:00Z; that wins until it is withdrawn",
        ),
        (NewestEdit("role_type", "admin", 9, None, False), "your backend set it; that wins until it is withdrawn"),
    ],
    ids=["no edit", "withdrawn", "an edit", "an edit without a time"],
)
def test_a_field_that_an_edit_overrides_is_named(edit: NewestEdit | None, because: str) -> None:
    user = replace(USER, source_role="member", role_type="admin", source_department="Sales", department="Sales")

    assert found(one_delivery(), user=user, edits=(edit,) if edit else ()) == [
        ("role_type", because, "member", "admin")
    ]
    assert found(one_delivery(), user=replace(user, source_role=None)) == []


def test_the_senders_department_and_company_are_named_too() -> None:
    user = replace(USER, source_department="Sales", source_company_id=OTHER_ID, is_source_company_active=True)
    edit = NewestEdit("company_id", str(TEAM_ID), 9, None, True)

    assert found(one_delivery(), user=user, edits=(edit,)) == [
        ("department", "it is not derived yet", "Sales", None),
        (
            "company_id",
            "your backend set it; that wins until it is withdrawn",
            str(OTHER_ID),
            str(TEAM_ID),
        ),
    ]
    gone = replace(user, source_department=None, is_source_company_active=False, company_id=None)
    assert found(one_delivery(), user=gone, edits=(edit,)) == [
        ("company_id", "that company is deleted or not known", str(OTHER_ID), None)
    ]
    assert found(one_delivery(), user=replace(USER, source_company_id=TEAM_ID)) == []


def test_what_users_write_into_their_metadata_is_named_by_the_key_of_the_settings() -> None:
    user = replace(USER, role_type="admin", department="Sales")
    because = "users can write client_metadata, so nothing is taken from it"

    assert found(one_delivery(), {"client_metadata": {"role": "owner", "unit": 7, "org": None, "x": 1}}, user) == [
        ("client_metadata.role", because, "owner", "admin"),
        ("client_metadata.unit", because, "7", "Sales"),
        ("client_metadata.org", because, None, str(TEAM_ID)),
    ]
    assert found(one_delivery(), {"client_metadata": {"role_type": "owner"}}, user) == []
    assert found(one_delivery(), {"client_metadata": "role"}, user) == []


@pytest.mark.parametrize(
    ("data", "is_named"),
    [
        ({"selected_team": {"id": str(OTHER_ID)}}, True),
        ({"selected_team_id": str(OTHER_ID)}, True),
        ({"selected_team": None, "selected_team_id": str(OTHER_ID)}, True),
        ({"selected_team": {"id": str(TEAM_ID)}, "selected_team_id": str(OTHER_ID)}, False),
        ({"selected_team_id": str(TEAM_ID)}, False),
        ({"selected_team_id": "no id"}, False),
        ({"selected_team_id": 7}, False),
        ({}, False),
    ],
)
def test_a_selected_team_that_is_not_the_home_company_is_named(data: dict[str, Any], is_named: bool) -> None:
    because = "the selected team makes a member, but moves nobody"
    expected = ("company_id", because, str(OTHER_ID), str(TEAM_ID))

    assert found(one_delivery(), data) == [expected] * is_named


def test_of_an_edit_the_fields_are_named_that_a_newer_edit_or_a_dead_company_decides() -> None:
    user = replace(USER, role_type="admin", department="Sales")
    edits = (
        NewestEdit("role_type", "admin", 9, NOON, False),
        NewestEdit("department", "Sales", 7, NOON, False),
        NewestEdit("company_id", str(OTHER_ID), 7, NOON, False),
    )
    data = {"role_type": "owner", "department": "Sales", "company_id": str(OTHER_ID)}
    delivery = one_delivery(event_type="profile.edited", source="app")

    newer = ("role_type", "a newer edit of this field decides", "owner", "admin")
    gone = ("company_id", "that company is deleted or not known", str(OTHER_ID), str(TEAM_ID))
    assert found(delivery, data, user, edits=edits) == [newer, gone]
    assert found(delivery, {"role_type": None}, user, edits=edits) == [
        ("role_type", "a newer edit of this field decides", None, "admin")
    ]
    active = NewestEdit("company_id", str(OTHER_ID), 7, NOON, True)
    withdrawn = NewestEdit("company_id", None, 7, NOON, False)
    assert found(delivery, data, user, edits=(active,)) == found(delivery, data, user, edits=(withdrawn,)) == []


def joined(**named: Any) -> FirstRows[KnownMembership]:
    facts = {"company_name": None, "company_deleted_at": None, "joined_at": NOON, "removed_at": None, **named}
    return FirstRows([KnownMembership(company_id=facts.pop("company_id", TEAM_ID), permissions=(), **facts)])


@pytest.mark.parametrize(
    ("memberships", "user", "because"),
    [
        (joined(), USER, None),
        (joined(removed_at=NOON), USER, "a newer event removed the user"),
        (joined(company_id=OTHER_ID), USER, "a newer event removed the user"),
        (FirstRows[KnownMembership](), USER, "a newer event removed the user"),
        (FirstRows[KnownMembership]([], is_more=True), USER, None),
        (joined(removed_at=NOON, company_deleted_at=NOON), USER, "the company is deleted"),
        (joined(removed_at=NOON, company_deleted_at=NOON), replace(USER, deleted_at=NOON), "the user is deleted"),
    ],
    ids=["active", "removed", "of another", "none", "perhaps behind the first", "company gone", "user gone"],
)
def test_a_join_that_did_not_last_says_why(
    memberships: FirstRows[KnownMembership], user: KnownUser, because: str | None
) -> None:
    delivery = one_delivery(event_type="team_membership.created", team_id=TEAM_ID)

    expected = [] if because is None else [("membership", because, "active", "removed")]
    assert found(delivery, None, user, memberships=memberships) == expected


def test_a_removal_that_was_undone_is_named() -> None:
    delivery = one_delivery(event_type="team_membership.deleted", team_id=TEAM_ID)

    again = ("membership", "a newer event made the user a member again", "removed", "active")
    assert found(delivery, memberships=joined()) == [again]
    assert found(delivery, memberships=joined(removed_at=NOON)) == []
    assert found(delivery) == []


@pytest.mark.parametrize(
    ("named", "sentence"),
    [
        ({"excluded_at": NOON, "state": "pending"}, "Nothing: a discarded delivery is never replayed."),
        ({"state": "pending"}, "Nothing: it is pending, and applied without a replay."),
        ({"state": "retrying"}, "It would be tried at once, and not wait for its next attempt."),
        ({"state": "dead"}, "This release would check it again, and put it back to pending if it can use it."),
        ({"outcome": "ignored"}, "It would be put back to pending, and applied if this release knows its type."),
        ({"user_id": None}, "Nothing: it is about no user and no team."),
        ({}, f"The rows of its user would be made anew .* `consumer rebuild --check --user {USER_ID}` tells"),
        ({"team_id": TEAM_ID}, f"The rows of its user would .* --check --user {USER_ID}` tells"),
        (
            {"user_id": None, "team_id": TEAM_ID},
            f"The rows of its company would be made anew .* --check --team {TEAM_ID}` tells",
        ),
    ],
)
def test_what_a_replay_would_do_is_one_sentence(named: dict[str, Any], sentence: str) -> None:
    assert re.match(sentence, replay_forecast(one_delivery(**named), None))


def test_whether_a_dead_delivery_could_be_used_is_told_from_its_body() -> None:
    dead = one_delivery(state="dead", event_type="team.deleted", source="stack")
    body = b'{"type": "team.deleted", "data": {"id": "%s"}}' % str(TEAM_ID).encode()

    assert replay_forecast(dead, body) == "It would be put back to pending: this release can use it."
    refused = replay_forecast(dead, b"[]")
    assert refused.startswith("It would stay dead: this release can't use it either (")
