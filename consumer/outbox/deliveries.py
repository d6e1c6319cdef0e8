"""Stored deliveries: find, count and group them; put them back to pending."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from psycopg.rows import args_row, class_row, dict_row, scalar_row

from consumer.postgres.connections import Connection
from consumer.postgres.first_rows import FirstRows, first_rows
from consumer.postgres.queries import query, rows

# They lie in a small table of their own.
FAILED = frozenset({"retrying", "dead"})


@dataclass(frozen=True, slots=True)
class Selection:
    """Conditions on deliveries: all must hold; None sets no condition.

    *event_type* may end in `*`. *since* and *until* limit the time of arrival, *settled_until* the last change: done,
    failed or arrived; *limit* takes the oldest. Discarded ones match only with *is_discarded*, and then no others do.
    """

    states: Sequence[str]
    since: datetime | None = None
    until: datetime | None = None
    settled_until: datetime | None = None
    source: str | None = None
    outcome: str | None = None
    event_type: str | None = None
    user_id: UUID | None = None
    team_id: UUID | None = None
    message_ids: Sequence[str] | None = None
    seqs: Sequence[int] | None = None
    error_code: str | None = None
    verified_by: str | None = None
    is_discarded: bool = False
    limit: int | None = None

    @property
    def is_of_failures(self) -> bool:
        """Whether the failures alone tell what matches."""
        times, ids = (self.since, self.until), (self.user_id, self.team_id, self.message_ids, self.seqs)
        return FAILED.issuperset(self.states) and not any(
            (*times, *ids, self.verified_by, self.outcome, self.is_discarded)
        )

    def values(self) -> dict[str, object]:
        """Return the selection as parameters of a query; psycopg makes arrays only of lists."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


class SelectedDelivery(NamedTuple):
    """A delivery that matched, and its state then; *outcome* is None unless it is done."""

    seq: int
    state: str
    outcome: str | None = None
    user_id: UUID | None = None
    team_id: UUID | None = None
    event_type: str | None = None


class Dead(NamedTuple):
    """A dead delivery, with what decides whether it can be applied now."""

    seq: int
    source: str
    event_type: str | None
    user_id: UUID | None
    team_id: UUID | None
    error_code: str
    body: bytes
    reduced: bytes | None


class Reread(NamedTuple):
    """What this release reads in a delivery that was dead; *reduced* as in Delivery."""

    seq: int
    event_type: str | None
    user_id: UUID | None
    team_id: UUID | None
    reduced: bytes | None


class BuryReason(NamedTuple):
    """The reason why a delivery stays dead."""

    seq: int
    code: str
    error: str


@dataclass(frozen=True, slots=True)
class DeliveryCount:
    """The number of deliveries alike in state, type and outcome; *outcome* is None unless they are done."""

    state: str
    event_type: str | None
    outcome: str | None
    deliveries: int


@dataclass(frozen=True, slots=True)
class Stats:
    """The one row of `consumer.queue_stats`."""

    pending: int
    retrying: int
    dead: int
    done: int
    oldest_due_seconds: float
    received_last_minute: int
    applied_last_minute: int


@dataclass(frozen=True, slots=True)
class ErrorGroup:
    """Failed deliveries alike in state, error code and type, with the latest of them as the example."""

    state: str
    error_code: str
    event_type: str | None
    deliveries: int
    first_at: datetime
    last_at: datetime
    error: str
    message_id: str


@dataclass(frozen=True, slots=True)
class Failed:
    """One delivery that could not be applied, and why."""

    message_id: str
    state: str
    error_code: str
    event_type: str | None
    user_id: UUID | None
    attempts: int
    failed_at: datetime
    error: str


async def stats(conn: Connection) -> Stats:
    """Return the depth of the queue and its rates."""
    [found] = await rows(conn, class_row(Stats), "deliveries/stats")
    return found


async def last_received(conn: Connection) -> dict[str, datetime]:
    """Return the time of the last delivery of each source that has one."""
    cursor = await conn.execute(query("deliveries/last_received"), binary=True)
    return dict(await cursor.fetchall())


async def oldest_received(conn: Connection) -> datetime | None:
    """Return the time of arrival of the oldest delivery that is kept; None if there is none."""
    return next(iter(await rows(conn, scalar_row, "deliveries/oldest_received")), None)


async def errors(
    conn: Connection, states: Sequence[str], *, error_code: str | None = None, event_type: str | None = None, limit: int
) -> FirstRows[ErrorGroup]:
    """Group failed deliveries by error and reason, the most frequent first; at most *limit* groups."""
    values = {"states": list(states), "error_code": error_code, "event_type": event_type}
    return await first_rows(conn, class_row(ErrorGroup), "deliveries/errors", values, size=limit)


async def failed(
    conn: Connection, states: Sequence[str], *, error_code: str | None = None, event_type: str | None = None, limit: int
) -> FirstRows[Failed]:
    """Return each delivery that failed, the oldest first; at most *limit* of them."""
    values = {"states": list(states), "error_code": error_code, "event_type": event_type}
    return await first_rows(conn, class_row(Failed), "deliveries/failed", values, size=limit)


async def find(conn: Connection, message_id: str, *, with_body: bool) -> list[dict[str, Any]]:
    """Return all that is known of the deliveries with that message id, in any state: at most one per source.

    The body, which is personal data, is None unless it is asked for.
    """
    return await rows(conn, dict_row, "deliveries/find", {"message_id": message_id, "with_body": with_body})


async def has_user(conn: Connection, user_id: UUID) -> bool:
    """Tell whether any stored delivery concerns this user."""
    return await rows(conn, scalar_row, "deliveries/has_user", {"user_id": user_id}) == [True]


async def count(conn: Connection, selection: Selection, *, count_max: int | None = None) -> list[DeliveryCount]:
    """Count the matching deliveries, at most *count_max*; what matches nothing is absent."""
    name = "deliveries/count_failed" if selection.is_of_failures else "deliveries/count"
    return await rows(conn, class_row(DeliveryCount), name, {**selection.values(), "count_max": count_max})


async def page(conn: Connection, selection: Selection, *, after_seq: int, page_size: int) -> list[SelectedDelivery]:
    """Return the next matching deliveries above *after_seq*, oldest first."""
    values = {**selection.values(), "after_seq": after_seq, "page_size": page_size}
    return await rows(conn, args_row(SelectedDelivery), "deliveries/page", values)


def lock_dead(conn: Connection, seqs: Sequence[int]) -> AsyncIterator[Dead]:
    """Lock the dead ones of these and yield one at a time: bodies are large, and there may be a page of them."""
    return _dead(conn, "deliveries/lock_dead", seqs)


def dead(conn: Connection, seqs: Sequence[int]) -> AsyncIterator[Dead]:
    """Yield the dead ones of these, one at a time, without a lock."""
    return _dead(conn, "deliveries/dead", seqs)


async def _dead(conn: Connection, name: str, seqs: Sequence[int]) -> AsyncIterator[Dead]:
    async with conn.cursor(row_factory=args_row(Dead)) as cursor:
        async for found in cursor.stream(query(name), {"seqs": list(seqs)}, binary=True):
            yield found


async def replay(conn: Connection, seqs: Sequence[int]) -> int:
    """Put deliveries back to pending, however often they were tried; return how many were put."""
    return (await conn.execute(query("deliveries/replay"), {"seqs": list(seqs)})).rowcount


async def reread(conn: Connection, read: Sequence[Reread]) -> None:
    """Store what is read today in deliveries locked by `lock_dead`; *read* must not be empty."""
    names = ("seqs", "event_types", "user_ids", "team_ids", "reduced_bodies")
    await conn.execute(query("deliveries/reread"), dict(zip(names, map(list, zip(*read, strict=True)), strict=True)))


async def rebury(conn: Connection, reasons: Sequence[BuryReason]) -> None:
    """Record why deliveries locked by `lock_dead` stay dead; *reasons* must not be empty."""
    seqs, codes, texts = zip(*reasons, strict=True)
    values = {"seqs": list(seqs), "error_codes": list(codes), "errors": list(texts)}
    await conn.execute(query("deliveries/rebury"), values)
