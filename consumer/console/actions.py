"""The record of who did what: from the command line or here, with the filter, the count and the reason."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from psycopg.rows import class_row, scalar_row
from starlette.responses import Response

from consumer.console.confirm import COUNT_MAX
from consumer.console.results import TOLD, Sentence, rebuild_of, sentences
from consumer.console.visit import Endpoint, Visit, uuid
from consumer.lookup import labels
from consumer.postgres.connections import Connection
from consumer.postgres.first_rows import FirstRows, first_rows
from consumer.postgres.queries import rows

# A page that is read, not searched.
PAGE_SIZE = 50
# What a result counts of those that the action has been through.
COUNTS = ("put_back", "to_rebuild", "still_unusable", "discarded", "left_out", "queued", "users", "companies")


@dataclass(frozen=True, slots=True)
class RecordedAction:
    """What somebody did: *seen_count* matched when they decided, None: nobody counted; *affected* were changed."""

    id: UUID
    at: datetime
    actor: str
    via: str
    role: str
    action: str
    filter: Mapping[str, Any]
    seen_count: int | None
    affected: int
    reason: str | None


@dataclass(frozen=True, slots=True)
class Aftermath:
    """What has become of an action: *dead_now* of the deliveries that it names; *first* is what differs at *path*."""

    dead_now: int | None = None
    first: str | None = None
    path: str | None = None
    rebuild: str | None = None


@dataclass(frozen=True, slots=True)
class ActionInBackground(RecordedAction):
    """An action and its progress; *begun_at* is None if it was done at once. *error*: why it ended early, or waits."""

    begun_at: datetime | None
    finished_at: datetime | None
    result: Mapping[str, Any] | None
    error: str | None

    @property
    def done(self) -> int:
        """How many it has been through, changed or not."""
        return sum((self.result or {}).get(name, 0) for name in COUNTS) or self.affected

    @property
    def sentences(self) -> Sequence[Sentence]:
        """What came of it."""
        return sentences(self.result or {}, is_finished=self.finished_at is not None)

    @property
    def rest(self) -> Mapping[str, Any]:
        """What the result has besides, by name."""
        named = (self.result or {}).items()
        return {name: value for name, value in named if name not in TOLD and value not in (None, {})}

    @property
    def left_out(self) -> int:
        """How many of those that were seen a discard has left as they are: held by others, done since, or erasures."""
        if self.action != "discard" or self.finished_at is None or self.error:
            return 0
        return max(int((self.result or {}).get("left_out", 0)), (self.seen_count or 0) - self.affected)

    @property
    def total(self) -> int | None:
        """How many it goes through; None if nobody knows, as where more was found than was counted."""
        is_known = self.seen_count is not None and self.done <= self.seen_count < COUNT_MAX
        return self.seen_count if is_known else None


async def show(visit: Visit) -> Response:
    """Show a page of actions, the newest first; *before* is the time and the id of the last one of the page before."""
    at, _, key = visit.query.text("before").partition("_")
    before_at, before_id = _time(at), uuid(key)
    if bool(visit.query.text("before")) != bool(before_at and before_id):
        return visit.missing("There is no such page.")

    async def read(conn: Connection) -> FirstRows[RecordedAction]:
        values = {"before_at": before_at, "before_id": before_id}
        return await first_rows(conn, class_row(RecordedAction), "actions/page", values, size=PAGE_SIZE)

    page = await visit.read(read)
    older = f"{page[-1].at.timestamp():.6f}_{page[-1].id}" if page.is_more else None
    return visit.page("actions.html", title="Actions", here="/actions", actions=page, older=older)


async def show_one(visit: Visit) -> Response:
    """Show one action, and how far it is."""
    action_id = uuid(visit.params["id"])

    async def read(conn: Connection) -> tuple[ActionInBackground, Aftermath] | None:
        found = await rows(conn, class_row(ActionInBackground), "actions/one", {"id": action_id})
        return (found[0], await _aftermath(conn, found[0])) if found else None

    if action_id is None or not (found := await visit.read(read)):
        return visit.missing("There is no such action.")
    return visit.page("action.html", title="Action", here="/actions", action=found[0], aftermath=found[1])


async def _aftermath(conn: Connection, action: ActionInBackground) -> Aftermath:
    result = action.result or {}
    if action.action == "check":
        first = result.get("first")
        is_team = first is not None and await labels.is_team(conn, UUID(first))
        path = f"/{'companies' if is_team else 'users'}/{first}" if first else None
        return Aftermath(None, first, path, rebuild_of(action.filter) if action.finished_at else None)
    if result.get("put_back") and (seqs := action.filter.get("seqs")):
        [dead] = await rows(conn, scalar_row, "actions/dead_now", {"seqs": seqs})
        return Aftermath(dead)
    return Aftermath()


def _time(text: str) -> datetime | None:
    try:
        return datetime.fromtimestamp(float(text), UTC)
    except (ValueError, OverflowError, OSError):
        return None


ENDPOINTS = (
    Endpoint("GET", "/actions", "viewer", show),
    Endpoint("GET", "/actions/{id}", "viewer", show_one),
)
