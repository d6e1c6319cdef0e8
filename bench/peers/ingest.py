"""Receive signed requests with one subject, as fast as the answers come."""

from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import psycopg
import uvloop

from bench.checks import require_stored
from bench.client import at_full_load, signed_requests
from bench.cpu import cpu_seconds
from bench.ingest import CONNECTIONS
from bench.load import cheapest_client, full_load
from bench.peers.counters import DATABASE, Sample, counters, sample, settled
from bench.peers.process import READY_SECONDS_MAX, command, crew, environment
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
        with _serving(url, program, subject, key) as (port, own_seconds):
            own_before = own_seconds()
            uvloop.run(at_full_load(port, signed_requests(WARM_UP, 0, key), CONNECTIONS))
            before = counters(url)
            outcome = full_load(port, signed_requests(requests, WARM_UP, key), CONNECTIONS, cheapest_client())
            own = own_seconds() - own_before
        after = settled(url)
        stored = _stored(url, subject) - WARM_UP
        require_stored(subject.key, sent=outcome.sent, answered=outcome.answered, stored=stored)
    measured = sample(requests, outcome.seconds, before, after, own_cpu_seconds=own)
    # A session's processor time is known when it has ended: that of the warm-up is in it.
    share = requests / (requests + WARM_UP)
    return replace(measured, cpu_seconds=measured.cpu_seconds and measured.cpu_seconds * share)


@contextmanager
def _serving(url: str, program: str, subject: Subject, key: bytes) -> Iterator[tuple[int, Callable[[], float]]]:
    """Yield the port, and what tells the processor time used."""
    if subject.runtime == "ours":
        with running(url, "ours", key) as (port, process):
            yield port, partial(cpu_seconds, process)
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
