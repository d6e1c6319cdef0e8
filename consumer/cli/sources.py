"""What `status` and `doctor` observe: each source's last delivery, each job's last run, whether this is a copy."""

from datetime import timedelta

from consumer.cli import secret
from consumer.cli.cells import cell, duration
from consumer.cli.jobs import jobs
from consumer.doctor.check import Check, State, ok
from consumer.operations import maintenance
from consumer.outbox import deliveries
from consumer.postgres import ledger, origin, session
from consumer.postgres.connections import Connection
from consumer.process.findings import Finding, Gravity, Observation, findings
from consumer.settings.settings import Settings

STATES: dict[Gravity, State] = {"note": "ok", "warning": "warning", "failing": "failing"}


async def observe(conn: Connection, settings: Settings) -> Observation:
    """Read what findings are about; the sources with a secret are expected to send some."""
    is_migrated = not await ledger.missing_ids(conn)
    return Observation(
        at=await session.now(conn),
        expected=secret.expected_sources(settings),
        last_received=await deliveries.last_received(conn),
        installed_at=await ledger.first_applied_at(conn),
        silence_max=timedelta(hours=settings.silence_hours),
        newer_migrations=await ledger.newer_ids(conn),
        too_old_reason=await ledger.too_old_reason(conn),
        jobs=[job for job in jobs(settings) if job.work],
        last_runs=await maintenance.last_runs(conn) if is_migrated else {},
        copy_reason=await origin.difference(conn) if is_migrated else None,
    )


def last_deliveries(seen: Observation) -> dict[str, str]:
    """Return, for each source that has a secret or has sent anything, when it last did."""
    return {source: _when(seen, source) for source in sorted({*seen.expected, *seen.last_received})}


def check_sources(seen: Observation) -> list[Check]:
    """Check that each source with a secret still sends."""
    found = {finding.subject: finding for finding in findings(seen)}
    return [_check(seen, source, found.get(source)) for source in sorted(seen.expected)]


def check_copy(seen: Observation) -> Check:
    """Check that the database is the one that may act."""
    if found := next((finding for finding in findings(seen) if finding.code == "copy"), None):
        return Check("copy", STATES[found.gravity], found.sentence, found.cure)
    return ok("copy", "none: server, database and project are the recorded ones")


def _check(seen: Observation, source: str, finding: Finding | None) -> Check:
    name = f"{source}'s last delivery"
    if finding is None:
        return ok(name, _when(seen, source))
    return Check(name, STATES[finding.gravity], finding.sentence, finding.cure)


def _when(seen: Observation, source: str) -> str:
    received_at = seen.last_received.get(source)
    if received_at is None:
        return "nothing received yet"
    # A delivery that was stored while this was read may be newer than the clock that was read before.
    seconds = max(0.0, (seen.at - received_at).total_seconds())
    return f"{cell(received_at)}, {duration(seconds)} ago"
