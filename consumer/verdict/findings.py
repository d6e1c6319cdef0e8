"""The verdict: pure functions from an observation to its findings, and from these to one sentence."""

from collections.abc import Iterator, Sequence

from consumer.verdict.database import database_findings
from consumer.verdict.finding import Finding, Gravity
from consumer.verdict.observation import Observation
from consumer.verdict.processes import process_findings
from consumer.verdict.queue import queue_findings
from consumer.verdict.senders import sender_findings
from consumer.verdict.upkeep import upkeep_findings

ORDER: tuple[Gravity, ...] = ("failing", "warning", "note")
# Each code, and how grave it can be.
CODES: dict[str, tuple[Gravity, ...]] = {
    "database_away": ("failing",),
    "migration_pending": ("failing",),
    "release_too_old": ("failing",),
    "disk_full": ("failing",),
    "no_receiver": ("failing", "note"),
    "no_worker": ("failing", "warning", "note"),
    "worker_paused": ("failing", "warning"),
    "stalled": ("failing",),
    "dying": ("failing",),
    "endpoint_disabled": ("failing",),
    "process_silent": ("failing", "warning"),
    "skew": ("failing", "warning"),
    "dead": ("warning",),
    "quiet": ("warning",),
    "source_silent": ("warning",),
    "nothing_received": ("warning", "note"),
    "refused": ("failing", "warning"),
    "lock_held": ("warning",),
    "xmin_held": ("warning",),
    "disk": ("warning",),
    "release_older": ("warning",),
    "copy": ("warning",),
    "maintenance_failed": ("warning",),
    "maintenance_overdue": ("warning",),
}
# While one of these is failing, what users do does not reach their rows. The others may cost some users, or later.
# Without any worker that is so before it is failing, and for the seconds of a restart a note says it.
HALTING = {
    "database_away",
    "migration_pending",
    "release_too_old",
    "disk_full",
    "no_receiver",
    "no_worker",
    "worker_paused",
    "stalled",
    "endpoint_disabled",
    "process_silent",
    "refused",
}
NUMBERS = ("Nothing", "One thing", "Two things", "Three things", "Four things", "Five things", "Six things")


def findings(observation: Observation) -> list[Finding]:
    """Judge an observation; the gravest findings come first."""
    return sorted(_found(observation), key=lambda finding: ORDER.index(finding.gravity))


def verdict_sentence(found: Sequence[Finding]) -> str:
    """Return in two sentences whether users are flowing, and how many findings need somebody.

    That the last receiver or worker was stopped just now needs nobody yet, but the sentence doesn't say so.
    """
    halting = [finding for finding in found if finding.code in HALTING]
    is_halted = any(
        finding.gravity == "failing" or (finding.code == "no_worker" and finding.gravity == "warning")
        for finding in halting
    )
    stopped = next((finding.sentence for finding in halting if finding.gravity == "note"), None)
    if is_halted:
        flow = "Users are not flowing"
    elif stopped:
        flow = f"{stopped[0].upper()}{stopped[1:]}"
    else:
        flow = "Users are flowing"
    count = sum(finding.gravity != "note" for finding in found)
    if stopped and not count:
        return f"{flow}. It may be a restart."
    number = NUMBERS[count] if count < len(NUMBERS) else f"{count} things"
    return f"{flow}. {number} need{'' if count > 1 else 's'} you."


def open_findings(found: Sequence[Finding]) -> dict[tuple[str, str], bool]:
    """Return for each code and gravity whether such a finding is open; while the database is away only that it is."""
    seen = {(finding.code, finding.gravity) for finding in found}
    if ("database_away", "failing") in seen:
        return dict.fromkeys(seen, True)
    return {(code, gravity): (code, gravity) in seen for code, gravities in CODES.items() for gravity in gravities}


def _found(observation: Observation) -> Iterator[Finding]:
    yield from database_findings(observation)
    # Whatever else was known was read from the database.
    if observation.away_reason is None:
        yield from process_findings(observation)
        yield from queue_findings(observation)
        yield from sender_findings(observation)
        yield from upkeep_findings(observation)
