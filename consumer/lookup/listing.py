"""Lists of stored deliveries: a page by key, newest first, and what has happened since an instant."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import NamedTuple
from uuid import UUID

from psycopg.rows import args_row, scalar_row, tuple_row

from consumer.postgres.connections import Connection
from consumer.postgres.queries import rows

# Deliveries that one call looks at when nothing leads to what matches, each a row of the log, one of its queue, and one
# of an index to find the last: about 15 ms, and twice that if the rows are on disk.
LOOK_MAX = 20_000
# Rows of the small tables that one call looks at: 10 ms, and for a filter that they don't know each is looked up.
FEW_MAX = 10_000
# Deliveries about a user or team that are found by their index, wherever they lie. One with more has some in
# each look.
ABOUT_MAX = 5_000
# Of these so many are read at a time, each by its number, until a page is full.
CHOSEN_MAX = 1_000
# Above every number.
NEWEST = 2**63 - 1
# These states lie in small tables of their own.
FEW = frozenset({"pending", "retrying", "dead"})
ANY_END = "*"


class ChangePlace(NamedTuple):
    """Where a change of a delivery lies among all changes: by time, and where several have one time, by number."""

    at: datetime
    seq: int = 0


@dataclass(frozen=True, slots=True)
class StoredDelivery:
    """A stored delivery without its body; *at* is when it was done or last refused, None while it is pending.

    *outcome* is None unless it is done, *error_code* and *error* unless it is retrying or dead.
    """

    seq: int
    source: str
    message_id: str
    event_type: str | None
    user_id: UUID | None
    team_id: UUID | None
    occurred_at: datetime
    received_at: datetime
    verified_by: str | None
    state: str
    outcome: str | None
    at: datetime | None
    attempts: int
    next_attempt_at: datetime | None
    error_code: str | None
    error: str | None


@dataclass(frozen=True, slots=True)
class ListedDelivery(StoredDelivery):
    """A delivery of a list."""

    # Only of `recent`: the fields of profiles that it changed.
    changed_fields: Sequence[str] = ()

    @property
    def place(self) -> ChangePlace:
        """Its place among all changes: when it was done or last refused, else received."""
        return ChangePlace(self.at or self.received_at, self.seq)


@dataclass(frozen=True, slots=True)
class ListFilter:
    """Conditions on deliveries: all must hold; None sets no condition.

    *event_type* may end in `*`. *since* and *until* limit the time of arrival.
    """

    states: Sequence[str] | None = None
    event_type: str | None = None
    user_ids: Sequence[UUID] | None = None
    team_id: UUID | None = None
    source: str | None = None
    outcome: str | None = None
    error_code: str | None = None
    verified_by: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def is_narrow(self) -> bool:
        """Whether a search by number may find less than it looks at."""
        named = (self.event_type, self.source, self.outcome, self.error_code, self.verified_by, self.team_id)
        return any(named) or self.user_ids is not None or bool(self.states)

    @property
    def is_few(self) -> bool:
        """Whether all that matches lies in the small tables."""
        return bool(self.states) and set(self.states or ()) <= FEW

    def values(self) -> dict[str, object]:
        """Return the filter as parameters of a query."""
        return {
            "states": None if self.states is None else list(self.states),
            "type_pattern": self.event_type and _pattern(self.event_type),
            "user_ids": None if self.user_ids is None else list(self.user_ids),
            "team_id": self.team_id,
            "source": self.source,
            "outcome": self.outcome,
            "error_code": self.error_code,
            "verified_by": self.verified_by,
            "since": self.since,
            "until": self.until,
        }


class DeliveryPage(NamedTuple):
    """Matching deliveries, newest first.

    *before* is the number that continues the list, None if nothing older can match. *looked_back_to* is set if the
    search ended before the page was full: the time of arrival up to which nothing more matches.
    """

    deliveries: list[ListedDelivery]
    before: int | None
    looked_back_to: datetime | None = None


async def page(conn: Connection, wanted: ListFilter, *, size: int, before: int | None = None) -> DeliveryPage:
    """Return the newest matching deliveries with numbers below *before*, at most *size*.

    Those about a user or team are looked for everywhere, unless these have more than ABOUT_MAX. Another filter looks at
    LOOK_MAX deliveries, or at FEW_MAX rows of the small tables: then the page may be short, or empty, and go on.
    """
    first, floor = await _bounds(conn, wanted.since, wanted.until)
    before = min(first, NEWEST if before is None else before)
    seqs, rest = await _about(conn, wanted), None
    if seqs is None and wanted.is_few:
        seqs, rest = await _few(conn, wanted, before, floor)
    if seqs is not None:
        found = await chosen(conn, [seq for seq in seqs if floor < seq < before], wanted, size=size)
        if len(found) == size:
            return DeliveryPage(found, found[-1].seq)
        older = await _older(conn, rest - 1) if rest else None
        return DeliveryPage(found, rest, older[1]) if older else DeliveryPage(found, None)
    end = await _look_end(conn, before, floor) if wanted.is_narrow else None
    values = {**wanted.values(), "before": before, "floor": end[0] if end else floor, "size": size}
    found = await rows(conn, args_row(ListedDelivery), "listing/page", values)
    if len(found) == size:
        return DeliveryPage(found, found[-1].seq)
    return DeliveryPage(found, end[0] + 1, end[1]) if end else DeliveryPage(found, None)


async def about(conn: Connection, *, user_id: UUID | None = None, team_id: UUID | None = None) -> list[int] | None:
    """Return the numbers of all deliveries about a user, or about a team, newest first; None: over ABOUT_MAX."""
    values = {"user_id": user_id, "team_id": team_id, "size": ABOUT_MAX + 1}
    seqs: list[int] = await rows(conn, scalar_row, "listing/about", values)
    return sorted(seqs, reverse=True) if len(seqs) <= ABOUT_MAX else None


async def chosen(conn: Connection, seqs: Sequence[int], wanted: ListFilter, *, size: int) -> list[ListedDelivery]:
    """Return the first of these numbers' deliveries, newest first, that match, at most *size*."""
    found: list[ListedDelivery] = []
    start, end = 0, size
    while start < len(seqs) and len(found) < size:
        values = {**wanted.values(), "seqs": list(seqs[start:end]), "size": size - len(found)}
        found += await rows(conn, args_row(ListedDelivery), "listing/chosen", values)
        start, end = end, end + CHOSEN_MAX
    return found


async def newest(conn: Connection) -> int:
    """Return the number of the newest delivery, 0 if there is none."""
    found = await _older(conn, NEWEST)
    return found[0] if found else 0


async def recent(
    conn: Connection, wanted: ListFilter, after: ChangePlace, until: datetime, *, size: int
) -> list[ListedDelivery]:
    """Return the next matching deliveries whose last change lies behind a place and before an instant, at most *size*.

    The earliest change is first. To follow, ask again for some time that was seen already: a delivery gets its time and
    its number before its transaction commits, so an earlier place may appear after a later one.
    """
    before, floor = await _bounds(conn, after.at, until)
    place = {"after_at": after.at, "after_seq": after.seq, "until": until, "before": before, "floor": floor}
    values = {**wanted.values(), **place, "size": size}
    return await rows(conn, args_row(ListedDelivery), "listing/recent", values)


async def _about(conn: Connection, wanted: ListFilter) -> list[int] | None:
    """Return the numbers of all deliveries about the users or the team, newest first; None: too many, or nobody."""
    if wanted.user_ids is not None:
        found = [await about(conn, user_id=user_id) for user_id in wanted.user_ids]
    elif wanted.team_id:
        found = [await about(conn, team_id=wanted.team_id)]
    else:
        return None
    known = [seqs for seqs in found if seqs is not None]
    return sorted(chain.from_iterable(known), reverse=True) if len(known) == len(found) else None


async def _few(conn: Connection, wanted: ListFilter, before: int, floor: int) -> tuple[list[int], int | None]:
    """Return the numbers that may match in the small tables, newest first, and below which the rest of them lies."""
    values = {**wanted.values(), "before": before, "floor": floor, "look_max": FEW_MAX}
    [(seqs, rest)] = await rows(conn, tuple_row, "listing/few", values)
    return seqs, rest


async def _bounds(conn: Connection, since: datetime | None, until: datetime | None) -> tuple[int, int]:
    """Return the numbers that those received between these times lie between: the upper one and the lower one."""
    if since is None and until is None:
        return NEWEST, 0
    [(floor, before)] = await rows(conn, tuple_row, "listing/bounds", {"since": since, "until": until})
    return before or NEWEST, floor or 0


async def _look_end(conn: Connection, before: int, floor: int) -> tuple[int, datetime] | None:
    """Return the delivery below *before* and above *floor* that a look leaves to the next one; None: it reaches all."""
    values = {"before": before, "floor": floor, "look_max": LOOK_MAX}
    return next(iter(await rows(conn, tuple_row, "listing/look_end", values)), None)


async def _older(conn: Connection, floor: int) -> tuple[int, datetime] | None:
    found = await rows(conn, tuple_row, "listing/older", {"floor": floor})
    return (found[0][0], found[0][1]) if found else None


def _pattern(event_type: str) -> str:
    """Return the type as a pattern of LIKE; only `*` at its end stands for anything."""
    stem = event_type.removesuffix(ANY_END)
    escaped = stem.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
    return escaped + "%" * event_type.endswith(ANY_END)
