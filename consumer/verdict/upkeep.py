"""Which jobs of `consumer maintain` failed or are late, and what they found."""

from collections.abc import Iterator
from datetime import UTC, timedelta

from consumer.operations.maintenance import LastRun
from consumer.verdict.finding import Finding
from consumer.verdict.observation import Observation

# How long after it is due a job is late: the rarest cron that calls `maintain` is a daily one.
LATE_TIME = timedelta(hours=25)
# The job that asks Svix after the endpoint, and the count by which it says that no webhook can arrive.
ENDPOINT_JOB = "endpoint"
ENDPOINT_ALARMS = "alarms"

MAINTAIN = "Call `consumer maintain` from cron, or keep `consumer maintain --watch` running: it tries again."
CONNECT = (
    "`consumer connect --check` looks again; afterwards `consumer recover --since 7d` brings in what was missed "
    "in the last seven days."
)
PAGE = "/system"


def upkeep_findings(observation: Observation) -> Iterator[Finding]:
    """Yield each job that is on and failed, or was not done in time."""
    for job in observation.jobs:
        last = observation.last_runs.get(job)
        due_at = last.due_at if last else observation.migrated_at or observation.at
        if last and last.error:
            yield _failed(last, last.error)
        elif observation.at - due_at > LATE_TIME:
            since = f"was due at {due_at.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}"
            yield Finding("maintenance_overdue", "warning", job, since if last else "has never run", MAINTAIN, PAGE)


def _failed(last: LastRun, error: str) -> Finding:
    if last.job == ENDPOINT_JOB and last.counts.get(ENDPOINT_ALARMS):
        return Finding("endpoint_disabled", "failing", last.job, error, CONNECT, PAGE)
    return Finding("maintenance_failed", "warning", last.job, f"failed: {error}", MAINTAIN, PAGE)
