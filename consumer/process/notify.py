"""Tells of findings, and by a heartbeat that there is none: a task of its own, which holds no transaction meanwhile."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg

from consumer import logs
from consumer.deadline import end, within
from consumer.postgres.connections import RoleRefused
from consumer.postgres.error_classes import ErrorClass, error_class, summary
from consumer.process.channels import NotSent, Send
from consumer.process.notification_states import NotificationStates, StatesInDatabase, StatesInMemory
from consumer.process.notifications import CLAIM_TIME, FindingKey, Notification, body, key
from consumer.process.outage_log import REASONS, is_refused
from consumer.verdict.finding import Finding
from consumer.verdict.findings import findings
from consumer.verdict.observation import Observation

# As often as processes report.
LOOK_SECONDS = 10.0
# Services that wait for a heartbeat count in minutes.
HEARTBEAT_TIME = timedelta(minutes=1)
# A restart or a failover of the database is over by then, and nobody has to do anything.
AWAY_TIME = timedelta(seconds=30)
# While `up` migrates or processes start, findings are open for seconds that nobody has to do anything about.
LASTING_TIME = timedelta(seconds=20)
# A server that is stopped keeps its connections and answers nothing. Reading the findings takes it milliseconds.
LOOK_TIME_MAX = timedelta(seconds=20)
# Above the limit of a connect, and that of a wait for the lock.
CHANGE_TIME_MAX = timedelta(seconds=12)

Observed = Callable[[], Coroutine[None, None, Observation]]
Clock = Callable[[], datetime]
Beat = Callable[[], Awaitable[None]]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outlets:
    """How others are told: *send* of findings, *beat* that none fails. *place* tells this installation from others."""

    send: Send | None
    beat: Beat | None
    place: str
    console_url: str | None = None


class Notifier:
    """Looks at the findings again and again; no error of a look or of a channel ends it.

    *clock* times outages, heartbeats and repeats; findings are timed by the database's.
    """

    def __init__(
        self,
        observed: Observed,
        stored: StatesInDatabase,
        outlets: Outlets,
        clock: Clock,
        period_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._observed = observed
        self._stored = stored
        self._outlets = outlets
        self._clock = clock
        self._period_seconds = period_seconds
        self._memory = StatesInMemory()
        # Since when each finding has been open in each look.
        self._open_since: dict[FindingKey, datetime] = {}
        self._away_since: datetime | None = None
        self._beat_at: datetime | None = None
        self._failed_at: datetime | None = None
        self._refused_by: str | None = None
        # What failed at the last time, so that each failure is logged once.
        self._failures: dict[str, str] = {}

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            try:
                await self.look()
            # A bug here must not end the jobs that run beside it.
            except Exception:
                log.exception(logs.TASK_FAILED, extra={"task": "notify"})
            await asyncio.sleep(self._period_seconds)

    async def look(self) -> None:
        """Look once, and tell what is due."""
        now = self._clock()
        try:
            seen = await within(LOOK_TIME_MAX, self._observed())
        except (psycopg.Error, TimeoutError) as error:
            self._open_since = {}
            if is_away(error):
                await self._miss_database(error, now)
            else:
                self._note_refusal(error)
            return
        self._away_since = None
        found = findings(seen)
        # A copy is nobody's business but that it is one. It has the original's rows, also those of what was told.
        copies = [finding for finding in found if finding.code == "copy"]
        if not copies:
            await self._beat(found, now)
        await self._tell(self._memory, copies, now)
        if not copies:
            await self._tell_found(found, seen.at, now)

    async def _tell_found(self, found: Sequence[Finding], at: datetime, now: datetime) -> None:
        """Tell what is due; from memory, if the database records nothing: its disk is full, or it takes no writes."""
        # What becomes more than a note opens then.
        grave = [finding for finding in found if finding.gravity != "note"]
        self._open_since = {key(finding): self._open_since.get(key(finding), now) for finding in grave}
        fresh = {each for each, since in self._open_since.items() if not has_passed(LASTING_TIME, since, now)}
        try:
            await self._tell(self._stored, found, at, fresh)
        except (psycopg.Error, TimeoutError) as error:
            self._note_refusal(error)
            await self._tell(self._stored.meanwhile, found, at, fresh)
            return
        self._refused_by = None
        self._note("findings", None)

    async def _miss_database(self, error: Exception, now: datetime) -> None:
        self._away_since = since = self._away_since or now
        if now - since >= AWAY_TIME:
            reason = REASONS[logs.DATABASE_REFUSED if is_refused(error) else logs.DATABASE_LOST]
            seen = Observation(at=now, away_reason=f"{reason}, since {since.astimezone(UTC):%H:%M:%SZ}")
            await self._tell(self._memory, findings(seen), now)

    async def _beat(self, found: Sequence[Finding], now: datetime) -> None:
        is_due = has_passed(HEARTBEAT_TIME, self._beat_at, now)
        if self._outlets.beat and is_due and all(finding.gravity != "failing" for finding in found):
            self._beat_at = now
            try:
                await self._outlets.beat()
                self._note("heartbeat", None)
            except NotSent as error:
                self._note("heartbeat", str(error))

    async def _tell(
        self, states: NotificationStates, found: Sequence[Finding], at: datetime, fresh: Collection[FindingKey] = ()
    ) -> None:
        """Tell one after another; after one that is not taken, wait as long as its claim lasts."""
        began = self._clock()
        while self._outlets.send and has_passed(CLAIM_TIME, self._failed_at, self._clock()):
            due = await within(CHANGE_TIME_MAX, states.claim(found, at + (self._clock() - began), fresh))
            if due is None:
                return
            if await self._send(self._outlets.send, due):
                await within(CHANGE_TIME_MAX, states.settle(due, at + (self._clock() - began)))

    async def _send(self, send: Send, due: Notification) -> bool:
        try:
            await send(due.message_id, body(due, self._clock(), self._outlets.place, self._outlets.console_url))
        except NotSent as error:
            self._failed_at = self._clock()
            self._note("notification", str(error))
            return False
        self._failed_at = None
        self._note("notification", None)
        fields = {"message_id": due.message_id, "kind": due.kind, "code": due.finding.code}
        log.info(logs.NOTIFICATION_SENT, extra={**fields, "subject": due.finding.subject})
        return True

    def _note_refusal(self, error: Exception) -> None:
        """Log it at the second time: `up` migrates while its processes start."""
        reason = f"PostgreSQL refused a statement: {summary(error)}."
        if reason == self._refused_by:
            self._note("findings", reason)
        self._refused_by = reason

    def _note(self, what: str, problem: str | None) -> None:
        """Log a failure once, until it is over or another."""
        if problem and self._failures.get(what) != problem:
            log.error(logs.NOTIFY_FAILED, extra={"task": what, "error": problem})
        self._failures[what] = problem or ""


@asynccontextmanager
async def notifying(notifier: Notifier | None) -> AsyncIterator[None]:
    """Tell in a task of its own while the block runs; nothing, if there is nobody to tell."""
    task = asyncio.create_task(notifier.run()) if notifier else None
    try:
        yield
    finally:
        if task:
            await end(task)


def is_away(error: Exception) -> bool:
    """Tell whether the database does not answer, or refuses this process: neither a lock nor a right is missing."""
    return isinstance(error, RoleRefused) or error_class(error) is ErrorClass.TRANSIENT


def has_passed(time: timedelta, since: datetime | None, now: datetime) -> bool:
    """Tell whether so much time has passed; a clock that was set back must not hold anything up."""
    return since is None or not timedelta(0) <= now - since < time
