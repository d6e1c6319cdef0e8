"""Findings about a running installation: pure functions of what was read at one moment, each with its cure."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

from consumer.operations.maintenance import Job, LastRun
from consumer.postgres import origin
from consumer.postgres.ledger import NEWER_CURE, sentence_and_cure
from consumer.postgres.locks import LockHolder

# A note is no reason to act.
Gravity = Literal["note", "warning", "failing"]

# How long a receiver counts as not ready after a full disk refused a delivery: nothing but another delivery shows
# whether there is room again, and three probes of a balancer see it.
DISK_FULL_TIME = timedelta(seconds=30)

# How long after it is due a job is late: the rarest cron that calls `maintain` is a daily one.
LATE_TIME = timedelta(hours=25)

MAINTAIN = "Call `consumer maintain` from cron, or keep `consumer maintain --watch` running: it tries again."

SILENCE_CURES = {
    "stack": "Look in Stack's dashboard, under Webhooks: is the endpoint enabled, and its URL this receiver's? "
    "docs/recovery/lost-week.md brings in what was missed.",
    "app": "Does your backend still post to /webhooks/app, and what is it answered?",
}


@dataclass(frozen=True, slots=True)
class Observation:
    """What is known of an installation at the time *at*."""

    at: datetime
    # The sources that have a secret; any other may be silent.
    expected: Collection[str] = ()
    installed_at: datetime | None = None
    # The last delivery of each source that has one.
    last_received: Mapping[str, datetime] = field(default_factory=dict)
    silence_max: timedelta = timedelta(hours=24)
    # Who holds a lock that our processes need.
    lock_holders: Collection[LockHolder] = ()
    # The time since a full disk last refused a delivery of this process.
    since_disk_full: timedelta | None = None
    # Migrations that a newer release has applied, and the reason why this release may not work beside it, if so.
    newer_migrations: Sequence[str] = ()
    too_old_reason: str | None = None
    # The jobs of `maintain` that are on, and the last run of each that has begun at least once.
    jobs: Sequence[Job] = ()
    last_runs: Mapping[str, LastRun] = field(default_factory=dict)
    # How the database is a copy of the recorded one, if so.
    copy_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that an operator should know: its subject, a sentence, and the cure unless it is a note."""

    code: str
    gravity: Gravity
    subject: str
    sentence: str
    cure: str | None = None


def findings(observation: Observation) -> list[Finding]:
    """Judge an observation."""
    return [
        *_older_release(observation),
        *_copy(observation),
        *_silent_sources(observation),
        *_full_disk(observation),
        *_held_locks(observation),
        *_undone_jobs(observation),
    ]


def _older_release(observation: Observation) -> Iterator[Finding]:
    if observation.too_old_reason:
        yield Finding("release_too_old", "failing", "release", *sentence_and_cure(observation.too_old_reason))
    elif observation.newer_migrations:
        sentence = f"this release does not carry {', '.join(observation.newer_migrations)}"
        yield Finding("release_older", "warning", "release", sentence, NEWER_CURE)


def _copy(observation: Observation) -> Iterator[Finding]:
    if observation.copy_reason:
        sentence = f"{observation.copy_reason}: it asks nothing of Stack"
        cure = origin.cure()
        yield Finding("copy", "warning", "copy", sentence, f"{cure[0].upper()}{cure[1:]}")


def _silent_sources(observation: Observation) -> Iterator[Finding]:
    for source in sorted(observation.expected):
        received_at = observation.last_received.get(source)
        if received_at is None:
            # Your own backend need not send anything.
            waited = observation.at - (observation.installed_at or observation.at)
            is_late = source == "stack" and waited > observation.silence_max
            cure = SILENCE_CURES[source] if is_late else None
            gravity: Gravity = "warning" if is_late else "note"
            yield Finding("nothing_received", gravity, source, "nothing received yet", cure)
        elif (silence := observation.at - received_at) > observation.silence_max:
            last = f"{received_at.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}"
            sentence = f"nothing received for {silence // timedelta(hours=1):,} h, since {last}"
            cure = f"{SILENCE_CURES[source]} If it may be silent for so long, raise SILENCE_HOURS."
            yield Finding("source_silent", "warning", source, sentence, cure)


def _full_disk(observation: Observation) -> Iterator[Finding]:
    if observation.since_disk_full is not None and observation.since_disk_full < DISK_FULL_TIME:
        sentence = "the database's disk is full: deliveries are refused"
        yield Finding("disk_full", "failing", "disk", sentence, "Make room on the disk of the database's server.")


def _held_locks(observation: Observation) -> Iterator[Finding]:
    for holder in observation.lock_holders:
        yield Finding("lock_held", "warning", "locks", holder.sentence, holder.cure)


def _undone_jobs(observation: Observation) -> Iterator[Finding]:
    for job in observation.jobs:
        last = observation.last_runs.get(job.name)
        due_at = last.due_at if last else observation.installed_at or observation.at
        if last and last.error:
            yield Finding("maintenance_failed", "warning", job.name, f"failed: {last.error}", MAINTAIN)
        elif observation.at - due_at > LATE_TIME:
            since = f"was due at {due_at.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}"
            yield Finding("maintenance_overdue", "warning", job.name, since if last else "has never run", MAINTAIN)
