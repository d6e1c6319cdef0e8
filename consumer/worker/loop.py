"""The worker's loop: apply batches, wait while nothing is due, reconnect after errors, stop on request."""

import asyncio
import contextlib
import logging
import time
from datetime import timedelta

from psycopg.errors import DeadlockDetected, ReadOnlySqlTransaction, SerializationFailure
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_random_exponential

from consumer.deadline import first_of, within
from consumer.errors import WrongRelease
from consumer.logs import BATCH_ROLLED_BACK, WORKER_PAUSED
from consumer.postgres import session
from consumer.postgres.connections import Attempted, Connection, RoleRefused, connect, enter
from consumer.postgres.error_classes import ErrorClass, code, error_class, summary
from consumer.worker.batch import Batch, BatchRunner
from consumer.worker.lock_log import LockLog

log = logging.getLogger(__name__)

# The first pause of an idle worker; it doubles, so that only the first polls come fast.
POLL_MIN_SECONDS = 0.02
# Behind a pooler no wake-up arrives: a worker waits a tenth of the time since the last batch, so an event that follows
# another within seconds waits a twentieth of that time. After ten seconds the pauses double again.
POOLED_POLLS = 10
POOLED_SECONDS = 10.0
# Longest pause between attempts to reconnect: work must resume within 3 s of the database (promise P7).
RECONNECT_SECONDS_MAX = 1.0
# Longest pause after an error that only a person can mend; short beside the time that the repair takes.
PAUSED_SECONDS_MAX = 30.0
# A batch takes a second, one with many failing items ten; on a silent connection it would never end.
TURN_TIMEOUT = timedelta(seconds=60)
# How long a running batch may go on after SIGTERM before it is rolled back: the process ends within 10 s (P8).
FINISH_SECONDS = 2.0


class Worker:
    """A worker's loop: it applies batches, waits while nothing is due, and reconnects after errors."""

    def __init__(self, conninfo: str, runner: BatchRunner, attempted: Attempted, *, poll_max: timedelta) -> None:
        self._conninfo = conninfo
        self._runner = runner
        self._attempted = attempted
        self._poll_max_seconds = poll_max.total_seconds()
        self._idle_seconds = POLL_MIN_SECONDS
        self._worked_at = float("-inf")
        self._lock_log = LockLog()
        self._conn: Connection | None = None
        self._stop = asyncio.Event()
        self.turned_at = float("-inf")
        self.trouble: str | None = None
        # The error that only a person can mend, until a batch succeeds.
        self.paused_by: str | None = None

    def stop(self) -> None:
        """Return from `run`; a running batch has FINISH_SECONDS to finish, then it is rolled back."""
        self._stop.set()

    async def run(self) -> None:
        """Apply batches until stopped, whatever happens to the database.

        Raises WrongRelease when this release may not work on the database any more.
        """
        working = asyncio.create_task(self._turn_until_stopped())
        stopping = asyncio.create_task(self._stop.wait())
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not working.done():
            await asyncio.wait({working}, timeout=FINISH_SECONDS)
            working.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await working

    async def _turn_until_stopped(self) -> None:
        # A turn is what is retried, so each turn that succeeds starts the pauses from the shortest again.
        retrying = AsyncRetrying(
            retry=retry_if_exception(_is_retried),
            wait=_pause,
            before_sleep=self._report_trouble,
            sleep=self._sleep,
        )
        try:
            while not self._stop.is_set():
                await retrying(self._turn)
        finally:
            await self._disconnect()

    async def _turn(self) -> None:
        """Apply one batch, then wait if nothing was due; after an error the next turn makes a new connection."""
        # A stop ends a pause; the turn after it has nothing to do.
        if self._stop.is_set():
            return
        try:
            conn = self._conn or await self._connect()
            batch = await within(TURN_TIMEOUT, self._runner.run_once(conn))
            self.turned_at, self.trouble, self.paused_by = time.monotonic(), None, None
            await self._wait_if_idle(conn, batch)
        except Exception as error:
            if isinstance(error, TimeoutError):
                # Perhaps the connection is silent, perhaps the batch is too large.
                self._runner.halve_batch()
            if self._conn:
                await self._lock_log.write(self._conn, [error])
            await self._disconnect()
            raise

    async def _wait_if_idle(self, conn: Connection, batch: Batch) -> None:
        if batch.is_idle:
            is_woken = await first_of(self._stop, _hear(conn, self._idle_seconds))
            self._idle_seconds = POLL_MIN_SECONDS if is_woken else self._longer(conn)
            return
        self._idle_seconds, self._worked_at = POLL_MIN_SECONDS, time.monotonic()
        postponed = batch.rehomed.postponed if batch.rehomed else []
        await self._lock_log.write(conn, [error for _, error in (*batch.retried, *postponed)])

    def _longer(self, conn: Connection) -> float:
        """Return the pause after one in which nothing came."""
        doubled = min(2 * self._idle_seconds, self._poll_max_seconds)
        since_work = time.monotonic() - self._worked_at
        if conn.is_entered or since_work >= POOLED_SECONDS:
            return doubled
        return min(doubled, max(POLL_MIN_SECONDS, since_work / POOLED_POLLS))

    async def _connect(self) -> Connection:
        self._idle_seconds = POLL_MIN_SECONDS
        # Kept at once, so that a turn closes it even if its role is refused.
        conn = self._conn = await connect(self._conninfo, self._runner.access)
        # Behind a pooler the next client of this backend would go on listening.
        if await enter(conn, self._runner.access):
            await session.listen(conn)
        self._attempted(None)
        return conn

    async def _disconnect(self) -> None:
        # No polite rollback first: that would wait for the server once more.
        if self._conn:
            await self._conn.close()
        self._conn = None

    async def _sleep(self, seconds: float) -> None:
        await first_of(self._stop, asyncio.sleep(seconds))

    def _report_trouble(self, state: RetryCallState) -> None:
        error = _error(state)
        self.trouble = f"the last batch was rolled back ({code(error)}): see the log"
        kind = error_class(error)
        is_away = kind is ErrorClass.TRANSIENT and not isinstance(error, SerializationFailure | DeadlockDetected)
        if is_away or isinstance(error, RoleRefused):
            self._attempted(error)
        else:
            event = WORKER_PAUSED if kind is ErrorClass.OURS else BATCH_ROLLED_BACK
            log.error(event, extra={"error_code": code(error), "error": summary(error)})
        if kind is ErrorClass.OURS:
            self.paused_by = f"{code(error)}, {summary(error)}"
        self._runner.metrics.failed(kind.value)


def _is_retried(error: BaseException) -> bool:
    return isinstance(error, Exception) and not isinstance(error, WrongRelease)


def _pause(state: RetryCallState) -> float:
    """Return the seconds to wait before the next attempt, longer from failure to failure."""
    error = _error(state)
    # A failover leaves a server read-only; the next connection may lead to its successor.
    needs_somebody = error_class(error) is ErrorClass.OURS and not isinstance(error, ReadOnlySqlTransaction)
    return (_LONG_PAUSE if needs_somebody else _RECONNECT_PAUSE)(state)


async def _hear(conn: Connection, seconds: float) -> bool:
    """Wait that long for a wake-up; tell whether one came."""
    # Closed here, because the generator holds the connection's lock until it ends.
    async with contextlib.aclosing(conn.notifies(timeout=seconds, stop_after=1)) as notifications:
        async for _ in notifications:
            return True
    return False


def _error(state: RetryCallState) -> Exception:
    assert state.outcome, "tenacity pauses only after an attempt"
    error = state.outcome.exception()
    assert isinstance(error, Exception), "tenacity pauses only after a failed attempt"
    return error


_RECONNECT_PAUSE = wait_random_exponential(multiplier=0.1, max=RECONNECT_SECONDS_MAX)
_LONG_PAUSE = wait_random_exponential(multiplier=1, max=PAUSED_SECONDS_MAX)
