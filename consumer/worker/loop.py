"""One worker's life: drain, wait, come back after trouble, stop when told."""

import asyncio
import contextlib
import logging
import time
from datetime import timedelta

from psycopg.errors import DeadlockDetected, ReadOnlySqlTransaction, SerializationFailure
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from consumer.deadline import within
from consumer.logs import BATCH_ROLLED_BACK, WORKER_PAUSED
from consumer.postgres import session
from consumer.postgres.connections import Attempted, Connection, connect, enter
from consumer.postgres.error_classes import ErrorClass, code, error_class, summary
from consumer.worker.batch import Batch, BatchRunner

log = logging.getLogger(__name__)

POLL_MIN_SECONDS = 0.02
# Between attempts to come back: short, for a database that is up again must be working again within 3 s (promise P7).
RECONNECT_SECONDS_MAX = 1.0
# After a fault of ours there is no hurry: somebody has to look.
STOPPED_SECONDS_MAX = 30.0
# A batch takes a second, one with many culprits ten; a connection that is silent but not lost takes for ever.
TURN_TIMEOUT = timedelta(seconds=60)
# What SIGTERM leaves a running batch before it is rolled back.
FINISH_SECONDS = 2.0


class Worker:
    """One worker's life: drain, wait, come back after trouble, stop when told."""

    def __init__(self, conninfo: str, worker: BatchRunner, attempted: Attempted, *, poll_max: timedelta) -> None:
        self._conninfo = conninfo
        self._attempted = attempted
        self._worker = worker
        self._poll_max_seconds = poll_max.total_seconds()
        self._stop = asyncio.Event()
        self.turned_at = float("-inf")
        self._has_turned = False
        self.trouble: str | None = None

    def stop(self) -> None:
        """Let the running batch finish for FINISH_SECONDS, roll it back otherwise, and return from `run`."""
        self._stop.set()

    async def run(self) -> None:
        """Drain until stopped, through lost databases and faults of ours."""
        working: asyncio.Task[None] = asyncio.create_task(self._retrying()(self._drain_until_stopped))
        stopping = asyncio.create_task(self._stop.wait())
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not working.done():
            await asyncio.wait({working}, timeout=FINISH_SECONDS)
            working.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await working

    def _retrying(self) -> AsyncRetrying:
        return AsyncRetrying(
            retry=retry_if_exception_type(Exception),
            wait=self._pause,
            before_sleep=self._report_trouble,
            sleep=self._sleep,
            # Trouble after a stop is no reason to stay.
            stop=lambda _: self._stop.is_set(),
            retry_error_callback=lambda _: None,
        )

    async def _drain_until_stopped(self) -> None:
        async with await connect(self._conninfo, self._worker.access) as conn:
            self._attempted(None)
            # A pooler would keep on listening for whoever gets that backend next.
            if await enter(conn, self._worker.access):
                await session.listen(conn)
            idle_seconds = POLL_MIN_SECONDS
            while not self._stop.is_set():
                batch = await self._turn(conn)
                if not batch.is_idle or await self._is_woken(conn, idle_seconds):
                    idle_seconds = POLL_MIN_SECONDS
                else:
                    idle_seconds = min(2 * idle_seconds, self._poll_max_seconds)

    async def _turn(self, conn: Connection) -> Batch:
        try:
            batch = await within(TURN_TIMEOUT, self._worker.run_once(conn))
        except TimeoutError:
            # It may be the work, not the connection, that took so long.
            self._worker.halve_batch()
            # To leave it politely would be to wait for its server once more.
            await conn.close()
            raise
        self.turned_at, self._has_turned, self.trouble = time.monotonic(), True, None
        return batch

    async def _is_woken(self, conn: Connection, seconds: float) -> bool:
        """Wait that long, or until the intake or a stop says that waiting is over."""
        hearing = asyncio.create_task(_hear(conn, seconds))
        stopping = asyncio.create_task(self._stop.wait())
        await asyncio.wait({hearing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        hearing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            return await hearing
        return False

    def _pause(self, state: RetryCallState) -> float:
        """Return the seconds to wait: longer from failure to failure, as from the first when the loop has turned."""
        if self._has_turned:
            state.attempt_number, self._has_turned = 1, False
        error = _error(state)
        # A failover leaves a server read-only; the next connection may lead to its successor.
        needs_somebody = error_class(error) is ErrorClass.OURS and not isinstance(error, ReadOnlySqlTransaction)
        return (_STOPPED_PAUSE if needs_somebody else _RECONNECT_PAUSE)(state)

    async def _sleep(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)

    def _report_trouble(self, state: RetryCallState) -> None:
        error = _error(state)
        self.trouble = f"the last batch was rolled back ({code(error)}): see the log"
        if error_class(error) is ErrorClass.TRANSIENT and not isinstance(
            error, SerializationFailure | DeadlockDetected
        ):
            self._attempted(error)
        else:
            event = WORKER_PAUSED if error_class(error) is ErrorClass.OURS else BATCH_ROLLED_BACK
            log.error(event, extra={"error_code": code(error), "error": summary(error)})
        self._worker.metrics.failed(error_class(error).value)


async def _hear(conn: Connection, seconds: float) -> bool:
    async for _ in conn.notifies(timeout=seconds, stop_after=1):
        return True
    return False


def _error(state: RetryCallState) -> Exception:
    error = state.outcome.exception() if state.outcome else None
    assert isinstance(error, Exception), "tenacity pauses only after a failed attempt"
    return error


_RECONNECT_PAUSE = wait_random_exponential(multiplier=0.1, max=RECONNECT_SECONDS_MAX)
_STOPPED_PAUSE = wait_random_exponential(multiplier=1, max=STOPPED_SECONDS_MAX)
