"""Receive signed requests with one subject, as fast as the answers come."""

from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import psycopg
import uvloop

from bench.client import at_full_load, signed_requests
from bench.ingest import CONNECTIONS
from bench.peers.counters import DATABASE, Sample, counters, own_cpu_seconds, sample, settled
from bench.peers.process import READY_SECONDS_MAX, SubjectFailed, command, crew, environment
from bench.peers.subjects import Subject
from bench.servers import running
from bench.support import database
from consumer.postgres import migrations

SQL = Path(__file__).parent / "sql"
WARM_UP = 1000


def measure(server_url: str, program: str, subject: Subject, requests: int, key: bytes) -> Sample:
    """Send to an empty database after a warm-up; every request must be answered 204 and stored."""
    with database(server_url, DATABASE) as url:
        _prepare(url, subject)
        with _serving(url, program, subject, key) as (port, cpu_seconds):
            cpu_before = cpu_seconds()
            uvloop.run(at_full_load(port, signed_requests(WARM_UP, 0, key), CONNECTIONS))
            before = counters(url)
            outcome = uvloop.run(at_full_load(port, signed_requests(requests, WARM_UP, key), CONNECTIONS))
            cpu = cpu_seconds() - cpu_before
        after = settled(url)
        if outcome.refused or _stored(url, subject) != requests + WARM_UP:
            raise SubjectFailed(f"{outcome.refused} requests refused, {_stored(url, subject)} stored")
    measured = sample(requests, outcome.seconds, before, after, own_cpu_seconds=cpu)
    # A session's processor time is known when it has ended: that of the warm-up is in it.
    share = requests / (requests + WARM_UP)
    return replace(measured, cpu_seconds=measured.cpu_seconds and measured.cpu_seconds * share)


@contextmanager
def _serving(url: str, program: str, subject: Subject, key: bytes) -> Iterator[tuple[int, Callable[[], float]]]:
    """Yield the port, and what tells the processor time used."""
    if subject.runtime == "ours":
        with running(url, "ours", key) as (port, process):
            yield port, partial(own_cpu_seconds, process)
        return
    secret = "whsec_" + b64encode(key).decode()
    with crew(command(program, subject), environment(url, PEERS_SECRET=secret), 1) as receivers:
        yield int(receivers.hear("ready", READY_SECONDS_MAX)[0]), receivers.cpu_seconds
        receivers.terminate()


def _prepare(url: str, subject: Subject) -> None:
    if subject.runtime == "ours":
        migrations.apply(url, "consumer")
        return
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute((SQL / "table.sql").read_bytes())


def _stored(url: str, subject: Subject) -> int:
    table = "consumer.outbox" if subject.runtime == "ours" else "bench.inbox"
    with psycopg.connect(url) as conn:
        [(count,)] = conn.execute(f"SELECT count(*) FROM {table}".encode()).fetchall()
    return int(count)
