"""The jobs of `consumer maintain`: the period of each, and what it does."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

from consumer.cli import secret
from consumer.cli.prune import Pruned, pruned
from consumer.cli.stack import acting_api, cured, open_admin, project_id
from consumer.cli.switches import SWITCHES, jobs_on
from consumer.operations import activity, hours
from consumer.operations.connect import endpoint_url
from consumer.operations.maintenance import RETRY, Job, JobResult
from consumer.operations.reconcile import Reconciled, ReconcileOptions, reconcile_now
from consumer.postgres import origin
from consumer.postgres.connections import Access, Connection, transaction
from consumer.settings.settings import Settings
from consumer.stack_api.endpoint import EndpointFinding, endpoint_findings
from consumer.stack_api.rate import RateLimit
from consumer.verdict.upkeep import ENDPOINT_ALARMS, ENDPOINT_JOB

JobWork = Callable[[Connection, Access], Awaitable[JobResult]]

# The console shows the last complete hour, and a page of a busy log is folded within a second.
HOURS_PERIOD = timedelta(minutes=1)
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
    rate, on = RateLimit(settings.stack_api_rps), jobs_on(settings)
    made = {
        hours.JOB: (HOURS_PERIOD, _keep_hours),
        "prune": (PRUNE_PERIOD, _prune(settings)),
        "activity": (ACTIVITY_PERIOD, _activity(settings, rate)),
        "reconcile": (RECONCILE_PERIOD, _reconcile(settings, rate)),
        ENDPOINT_JOB: (ENDPOINT_PERIOD, _endpoint(settings, rate)),
    }
    return [Job(name, period, SWITCHES[name], work if name in on else None) for name, (period, work) in made.items()]


async def _keep_hours(conn: Connection, access: Access) -> JobResult:
    await hours.keep_hours(conn, access)
    # No counts: a line in the log each minute would say nothing.
    return JobResult({})


def _prune(settings: Settings) -> JobWork:
    async def work(conn: Connection, access: Access) -> JobResult:
        found = Pruned()
        async for page in pruned(conn, access, settings):
            found = page
        return JobResult({"audit_rows_removed": found.audit_rows, "deliveries_removed": found.deliveries.total()})

    return work


def _activity(settings: Settings, rate: RateLimit) -> JobWork:
    async def work(conn: Connection, access: Access) -> JobResult:
        async with acting_api(settings, conn, access, rate) as api:
            put = await cured(activity.poll(conn, access, api, project_id(settings)))
        return JobResult({}, UNABLE, UNABLE_PERIOD) if put is None else JobResult(put._asdict())

    return work


def _reconcile(settings: Settings, rate: RateLimit) -> JobWork:
    async def work(conn: Connection, access: Access) -> JobResult:
        async with acting_api(settings, conn, access, rate) as api:
            found = await cured(reconcile_now(conn, access, api, project_id(settings), ReconcileOptions()))
        return _reconciled(found)

    return work


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


def _endpoint(settings: Settings, rate: RateLimit) -> JobWork:
    async def work(conn: Connection, access: Access) -> JobResult:
        await origin.refuse_copy(conn, access)
        async with transaction(conn, access):
            url = await endpoint_url(conn)
        if url is None:
            return JobResult({}, "No endpoint is recorded: `consumer connect` does it.")
        found = await cured(_endpoint_findings(settings, rate, url))
        sentences = " ".join(f"{each.sentence[0].upper()}{each.sentence[1:]}. {each.cure}" for each in found)
        if alarms := sum(each.is_alarm for each in found):
            return JobResult({ENDPOINT_ALARMS: alarms}, due_in=RETRY, error=sentences)
        return JobResult({}, sentences or None)

    return work
