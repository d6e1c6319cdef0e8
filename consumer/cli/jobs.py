"""The jobs of `consumer maintain`: the period of each, and the settings that turn it on."""

from datetime import timedelta

from consumer.cli import secret
from consumer.cli.prune import Pruned, pruned
from consumer.cli.stack import access_problems, acting_api, cured, open_admin, project_id
from consumer.errors import ConsumerError
from consumer.operations import activity
from consumer.operations.connect import endpoint_url
from consumer.operations.maintenance import Job, JobResult
from consumer.operations.reconcile import Reconciled, ReconcileOptions, reconcile_now
from consumer.postgres import origin
from consumer.postgres.connections import Access, Connection, transaction
from consumer.settings.settings import Settings
from consumer.stack_api.endpoint import EndpointFinding, endpoint_findings
from consumer.stack_api.rate import RateLimit

# The retention is set in days. An hour less than one, so that a daily cron, which is never exact, meets it each time.
PRUNE_PERIOD = timedelta(hours=23)
# A verified e-mail shows within a minute or two. One request a minute is a six-hundredth of what STACK_API_RPS allows.
ACTIVITY_PERIOD = timedelta(minutes=1)
# identity.profiles_needing_sync names who was not confirmed for a day.
RECONCILE_PERIOD = PRUNE_PERIOD
# Svix disables an endpoint after five days of failures, and the dashboard can do so at any time. Five calls.
ENDPOINT_PERIOD = timedelta(hours=1)
# Only an update teaches a server to tell who was active, and a day later is soon enough to notice it.
UNABLE_PERIOD = timedelta(days=1)
UNABLE = (
    "This server of Stack is too old to tell who was active lately: what its webhooks leave out waits for a backfill."
)


def jobs(settings: Settings) -> list[Job]:
    """Return all jobs; those that ask Stack's API share one rate."""
    rate = RateLimit(settings.stack_api_rps)
    return [_prune(settings), _activity(settings, rate), _reconcile(settings, rate), _endpoint(settings, rate)]


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


def _reconcile(settings: Settings, rate: RateLimit) -> Job:
    async def work(conn: Connection, access: Access) -> JobResult:
        async with acting_api(settings, conn, access, rate) as api:
            found = await cured(reconcile_now(conn, access, api, project_id(settings), ReconcileOptions()))
        return _reconciled(found)

    is_on = not access_problems(settings)
    return Job("reconcile", RECONCILE_PERIOD, "STACK_PROJECT_ID and STACK_SECRET_SERVER_KEY", work if is_on else None)


def _reconciled(found: Reconciled) -> JobResult:
    counts = {
        "differences": sum(each.found for each in found.drift),
        "repaired": sum(each.repaired for each in found.drift),
        "unusable": found.run.unusable,
    }
    if found.due_at is not None:
        return JobResult(counts, "Stack is asked a second time about what it lacked.", found.due_at - found.run.now)
    remark = "Differences stay: `consumer reconcile` counts them, and --fix deletes here what Stack lacks."
    return JobResult(counts, remark if found.is_drifting else None)


async def _endpoint_findings(settings: Settings, rate: RateLimit, url: str) -> list[EndpointFinding]:
    async with open_admin(settings, rate) as (_, svix):
        return await endpoint_findings(svix, url, secret.known(settings, "stack"))


def _endpoint(settings: Settings, rate: RateLimit) -> Job:
    async def work(conn: Connection, access: Access) -> JobResult:
        await origin.refuse_copy(conn, access)
        async with transaction(conn, access):
            url = await endpoint_url(conn)
        if url is None:
            return JobResult({}, "No endpoint is recorded: `consumer connect` does it.")
        found = await cured(_endpoint_findings(settings, rate, url))
        sentences = " ".join(f"{each.sentence[0].upper()}{each.sentence[1:]}. {each.cure}" for each in found)
        if any(each.is_alarm for each in found):
            raise ConsumerError(sentences)
        return JobResult({}, sentences or None)

    switch = "STACK_PROJECT_ID and STACK_SUPER_SECRET_ADMIN_KEY"
    is_on = settings.stack_project_id and settings.stack_super_secret_admin_key
    return Job("endpoint", ENDPOINT_PERIOD, switch, work if is_on else None)
