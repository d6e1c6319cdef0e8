"""The intake: concurrent requests share an insert and a commit, and each is answered only after the commit."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import NamedTuple

import psycopg
from psycopg.errors import DiskFull, ReadOnlySqlTransaction
from psycopg_pool import PoolTimeout, TooManyRequests

from consumer import logs
from consumer.deadline import end, within
from consumer.errors import IntakeFull, StoreUnavailable
from consumer.gauges import StoreState
from consumer.metric_labels import Received
from consumer.outbox import storage
from consumer.outbox.storage import Delivery
from consumer.postgres import session
from consumer.postgres.connections import Access, Pool, autocommit, transaction
from consumer.postgres.error_classes import ErrorClass, code, error_class

# Two commits at once: while one waits for the disk the other's rows are on their way. A third adds contention and no
# speed (bench/ingest.py).
COMMITS_MAX = 2
# While a commit runs, start another only if at least this many deliveries wait: a commit costs about as much as thirty
# rows.
SECOND_COMMIT_MIN = 32
# The largest batch: 512 rows of 1.3 kB commit in about 10 ms, a fifth of the latency we allow (bench/ingest.py).
BATCH_SIZE = 512
# Deliveries and bytes that may wait: about a second of work at full load. A longer queue would only answer too late.
WAITING_MAX = 8_192
WAITING_BYTES_MAX = 64 * 1024 * 1024
# Time limits of a batch, and of a request that waits for its batch: together less than the 5 s within which a sender
# gets an answer (promise P10).
COMMIT_TIMEOUT = timedelta(seconds=3)
WAIT_SECONDS_MAX = 1.5
# The pause after an error of the writer; requests that wait meanwhile are tried again or fail in time.
FAILED_SECONDS = 0.5
# While a disk is full its log may be on it: a line a minute shows that it lasts.
DISK_FULL_LOG_SECONDS = 60.0
# Idle workers are woken at most this often; they find deliveries that arrive in between by polling.
WAKE_INTERVAL = timedelta(milliseconds=50)

log = logging.getLogger(__name__)


class _Waiting(NamedTuple):
    delivery: Delivery
    stored: "asyncio.Future[None]"
    since: float


class Intake:
    """A bounded queue in front of the outbox; open it with `open_intake`."""

    def __init__(self, pool: Pool, access: Access, count: Callable[[Received, int], None]) -> None:
        self._pool = pool
        self._access = access
        self._count = count
        self._waiting: deque[_Waiting] = deque()
        self._waiting_bytes = 0
        self._changed = asyncio.Event()
        self._commits: set[asyncio.Task[None]] = set()
        self._woken_at = float("-inf")
        self._disk_full_at = self._disk_full_logged_at = float("-inf")

    async def put(self, delivery: Delivery) -> None:
        """Return once the delivery, or an earlier copy of it, is committed.

        Raises IntakeFull at once when too much waits, and StoreUnavailable when the delivery could not be committed in
        time. Then it may be stored or not; the sender's repeat settles that.
        """
        if len(self._waiting) >= WAITING_MAX or self._waiting_bytes + len(delivery.body) > WAITING_BYTES_MAX:
            raise IntakeFull
        loop = asyncio.get_running_loop()
        stored = loop.create_future()
        self._waiting.append(_Waiting(delivery, stored, loop.time()))
        self._waiting_bytes += len(delivery.body)
        self._changed.set()
        await stored

    def state(self) -> StoreState:
        """Return what waits for a commit that begins later, and the statistics of the pool."""
        return StoreState(len(self._waiting), self._waiting_bytes, self._pool.get_stats())

    async def not_ready_reason(self) -> str | None:
        """Return the reason why nothing can be stored now, or None."""
        try:
            # Even an empty put needs a connection, the privileges and a writable database.
            async with self._pool.connection() as conn, autocommit(conn, self._access):
                await storage.put(conn, [])
        except (PoolTimeout, TooManyRequests):
            return "the database is away"
        except ReadOnlySqlTransaction:
            return "the database is read-only"
        except (psycopg.Error, OSError) as error:
            if error_class(error) is not ErrorClass.TRANSIENT:
                return f"the database refuses to store ({code(error)}): see `consumer doctor`"
            await self._pool.drain()
            return "the database is away"
        return None

    def since_disk_full(self) -> timedelta | None:
        """Return the time since a full disk last refused a delivery; None: it never did.

        Only a delivery meets a full disk: `not_ready_reason` writes nothing.
        """
        seconds = asyncio.get_running_loop().time() - self._disk_full_at
        return None if seconds == float("inf") else timedelta(seconds=seconds)

    async def _write(self) -> None:
        """Start commits until cancelled; deliveries that arrive during a commit form the next batch."""
        while True:
            batch: list[_Waiting] = []
            try:
                await self._changed.wait()
                self._changed.clear()
                # Deliveries that this turn of the event loop reads from other connections join the batch.
                await asyncio.sleep(0)
                while self._is_commit_due() and self._take(batch):
                    commit, batch = asyncio.create_task(self._store(batch)), []
                    self._commits.add(commit)
                    commit.add_done_callback(self._end)
            # A bug of ours or no memory: a writer that ends would leave every later request without an answer.
            except Exception:
                log.exception(logs.TASK_FAILED, extra={"task": "intake"})
                self._waiting.extendleft(reversed(batch))
                self._waiting_bytes += sum(len(waiting.delivery.body) for waiting in batch)
                await asyncio.sleep(FAILED_SECONDS)
                self._changed.set()

    def _is_commit_due(self) -> bool:
        """Commit at once when idle; beside a running commit, only for SECOND_COMMIT_MIN deliveries."""
        return not self._commits or (len(self._commits) < COMMITS_MAX and len(self._waiting) >= SECOND_COMMIT_MIN)

    def _end(self, commit: "asyncio.Task[None]") -> None:
        self._commits.discard(commit)
        self._changed.set()

    def _take(self, batch: list[_Waiting]) -> list[_Waiting]:
        """Fill the next batch; fail requests that waited too long, drop those whose client hung up."""
        oldest = asyncio.get_running_loop().time() - WAIT_SECONDS_MAX
        # Half, so that the senders fall into two groups, one working while the other's commit runs (bench/ingest.py).
        size = min(BATCH_SIZE, max(SECOND_COMMIT_MIN, len(self._waiting) // 2))
        while self._waiting and len(batch) < size:
            waiting = self._waiting.popleft()
            self._waiting_bytes -= len(waiting.delivery.body)
            if waiting.stored.done():
                continue
            if waiting.since < oldest:
                waiting.stored.set_exception(StoreUnavailable())
            else:
                batch.append(waiting)
        return batch

    async def _store(self, batch: list[_Waiting]) -> None:
        """Commit a batch and answer each of its requests; never raises."""
        errors: Sequence[Exception | None]
        try:
            errors = await within(COMMIT_TIMEOUT, self._commit_any([waiting.delivery for waiting in batch]))
        except TimeoutError as silence:
            # The cause of the silence, a router that forgot the connection or a dead host, affects the idle ones too.
            await self._pool.drain()
            errors = [StoreUnavailable(silence)] * len(batch)
        # A bug of ours: the waiting requests must be answered all the same.
        except Exception as cause:
            errors = [StoreUnavailable(cause)] * len(batch)
        for waiting, error in zip(batch, errors, strict=True):
            if waiting.stored.done():
                continue
            if error is None:
                waiting.stored.set_result(None)
            else:
                waiting.stored.set_exception(error)

    async def _commit_any(self, deliveries: list[Delivery]) -> Sequence[Exception | None]:
        """Commit together, else one by one: a row that PostgreSQL refuses must not fail the others."""
        try:
            await self._commit_twice(deliveries)
        except (psycopg.Error, OSError) as error:
            if error_class(error) in {ErrorClass.POISON, ErrorClass.CONSTRAINT} and len(deliveries) > 1:
                return [(await self._commit_any([delivery]))[0] for delivery in deliveries]
            if isinstance(error, DiskFull):
                self._note_disk_full()
            return [StoreUnavailable(error)] * len(deliveries)
        return [None] * len(deliveries)

    def _note_disk_full(self) -> None:
        now = self._disk_full_at = asyncio.get_running_loop().time()
        if now - self._disk_full_logged_at >= DISK_FULL_LOG_SECONDS:
            self._disk_full_logged_at = now
            log.error(logs.DISK_FULL)

    async def _commit_twice(self, deliveries: list[Delivery]) -> None:
        """Commit; try once more on new connections if the first is lost or read-only, or the commit deadlocks.

        If the first commit did succeed, the second changes nothing, and waits for the standby as the first had to.
        """
        try:
            await self._commit_once(deliveries)
        except (psycopg.Error, OSError) as error:
            is_lost = error_class(error) is ErrorClass.TRANSIENT or isinstance(error, ReadOnlySqlTransaction)
            if isinstance(error, PoolTimeout | TooManyRequests) or not is_lost:
                raise
            await self._pool.drain()
            await self._commit_once(deliveries)

    async def _commit_once(self, deliveries: list[Delivery]) -> None:
        usable = [delivery for delivery in deliveries if delivery.error_code is None]
        # In key order, like `put`: two writers with the same ids would deadlock otherwise.
        dead = sorted((d for d in deliveries if d.error_code is not None), key=lambda d: (d.source, d.message_id))
        new_usable = new_dead = 0
        async with self._pool.connection() as conn:
            is_waking = self._is_wake_due()
            with conn.standby_wait.required():
                async with (transaction if dead or is_waking else autocommit)(conn, self._access):
                    if usable:
                        new_usable = await storage.put(conn, usable)
                    for delivery in dead:
                        new_dead += await storage.put_dead(conn, delivery)
                    if is_waking:
                        await session.wake(conn)
        self._count("stored", new_usable)
        self._count("dead", new_dead)
        self._count("duplicate", len(deliveries) - new_usable - new_dead)

    def _is_wake_due(self) -> bool:
        now = asyncio.get_running_loop().time()
        if now - self._woken_at < WAKE_INTERVAL.total_seconds():
            return False
        self._woken_at = now
        return True


@asynccontextmanager
async def open_intake(pool: Pool, access: Access, count: Callable[[Received, int], None]) -> AsyncIterator[Intake]:
    """Run an intake; *count* gets the numbers of stored, dead and duplicate deliveries."""
    intake = Intake(pool, access, count)
    writer = asyncio.create_task(intake._write(), name="intake writer")
    try:
        yield intake
    finally:
        await end(writer)
        await asyncio.gather(*intake._commits, return_exceptions=True)
