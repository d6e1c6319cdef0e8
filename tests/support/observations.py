"""Observations by name, each with what is found: code, gravity, subject, sentence and link."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

from consumer.operations.maintenance import LastRun
from consumer.postgres.locks import LockHolder
from consumer.verdict.observation import Duty, Observation, QueueState, ReportedProcess, Signatures, SourceHistory

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
SECOND, MINUTE, HOUR, DAY = (timedelta(seconds=each) for each in (1, 60, 3600, 86_400))
MOMENT = timedelta(microseconds=1)
GIBIBYTE = 1024**3
HOLDER = LockHolder(7, None, "kim", "psql", "table consumer.pending", None, 3.0, is_hidden=False)
SEEN = Observation(NOW)
IDS = count(1)


def seen(**values: Any) -> Observation:
    return replace(SEEN, **values)


def process(duty: Duty = "worker", host: str = "work-1", age: timedelta = SECOND, **values: Any) -> ReportedProcess:
    """A process that reported for an hour, at last so long ago, and is due ten seconds after that."""
    last_at = NOW - age
    made = ReportedProcess(
        UUID(int=next(IDS)), duty, host, 41, "1.0", last_at - HOUR, last_at, last_at + 10 * SECOND, (), 0.0, None
    )
    return replace(made, **values)


def queue(**values: Any) -> dict[str, Any]:
    return {"queue": QueueState(**values)}


def silent(source: str, age: timedelta, **values: Any) -> Observation:
    return seen(expected=[source], last_received={source: NOW - age}, **values)


def history(quietest: float, longest_silence: timedelta = timedelta(0), source: str = "app") -> dict[str, Any]:
    return {"histories": {source: SourceHistory(quietest, longest_silence)}}


def signatures(unmatched: int, accepted: int, since_accepted: int = 0) -> dict[str, Any]:
    return {"signatures": Signatures(unmatched, accepted, since_accepted)}


def ran(job: str, error: str | None = None, age: timedelta = HOUR, **counts: int) -> Observation:
    """A job that is on and was due so long ago."""
    return seen(jobs=[job], last_runs={job: LastRun(job, NOW, NOW, NOW - age, counts, None, error)})


def missing(host: str, gravity: str, time: str, others: int, duty: str = "worker") -> tuple[str, str, str, str, str]:
    sentence = f"has not reported for {time}; others of its kind: {others}"
    return "process_silent", gravity, f"{duty} on {host}", sentence, "/system"


def refused(gravity: str, sentence: str) -> tuple[str, str, str, str, str]:
    return "refused", gravity, "signatures", sentence, "/system"


LATE = process(age=30 * SECOND + MOMENT)
GONE = process(host="work-2", age=14 * MINUTE)
KILLED = process(age=5 * MINUTE)
SUCCESSOR = process(host="work-3", first_at=NOW - 13 * MINUTE)
TABLE: dict[str, tuple[Observation, Sequence[tuple[str, str, str, str, str | None]]]] = {
    "nothing is wrong": (SEEN, []),
    "the database is away": (
        seen(away_reason="the database is away: refused", **queue(dead=3)),
        [("database_away", "failing", "database", "the database is away: refused", "/system")],
    ),
    "a migration is pending": (
        seen(missing_migrations=["0017.reports"]),
        [("migration_pending", "failing", "migrations", "pending: 0017.reports", "/system")],
    ),
    "a newer release works too": (
        seen(newer_migrations=["0099.next"]),
        [("release_older", "warning", "release", "this release does not carry 0099.next", "/system")],
    ),
    "a newer release works alone": (
        seen(newer_migrations=["0099.next"], too_old_reason="it is too old: deploy"),
        [("release_too_old", "failing", "release", "it is too old", "/system")],
    ),
    "a copy": (
        seen(copy_reason="this is a copy"),
        [("copy", "warning", "copy", "this is a copy: it asks nothing of Stack", "/system")],
    ),
    "the disk was full 30 s ago": (seen(since_disk_full=30 * SECOND), []),
    "the disk was full a moment later": (
        seen(since_disk_full=30 * SECOND - MOMENT),
        [("disk_full", "failing", "disk", "the database's disk is full: deliveries are refused", "/system")],
    ),
    "a gibibyte is free": (seen(disk_free_bytes=GIBIBYTE), []),
    "a byte less is free": (
        seen(disk_free_bytes=GIBIBYTE - 1),
        [("disk", "warning", "disk", "1,023 MB are free", "/system")],
    ),
    "a lock": (seen(lock_holders=[HOLDER]), [("lock_held", "warning", "locks", HOLDER.sentence, "/system")]),
    "a transaction of an hour": (seen(oldest_xmin_seconds=3600), []),
    "a transaction of more": (
        seen(oldest_xmin_seconds=3600.1),
        [
            (
                "xmin_held",
                "warning",
                "vacuum",
                "a transaction has been open for 1h: it keeps dead rows, and the queue grows slow",
                "/system",
            )
        ],
    ),
    "nobody works, and nothing waits": (SEEN, []),
    "nobody works, and something waits": (
        seen(**queue(has_pending=True, due_seconds=60)),
        [("no_worker", "warning", "workers", "nobody applies deliveries, the oldest has waited for 1m", "/system")],
    ),
    "nobody works, and something has waited for 20 s": (seen(**queue(has_pending=True, due_seconds=20)), []),
    "nobody works, and something has waited for longer": (
        seen(**queue(has_pending=True, due_seconds=20.1)),
        [("no_worker", "warning", "workers", "nobody applies deliveries, the oldest has waited for 20s", "/system")],
    ),
    "nobody works, and a run waits": (
        seen(**queue(has_pending=True)),
        [("no_worker", "warning", "workers", "nobody applies deliveries, the oldest has waited for 0.0s", "/system")],
    ),
    "a worker was stopped 20 s ago": (
        seen(processes=[process(age=20 * SECOND, next_at=None)], **queue(has_pending=True, due_seconds=61)),
        [("no_worker", "note", "workers", "nobody applies deliveries: stopped 20s ago", "/system")],
    ),
    "a worker was stopped longer ago, and nothing waits": (
        seen(processes=[process(age=20 * SECOND + MOMENT, next_at=None)]),
        [("no_worker", "warning", "workers", "nobody applies deliveries; last seen: work-1, 20s ago", "/system")],
    ),
    "a worker was stopped, and one of another release works": (
        seen(processes=[process(age=SECOND, next_at=None)], worker_sessions=1),
        [],
    ),
    "a worker was stopped longer ago": (
        seen(processes=[process(age=20 * SECOND + MOMENT, next_at=None)], **queue(due_seconds=20.1)),
        [
            (
                "no_worker",
                "warning",
                "workers",
                "nobody applies deliveries, the oldest has waited for 20s; last seen: work-1, 20s ago",
                "/system",
            )
        ],
    ),
    "of two workers the one that began first was stopped last": (
        seen(
            processes=[
                process(age=MINUTE, first_at=NOW - 3 * HOUR, next_at=None),
                process(host="work-2", age=HOUR, next_at=None),
            ]
        ),
        [("no_worker", "warning", "workers", "nobody applies deliveries; last seen: work-1, 1m ago", "/system")],
    ),
    "nobody works, and it waits for more than a minute": (
        seen(processes=[replace(GONE, next_at=None)], **queue(due_seconds=60.1)),
        [
            (
                "no_worker",
                "failing",
                "workers",
                "nobody applies deliveries, the oldest has waited for 1m; last seen: work-2, 14m ago",
                "/system",
            )
        ],
    ),
    "an older worker, which reports nothing": (seen(worker_sessions=1, **queue(has_pending=True, due_seconds=60)), []),
    "a worker that reports": (seen(processes=[process()], **queue(has_pending=True, due_seconds=60)), []),
    "it waits for more than a minute though somebody works": (
        seen(processes=[process()], **queue(has_pending=True, due_seconds=61)),
        [
            (
                "stalled",
                "failing",
                "queue",
                "the oldest delivery that is due has waited for 1m 1s",
                "/deliveries?state=pending",
            )
        ],
    ),
    "the only worker is paused": (
        seen(processes=[process(paused_by="42501, InsufficientPrivilege"), process("receiver", paused_by="x")]),
        [("worker_paused", "failing", "worker on work-1", "paused by 42501, InsufficientPrivilege", "/system")],
    ),
    "one of two workers is paused": (
        seen(processes=[process(paused_by="42501"), process(host="work-2")]),
        [("worker_paused", "warning", "worker on work-1", "paused by 42501", "/system")],
    ),
    "a paused worker has ended": (seen(processes=[process(), process(paused_by="42501", next_at=None)]), []),
    "a report is 20 s late": (seen(processes=[process(age=30 * SECOND)]), []),
    "a report is a moment later": (
        seen(processes=[LATE]),
        [missing("work-1", "warning", "30s", 0)],
    ),
    "one of two workers is silent": (
        seen(processes=[process(), GONE]),
        [missing("work-2", "warning", "14m", 1)],
    ),
    "a console is silent": (seen(processes=[process("console", age=DAY)]), []),
    "it has ended as it was told": (seen(processes=[process(), replace(GONE, next_at=None)]), []),
    "another took its place": (seen(processes=[process(), GONE, SUCCESSOR]), []),
    "another took its place, and has ended": (seen(processes=[process(), GONE, replace(SUCCESSOR, next_at=None)]), []),
    "a receiver took no worker's place": (
        seen(processes=[process("receiver", first_at=NOW - MINUTE), GONE]),
        [missing("work-2", "warning", "14m", 0)],
    ),
    "one took the place of one of two": (
        seen(processes=[GONE, process(host="work-4", age=14 * MINUTE), SUCCESSOR]),
        [missing("work-4", "warning", "14m", 1)],
    ),
    "another took its place on its host, and is silent": (
        seen(processes=[KILLED, process(first_at=KILLED.last_at + SECOND, age=MINUTE, pid=3616)]),
        [missing("work-1", "warning", "1m", 0)],
    ),
    "one of three on a host was killed and not started again": (
        seen(processes=[KILLED, process(pid=42), process(pid=43)]),
        [missing("work-1 (pid 41)", "warning", "5m", 2)],
    ),
    "one of three on a host was killed, and the two others were stopped and started since": (
        seen(
            processes=[
                KILLED,
                *(process(pid=pid, age=3 * MINUTE, next_at=None) for pid in (42, 43)),
                *(process(pid=pid, first_at=NOW - 2 * MINUTE) for pid in (44, 45)),
            ]
        ),
        [missing("work-1 (pid 41)", "warning", "5m", 2)],
    ),
    "two of three on a host were killed, and one was started again": (
        seen(
            processes=[
                KILLED,
                process(pid=42, age=4 * MINUTE),
                process(pid=43),
                process(pid=44, first_at=NOW - 3 * MINUTE),
            ]
        ),
        [missing("work-1 (pid 41)", "warning", "5m", 2)],
    ),
    "a worker vanished on each of two hosts, and one was started again on its host": (
        seen(
            processes=[
                process(host="work-2", age=5 * MINUTE),
                process(age=6 * MINUTE, pid=42),
                process(pid=43, first_at=NOW - 4 * MINUTE),
            ]
        ),
        [missing("work-2", "warning", "5m", 1)],
    ),
    "a worker vanished on each of two hosts, and one was started again on its host, one on another": (
        seen(
            processes=[
                process(host="work-2", age=6 * MINUTE),
                process(age=5 * MINUTE, pid=42),
                process(pid=43, first_at=NOW - 4 * MINUTE),
                process(host="work-3", first_at=NOW - 3 * MINUTE),
            ]
        ),
        [],
    ),
    "it was killed again and again, and is silent": (
        seen(
            processes=[
                KILLED,
                process(first_at=KILLED.last_at + SECOND, age=4 * MINUTE, pid=42),
                process(first_at=NOW - 3 * MINUTE, age=MINUTE, pid=43),
            ]
        ),
        [missing("work-1", "warning", "1m", 0)],
    ),
    "one of two on a host is paused, and of another clock": (
        seen(processes=[process(pid=42), process(paused_by="42501", clock_skew_seconds=6)]),
        [
            ("worker_paused", "warning", "worker on work-1 (pid 41)", "paused by 42501", "/system"),
            ("skew", "warning", "worker on work-1 (pid 41)", "its clock is 6.0 s ahead of the database's", "/system"),
        ],
    ),
    "the only receiver is silent": (
        seen(processes=[process("receiver", "web-1", age=MINUTE)]),
        [missing("web-1", "failing", "1m", 0, "receiver")],
    ),
    "the only receiver has been silent for hours": (
        seen(processes=[process("receiver", "web-1", age=5 * HOUR)]),
        [missing("web-1", "failing", "5h", 0, "receiver")],
    ),
    "one of two workers has been silent for an hour": (
        seen(processes=[process(), process(host="work-2", age=HOUR)]),
        [missing("work-2", "warning", "1h", 1)],
    ),
    "one of two workers has been silent for longer": (
        seen(processes=[process(), process(host="work-2", age=HOUR + MOMENT)]),
        [],
    ),
    "the only receiver was stopped 20 s ago": (
        seen(processes=[process("receiver", "web-1", age=20 * SECOND, next_at=None)]),
        [("no_receiver", "note", "receivers", "nobody takes deliveries: stopped 20s ago", "/system")],
    ),
    "the only receiver was stopped longer ago": (
        seen(processes=[process("receiver", "web-1", age=20 * SECOND + MOMENT, next_at=None)]),
        [
            (
                "no_receiver",
                "failing",
                "receivers",
                "nobody takes deliveries; last seen: web-1, stopped 20s ago",
                "/system",
            )
        ],
    ),
    "a receiver was stopped, and another takes deliveries": (
        seen(processes=[process("receiver", "web-1", age=HOUR, next_at=None), process("receiver", "web-2")]),
        [],
    ),
    "one of two receivers is silent": (
        seen(processes=[process("receiver", "web-1", age=MINUTE), process("receiver", "web-2")]),
        [missing("web-1", "warning", "1m", 1, "receiver")],
    ),
    "a clock is 5 s ahead": (seen(processes=[process(clock_skew_seconds=5)]), []),
    "a clock is further ahead": (
        seen(processes=[process(clock_skew_seconds=60)]),
        [("skew", "warning", "worker on work-1", "its clock is 60.0 s ahead of the database's", "/system")],
    ),
    "a clock is over a minute behind": (
        seen(processes=[process(clock_skew_seconds=-60.1)]),
        [("skew", "warning", "worker on work-1", "its clock is 60.1 s behind the database's", "/system")],
    ),
    "a receiver's clock is a minute behind": (
        seen(processes=[process("receiver", clock_skew_seconds=-60)]),
        [("skew", "warning", "receiver on work-1", "its clock is 60.0 s behind the database's", "/system")],
    ),
    "a receiver's clock is further behind": (
        seen(processes=[process("receiver", clock_skew_seconds=-60.1)]),
        [("skew", "failing", "receiver on work-1", "its clock is 60.1 s behind the database's", "/system")],
    ),
    "a process with a wrong clock has ended": (
        seen(processes=[process(), process(clock_skew_seconds=99, next_at=None)]),
        [],
    ),
    "something is dead": (
        seen(**queue(dead=1284, died_lately=9, dying_since=NOW, dying_of="23505, x")),
        [("dead", "warning", "dead letters", "1,284", "/dead")],
    ),
    "ten died within ten minutes": (
        seen(**queue(dead=1284, died_lately=10, dying_since=NOW - MINUTE, dying_of="23505, people_key")),
        [
            (
                "dying",
                "failing",
                "dead letters",
                "1,284, of which 10 died since 11:59:00Z; most of them: 23505, people_key",
                "/dead",
            )
        ],
    ),
    "the quietest week brought 19": (silent("app", 3 * HOUR, **history(19.9)), []),
    "the quietest week brought 20": (
        silent("app", 3 * HOUR + 12 * MINUTE, **history(20.0)),
        [
            (
                "quiet",
                "warning",
                "app",
                "nothing received for 3h 12m, since 2026-11-29 08:48:00Z; the quietest of four weeks brought 20",
                "/deliveries?source=app",
            )
        ],
    ),
    "a busy sender pauses for less than five minutes": (silent("app", 5 * MINUTE - MOMENT, **history(99)), []),
    "a busy sender pauses for five minutes": (
        silent("app", 5 * MINUTE, **history(99)),
        [
            (
                "quiet",
                "warning",
                "app",
                "nothing received for 5m, since 2026-11-29 11:55:00Z; the quietest of four weeks brought 99",
                "/deliveries?source=app",
            )
        ],
    ),
    "a rare source is silent for longer than SILENCE_HOURS": (
        silent("app", 9 * DAY, **history(19.9)),
        [
            (
                "source_silent",
                "warning",
                "app",
                "nothing received for 216 h, since 2026-11-20 12:00:00Z",
                "/deliveries?source=app",
            )
        ],
    ),
    "a weekend as long as those of four weeks": (silent("app", 3 * DAY, **history(19.9, 3 * DAY)), []),
    "a weekend that is longer": (
        silent("app", 3 * DAY + MOMENT, **history(19.9, 3 * DAY)),
        [
            (
                "source_silent",
                "warning",
                "app",
                "nothing received for 72 h, since 2026-11-26 11:59:59Z",
                "/deliveries?source=app",
            )
        ],
    ),
    "a rare source is silent for SILENCE_HOURS": (silent("app", DAY, **history(19.9, 3 * HOUR)), []),
    "without a history, SILENCE_HOURS": (silent("app", DAY), []),
    "without a history, longer than SILENCE_HOURS": (
        silent("app", DAY + MOMENT),
        [
            (
                "source_silent",
                "warning",
                "app",
                "nothing received for 24 h, since 2026-11-28 11:59:59Z",
                "/deliveries?source=app",
            )
        ],
    ),
    "a source that nobody has a secret of": (
        seen(expected=["stack"], last_received={"stack": NOW, "app": NOW - 9 * DAY, "backfill": NOW - 9 * DAY}),
        [],
    ),
    "muted, with a history": (silent("app", 9 * DAY, silence_max=None, **history(999)), []),
    "muted, without a history": (silent("app", 9 * DAY, silence_max=None), []),
    "nothing has come yet": (
        seen(expected=["stack"], installed_at=NOW - DAY),
        [("nothing_received", "note", "stack", "nothing received yet", "/deliveries?source=stack")],
    ),
    "nothing has come for longer": (
        seen(expected=["stack"], installed_at=NOW - DAY - MOMENT),
        [("nothing_received", "warning", "stack", "nothing received yet", "/deliveries?source=stack")],
    ),
    "nothing has come for longer, muted": (
        seen(expected=["stack"], installed_at=NOW - 9 * DAY, silence_max=None),
        [("nothing_received", "note", "stack", "nothing received yet", "/deliveries?source=stack")],
    ),
    "a source of another release is silent": (
        silent("billing", DAY + MOMENT),
        [
            (
                "source_silent",
                "warning",
                "billing",
                "nothing received for 24 h, since 2026-11-28 11:59:59Z",
                "/deliveries?source=billing",
            )
        ],
    ),
    "nine signatures fit no secret": (seen(**signatures(9, 0, since_accepted=9)), []),
    "ten fitted none since a delivery was accepted": (
        seen(**signatures(0, 0, since_accepted=10)),
        [refused("failing", "10 signatures in 15 min fit no secret; no delivery has been accepted since")],
    ),
    "ten fitted none beside many deliveries": (
        seen(**signatures(10, 9_000)),
        [refused("warning", "10 signatures in 15 min fit no secret; deliveries accepted in the last hour: 9,000")],
    ),
    "a job failed": (
        ran("prune", "Away."),
        [("maintenance_failed", "warning", "prune", "failed: Away.", "/system")],
    ),
    "a job is 25 hours late": (ran("prune", age=25 * HOUR), []),
    "a job is later": (
        ran("prune", age=25 * HOUR + MOMENT),
        [("maintenance_overdue", "warning", "prune", "was due at 2026-11-28 10:59:59Z", "/system")],
    ),
    "a job has never run since a migration of yesterday": (
        seen(jobs=["prune"], installed_at=NOW - 9 * DAY, migrated_at=NOW - 25 * HOUR),
        [],
    ),
    "a job has never run": (
        seen(jobs=["prune"], installed_at=NOW - 9 * DAY, migrated_at=NOW - 25 * HOUR - MOMENT),
        [("maintenance_overdue", "warning", "prune", "has never run", "/system")],
    ),
    "Svix can't be asked": (
        ran("endpoint", "Svix refused."),
        [("maintenance_failed", "warning", "endpoint", "failed: Svix refused.", "/system")],
    ),
    "no webhook can arrive": (
        ran("endpoint", "Svix has disabled the endpoint.", alarms=1),
        [("endpoint_disabled", "failing", "endpoint", "Svix has disabled the endpoint.", "/system")],
    ),
}
