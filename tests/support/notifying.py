"""A process that tells somebody of findings: what it observes and its clock are a test's."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

import pytest

from consumer.process import notify
from consumer.process.channels import SendLimits, call, channel
from consumer.process.notification_states import StatesInDatabase
from consumer.process.notify import Notifier, Outlets
from consumer.process.reports import Reporter
from consumer.settings.notifications import NotifySettings
from consumer.verdict.observation import Observation, QueueState
from tests.support.backfills import ACCESS
from tests.support.told import PATIENT, Listener

SECRET = "whsec_bmV3bmV3bmV3bmV3bmV3bmV3"
NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
WELL = Observation(at=NOW)
DEAD = replace(WELL, queue=QueueState(dead=12))
STALLED = replace(WELL, worker_sessions=1, queue=QueueState(has_pending=True, due_seconds=61))


@pytest.fixture
def told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first look that sees a finding tells it."""
    monkeypatch.setattr(notify, "LASTING_TIME", timedelta(0))


class Telling:
    """A process that tells, what it observes, and its clock."""

    def __init__(self, database: str, listener: Listener, process_id: UUID, limits: SendLimits = PATIENT) -> None:
        self.now = NOW
        self.seen = WELL
        self.error: Exception | None = None
        settings = NotifySettings(url=listener.url, secrets=(SECRET,))
        outlets = Outlets(channel(settings, {}, limits), partial(call, listener.url, limits), "db:5432/app")
        stored = StatesInDatabase(database, ACCESS, process_id)
        self.notifier = Notifier(self.observed, stored, outlets, lambda: self.now)

    async def observed(self) -> Observation:
        if self.error:
            raise self.error
        return replace(self.seen, at=self.now)

    async def look(self, seen: Observation | Exception, after: timedelta = timedelta(0)) -> None:
        self.now += after
        self.error = seen if isinstance(seen, Exception) else None
        self.seen = self.seen if isinstance(seen, Exception) else seen
        await self.notifier.look()


async def started(database: str, listener: Listener, limits: SendLimits = PATIENT) -> Telling:
    """A process that has reported."""
    reporter = Reporter(database, ACCESS, "maintenance")
    assert await reporter.put(10 * SECOND, 10 * SECOND)
    await reporter.close()
    return Telling(database, listener, reporter.process_id, limits)


def beats(listener: Listener) -> int:
    return sum(each.method == "GET" for each in listener.heard)
