"""The jobs of `consumer maintain`: the period of each, and the settings that turn it on."""

from datetime import timedelta

from consumer.cli.prune import Pruned, pruned
from consumer.cli.stack import access_problems, acting_api, cured, project_id
from consumer.operations import activity
from consumer.operations.maintenance import Job, JobResult
from consumer.postgres.connections import Access, Connection
from consumer.settings.settings import Settings
from consumer.stack_api.rate import RateLimit

# The retention is set in days. An hour less than one, so that a daily cron, which is never exact, meets it each time.
PRUNE_PERIOD = timedelta(hours=23)
# A verified e-mail shows within a minute or two. One request a minute is a six-hundredth of what STACK_API_RPS allows.
ACTIVITY_PERIOD = timedelta(minutes=1)
# Only an update teaches a server to tell who was active, and a day later is soon enough to notice it.
UNABLE_PERIOD = timedelta(days=1)
UNABLE = (
    "This server of Stack is too old to tell who was active lately: what its webhooks leave out waits for a backfill."
)


def jobs(settings: Settings) -> list[Job]:
    """Return all jobs; those that ask Stack's API share one rate."""
    rate = RateLimit(settings.stack_api_rps)
    return [_prune(settings), _activity(settings, rate)]


def _prune(settings: Settings) -> Job:
    async def work(conn: Connection, access: Access) -> JobResult:
        found = Pruned()
        async for page in pruned(conn, access, settings):
            found = page
        return JobResult({"audit_rows_removed": found.audit_rows, "deliveries_removed": found.deliveries.total()})

    is_on = bool(settings.retention_days or settings.audit_retention_days)
    return Job("prune", PRUNE_PERIOD, "RETENTION_DAYS or AUDIT_RETENTION_DAYS", work if is_on else None)


def _activity(settings: Settings, rate: RateLimit) -> Job:
    async def work(conn: Connection, access: Access) -> JobResult:
        async with acting_api(settings, conn, access, rate) as api:
            put = await cured(activity.poll(conn, access, api, project_id(settings)))
        return JobResult({}, UNABLE, UNABLE_PERIOD) if put is None else JobResult(put._asdict())

    is_on = not access_problems(settings)
    return Job("activity", ACTIVITY_PERIOD, "STACK_PROJECT_ID and STACK_SECRET_SERVER_KEY", work if is_on else None)
