"""Who set each field of a profile, and when the sender confirmed its user, on both sides of each condition."""

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from consumer.lookup.one_user import FieldChange, KnownMembership, KnownUser, NewestEdit
from consumer.lookup.origins import COMPANY, FieldOrigin, origins

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
HERE, THERE = uuid4(), uuid4()
NOTHING = KnownUser(**{each.name: None for each in fields(KnownUser)} | {"user_id": uuid4()})  # type: ignore[arg-type]
USER = replace(NOTHING, has_profile=True, is_known=True, role_type="admin", source_role="member", company_id=HERE)
AT_HOME = replace(USER, source_company_id=HERE, is_source_company_active=True)


def edit(field: str, value: str | None, at: datetime | None = NOW, *, is_active: bool = True) -> dict[str, NewestEdit]:
    return {field: NewestEdit(field, value, 7, at, is_active)}


def member(removed_at: datetime | None = None) -> list[KnownMembership]:
    return [KnownMembership(HERE, "Here", None, NOW, removed_at, ())]


def origin(user: KnownUser, field: str, edits: Any = None, memberships: Any = (), changes: Any = None) -> FieldOrigin:
    [found] = [each for each in origins(user, edits or {}, memberships, changes or {}) if each.field == field]
    return found


def test_an_edit_is_since_it_occurred_or_was_written_and_hides_what_is_beneath() -> None:
    written = {"role_type": FieldChange("role_type", NOW + HOUR, "updated", "app", "m", 7)}

    edited = origin(USER, "role_type", edit("role_type", "admin"), changes=written)
    pruned = origin(USER, "role_type", edit("role_type", "admin", None), changes=written)
    alone = origin(replace(USER, source_role=None), "role_type", edit("role_type", "admin"))
    withdrawn = origin(USER, "role_type", edit("role_type", None), changes=written)

    assert (edited.set_by, edited.since, edited.beneath) == ("edit", NOW, "member")
    assert (pruned.since, alone.beneath, alone.since) == (NOW + HOUR, "the default", NOW)
    assert (withdrawn.set_by, withdrawn.since, withdrawn.beneath) == ("source", NOW + HOUR, None)


@pytest.mark.parametrize(
    ("user", "edits", "memberships", "home"),
    [
        pytest.param(USER, edit(COMPANY, str(HERE)), (), ("edit", "app profile.edited"), id="an edit"),
        pytest.param(AT_HOME, {}, member(), ("source", "server metadata"), id="metadata"),
        pytest.param(
            replace(AT_HOME, source_company_id=THERE),
            {},
            member(),
            ("membership", "oldest active membership"),
            id="metadata that names another one",
        ),
        pytest.param(USER, {}, member(NOW), ("default", "the default company"), id="a membership that has ended"),
        pytest.param(
            USER,
            edit(COMPANY, str(THERE), is_active=False),
            member(),
            ("membership", "oldest active membership; the edit names no active company"),
            id="an edit to a company that is gone",
        ),
        pytest.param(
            USER, edit(COMPANY, None, is_active=False), (), ("default", "the default company"), id="a withdrawn edit"
        ),
        pytest.param(
            replace(USER, source_company_id=THERE),
            {},
            (),
            ("default", "the default company; the metadata names no active company"),
            id="metadata that names a company that is gone",
        ),
        pytest.param(
            replace(USER, company_id=None),
            {},
            (),
            ("default", "no active membership, no default company"),
            id="nothing",
        ),
        pytest.param(
            replace(USER, deleted_at=NOW), {}, member(), ("deletion", "a deleted user is in no company"), id="deleted"
        ),
    ],
)
def test_the_home_company_has_one_reason(user: KnownUser, edits: Any, memberships: Any, home: tuple[str, str]) -> None:
    found = origin(user, COMPANY, edits, memberships)

    assert (found.set_by, found.explanation) == home


@pytest.mark.parametrize(
    ("known", "confirmed_at"),
    [
        pytest.param({"snapshot_at": NOW, "snapshot_source": "stack"}, NOW, id="a snapshot"),
        pytest.param({"snapshot_at": NOW, "snapshot_source": "app"}, None, id="a user object of your backend"),
        pytest.param({"created_at": NOW, "scanned_at": NOW + HOUR}, NOW + HOUR, id="a scan"),
        pytest.param({"created_at": NOW, "scanned_at": NOW}, None, id="a scan that began as the user came"),
        pytest.param({"created_at": NOW, "scanned_at": NOW + HOUR, "is_unlisted": True}, None, id="not listed"),
        pytest.param(
            {"created_at": NOW, "scanned_at": NOW + HOUR, "snapshot_at": NOW + 2 * HOUR, "snapshot_source": "stack"},
            NOW + 2 * HOUR,
            id="a snapshot after a scan",
        ),
    ],
)
def test_the_sender_confirms_a_user_by_its_snapshot_or_by_a_scan(
    known: dict[str, Any], confirmed_at: datetime | None
) -> None:
    assert replace(NOTHING, **known).confirmed_at == confirmed_at
