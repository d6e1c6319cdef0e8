"""Rebuild: make the rows of users and companies anew from the outbox, page by page, beside live work."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from consumer.effects import anew, application
from consumer.effects.anew import Differing
from consumer.errors import Unended
from consumer.outbox import rebuild_queue
from consumer.outbox.rebuild_queue import Stage, Waiting
from consumer.postgres import session
from consumer.postgres.connections import Connection
from consumer.postgres.error_classes import ErrorClass, error_class, summary
from consumer.worker.bisect import Failing, FailureLimit, apply_except_failing

# Of a page; more than these fail together for a cause that is not theirs, and the whole page is postponed.
POSTPONED_MAX = 10
# Milliseconds to wait for a lock: deliveries wait meanwhile, and a page can be tried again.
LOCK_TIMEOUT = 50


@dataclass(frozen=True, slots=True)
class RebuiltPage:
    """The result of one page: how many were made anew, how many differed by kind of row, and those postponed."""

    stage: Stage
    done: int
    differing: Counter[str] = field(default_factory=Counter)
    postponed: Sequence[tuple[UUID, Exception]] = ()


@dataclass(slots=True)
class TriedPage:
    """The page that a transaction makes anew, as long as that has not ended: a worker that is tried again knows it."""

    stage: Stage = Stage.COMPANY
    ids: Sequence[UUID] = ()


async def run_page(
    conn: Connection, delay: Callable[[int], timedelta], tried: TriedPage, *, projection_sql: bytes | None = None
) -> RebuiltPage | None:
    """Make one page anew in the caller's transaction; return None when nothing waits, or other workers hold it.

    A user or company that is locked, or that an application's constraint or statement refuses, is postponed by a
    *delay* that depends on the attempts. So is the whole page *tried* before, which took too long, or ended with the
    connection: it must not come first again. Each attempt halves a page, down to the one that fails alone.
    """
    if tried.ids:
        waiting = await rebuild_queue.lock(conn, tried.stage, tried.ids)
        result = RebuiltPage(tried.stage, 0, postponed=[(one.id, Unended()) for one in waiting])
        await _postpone(conn, waiting, result, delay)
        return result
    if (stage := await rebuild_queue.first_stage(conn)) is None:
        return None
    if not (page := await _claim(conn, stage)):
        return None
    await session.set_lock_timeout(conn, LOCK_TIMEOUT)
    ids = [waiting.id for waiting in page]
    tried.stage, tried.ids = stage, ids
    # Taken out first: what is made anew may queue companies again.
    await rebuild_queue.finish(conn, stage, ids)
    found, failing = await _make_anew_except_failing(conn, stage, ids, projection_sql)
    kinds = Counter(kind for differing in found.values() for kind in differing)
    result = RebuiltPage(stage, len(ids) - len(failing), kinds, failing)
    await _postpone(conn, page, result, delay)
    return result


async def _postpone(
    conn: Connection, page: Sequence[Waiting], result: RebuiltPage, delay: Callable[[int], timedelta]
) -> None:
    errors = dict(result.postponed)
    for waiting in page:
        if error := errors.get(waiting.id):
            await rebuild_queue.postpone(conn, result.stage, waiting, delay(waiting.attempts + 1), summary(error))


async def _claim(conn: Connection, stage: Stage) -> list[Waiting]:
    page = await rebuild_queue.claim(conn, stage)
    if stage is Stage.USER and page:
        page = page[: await rebuild_queue.fitting(conn, [waiting.id for waiting in page])]
    # Those that fail together may succeed in smaller pages.
    return page[: max(1, len(page) >> max((waiting.attempts for waiting in page), default=0))]


async def _make_anew_except_failing(
    conn: Connection, stage: Stage, ids: Sequence[UUID], projection_sql: bytes | None
) -> tuple[Differing, Failing[UUID]]:
    async def attempt(part: Sequence[UUID]) -> Differing:
        differences = await anew.make_anew(conn, stage, part, is_kept=True)
        if stage is Stage.USER:
            # `make_anew` has checked the deferred constraints, and each later statement checks its own.
            await application.run_app_statement(conn, projection_sql, differences)
        return differences

    tally = FailureLimit(POSTPONED_MAX)
    try:
        differences, failing = await apply_except_failing(conn, ids, attempt, tally)
    # Inseparable too: live deliveries must not wait because a row, or a fault of ours, stops a page.
    except Exception as error:
        if error_class(error) is not ErrorClass.OURS:
            raise
        return {}, [(one, error) for one in ids]
    return differences or {}, failing
