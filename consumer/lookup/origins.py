"""Who set each field of a profile: an edit above the sender above the default; pure functions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from consumer.lookup.one_user import FieldChange, KnownMembership, KnownUser, NewestEdit

# Fields that only the winning snapshot sets.
FROM_SNAPSHOT = ("full_name", "email", "email_verified", "avatar_url", "is_restricted")
# Fields that an edit sets above the sender's metadata; the mirror has the sender's value.
EDITABLE = {"role_type": "source_role", "department": "source_department"}
COMPANY = "company_id"

SetBy = Literal["edit", "source", "default", "membership", "deletion"]


@dataclass(frozen=True, slots=True)
class FieldOrigin:
    """A field of a profile: its value, who set it and why, and the value beneath that would count without an edit.

    *since* is when the value was written, None if the audit does not reach so far.
    """

    field: str
    value: object
    set_by: SetBy
    explanation: str
    since: datetime | None
    beneath: str | None = None


def origins(
    user: KnownUser,
    edits: Mapping[str, NewestEdit],
    memberships: Sequence[KnownMembership],
    changes: Mapping[str, FieldChange],
) -> list[FieldOrigin]:
    """Return who set each field; nothing without a profile."""
    if not user.has_profile:
        return []

    def since(field: str) -> datetime | None:
        return changes[field].at if field in changes else None

    sender = f"{user.snapshot_source or 'stack'} {user.snapshot_type or 'snapshot'}"
    found = [FieldOrigin(field, getattr(user, field), "source", sender, since(field)) for field in FROM_SNAPSHOT]
    found += [_editable(user, field, edits.get(field), since(field), sender) for field in EDITABLE]
    set_by, explanation = _home(user, edits.get(COMPANY), memberships)
    return [*found, FieldOrigin(COMPANY, user.company_id, set_by, explanation, since(COMPANY))]


def _editable(user: KnownUser, field: str, edit: NewestEdit | None, since: datetime | None, sender: str) -> FieldOrigin:
    value, beneath = getattr(user, field), getattr(user, EDITABLE[field])
    if edit and edit.value is not None:
        return FieldOrigin(field, value, "edit", "app profile.edited", edit.at or since, beneath or "the default")
    if beneath is not None:
        return FieldOrigin(field, value, "source", f"{sender}, server metadata", since)
    return FieldOrigin(field, value, "default", "the default", since)


def _home(user: KnownUser, edit: NewestEdit | None, memberships: Sequence[KnownMembership]) -> tuple[SetBy, str]:
    """Return what decides the home company, in the order in which it is decided."""
    if user.deleted_at:
        return "deletion", "a deleted user is in no company"
    skipped = _skipped(user, edit)
    if user.company_id is None:
        return "default", f"no active membership, no default company{skipped}"
    if edit and edit.value == str(user.company_id):
        return "edit", "app profile.edited"
    if user.source_company_id == user.company_id:
        return "source", f"server metadata{skipped}"
    if any(each.company_id == user.company_id and each.removed_at is None for each in memberships):
        return "membership", f"oldest active membership{skipped}"
    return "default", f"the default company{skipped}"


def _skipped(user: KnownUser, edit: NewestEdit | None) -> str:
    """Return what would come first, if its company were active."""
    if edit and edit.value is not None and not edit.is_company_active:
        return "; the edit names no active company"
    if user.source_company_id and not user.is_source_company_active:
        return "; the metadata names no active company"
    return ""
