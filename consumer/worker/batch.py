"""Batches: claim, apply, commit. Any number of workers may run, and any may be killed at any moment."""

import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from consumer import logs
from consumer.effects import recorded_settings
from consumer.errors import Inseparable, LostDeliveries, StatementRefused
from consumer.events.registry import known_types
from consumer.metrics import Metrics
from consumer.outbox import queue
from consumer.outbox.queue import Claimed
from consumer.postgres import ledger
from consumer.postgres.connections import Access, Connection, transaction
from consumer.postgres.error_classes import ErrorClass, code, error_class, summary
from consumer.worker import rebuild, rehome
from consumer.worker.batch_report import count_pages, oldest_age, report_batch
from consumer.worker.claimed import apply_claimed
from consumer.worker.newer_release import set_unknown_aside

log = logging.getLogger(__name__)

# Deliveries a transaction: beyond a thousand the cost of each falls no further (bench/drain.py) while rows stay locked
# longer.
BATCH_SIZE = 1000
# How long a replayed or late delivery may wait while newer ones keep every batch full.
RESCAN_SECONDS = 1.0
# Retries: full jitter up to 2^attempts seconds, at most an hour (Brooker, "Exponential Backoff And Jitter", AWS 2015).
RETRY_SECONDS_MAX = 3600.0
# 2^12 is already more than RETRY_SECONDS_MAX. Some deliveries are retried without end, and 2^1024 does not fit a float.
RETRY_EXPONENT_MAX = 12
# A delivery that met a locked row is retried within this time; such attempts are not counted.
BUSY_SECONDS_MAX = 5.0


Committed = Callable[[Sequence[Claimed], Mapping[int, str], float], None]


@dataclass(slots=True)
class Batch:
    """The result of one batch, and of the pages of users re-homed and made anew after it."""

    outcomes: dict[int, str] = field(default_factory=dict)
    retried: list[tuple[Claimed, Exception]] = field(default_factory=list)
    buried: list[tuple[Claimed, Exception]] = field(default_factory=list)
    rehomed: rehome.PageResult | None = None
    rebuilt: rebuild.RebuiltPage | None = None

    def __len__(self) -> int:
        return len(self.outcomes) + len(self.retried) + len(self.buried)

    @property
    def is_idle(self) -> bool:
        """Whether nothing was due."""
        return not len(self) and self.rehomed is None and self.rebuilt is None


class BatchRunner:
    """Drains the outbox over one connection."""

    def __init__(
        self,
        access: Access,
        metrics: Metrics,
        *,
        attempts_max: int,
        batch_size: int = BATCH_SIZE,
        projection_sql: bytes | None = None,
    ) -> None:
        self.access = access
        self.metrics = metrics
        # Called after each batch with what it claimed, the outcomes by seq, and the seconds that it took.
        self.committed: Committed = lambda *_: None
        self._attempts_max = attempts_max
        self._projection_sql = projection_sql
        self._batch_size_max = self._batch_size = batch_size
        self._claimed_count = 0
        self._after_seq = 0
        self._rescan_at = float("-inf")
        self._tried = rebuild.TriedPage()

    async def run_once(self, conn: Connection) -> Batch:
        """Claim and apply one batch, then re-home one page of users, then make one page anew, each in a transaction.

        Raises an error that is not the deliveries' fault after its transaction is rolled back.
        """
        try:
            batch, due = await self._drain_one(conn)
        except Inseparable:
            self.halve_batch()
            return await self.run_once(conn)
        if due.is_rehoming:
            batch.rehomed = await self._rehome(conn)
        if due.is_rebuilding:
            batch.rebuilt = await rebuild_page(conn, self.access, self._tried, projection_sql=self._projection_sql)
        count_pages(self.metrics, batch.rehomed, batch.rebuilt)
        return batch

    async def _drain_one(self, conn: Connection) -> tuple[Batch, rehome.Due]:
        """Claim and apply one batch; return its result, and what waits besides deliveries."""
        batch = Batch()
        started = time.perf_counter()
        async with transaction(conn, self.access):
            # Every statement of the batch sees the same delete policy and defaults.
            is_ahead = await ledger.begin_work(conn)
            claimed = await self._claim(conn, is_ahead=is_ahead)
            known = claimed
            if is_ahead:
                known, batch.retried = await set_unknown_aside(conn, claimed)
            if known:
                await self._apply(conn, known, batch)
            due = await rehome.due(conn)
        if claimed:
            self._batch_size = min(2 * self._batch_size, self._batch_size_max)
            seconds = time.perf_counter() - started
            report_batch(self.metrics, claimed, batch.outcomes, batch.retried, batch.buried)
            self.metrics.observe_batch(seconds, len(batch), oldest_age(claimed, batch.outcomes))
            self.committed(claimed, batch.outcomes, seconds)
        return batch, due

    def halve_batch(self) -> None:
        """Make the next batch half of the last, which took too long or failed only as a whole."""
        # A worker that was idle claimed nothing, which says nothing about the size.
        self._batch_size = max(1, min(self._batch_size, self._claimed_count or self._batch_size) // 2)

    async def _rehome(self, conn: Connection) -> rehome.PageResult | None:
        async with transaction(conn, self.access):
            await ledger.begin_work(conn)
            page = await rehome.run_page(conn, retry_delay, projection_sql=self._projection_sql)
        for user_id, error in page.postponed if page else ():
            fields = {"user_id": user_id, "error_code": code(error), "error": summary(error)}
            log.warning(logs.REHOMING_POSTPONED, extra=fields)
        return page

    async def _claim(self, conn: Connection, *, is_ahead: bool) -> list[Claimed]:
        """Claim the next deliveries, from `_after_seq` on; from the first when too few are left, and every second.

        `_after_seq` is the last claimed delivery. Claimed deliveries leave dead index entries, which stay while a long
        transaction holds back vacuum; starting after them skips them. Only late commits and replays come before it.
        """
        if time.monotonic() >= self._rescan_at:
            self._after_seq = 0
        # New deliveries get half of the batch, however many retries are due.
        known = known_types() if is_ahead else None
        due = await queue.claim_retries(conn, batch_size=(self._batch_size + 1) // 2, known_types=known)
        size = self._batch_size - len(due)
        claimed = await queue.claim(conn, after_seq=self._after_seq, batch_size=size)
        if self._after_seq and len(claimed) < size:
            claimed += await queue.claim(conn, after_seq=0, batch_size=size - len(claimed))
            self._after_seq = 0
        if not self._after_seq:
            self._rescan_at = time.monotonic() + RESCAN_SECONDS
        self._after_seq = max((c.seq for c in claimed), default=0) if len(claimed) == size else 0
        self._claimed_count = len(due) + len(claimed)
        # A receiver may have queued a retry once more.
        return list({delivery.seq: delivery for delivery in [*claimed, *due]}.values())

    async def _apply(self, conn: Connection, claimed: Sequence[Claimed], batch: Batch) -> None:
        """Apply the deliveries; set aside those that cannot be applied."""
        outcomes, failing = await apply_claimed(conn, claimed, self._projection_sql)
        batch.outcomes |= outcomes
        # Without settings every user is skipped, and only `migrate` can help.
        if any(isinstance(error, LostDeliveries) for _, error in failing):
            await recorded_settings.require_any(conn)
        for delivery, error in failing:
            await self._set_aside(conn, delivery, error, batch)

    async def _set_aside(self, conn: Connection, claimed: Claimed, error: Exception, batch: Batch) -> None:
        kind = error_class(error)
        if kind is ErrorClass.BUSY:
            delay = timedelta(seconds=random.uniform(0, BUSY_SECONDS_MAX))
            await queue.retry(conn, claimed, delay, code(error), summary(error))
            batch.retried.append((claimed, error))
            return
        claimed = claimed._replace(attempts=claimed.attempts + 1)
        # If the statement fails for all users, the next deploy mends it: until then no delivery dies of it.
        is_for_all = isinstance(error, StatementRefused) and error.is_for_all
        if kind is ErrorClass.POISON or (claimed.attempts >= self._attempts_max and not is_for_all):
            await queue.bury(conn, claimed, code(error), summary(error))
            batch.buried.append((claimed, error))
        else:
            await queue.retry(conn, claimed, retry_delay(claimed.attempts), code(error), summary(error))
            batch.retried.append((claimed, error))


async def rebuild_page(
    conn: Connection, access: Access, tried: rebuild.TriedPage | None = None, *, projection_sql: bytes | None
) -> rebuild.RebuiltPage | None:
    """Make one page of users or companies anew in a transaction of its own, if any wait.

    Call it with the same *tried* each time: it names the page of a call that did not end.
    """
    tried = tried or rebuild.TriedPage()
    async with transaction(conn, access):
        await ledger.begin_work(conn)
        page = await rebuild.run_page(conn, retry_delay, tried, projection_sql=projection_sql)
    tried.ids = ()
    for subject_id, error in page.postponed[: rebuild.POSTPONED_MAX] if page else ():
        fields = {"subject_id": subject_id, "error_code": code(error), "error": summary(error)}
        log.warning(logs.REBUILD_POSTPONED, extra=fields)
    return page


def retry_delay(attempts: int) -> timedelta:
    """Return how long to wait after that many attempts: anything from nothing to 2^attempts seconds."""
    return timedelta(seconds=random.uniform(0, min(RETRY_SECONDS_MAX, 2.0 ** min(attempts, RETRY_EXPONENT_MAX))))


async def drain(conn: Connection, worker: BatchRunner) -> int:
    """Apply batches, re-home users and make rows anew until nothing is due; return how many deliveries there were."""
    total = 0
    while not (batch := await worker.run_once(conn)).is_idle:
        total += len(batch)
    return total
