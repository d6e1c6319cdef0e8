"""Drain one subject's queue: once for speed, once with its workers killed midway."""

import time
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import uniform

import orjson
import psycopg

from bench.events import twice_each
from bench.peers.counters import DATABASE, Sample, await_gone, sample, settled
from bench.peers.process import READY_SECONDS_MAX, SubjectFailed, command, crew, environment, finish
from bench.peers.subjects import Subject
from bench.support import database, user_event

SQL = Path(__file__).parent / "sql"
FILL_SECONDS_MAX = 120.0
DRAIN_SECONDS_MAX = 180.0
# The workers are killed after this share of the events, and up to half as long again later: at a random moment, because
# some peers apply an event just before they mark it done.
KILLED_AT = 0.27
KILL_POLL_SECONDS = 0.002
KILL_ATTEMPTS = 3
# Leases shortened for the run that is killed, where a peer lets one do so; pg-boss and PgQueuer by default wait 15 min
# and 30 s.
LEASE_SECONDS = 5
# What the restarted workers get to find what the killed ones held; graphile-worker lets go after 4 h only.
GRACE_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Events:
    """The events of a run: each user is created and then updated."""

    file: Path
    numbers: Sequence[int]

    @property
    def users(self) -> int:
        return len(self.numbers) // 2


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of the events when the workers were killed midway and started again.

    Lost: neither applied nor queued. Doubled: applied twice, or applied and still queued to be. Stuck: not applied, but
    still queued when the grace was over.
    """

    lost: int
    doubled: int
    stuck: int


def judge(events: Collection[int], applied: Collection[int], held: Collection[int]) -> Verdict:
    """Compare what was to be applied with what was, and with what the queue still holds."""
    times = Counter(applied)
    done = times.keys()
    waiting = set(held)
    return Verdict(
        lost=len(set(events) - done - waiting),
        doubled=sum(count - 1 for count in times.values()) + len(waiting & done),
        stuck=len(waiting - done),
    )


def write_events(folder: Path, count: int) -> Events:
    """Write *count* events, one a line; the number of each is its version."""
    bodies = [user_event(user_id, number) for number, user_id in enumerate(twice_each(count // 2))]
    file = folder / f"events-{count}"
    file.write_bytes(b"\n".join(bodies) + b"\n")
    return Events(file, [orjson.loads(body)["data"]["last_active_at_millis"] for body in bodies])


def measure(server_url: str, program: str, subject: Subject, events: Events) -> Sample:
    """Drain from an empty database filled with the events, checkpointed and vacuumed."""
    with database(server_url, DATABASE) as url:
        _fill(url, program, subject, events)
        before = settled(url)
        called = command(program, subject, "work", subject.effect)
        with crew(called, environment(url), subject.processes) as workers:
            workers.hear("ready", READY_SECONDS_MAX)
            cpu_before, started = workers.cpu_seconds(), time.perf_counter()
            workers.shoot()
            workers.hear("drained", DRAIN_SECONDS_MAX)
            seconds, cpu = time.perf_counter() - started, workers.cpu_seconds() - cpu_before
            workers.terminate()
        after = settled(url)
        _require_newest(url, subject, events)
    return sample(len(events.numbers), seconds, before, after, own_cpu_seconds=cpu)


def kill_midway(server_url: str, program: str, subject: Subject, events: Events) -> Verdict:
    """Kill the workers midway, start them again, and judge; a kill that came too late does not count."""
    for _ in range(KILL_ATTEMPTS):
        with database(server_url, DATABASE) as url:
            _fill(url, program, subject, events, PEERS_LEASE_SECONDS=str(LEASE_SECONDS))
            if _killed(url, program, subject, events):
                return _recovered(url, program, subject, events)
    raise SubjectFailed(f"it was done before the kill in {KILL_ATTEMPTS} attempts")


def _killed(url: str, program: str, subject: Subject, events: Events) -> bool:
    """Kill midway; tell whether that was in time."""
    with (
        crew(
            command(program, subject, "work", subject.killed_effect),
            environment(url, PEERS_LEASE_SECONDS=str(LEASE_SECONDS)),
            subject.processes,
        ) as workers,
        psycopg.connect(url, autocommit=True) as conn,
    ):
        workers.hear("ready", READY_SECONDS_MAX)
        workers.shoot()
        started = time.monotonic()
        while _applied_count(conn) < KILLED_AT * len(events.numbers):
            if time.monotonic() > started + DRAIN_SECONDS_MAX:
                raise SubjectFailed("it did not come to the kill")
            time.sleep(KILL_POLL_SECONDS)
        time.sleep(uniform(0, (time.monotonic() - started) / 2))
        is_in_time = workers.is_at_work()
        workers.kill()
    await_gone(url)
    with psycopg.connect(url) as conn:
        return is_in_time and _applied_count(conn) < len(events.numbers)


def _recovered(url: str, program: str, subject: Subject, events: Events) -> Verdict:
    """Start the workers again and again until nothing is held or the grace is over."""
    called = command(program, subject, "work", subject.killed_effect)
    variables = environment(url, PEERS_LEASE_SECONDS=str(LEASE_SECONDS))
    deadline = time.monotonic() + GRACE_SECONDS
    while True:
        with crew(called, variables, subject.processes) as workers:
            workers.hear("ready", READY_SECONDS_MAX)
            workers.shoot()
            workers.hear("drained", DRAIN_SECONDS_MAX)
            workers.terminate()
        with psycopg.connect(url) as conn:
            held = [row[0] for row in conn.execute((SQL / f"{subject.held}.sql").read_bytes())]
            applied = [row[0] for row in conn.execute("SELECT event FROM bench.applied")]
        if not held or time.monotonic() > deadline:
            return judge(events.numbers, applied, held)
        time.sleep(1)


def _applied_count(conn: "psycopg.Connection[tuple[int]]") -> int:
    [(count,)] = conn.execute("SELECT count(*) FROM bench.applied").fetchall()
    return int(count)


def _fill(url: str, program: str, subject: Subject, events: Events, **variables: str) -> None:
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute((SQL / "table.sql").read_bytes())
    called = command(program, subject, "fill", str(events.file))
    finish(called, environment(url, **variables), FILL_SECONDS_MAX)
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("VACUUM ANALYZE")
        conn.execute("CHECKPOINT")


def _require_newest(url: str, subject: Subject, events: Events) -> None:
    """Refuse a figure of work that was not done."""
    table = "identity.profiles" if subject.effect == "whole" else "bench.profiles"
    version = "extract(epoch FROM last_active_at) * 1000" if subject.effect == "whole" else "version"
    with psycopg.connect(url) as conn:
        newest = {int(row[0]) for row in conn.execute(f"SELECT {version} FROM {table}".encode())}
    if newest != set(events.numbers[events.users :]):
        raise SubjectFailed("the profiles are not what the events say")
