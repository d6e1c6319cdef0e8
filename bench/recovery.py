"""What live deliveries feel of a recovery: `python -m bench.recovery` rebuilds and prunes a full log beside them.

A database gets stored deliveries, two a user, all applied. Then one `consumer serve` and one `consumer work` take 100
live deliveries a second: alone, beside a rebuild of everybody, and beside a prune of what is superseded. An answer is
measured by the client from the moment at which a request was due; applied is the outcome's time less the time of
arrival, by the database's clock. Nothing is printed unless every delivery was answered 204 and applied.
"""

import argparse
import secrets
import statistics
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import psycopg
import uvloop

from bench import commands
from bench.checks import FalseFigure, require_soon, require_stored
from bench.client import Outcome, at_rate, signed_requests
from bench.events import fill, updates
from bench.soak import backlog
from bench.support import database, progress, server, show
from consumer.cli.addresses import free_port
from consumer.postgres import migrations

PER_SECOND = 100
SLICE_SECONDS = 10
CONNECTIONS = 16
RETENTION_DAYS = 30
# A second after the last delivery nothing may wait.
APPLIED_SECONDS_MAX = 60
AGE = """
UPDATE consumer.outbox SET received_at = received_at - interval '60 days';
UPDATE consumer.outcomes SET at = at - interval '60 days';
"""
LIVE = """
SELECT count(*), count(done.at), 1000 * max(extract(EPOCH FROM done.at - stored.received_at)),
    1000 * percentile_cont(0.99) WITHIN GROUP (ORDER BY extract(EPOCH FROM done.at - stored.received_at))
FROM consumer.outbox AS stored LEFT JOIN consumer.outcomes AS done USING (seq)
WHERE stored.seq > %s
"""


def measure(url: str, events: int) -> list[dict[str, object]]:
    """Deliver alone and beside each recovery, and return what the deliveries felt."""
    key, port = secrets.token_bytes(24), free_port(commands.HOST)
    table: list[dict[str, object]] = []
    with (
        commands.running("serve", url, key, port=port),
        commands.running("work", url, key) as worker,
        ThreadPoolExecutor(1) as threads,
    ):
        # Their ids go on where those of the stored ones end.
        sent = events
        for name, begin in (("nothing", _nothing), ("a rebuild of everybody", _rebuild), ("a prune", _prune)):
            progress(f"beside {name}")
            last, started = _last_seq(url), time.monotonic()
            running = threads.submit(begin, url)
            slices: list[Outcome] = []
            while not slices or not running.done():
                requests = signed_requests(PER_SECOND * SLICE_SECONDS, sent, key)
                slices.append(uvloop.run(at_rate(port, requests, CONNECTIONS, PER_SECOND)))
                sent += slices[-1].sent
            running.result()
            table.append(_row(name, url, last, slices, worker) | {"took s": time.monotonic() - started})
    return table


def _nothing(_: str) -> None:
    time.sleep(SLICE_SECONDS)


def _rebuild(url: str) -> None:
    commands.run(url, "rebuild")
    require_soon("the rebuild", lambda: not backlog(url), commands.RUN_SECONDS_MAX, poll=0.5)


def _prune(url: str) -> None:
    before = _count(url)
    commands.run(url, "prune", settings={"RETENTION_DAYS": str(RETENTION_DAYS)})
    if _count(url) >= before:
        raise FalseFigure("No figure: the prune removed nothing.")


def _row(name: str, url: str, last: int, slices: list[Outcome], worker: psutil.Process) -> dict[str, object]:
    require_soon("an empty queue", lambda: not backlog(url), APPLIED_SECONDS_MAX, poll=0.1)
    sent, answered = sum(each.sent for each in slices), sum(each.answered for each in slices)
    with psycopg.connect(url) as conn:
        [(stored, applied, longest_ms, p99_ms)] = conn.execute(LIVE.encode(), [last]).fetchall()
    require_stored(f"beside {name}", sent=sent, answered=answered, stored=stored)
    if applied != sent:
        raise FalseFigure(f"No figure beside {name}: {sent:,} were sent, {applied:,} applied.")
    p99 = [each.percentiles_ms[99] for each in slices]
    return {
        "beside": name,
        "live deliveries": sent,
        "answer p99 ms": statistics.median(p99),
        "worst slice's p99 ms": max(p99),
        "applied p99 ms": float(p99_ms),
        "longest ms": float(longest_ms),
        "worker MB": worker.memory_info().rss / 2**20,
    }


def _last_seq(url: str) -> int:
    return _number(url, "SELECT coalesce(max(seq), 0) FROM consumer.outbox")


def _count(url: str) -> int:
    return _number(url, "SELECT count(*) FROM consumer.outbox WHERE received_at < now() - interval '30 days'")


def _number(url: str, statement: str) -> int:
    with psycopg.connect(url) as conn:
        [(number,)] = conn.execute(statement.encode()).fetchall()
    return int(number)


def _fill(url: str, events: int) -> None:
    """Store and apply the deliveries, and let them be two months old."""
    uvloop.run(fill(url, updates(events), 0))
    commands.run(url, "work", "--drain")
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(AGE)
        conn.execute("VACUUM ANALYZE")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000, help="stored deliveries, two a user")
    parser.add_argument("--database-url", help="a server to use instead of an embedded one")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with server(options.database_url) as server_url, database(server_url, "recovery") as url:
        migrations.apply(url, "consumer")
        progress(f"{options.events:,} deliveries")
        _fill(url, options.events)
        table = measure(url, options.events)
    show("Live deliveries beside a recovery", table, {"stored before": options.events}, as_json=options.json)


if __name__ == "__main__":
    main()
