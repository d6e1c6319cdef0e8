"""What the settings say of an installation, and each source's last delivery for people."""

import shutil
from datetime import timedelta

from consumer.cli import secret
from consumer.cli.cells import cell
from consumer.cli.database import data_dir, has_urls
from consumer.cli.switches import jobs_on
from consumer.doctor.check import Check, State, ok
from consumer.settings.settings import Settings
from consumer.verdict.durations import duration
from consumer.verdict.finding import Finding, Gravity
from consumer.verdict.findings import findings
from consumer.verdict.observation import Observation
from consumer.verdict.observe import Expectations

STATES: dict[Gravity, State] = {"note": "ok", "warning": "warning", "failing": "failing"}
# The findings that have a check of their own in the doctor's report.
CHECKED = {
    *("migration_pending", "release_too_old", "release_older", "disk", "lock_held", "xmin_held"),
    *("stalled", "dead", "endpoint_disabled"),
}


def expectations(settings: Settings) -> Expectations:
    """Return what the settings say of the installation: a source with a secret is expected to send."""
    return Expectations(
        sources=secret.expected_sources(settings),
        jobs=jobs_on(settings),
        silence_max=timedelta(hours=settings.silence_hours) if settings.silence_hours else None,
        disk_free_bytes=None if has_urls(settings) else shutil.disk_usage(data_dir(settings)).free,
    )


def last_deliveries(seen: Observation) -> dict[str, str]:
    """Return, for each source that has a secret or has sent anything, when it last did."""
    return {source: _when(seen, source) for source in sorted({*seen.expected, *seen.last_received})}


def check_findings(seen: Observation) -> list[Check]:
    """Check that each source with a secret still sends, that this is no copy, and what no other check looks at."""
    found = findings(seen)
    subjects = {finding.subject: finding for finding in found}
    checks = [_check(seen, source, subjects.get(source)) for source in sorted(seen.expected)]
    if not any(finding.code == "copy" for finding in found):
        checks.append(ok("copy", "none: server, database and project are the recorded ones"))
    others = [finding for finding in found if finding.code not in CHECKED and finding.subject not in seen.expected]
    return checks + [_line(finding) for finding in others]


def _line(finding: Finding) -> Check:
    # It stands for the number of workers, of which no good can be said then.
    name = "workers" if finding.code == "no_worker" else finding.code.replace("_", " ")
    sentence = finding.sentence if finding.code == "copy" else f"{finding.subject}: {finding.sentence}"
    return Check(name, STATES[finding.gravity], sentence, finding.cure)


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
