"""What a delivery says that the profile does not show, and why; pure functions."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from consumer.events.registry import Fact, event_type
from consumer.lookup.one_delivery import OneDelivery
from consumer.lookup.one_user import KnownMembership, KnownUser, NewestEdit
from consumer.lookup.origins import COMPANY, EDITABLE
from consumer.postgres.first_rows import FirstRows

EVERYTHING = "everything"
# Snapshots by a sender other than Stack set nothing else.
NOT_FROM_APP = "email_verified, role_type, department, company_id"


@dataclass(frozen=True, slots=True)
class Unfollowed:
    """A field that a delivery speaks of: what it says, what the profile has, and why it does not follow.

    *says* and *has* are None where they are many values, or none.
    """

    field: str
    because: str
    says: str | None = None
    has: str | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """What is known now of the user that a delivery is about; the fields are those of `one_user`."""

    user: KnownUser
    edits: Mapping[str, NewestEdit]
    memberships: FirstRows[KnownMembership]


@dataclass(frozen=True, slots=True)
class MetadataKeys:
    """The keys of a user's metadata that the settings name for role, department and company."""

    role_type: str
    department: str
    company_id: str


def unfollowed(
    delivery: OneDelivery, body: Mapping[str, Any] | None, known: Known | None, keys: MetadataKeys
) -> list[Unfollowed]:
    """Return what did not follow from a delivery; *body* may be masked: what it hides is not judged."""
    if reason := _nothing_counts(delivery):
        return [Unfollowed(EVERYTHING, reason)]
    data = (body or {}).get("data")
    fields = data if isinstance(data, dict) else {}
    fact = event_type(delivery.event_type or "").fact
    if known is None:
        return [Unfollowed(EVERYTHING, "a newer event about the team decides")] * (delivery.outcome == "stale")
    if fact is Fact.EDIT:
        return list(_edit(delivery, fields, known))
    if fact is Fact.MEMBERSHIP:
        return list(_membership(delivery, known))
    if fact is Fact.PERMISSION:
        return [Unfollowed("permissions", "a newer event about this permission decides")] * (
            delivery.outcome == "stale"
        )
    if fact in {Fact.USER, Fact.SIGN_IN}:
        return list(_of_user(delivery, fields, known, keys))
    return []


def _nothing_counts(delivery: OneDelivery) -> str | None:
    """Return why a delivery has no effect at all."""
    if delivery.excluded_at:
        return f"{delivery.excluded_by} discarded it: {delivery.excluded_reason}"
    if delivery.state == "dead":
        return f"it could not be applied: {delivery.error}"
    if delivery.state != "done":
        return "it is not applied yet"
    return "its type has no effect in this release" if delivery.outcome == "ignored" else None


def _of_user(
    delivery: OneDelivery, fields: Mapping[str, Any], known: Known, keys: MetadataKeys
) -> Iterator[Unfollowed]:
    user = known.user
    if delivery.event_type in {"user.deleted", "user.erased"}:
        if user.deleted_at is None:
            yield Unfollowed("deleted_at", "the sender has shown the user alive since", "deleted", "active")
        return
    if user.deleted_at:
        yield Unfollowed(EVERYTHING, "the user is deleted, and no snapshot brings a user back", None, "deleted")
        return
    if delivery.event_type in {"user.signed_in", "user.signed_out"}:
        latest = user.last_sign_in_at if delivery.event_type == "user.signed_in" else user.last_sign_out_at
        if latest and latest > delivery.occurred_at:
            yield Unfollowed(f"last_{delivery.event_type.removeprefix('user.signed_')}", "a later one is known")
        if "primary_email" not in fields:
            return
    if delivery.seq != user.snapshot_seq:
        yield Unfollowed(EVERYTHING, _superseded(delivery, user))
        return
    if delivery.source == "app":
        yield Unfollowed(NOT_FROM_APP, "of your backend's user object only name, e-mail and picture count")
    yield from _metadata(known)
    yield from _written_by_users(fields, user, keys)
    selected = fields.get("selected_team")
    team_id = _id(selected.get("id")) if isinstance(selected, dict) else _id(fields.get("selected_team_id"))
    if team_id and team_id != user.company_id:
        because = "the selected team makes a member, but moves nobody"
        yield Unfollowed(COMPANY, because, str(team_id), _text(user.company_id))


def _superseded(delivery: OneDelivery, user: KnownUser) -> str:
    if delivery.source == "app" and user.snapshot_source != "app":
        return "the sender's own snapshot outranks your backend's user object"
    if user.snapshot_at is None:
        return "another snapshot decides"
    return f"the snapshot of {user.snapshot_at:%Y-%m-%d %H:%M:%S}Z is newer"


def _metadata(known: Known) -> Iterator[Unfollowed]:
    """Yield the fields of the winning snapshot that an edit overrides, and a company that is not active."""
    user = known.user
    for field, source in EDITABLE.items():
        says, has, edit = getattr(user, source), getattr(user, field), known.edits.get(field)
        if says is not None and says != has:
            yield Unfollowed(field, _overridden(edit), says, has)
    if user.source_company_id and user.source_company_id != user.company_id:
        because = _overridden(known.edits.get(COMPANY))
        if not user.is_source_company_active:
            because = "that company is deleted or not known"
        yield Unfollowed(COMPANY, because, str(user.source_company_id), _text(user.company_id))


def _overridden(edit: NewestEdit | None) -> str:
    if edit is None or edit.value is None:
        return "it is not derived yet"
    on = f" on {edit.at:%Y-%m-%d %H:%M}Z" if edit.at else ""
    return f"your backend set it{on}; that wins until it is withdrawn"


def _written_by_users(fields: Mapping[str, Any], user: KnownUser, keys: MetadataKeys) -> Iterator[Unfollowed]:
    metadata = fields.get("client_metadata")
    if not isinstance(metadata, dict):
        return
    for field in (*EDITABLE, COMPANY):
        key = getattr(keys, field)
        if key in metadata:
            because = "users can write client_metadata, so nothing is taken from it"
            yield Unfollowed(f"client_metadata.{key}", because, _text(metadata[key]), _text(getattr(user, field)))


def _edit(delivery: OneDelivery, fields: Mapping[str, Any], known: Known) -> Iterator[Unfollowed]:
    for field, edit in known.edits.items():
        if field not in fields:
            continue
        says, has = _text(fields[field]), _text(getattr(known.user, field))
        if edit.seq != delivery.seq:
            yield Unfollowed(field, "a newer edit of this field decides", says, has)
        elif field == COMPANY and edit.value is not None and not edit.is_company_active:
            yield Unfollowed(field, "that company is deleted or not known", says, has)


def _membership(delivery: OneDelivery, known: Known) -> Iterator[Unfollowed]:
    found = next((each for each in known.memberships if each.company_id == delivery.team_id), None)
    if found is None and known.memberships.is_more:
        return
    is_active = found is not None and found.removed_at is None
    if delivery.event_type == "team_membership.deleted":
        if is_active:
            yield Unfollowed("membership", "a newer event made the user a member again", "removed", "active")
    elif not is_active:
        because = "a newer event removed the user"
        if known.user.deleted_at:
            because = "the user is deleted"
        elif found and found.company_deleted_at:
            because = "the company is deleted"
        yield Unfollowed("membership", because, "active", "removed")


def _id(value: object) -> UUID | None:
    try:
        return UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _text(value: object) -> str | None:
    return None if value is None else str(value)
