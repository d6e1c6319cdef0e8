"""The actions that go on in the background: what one page of each does."""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from consumer.operations import exclusions, rebuild, replay
from consumer.operations import refresh as refreshing
from consumer.operations.background import Commit, Step, Task, Work
from consumer.operations.exclusions import Decision
from consumer.operations.rebuild import Drift, Subjects
from consumer.outbox import deliveries, rebuild_queue
from consumer.outbox.deliveries import SelectedDelivery, Selection
from consumer.outbox.rebuild_queue import Stage
from consumer.outbox.storage import Delivery
from consumer.postgres.connections import Access, Connection

# Deliveries a transaction: half of a worker's batch, so that live ones have the other half.
PAGE_SIZE = 500
# The reason of a decision, if an erasure has taken it out of the record.
ERASED = "erased"

Counts = Mapping[str, int]
# Does a page of deliveries; returns how many are affected, and more counts.
PageWork = Callable[[Connection, Sequence[SelectedDelivery], Task], Awaitable[tuple[int, Counts]]]


@dataclass(frozen=True, slots=True)
class Outside:
    """What needs more than the operator's connection; each raises ConsumerError where it can't be had."""

    as_worker: Callable[[], AbstractAsyncContextManager[tuple[Connection, Access]]]
    ask: Callable[[Connection, Access, UUID], Awaitable[Delivery | None]]


def works(outside: Outside) -> Mapping[str, Work]:
    """Return what to do for each action, by its name."""
    return {
        "retry": partial(_in_pages, _replay),
        "replay": partial(_in_pages, _replay),
        "discard": partial(_in_pages, _discard),
        "undiscard": partial(_in_pages, _undiscard),
        "rebuild": _rebuild,
        "check": partial(_check, outside),
        "refresh": partial(_refresh, outside),
    }


def selection(chosen: Mapping[str, Any]) -> Selection:
    """Return the selection of a recorded filter."""
    read: Mapping[str, Callable[[Any], Any]] = {
        **dict.fromkeys(("since", "until", "settled_until"), datetime.fromisoformat),
        **dict.fromkeys(("user_id", "team_id"), UUID),
        **dict.fromkeys(("states", "message_ids"), tuple),
    }
    return Selection(**{name: read.get(name, lambda value: value)(value) for name, value in chosen.items()})


async def _in_pages(work: PageWork, _: Connection, __: Access, task: Task) -> Commit:
    return partial(_page, work, task)


async def _page(work: PageWork, task: Task, conn: Connection) -> Step:
    after_seq = task.place.get("after_seq", 0)
    page = await deliveries.page(conn, selection(task.filter), after_seq=after_seq, page_size=PAGE_SIZE)
    if not page:
        return Step(None, 0, task.result)
    affected, counts = await work(conn, page, task)
    place = {"after_seq": page[-1].seq} if len(page) == PAGE_SIZE else None
    return Step(place, affected, Counter(task.result) + Counter(counts))


async def _replay(conn: Connection, page: Sequence[SelectedDelivery], _: Task) -> tuple[int, Counts]:
    done = await replay.replay_page(conn, page)
    return done.queued, _replayed(done)


async def _discard(conn: Connection, page: Sequence[SelectedDelivery], task: Task) -> tuple[int, Counts]:
    done = await exclusions.exclude_page(conn, page, selection(task.filter).states, _decision(task))
    return done.deliveries, {"discarded": done.deliveries, "users_to_refresh": len(done.user_ids)}


async def _undiscard(conn: Connection, page: Sequence[SelectedDelivery], task: Task) -> tuple[int, Counts]:
    done = await exclusions.take_back_page(conn, page, _decision(task))
    return done.queued + done.unusable, _replayed(done)


def _replayed(done: replay.Replayed) -> Counts:
    return {"put_back": done.queued - done.rebuilt, "to_rebuild": done.rebuilt, "still_unusable": done.unusable}


def _decision(task: Task) -> Decision:
    return Decision(task.actor, task.reason or ERASED)


async def _rebuild(conn: Connection, access: Access, task: Task) -> Commit:
    """Queue the users and companies at once if the filter names some, else the next of all."""
    subjects = await _subjects(conn, access, task)
    return partial(_queue_next, task) if subjects is None else partial(_queue, subjects)


async def _queue(subjects: Subjects, conn: Connection) -> Step:
    queued = await rebuild.put(conn, subjects)
    return Step(None, queued, {"queued": queued})


async def _queue_next(task: Task, conn: Connection) -> Step:
    stage, after = _place(task)
    ids = await rebuild_queue.next_ids(conn, stage, after)
    await rebuild.put_stage(conn, stage, ids)
    return Step(_after(stage, ids), len(ids), Counter(task.result) + Counter(queued=len(ids)))


async def _check(outside: Outside, conn: Connection, access: Access, task: Task) -> Commit:
    subjects, place = await _subjects(conn, access, task), _place(task)
    async with outside.as_worker() as (worker, worker_access):
        page, differing = await rebuild.compare_page(worker, worker_access, place, subjects)
    drift = Drift(task.result.get("users", 0), task.result.get("companies", 0))
    drift.differing.update(task.result.get("differing", {}))
    drift.add(place[0], page, differing)
    result = {"users": drift.users, "companies": drift.companies, "differing": drift.differing}
    if first := task.result.get("first") or (drift.first and str(drift.first[0])):
        result["first"] = first

    async def commit(_: Connection) -> Step:
        return Step(_after(place[0], page), 0, result)

    return commit


async def _refresh(outside: Outside, conn: Connection, access: Access, task: Task) -> Commit:
    delivery = await outside.ask(conn, access, UUID(task.filter["user_id"]))

    async def commit(conn: Connection) -> Step:
        if delivery is None:
            return Step(None, 0, {"is_found": False})
        stored = await refreshing.store(conn, delivery)
        return Step(None, 1, {"is_found": True, "message_id": stored.message_id, "error": stored.error})

    return commit


async def _subjects(conn: Connection, access: Access, task: Task) -> Subjects | None:
    """Return the users and companies that the filter names, with all that these concern; None: everybody."""
    user_id, team_id = (task.filter.get(name) for name in ("user_id", "team_id"))
    if not user_id and not team_id:
        return None
    named = Subjects([UUID(user_id)] if user_id else [], [UUID(team_id)] if team_id else [])
    return await rebuild.with_companies_named_by(conn, access, await rebuild.with_users_of(conn, access, named))


def _place(task: Task) -> tuple[Stage, UUID | None]:
    after = task.place.get("after")
    return Stage(task.place.get("stage", Stage.COMPANY)), UUID(after) if after else None


def _after(stage: Stage, ids: Sequence[UUID]) -> Mapping[str, Any] | None:
    """Return the place after these ids of a stage; they are empty at its end, and the last stage is the last of all."""
    if ids:
        return {"stage": int(stage), "after": str(ids[-1])}
    return None if stage is max(Stage) else {"stage": stage + 1, "after": None}
