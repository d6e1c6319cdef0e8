"""What is known of an installation at one moment: plain values, which `observe` reads and `findings` judges."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from consumer.operations.maintenance import LastRun
from consumer.postgres.locks import LockHolder

Duty = Literal["receiver", "worker", "maintenance", "console"]

# A process counts as silent when its report is so late: two more would have come, and after an outage of the database
# every process reports within two seconds.
REPORT_LATE = timedelta(seconds=20)


@dataclass(frozen=True, slots=True)
class QueueState:
    """What waits to be applied, and what died; runs (backfills, retries of dead deliveries) do not make it late."""

    has_pending: bool = False
    # For how long the oldest live delivery has been due; 0: none is.
    due_seconds: float = 0.0
    dead: int = 0
    # Those that died lately, when the first of them did, and why most of them did: code and reason.
    died_lately: int = 0
    dying_since: datetime | None = None
    dying_of: str | None = None


@dataclass(frozen=True, slots=True)
class ReportedProcess:
    """A process by its reports that are kept; *next_at*: when the next is due, None if it has ended as it was told.

    *sources*, *clock_skew_seconds* and *paused_by* are those of the last report.
    """

    process_id: UUID
    duty: Duty
    host: str
    pid: int
    release: str
    first_at: datetime
    last_at: datetime
    next_at: datetime | None
    sources: Sequence[str]
    clock_skew_seconds: float
    paused_by: str | None

    @property
    def name(self) -> str:
        """Return the name by which an operator finds it."""
        return f"{self.duty} on {self.host}"

    def is_silent(self, at: datetime) -> bool:
        """Tell whether its report is late."""
        return self.next_at is not None and at > self.next_at + REPORT_LATE

    def is_alive(self, at: datetime) -> bool:
        """Tell whether it runs, as far as its reports say."""
        return self.next_at is not None and not self.is_silent(at)


@dataclass(frozen=True, slots=True)
class SourceHistory:
    """The four weeks before a silence: what the quietest of them brought in its hours, and the longest silence then."""

    quietest: float
    longest_silence: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Signatures:
    """Signatures of no known secret in the busiest 15 minutes of the last hour, and deliveries accepted in that hour.

    *since_accepted*: those of the busiest 15 minutes since a delivery was accepted; 0 until that is 15 minutes ago.
    """

    unmatched: int = 0
    accepted: int = 0
    since_accepted: int = 0


@dataclass(frozen=True, slots=True)
class Observation:
    """What is known of an installation at the time *at*; what was not looked at has a default that is no finding."""

    at: datetime
    # Why the database can't be read; then nothing else is known.
    away_reason: str | None = None
    # The sources that a receiver has a secret of; any other may be silent.
    expected: Collection[str] = ()
    installed_at: datetime | None = None
    # When the newest migration was applied: the jobs that came with it could not run before.
    migrated_at: datetime | None = None
    # The last delivery of each source that has one.
    last_received: Mapping[str, datetime] = field(default_factory=dict)
    # None: no silence is a finding.
    silence_max: timedelta | None = timedelta(hours=24)
    # Of each source that has four weeks of history before its silence.
    histories: Mapping[str, SourceHistory] = field(default_factory=dict)
    signatures: Signatures = field(default_factory=Signatures)
    queue: QueueState = field(default_factory=QueueState)
    processes: Sequence[ReportedProcess] = ()
    # The sessions of workers, also of such that report nothing; behind some poolers none is known as one.
    worker_sessions: int = 0
    # Who holds a lock that our processes need.
    lock_holders: Collection[LockHolder] = ()
    oldest_xmin_seconds: float = 0.0
    # The time since a full disk last refused a delivery of this process.
    since_disk_full: timedelta | None = None
    # The free bytes on the disk of the embedded server; None: it is another's.
    disk_free_bytes: int | None = None
    missing_migrations: Sequence[str] = ()
    # Migrations that a newer release has applied, and the reason why this release may not work beside it, if so.
    newer_migrations: Sequence[str] = ()
    too_old_reason: str | None = None
    # The names of the jobs of `maintain` that are on, and the last run of each that has begun at least once.
    jobs: Collection[str] = ()
    last_runs: Mapping[str, LastRun] = field(default_factory=dict)
    # How the database is a copy of the recorded one, if so.
    copy_reason: str | None = None
