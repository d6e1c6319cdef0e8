"""Checks of the migrations, the recorded settings and the queue."""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

from consumer.doctor.check import Check, fail_unless, ok, warn_unless
from consumer.effects import recorded_settings
from consumer.errors import SettingsMismatch
from consumer.outbox import deliveries
from consumer.outbox.deliveries import ErrorGroup
from consumer.postgres import ledger
from consumer.postgres.connections import Connection
from consumer.settings.settings import ShapingSettings

# A burst is applied within seconds (P6); a delivery that is due for a minute is late.
DUE_MAX = timedelta(minutes=1)
# Shown, the most frequent first: a cause that fails many deliveries is one error, whatever their types.
ERRORS = 3
# Each error may have as many groups as there are event types.
GROUPS_MAX = 100


async def check_migrations(conn: Connection) -> Check:
    """Compare the ledger with the migrations that this release carries."""
    if pending := await ledger.missing_ids(conn):
        return Check("migrations", "failing", f"pending: {', '.join(pending)}", "Run `consumer migrate`.")
    if reason := await ledger.too_old_reason(conn):
        return Check("migrations", "failing", *ledger.sentence_and_cure(reason))
    if newer := await ledger.newer_ids(conn):
        finding = f"this release does not carry {', '.join(newer)}"
        return Check("migrations", "warning", finding, ledger.NEWER_CURE)
    return ok("migrations", f"all {len(ledger.carried_ids())} are applied")


async def check_settings(conn: Connection, wanted: ShapingSettings) -> Check:
    """Compare the settings that shape rows with those recorded in the database."""
    if await recorded_settings.recorded(conn) is None:
        return Check("recorded settings", "failing", "none", "Run `consumer migrate`.")
    try:
        await recorded_settings.require(conn, wanted)
    except SettingsMismatch as error:
        finding, _, cure = str(error).partition(". ")
        return Check("recorded settings", "failing", finding, cure)
    return ok("recorded settings", "the same as here")


async def check_queue(conn: Connection, *, workers: int | None) -> list[Check]:
    """Check pending, retrying and dead deliveries and the number of workers; None: unknown."""
    stats = await deliveries.stats(conn)
    retrying = await deliveries.errors(conn, ("retrying",), limit=GROUPS_MAX)
    is_late = stats.oldest_due_seconds > DUE_MAX.total_seconds()
    judge_workers = fail_unless if is_late else warn_unless
    return [
        judge_workers(workers != 0 or not (is_late or stats.pending), "workers", connected(workers)),
        warn_unless(
            not is_late,
            "queue",
            f"{stats.pending:,} pending, {stats.retrying:,} retrying, due for up to {stats.oldest_due_seconds:.0f} s",
        ),
        warn_unless(not retrying, "retries", _errors(retrying) or "none"),
        warn_unless(stats.dead == 0, "dead letters", f"{stats.dead:,}"),
    ]


def _errors(groups: Sequence[ErrorGroup]) -> str:
    counts: Counter[str] = Counter()
    for group in groups:
        counts[f"{group.error_code}, {group.error}"] += group.deliveries
    shown = [f"{count:,} of {error}" for error, count in counts.most_common(ERRORS)]
    others = len(counts) - ERRORS
    if others > 0:
        shown.append(f"{others:,} other error{'s' if others > 1 else ''}")
    return "; ".join(shown)


def connected(workers: int | None) -> str:
    """Return the number of connected workers as text."""
    return "unknown behind a pooler" if workers is None else f"{workers} connected"
