"""The actions that go on in the background: what one page of each does."""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from consumer.operations import exclusions, rebuild, replay, test_delivery
from consumer.operations import refresh as refreshing
from consumer.operations.background import Commit, Order, OrderWork, PageDone
from consumer.operations.exclusions import Decision
from consumer.operations.rebuild import Drift, Subjects
from consumer.operations.test_delivery import Destination, NotTaken
from consumer.outbox import deliveries, rebuild_queue
from consumer.outbox.deliveries import SelectedDelivery, Selection
from consumer.outbox.rebuild_queue import Stage
from consumer.outbox.storage import Delivery
from consumer.postgres.connections import Access, Connection, transaction

# Deliveries a transaction: as many as may be pending, see PENDING_MAX.
PAGE_SIZE = 200
# The reason of a decision, if an erasure has taken it out of the record.
ERASED = "erased"
# Checks whose users and companies a process remembers; orders take turns, and those of a million users are 100 MB.
FOUND_MAX = 4
# What checks have chosen, by their orders; None: everybody.
Found = dict[UUID, Subjects | None]
# How many are affected, and more counts.
Affected = tuple[int, Mapping[str, int]]
# Does a page of deliveries.
PageWork = Callable[[Connection, Sequence[SelectedDelivery], Order], Awaitable[Affected]]


@dataclass(frozen=True, slots=True)
class Outside:
    """What needs more than the operator's connection; each raises ConsumerError where it can't be had."""

    as_worker: Callable[[], AbstractAsyncContextManager[tuple[Connection, Access]]]
    ask: Callable[[Connection, Access, UUID], Awaitable[Delivery | None]]
    destination: Callable[[], Destination]


def works(outside: Outside) -> Mapping[str, OrderWork]:
    """Return what to do for each action, by its name."""
    return {
        "retry": partial(_in_pages, _replay),
        "replay": partial(_in_pages, _replay),
        "discard": partial(_in_pages, _discard),
        "undiscard": partial(_in_pages, _undiscard),
        "rebuild": _rebuild,
        "check": partial(_check, outside, {}),
        "refresh": partial(_refresh, outside),
        "test": partial(_test, outside),
    }


def selection(chosen: Mapping[str, Any]) -> Selection:
    """Return the selection of a recorded filter."""
    read: Mapping[str, Callable[[Any], Any]] = {
        **dict.fromkeys(("since", "until", "settled_until"), datetime.fromisoformat),
        **dict.fromkeys(("user_id", "team_id"), UUID),
        **dict.fromkeys(("states", "seqs"), tuple),
    }
    return Selection(**{name: read.get(name, lambda value: value)(value) for name, value in chosen.items()})


async def _in_pages(work: PageWork, _: Connection, __: Access, order: Order) -> Commit:
    return partial(_page, work, order)


async def _page(work: PageWork, order: Order, conn: Connection) -> PageDone:
    after_seq = order.place.get("after_seq", 0)
    page = await deliveries.page(conn, selection(order.filter), after_seq=after_seq, page_size=PAGE_SIZE)
    if not page:
        return PageDone(None, 0, order.result)
    affected, counts = await work(conn, page, order)
    place = {"after_seq": page[-1].seq} if len(page) == PAGE_SIZE else None
    return PageDone(place, affected, Counter(order.result) + Counter(counts))


async def _replay(conn: Connection, page: Sequence[SelectedDelivery], _: Order) -> Affected:
    done = await replay.replay_page(conn, page)
    return done.queued, _replayed(done)


async def _discard(conn: Connection, page: Sequence[SelectedDelivery], order: Order) -> Affected:
    done = await exclusions.exclude_page(conn, page, selection(order.filter).states, _decision(order))
    counts = {"discarded": done.deliveries, "left_out": done.left_out, "users_to_refresh": len(done.user_ids)}
    return done.deliveries, counts


async def _undiscard(conn: Connection, page: Sequence[SelectedDelivery], order: Order) -> Affected:
    done = await exclusions.take_back_page(conn, page, _decision(order))
    return done.queued + done.unusable, _replayed(done)


def _replayed(done: replay.Replayed) -> Mapping[str, int]:
    return {"put_back": done.queued - done.rebuilt, "to_rebuild": done.rebuilt, "still_unusable": done.unusable}


def _decision(order: Order) -> Decision:
    return Decision(order.actor, order.reason or ERASED)


async def _rebuild(conn: Connection, access: Access, order: Order) -> Commit:
    """Queue the users and companies at once if the filter names some, else the next of all."""
    subjects = await _subjects(conn, access, order)
    return partial(_queue_next, order) if subjects is None else partial(_queue, subjects)


async def _queue(subjects: Subjects, conn: Connection) -> PageDone:
    queued = await rebuild.put(conn, subjects)
    return PageDone(None, queued, {"queued": queued})


async def _queue_next(order: Order, conn: Connection) -> PageDone:
    stage, after = _place(order)
    ids = await rebuild_queue.next_ids(conn, stage, after)
    queued = await rebuild.put_stage(conn, stage, ids)
    return PageDone(_after(stage, ids), queued, Counter(order.result) + Counter(queued=queued))


async def _check(outside: Outside, found: Found, conn: Connection, access: Access, order: Order) -> Commit:
    """Compare the next page; a process finds what the filter chooses once, as that reads all of its deliveries."""
    if order.id not in found:
        subjects = await _subjects(conn, access, order)
        while len(found) >= FOUND_MAX:
            del found[next(iter(found))]
        found[order.id] = subjects
    return partial(_check_page, outside, order, found[order.id])


async def _check_page(outside: Outside, order: Order, subjects: Subjects | None, _: Connection) -> PageDone:
    place = _place(order)
    async with outside.as_worker() as (worker, access):
        page, differing = await rebuild.compare_page(worker, access, place, subjects)
    drift = Drift(order.result.get("users", 0), order.result.get("companies", 0))
    drift.differing.update(order.result.get("differing", {}))
    drift.add(place[0], page, differing)
    result = {"users": drift.users, "companies": drift.companies, "differing": drift.differing}
    if first := order.result.get("first") or (drift.first and str(drift.first[0])):
        result["first"] = first
    return PageDone(_after(place[0], page), 0, result)


async def _refresh(outside: Outside, conn: Connection, access: Access, order: Order) -> Commit:
    delivery = await outside.ask(conn, access, UUID(order.filter["user_id"]))

    async def commit(conn: Connection) -> PageDone:
        if delivery is None:
            return PageDone(None, 0, {"is_found": False})
        stored = await refreshing.store(conn, delivery)
        return PageDone(None, 1, {"is_found": True, "message_id": stored.message_id, "error": stored.error})

    return commit


async def _test(outside: Outside, conn: Connection, access: Access, order: Order) -> Commit:
    """Send the test delivery under the order's message id: if a killed console has sent it, this is a repeat."""
    [message_id] = order.filter["message_ids"]
    destination = outside.destination()
    async with transaction(conn, access):
        url = await test_delivery.address(conn, destination)
    seconds = await test_delivery.send(url, destination.secret, message_id)

    async def commit(conn: Connection) -> PageDone:
        stored = await deliveries.find(conn, message_id, with_body=False)
        if not stored:
            raise NotTaken(f"{url} took it, but not into this database: compare the receiver's DATABASE_URL.")
        return PageDone(None, 1, {"delivery": stored[0]["seq"], "milliseconds": round(1000 * seconds)})

    return commit


async def _subjects(conn: Connection, access: Access, order: Order) -> Subjects | None:
    """Return the users and companies that the filter chooses, with all that these concern; None: everybody."""
    chosen = dict(order.filter)
    user_id, team_id = (chosen.pop(name, None) for name in ("user_id", "team_id"))
    if not user_id and not team_id and not chosen:
        return None
    named = Subjects([UUID(user_id)] if user_id else [], [UUID(team_id)] if team_id else [])
    applied = selection({**chosen, "states": rebuild.APPLIED}) if chosen else None
    return await rebuild.chosen(conn, access, named, applied)


def _place(order: Order) -> tuple[Stage, UUID | None]:
    after = order.place.get("after")
    return Stage(order.place.get("stage", Stage.COMPANY)), UUID(after) if after else None


def _after(stage: Stage, ids: Sequence[UUID]) -> Mapping[str, Any] | None:
    """Return the place after these ids of a stage; they are empty at its end, and the last stage is the last of all."""
    if ids:
        return {"stage": int(stage), "after": str(ids[-1])}
    return None if stage is max(Stage) else {"stage": stage + 1, "after": None}
