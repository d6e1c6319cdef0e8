"""Recovery: the queues, the actions in the background, runs over Stack's API, and what operators have set right."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from psycopg.rows import args_row, class_row
from starlette.responses import Response

from consumer.console.actions import ActionInBackground
from consumer.console.visit import Endpoint, Visit, uuid
from consumer.outbox.rebuild_queue import Stage
from consumer.postgres import session
from consumer.postgres.connections import Connection
from consumer.postgres.first_rows import FirstRows, first_rows
from consumer.postgres.queries import rows

# Rows of a stage that are counted, so 100,000 for a page; a longer one is "more than".
LOOK_MAX = {Stage.COMPANY: 10_000, Stage.USER: 80_000, Stage.NAMED_BY_USERS: 10_000}
# What a run has found, and set right, that is counted.
REPAIRS_MAX = 100_000
LISTED = 20
STAGES = {Stage.COMPANY: "companies", Stage.USER: "users", Stage.NAMED_BY_USERS: "companies that users name"}


class RebuildStage(NamedTuple):
    """How much waits in one stage of the queue of rebuilds; *postponed* of it failed, *error* is one of the reasons."""

    stage: int
    waiting: int
    postponed: int
    error: str | None

    @property
    def is_more(self) -> bool:
        """Whether it was counted to the most."""
        return self.waiting >= LOOK_MAX[Stage(self.stage)]


class WaitingHome(NamedTuple):
    """A company whose users wait for another home; *place*: how far it has come, from 0 to 1."""

    company_id: UUID
    name: str | None
    attempts: int
    due_at: datetime
    place: float


@dataclass(frozen=True, slots=True)
class ShownRun:
    """A run over Stack's API."""

    id: UUID
    kind: str
    stage: str
    restarts: int
    users: int
    teams: int
    memberships: int
    permissions: int
    stored: int
    unusable: int
    calls: int
    begun_at: datetime
    finished_at: datetime | None
    abandoned_at: datetime | None
    repaired: int

    @property
    def state(self) -> tuple[str, str, str]:
        """Kind, icon and words for how far it is."""
        if self.abandoned_at:
            return "idle", "dash", "given up"
        if self.finished_at is None:
            return "run", "again", f"lists {self.stage}"
        if self.unusable:
            return "warn", "warn", f"done, {self.unusable:,} unusable"
        return "ok", "check", f"repaired {self.repaired:,}" if self.kind == "reconcile" else "done"

    def lasted(self, now: datetime) -> timedelta:
        """Return how long it took, or has taken."""
        return (self.finished_at or self.abandoned_at or now) - self.begun_at


class RunRepair(NamedTuple):
    """What a run found of one kind: *suspected* is not settled."""

    kind: str
    repaired: int
    suspected: int


@dataclass(frozen=True, slots=True)
class RecoveryAction:
    """What an operator has set right."""

    id: UUID
    at: datetime
    actor: str
    action: str
    filter: Mapping[str, Any]
    seen_count: int | None
    affected: int
    reason: str | None
    # It is done in the background, and stands in the list of orders.
    is_order: bool


@dataclass(frozen=True, slots=True)
class ShownRecovery:
    """The page as read at *now*."""

    stages: Sequence[RebuildStage]
    homes: FirstRows[WaitingHome]
    # A page of them.
    orders: FirstRows[ActionInBackground]
    runs: FirstRows[ShownRun]
    actions: Sequence[RecoveryAction]
    now: datetime

    @property
    def earlier(self) -> Sequence[RecoveryAction]:
        """The actions that are no orders."""
        return [each for each in self.actions if not each.is_order]

    @property
    def rebuilding(self) -> "Rebuilding | None":
        """How far the newest rebuild is; None while nothing waits to be made anew."""
        waiting = sum(each.waiting for each in self.stages)
        if not waiting:
            return None
        is_more = any(each.is_more for each in self.stages)
        newest = next((each for each in self.actions if each.action == "rebuild" and each.affected), None)
        # A rebuild counts a company once, by its first stage.
        counted = sum(each.waiting for each in self.stages if each.stage != Stage.NAMED_BY_USERS)
        # Without the number that waits nobody knows what is done of it.
        if is_more or newest is None or newest.affected < counted:
            return Rebuilding(waiting, is_more)
        return Rebuilding(waiting, is_more, newest.affected - counted, self.now - newest.at)


@dataclass(frozen=True, slots=True)
class Rebuilding:
    """How much waits to be made anew, or more; *done* of the newest rebuild in *time*, if it alone filled the queue."""

    waiting: int
    is_more: bool
    done: int = 0
    time: timedelta = timedelta(0)

    @property
    def per_second(self) -> float | None:
        """Rows of the queue a second since the rebuild was asked for."""
        return self.done / self.time.total_seconds() if self.done and self.time else None

    @property
    def left(self) -> timedelta | None:
        """How long the rest takes at that rate."""
        return self.time * (self.waiting / self.done) if self.per_second else None


async def show(visit: Visit) -> Response:
    """Show the queues, the runs, the earlier actions and a page of orders: those after *before*, if it is given."""
    before = uuid(visit.query.text("before"))
    if bool(visit.query.text("before")) != bool(before):
        return visit.missing("There is no such page.")
    found = await visit.read(lambda conn: _read(conn, before))
    return visit.page("recovery.html", title="Recovery", here="/recovery", found=found, stages=STAGES, before=before)


async def show_run(visit: Visit) -> Response:
    """Show a run."""
    run_id = visit.params["run_id"]

    async def read(conn: Connection) -> tuple[list[ShownRun], list[RunRepair], datetime]:
        runs = await rows(conn, class_row(ShownRun), "recovery/runs", {"id": run_id, "size": 1})
        repairs = await rows(conn, args_row(RunRepair), "recovery/repairs", {"id": run_id, "look_max": REPAIRS_MAX})
        return runs, repairs, await session.now(conn)

    runs, repairs, now = await visit.read(read)
    if not runs:
        return visit.missing("No run has this id.")
    return visit.page(
        "run.html", title=runs[0].kind.capitalize(), here="/recovery", run=runs[0], repairs=repairs, now=now
    )


async def _read(conn: Connection, before: UUID | None) -> ShownRecovery:
    looked_at = {"stages": list(LOOK_MAX), "look_max": list(LOOK_MAX.values())}
    return ShownRecovery(
        await rows(conn, args_row(RebuildStage), "recovery/rebuild", looked_at),
        await first_rows(conn, args_row(WaitingHome), "recovery/rehome", {}, size=LISTED),
        await first_rows(conn, class_row(ActionInBackground), "recovery/orders", {"before": before}, size=LISTED),
        await first_rows(conn, class_row(ShownRun), "recovery/runs", {"id": None}, size=LISTED),
        await rows(conn, class_row(RecoveryAction), "recovery/actions", {"size": LISTED}),
        await session.now(conn),
    )


ENDPOINTS = (
    Endpoint("GET", "/recovery", "viewer", show),
    Endpoint("GET", "/recovery/{run_id:uuid}", "viewer", show_run),
)
