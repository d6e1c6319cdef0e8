"""What a migration costs the users of a database: `python -m bench.migrate` brings a full one to this release.

A database of the oldest release that is kept (tests/data/releases) gets profiles and companies; its migrations to the
present one follow, beside that release's receiver with 100 deliveries a second, a reader of all profiles whose
transaction lasts a minute, readers of one profile each, and short transactions that lock as a worker's batch does.
Nothing is printed unless every delivery was stored.
"""

import argparse
import os
import secrets
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import randrange
from tempfile import TemporaryDirectory

import psycopg
import uvloop

from bench import commands
from bench.checks import FalseFigure, require_stored, stored_rows
from bench.client import Outcome, at_rate, signed_requests
from bench.support import database, progress, server, show
from consumer.cli.addresses import free_port
from tests.releases.kept import oldest, unpacked
from tests.support.releases import migrate

PER_SECOND = 100
SLICE_SECONDS = 10
CONNECTIONS = 16
READ_EVERY_SECONDS = 0.02
FILL = """
INSERT INTO consumer.settings (
    default_role, default_department, role_key, department_key, company_key, delete_policy
)
VALUES ('member', 'General', 'role', 'department', 'company_id', 'soft');
INSERT INTO identity.companies (id, name)
SELECT md5('company' || n)::uuid, 'Company ' || n FROM generate_series(0, {companies}) AS n;
INSERT INTO identity.profiles (user_id, company_id, full_name, email, role_type, department)
SELECT md5(n::text)::uuid, md5('company' || n % {companies})::uuid, 'José Straße ' || n, 'u' || n || '@example.com',
    'member', 'Department ' || n % 100
FROM generate_series(1, {profiles}) AS n;
INSERT INTO identity.stack_user_profiles (
    stack_user_id, company_id, stack_display_name, version, message_id, has_profile
)
SELECT user_id, company_id, full_name, '1', 'x', TRUE FROM identity.profiles;
INSERT INTO identity.company_members (company_id, user_id, joined_at)
SELECT company_id, user_id, now() FROM identity.profiles;
INSERT INTO identity.company_members (company_id, user_id, joined_at)
SELECT md5('company' || (n + 1) % {companies})::uuid, md5(n::text)::uuid, now()
FROM generate_series(10, {profiles}, 10) AS n;
"""
READ = "SELECT full_name FROM identity.profiles WHERE user_id = md5(%s::text)::uuid"
BATCH = (
    "SELECT pg_advisory_xact_lock_shared(hashtextextended('consumer.settings', 0))",
    "UPDATE identity.stack_user_profiles SET sync_version = sync_version + 1 WHERE stack_user_id = md5(%s::text)::uuid",
    "SELECT count(*) FROM identity.companies WHERE id = md5('company' || %s)::uuid",
    "UPDATE identity.profiles SET updated_at = now() WHERE user_id = md5(%s::text)::uuid",
)


@dataclass(slots=True)
class Seen:
    """How long somebody's transactions took, and which errors they met."""

    seconds: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@contextmanager
def beside(url: str, statements: tuple[str, ...], profiles: int) -> Iterator[Seen]:
    """Run a short transaction again and again, for the duration."""
    seen, is_over = Seen(), threading.Event()

    def repeat() -> None:
        with psycopg.connect(url) as conn:
            while not is_over.wait(READ_EVERY_SECONDS):
                number, started = str(randrange(1, profiles)), time.perf_counter()
                try:
                    with conn.transaction():
                        for statement in statements:
                            conn.execute(statement.encode(), [number] if "%s" in statement else None)
                except psycopg.Error as error:
                    seen.errors.append(error.sqlstate or type(error).__name__)
                seen.seconds.append(time.perf_counter() - started)

    with ThreadPoolExecutor(1) as threads:
        done = threads.submit(repeat)
        try:
            yield seen
        finally:
            is_over.set()
        done.result()


@contextmanager
def long_reader(url: str, seconds: float) -> Iterator[None]:
    """Read all profiles in a transaction that stays open so long."""
    with psycopg.connect(url, application_name="a long reader") as conn:
        conn.execute("SELECT count(full_name) FROM identity.profiles")
        timer = threading.Timer(seconds, conn.rollback)
        timer.start()
        yield
        timer.join()


def deliver(port: int, key: bytes, first: int, is_over: Callable[[], bool]) -> list[Outcome]:
    """Send deliveries at a constant rate, slice by slice from the *first* on, until it is over."""
    slices: list[Outcome] = []
    while not is_over():
        count = PER_SECOND * SLICE_SECONDS
        requests = signed_requests(count, count * (first + len(slices)), key)
        slices.append(uvloop.run(at_rate(port, requests, CONNECTIONS, PER_SECOND)))
    return slices


def measure(url: str, profiles: int, reader_seconds: float) -> list[dict[str, object]]:
    """Migrate beside everybody, and return what each of them saw."""
    key, port = secrets.token_bytes(24), free_port(commands.HOST)
    with (
        TemporaryDirectory() as folder,
        commands.running("serve", url, key, port=port, tree=unpacked(oldest(), Path(folder))),
        beside(url, (READ,), profiles) as readers,
        beside(url, BATCH, profiles) as batches,
        long_reader(url, reader_seconds),
    ):
        before = deliver(port, key, 0, iter([False, False, True]).__next__)
        with ThreadPoolExecutor(1) as threads:
            migrating = threads.submit(_migrate, url)
            during = deliver(port, key, len(before), migrating.done)
        seconds, lines = migrating.result()
    both = before + during
    sent, answered = sum(each.sent for each in both), sum(each.answered for each in both)
    require_stored("the receiver", sent=sent, answered=answered, stored=stored_rows(url))
    return [
        {"who": "migrate", "times": lines.count("migration_held_up"), "longest s": seconds},
        {"who": "a reader of one profile", "times": len(readers.seconds), "longest s": max(readers.seconds)}
        | {"p99 ms": _p99_ms(readers), "errors": ", ".join(readers.errors)},
        {"who": "a worker's locks", "times": len(batches.seconds), "longest s": max(batches.seconds)}
        | {"p99 ms": _p99_ms(batches), "errors": ", ".join(batches.errors)},
        _delivered("a delivery before", before),
        _delivered("a delivery meanwhile", during),
    ]


def _delivered(who: str, slices: list[Outcome]) -> dict[str, object]:
    p99 = [each.percentiles_ms[99] for each in slices]
    return {
        "who": who,
        "times": sum(each.sent for each in slices),
        "longest s": max(each.percentiles_ms[99.9] for each in slices) / 1000,
        "p99 ms": statistics.median(p99),
        "worst slice's p99 ms": max(p99),
    }


def _migrate(url: str) -> tuple[float, str]:
    """Return how long `consumer migrate` took, and what it logged."""
    command = [sys.executable, "-m", "consumer", "migrate", "--json"]
    environment = {**os.environ, "DATABASE_URL": url, "LOG_FORMAT": "json"}
    started = time.perf_counter()
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    if done.returncode:
        raise FalseFigure(f"No figure: `consumer migrate` ended with {done.returncode}: {done.stderr}")
    return time.perf_counter() - started, done.stderr


def _p99_ms(seen: Seen) -> float:
    return 1000 * sorted(seen.seconds)[int(0.99 * len(seen.seconds))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profiles", type=int, default=1_000_000)
    parser.add_argument("--reader-seconds", type=float, default=60)
    parser.add_argument("--database-url", help="a server to use; else an embedded one")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with server(options.database_url) as server_url, database(server_url, "bench_migrate") as url:
        progress(f"{options.profiles:,} profiles")
        migrate(url, int(oldest().name[:4]))
        with psycopg.connect(url) as conn:
            conn.execute(FILL.format(profiles=options.profiles, companies=options.profiles // 20).encode())
        progress("migrate")
        rows = measure(url, options.profiles, options.reader_seconds)
    facts = {"profiles": options.profiles, "the long reader, s": options.reader_seconds}
    show("A migration beside others", rows, facts, as_json=options.json)


if __name__ == "__main__":
    main()
