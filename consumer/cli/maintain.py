"""`consumer maintain`: do what is due, once for cron or again and again."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

import click
import psycopg

from consumer import logs
from consumer.cli.cells import cell
from consumer.cli.context import examples, pass_settings
from consumer.cli.database import database
from consumer.cli.jobs import jobs
from consumer.cli.notify import notifier, send_test
from consumer.cli.output import as_called, json_option, present, show_rows
from consumer.deadline import first_of
from consumer.errors import WrongRelease
from consumer.operations import maintenance
from consumer.operations.maintenance import Job, JobReport
from consumer.postgres.connections import Access, operator_access
from consumer.process.notify import notifying
from consumer.process.outage_log import Outage
from consumer.process.readiness import Readiness
from consumer.process.reports import Reporter, report_seconds, reporting
from consumer.process.signals import run, supervised_option
from consumer.settings.settings import Settings

# A watching process looks at a job at least this often, because another process may have left it undone.
LOOK_SECONDS_MAX = 60.0
# And not more often, if its clock is ahead of the database's.
LOOK_SECONDS_MIN = 5.0

log = logging.getLogger(__name__)


@click.command(name="maintain", epilog=examples("maintain", "maintain --json", "maintain --watch"))
@click.option("--watch", "is_watching", is_flag=True, help="Go on until SIGTERM or Ctrl-C, each job when it is due.")
@click.option("--notify-test", "is_test", is_flag=True, help="Only send a notification, to see that it arrives.")
@json_option
@supervised_option
@pass_settings("operator")
def command(settings: Settings, *, is_watching: bool, is_test: bool, is_json: bool, is_supervised: bool) -> None:
    """Do what is due, for cron.

    It counts the deliveries of each hour, and prunes where a retention is set. Where the key of Stack's API is set, it
    asks once a minute who was active lately, and reconciles once a day, because much of what changes sends no webhook;
    it deletes nothing. With the admin key it looks at the endpoint at Svix each hour. Several processes may call it at
    once: each job runs in one of them. `consumer up` runs it with --watch. The exit code is 1 if a job failed.

    With --watch it also tells of findings, by NOTIFY_URL, NOTIFY_COMMAND and HEARTBEAT_URL.
    """
    if is_test and (is_watching or is_json):
        raise click.UsageError("--notify-test does nothing else: leave --watch and --json out.")
    if is_test:
        click.echo("\n".join(asyncio.run(send_test(settings))))
        return
    if is_watching and is_json:
        raise click.UsageError("--json prints one document, and --watch goes on: leave one out.")
    with database(settings, "operator") as conninfo:
        if is_watching:
            run(partial(_watch, settings, conninfo), is_supervised=is_supervised)
            return
        if settings.notify.is_on:
            log.warning(logs.NOTIFY_BY_WATCH)
        reports = run(partial(_once, settings, conninfo), is_supervised=is_supervised)
    present({"jobs": reports}, lambda _: _show(reports), is_json=is_json)
    if failed := [f"{report.job} failed: {report.error}" for report in reports if report.state == "failed"]:
        raise click.ClickException("\nError: ".join(failed))


async def _once(settings: Settings, conninfo: str, stop: asyncio.Event) -> list[JobReport]:
    """Run the jobs beside each other, because one may take hours; a stop rolls the page of each back."""
    access = operator_access(settings.role_prefix)

    async def run_job(job: Job) -> JobReport:
        found = await first_of(stop, maintenance.run(conninfo, access, job))
        return found or JobReport(job.name, "stopped", job.switch)

    return await asyncio.gather(*map(run_job, jobs(settings)))


async def _watch(settings: Settings, conninfo: str, stop: asyncio.Event) -> None:
    """Run each job when it is due, and wait while the database can't be used."""
    outage = Outage("maintenance", conninfo)
    access, readiness = operator_access(settings.role_prefix), Readiness(outage, applies=True)
    active = [job for job in jobs(settings) if job.work]

    async def watch_all() -> None:
        async with asyncio.TaskGroup() as group:
            for job in active:
                group.create_task(_watch_job(conninfo, access, job))

    reporter = Reporter(conninfo, access, "maintenance", period_seconds=report_seconds(settings))
    async with reporting(reporter), notifying(notifier(settings, conninfo, reporter)):
        while not stop.is_set():
            await first_of(stop, readiness.wait(conninfo, access, settings.shaping))
            try:
                await first_of(stop, watch_all())
            except* psycopg.OperationalError as errors:
                outage.record(_first(errors))
                readiness.reason = outage.reason
            except* WrongRelease as errors:
                readiness.reason = str(_first(errors))


async def _watch_job(conninfo: str, access: Access, job: Job) -> None:
    while True:
        report = await maintenance.run(conninfo, access, job)
        _log(report)
        await asyncio.sleep(_pause(report.due_at, datetime.now(UTC)))


def _pause(due_at: datetime | None, now: datetime) -> float:
    """Return the seconds until a job is looked at again, by this process's clock."""
    wait = LOOK_SECONDS_MAX if due_at is None else (due_at - now) / timedelta(seconds=1)
    return min(max(wait, LOOK_SECONDS_MIN), LOOK_SECONDS_MAX)


def _log(report: JobReport) -> None:
    """Log what a job did, and each failure once."""
    if not report.is_news:
        return
    if report.state == "failed":
        log.error(logs.MAINTENANCE_FAILED, extra={"job": report.job, "error": report.error})
    else:
        log.info(logs.MAINTENANCE_DONE, extra={"job": report.job, **report.counts, "remark": report.remark})


def _first(errors: ExceptionGroup[Exception]) -> Exception:
    return errors.exceptions[0]


def _show(reports: Sequence[JobReport]) -> None:
    show_rows([_row(report) for report in reports])


def _row(report: JobReport) -> dict[str, object]:
    counts = ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in report.counts.items())
    if report.state == "off":
        return {"job": report.job, "state": "off", "due": cell(None), "result": f"set {report.switch} to turn it on"}
    if report.state == "running":
        result: str = "another process runs it"
    elif report.state == "stopped":
        result = "goes on at the next call"
    else:
        result = as_called(report.error or report.remark or counts)
    return {"job": report.job, "state": report.state, "due": cell(report.due_at), "result": result}
