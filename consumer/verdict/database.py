"""What is wrong with the database, or with this release on it."""

from collections.abc import Iterator
from datetime import timedelta

from consumer.postgres import origin
from consumer.postgres.ledger import NEWER_CURE, sentence_and_cure
from consumer.verdict.durations import duration
from consumer.verdict.finding import Finding
from consumer.verdict.observation import Observation

# How long a receiver counts as not ready after a full disk refused a delivery: nothing but another delivery shows
# whether there is room again, and three probes of a balancer see it.
DISK_FULL_TIME = timedelta(seconds=30)
# PostgreSQL stops at a full disk and starts only when there is room again; a gibibyte is a day at the rated load.
DISK_FREE_MIN = 1024**3
# A dump of a large database takes minutes and ends by itself. In an hour a busy queue leaves millions of dead rows.
XMIN_HELD_MAX = timedelta(hours=1)

AWAY_CURE = "Start the server, or correct DATABASE_URL. Receivers answer 503 and the senders repeat: nothing is lost."
PAGE = "/system"


def database_findings(observation: Observation) -> Iterator[Finding]:
    """Yield what is wrong with the database: alone that it is away, if so."""
    if observation.away_reason is not None:
        yield Finding("database_away", "failing", "database", observation.away_reason, AWAY_CURE, PAGE)
        return
    yield from _release(observation)
    yield from _copy(observation)
    yield from _disk(observation)
    yield from _sessions(observation)


def _release(observation: Observation) -> Iterator[Finding]:
    if observation.missing_migrations:
        names, cure = ", ".join(observation.missing_migrations), "Run `consumer migrate`: workers wait for it."
        yield Finding("migration_pending", "failing", "migrations", f"pending: {names}", cure, PAGE)
    if observation.too_old_reason:
        yield Finding("release_too_old", "failing", "release", *sentence_and_cure(observation.too_old_reason), PAGE)
    elif observation.newer_migrations:
        sentence = f"this release does not carry {', '.join(observation.newer_migrations)}"
        yield Finding("release_older", "warning", "release", sentence, NEWER_CURE, PAGE)


def _copy(observation: Observation) -> Iterator[Finding]:
    if observation.copy_reason:
        sentence, cure = f"{observation.copy_reason}: it asks nothing of Stack", origin.cure()
        yield Finding("copy", "warning", "copy", sentence, f"{cure[0].upper()}{cure[1:]}", PAGE)


def _disk(observation: Observation) -> Iterator[Finding]:
    cure = "Make room on the disk of the database's server."
    if observation.since_disk_full is not None and observation.since_disk_full < DISK_FULL_TIME:
        sentence = "the database's disk is full: deliveries are refused"
        yield Finding("disk_full", "failing", "disk", sentence, cure, PAGE)
    free = observation.disk_free_bytes
    if free is not None and free < DISK_FREE_MIN:
        yield Finding("disk", "warning", "disk", f"{free // 1024**2:,} MB are free", cure, PAGE)


def _sessions(observation: Observation) -> Iterator[Finding]:
    for holder in observation.lock_holders:
        yield Finding("lock_held", "warning", "locks", holder.sentence, holder.cure, PAGE)
    seconds = observation.oldest_xmin_seconds
    if seconds > XMIN_HELD_MAX.total_seconds():
        sentence = f"a transaction has been open for {duration(seconds)}: it keeps dead rows, and the queue grows slow"
        cure = "End it: `SELECT * FROM pg_stat_activity ORDER BY xact_start` shows it first."
        yield Finding("xmin_held", "warning", "vacuum", sentence, cure, PAGE, seconds)
