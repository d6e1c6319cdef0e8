"""One user: who set each field, what happened, and whether the profile is in step with the sender."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from operator import attrgetter
from typing import NamedTuple
from uuid import UUID

from psycopg.rows import class_row, scalar_row

from consumer.lookup import audit, listing, revealed
from consumer.lookup.audit import AuditRow
from consumer.lookup.listing import ListedDelivery, ListFilter
from consumer.postgres.connections import Connection
from consumer.postgres.first_rows import FirstRows, first_rows
from consumer.postgres.queries import rows

# Users with one e-mail address: the sender allows several, as after a deletion.
SAME_EMAIL_MAX = 20
# Nobody is in more teams than can be read.
MEMBERSHIPS_MAX = 100
# Audit rows that are searched for the last change of each field: 10 ms.
AUDIT_ROWS_MAX = 10_000
# Rows of each queue that are searched for those of a user with very many deliveries.
WAITING_MAX = 10_000
# Changes beside one page of deliveries; each is masked, which takes 0.1 ms.
CHANGES_MAX = 200


@dataclass(frozen=True, slots=True)
class KnownUser:
    """The profile and the mirror of a user; without *is_known* nothing but the id is.

    *snapshot_at* is when the winning snapshot occurred, *snapshot_seq* the number of its delivery, null if a prune has
    removed it. *scanned_at* is when the newest complete scan of the sender's users began; *is_unlisted*: it did not
    find this user.
    """

    user_id: UUID
    is_known: bool
    has_profile: bool
    full_name: str | None
    email: str | None
    email_verified: bool | None
    avatar_url: str | None
    role_type: str | None
    department: str | None
    is_restricted: bool | None
    company_id: UUID | None
    company_name: str | None
    last_active_at: datetime | None
    last_sign_in_at: datetime | None
    last_sign_out_at: datetime | None
    created_at: datetime | None
    updated_at: datetime | None
    deleted_at: datetime | None
    is_anonymous: bool
    is_erased: bool
    source_role: str | None
    source_department: str | None
    source_company_id: UUID | None
    is_source_company_active: bool
    sync_version: int
    snapshot_at: datetime | None
    snapshot_seq: int | None
    snapshot_source: str | None
    snapshot_type: str | None
    scanned_at: datetime | None
    is_unlisted: bool
    is_rebuild_queued: bool

    @property
    def confirmed_at(self) -> datetime | None:
        """When the sender last told of the user: by a snapshot, or by a later scan that lists the user."""
        at = None if self.snapshot_source == "app" else self.snapshot_at
        is_scanned = self.scanned_at and self.created_at and self.created_at < self.scanned_at and not self.is_unlisted
        return max(filter(None, (at, self.scanned_at if is_scanned else None)), default=None)


@dataclass(frozen=True, slots=True)
class NewestEdit:
    """The newest edit of a field; a withdrawn one has no value. *is_company_active* is of an edit of the company."""

    field: str
    value: str | None
    seq: int
    at: datetime | None
    is_company_active: bool


@dataclass(frozen=True, slots=True)
class KnownMembership:
    """A user in a company."""

    company_id: UUID
    company_name: str | None
    company_deleted_at: datetime | None
    joined_at: datetime | None
    removed_at: datetime | None
    permissions: Sequence[str]


@dataclass(frozen=True, slots=True)
class StoredCounts:
    """The stored deliveries about a user, and how many of them are not done.

    *is_more*: there are more deliveries, and those that are not done are counted among the newest that wait.
    """

    deliveries: int
    pending: int
    retrying: int
    dead: int
    first_received_at: datetime | None
    is_more: bool = False


@dataclass(frozen=True, slots=True)
class FieldChange:
    """The last change of a field."""

    field: str
    at: datetime
    operation: str
    source: str
    message_id: str
    seq: int


class Entry(NamedTuple):
    """One line of a timeline: a delivery with what it changed, or a change by a delivery about somebody else."""

    at: datetime
    seq: int
    delivery: ListedDelivery | None
    changes: Sequence[AuditRow]


@dataclass(frozen=True, slots=True)
class Timeline:
    """What happened to a user, newest first; *before* continues it, None at the end.

    *entries* tell of more if there are changes that they do not show.
    """

    entries: FirstRows[Entry]
    before: int | None


async def by_email(conn: Connection, email: str) -> FirstRows[UUID]:
    """Return the first users with this e-mail address at the sender, in any case of its letters."""
    return await first_rows(conn, scalar_row, "one_user/by_email", {"email": email}, size=SAME_EMAIL_MAX)


async def find(conn: Connection, user_id: UUID, *, masked: bool = True) -> KnownUser:
    """Return what is known of a user."""
    [found] = await rows(conn, class_row(KnownUser), "one_user/find", {"user_id": user_id})
    return found if masked else replace(found, **await revealed.profile(conn, user_id))


async def edits(conn: Connection, user_id: UUID) -> dict[str, NewestEdit]:
    """Return the newest edit of each edited field."""
    return {
        each.field: each for each in await rows(conn, class_row(NewestEdit), "one_user/edits", {"user_id": user_id})
    }


async def memberships(conn: Connection, user_id: UUID, *, masked: bool = True) -> FirstRows[KnownMembership]:
    """Return the first memberships of a user, the active ones before the others, each by its first join."""
    values = {"user_id": user_id}
    found = await first_rows(conn, class_row(KnownMembership), "one_user/memberships", values, size=MEMBERSHIPS_MAX)
    if masked:
        return found
    names = await revealed.company_names(conn, [each.company_id for each in found])
    return found.made_into(replace(each, company_name=names.get(each.company_id)) for each in found)


async def counts(conn: Connection, user_id: UUID) -> StoredCounts:
    """Count the stored deliveries about a user, up to listing.ABOUT_MAX."""
    seqs = await listing.about(conn, user_id=user_id)
    if seqs is not None:
        [found] = await rows(conn, class_row(StoredCounts), "one_user/counts", {"seqs": seqs})
        return found
    values = {"user_id": user_id, "look_max": WAITING_MAX}
    waiting: list[int] = await rows(conn, scalar_row, "one_user/waiting", values)
    [found] = await rows(conn, class_row(StoredCounts), "one_user/counts", {"seqs": waiting})
    return replace(found, deliveries=listing.ABOUT_MAX, first_received_at=None, is_more=True)


async def field_changes(conn: Connection, user_id: UUID) -> dict[str, FieldChange]:
    """Return the last change of each field."""
    values = {"user_id": user_id, "rows_max": AUDIT_ROWS_MAX}
    found = await rows(conn, class_row(FieldChange), "one_user/field_changes", values)
    return {each.field: each for each in found}


async def timeline(
    conn: Connection, user_id: UUID, *, size: int, before: int | None = None, masked: bool = True
) -> Timeline:
    """Return the newest deliveries about a user with what they changed, and changes by other deliveries among them.

    The changes of one page are at most CHANGES_MAX.
    """
    page = await listing.page(conn, ListFilter(user_ids=[user_id]), size=size, before=before)
    span = (page.before or 0, listing.NEWEST if before is None else before)
    found = await audit.of_user(conn, user_id, span, size=CHANGES_MAX, masked=masked)
    by_seq: defaultdict[int, list[AuditRow]] = defaultdict(list)
    for row in found:
        by_seq[row.seq].append(row)
    entries = [Entry(each.received_at, each.seq, each, by_seq.pop(each.seq, ())) for each in page.deliveries]
    entries += [Entry(group[0].at, seq, None, group) for seq, group in by_seq.items()]
    return Timeline(found.made_into(sorted(entries, key=attrgetter("at", "seq"), reverse=True)), page.before)
