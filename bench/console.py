"""What the console costs: `python -m bench.console` with --events stored deliveries of 1.3 kB, every tenth dead.

Each page with several filters: p95 of --requests at the server, rows read from tables and indexes a page, bytes on the
wire. What the first visit loads. Transactions at the database for each frame, of one live viewer and of VIEWERS, and
the processor time that a frame for VIEWERS takes. Ingest and drain beside VIEWERS against none, the median of
--rounds pairs; who begins changes from pair to pair. How long the click takes that retries all dead, and the p99 of
live deliveries from receipt to profile meanwhile against before. No figure is printed unless every page was a page,
each event was stored and applied, all viewers still looked, and the retry ended with all dead put back.
"""

import argparse
import itertools
import secrets
import statistics
from collections.abc import Mapping
from contextlib import nullcontext
from functools import partial
from typing import NamedTuple

import psycopg
import uvloop

from bench import commands, lookups
from bench.checks import FalseFigure, require_soon, require_stored
from bench.client import at_full_load, at_rate, signed_requests
from bench.console_pages import addresses, first_visit, page_row, rows
from bench.console_people import Operator, Viewers, console, order
from bench.cpu import cpu_seconds, microseconds, postgres_cpu_seconds
from bench.drain import Measure, timed
from bench.servers import running
from bench.support import EVENT_BYTES, database, progress, server, show, user_event
from consumer.cli.addresses import free_port
from consumer.effects import recorded_settings
from consumer.postgres import migrations
from consumer.postgres.connections import connect, operator_access
from consumer.settings.settings import ShapingSettings

EVENTS, REQUESTS, VIEWERS, FRAMES, ROUNDS = 20_000, 50, 50, 10, 3
LIVE_PER_SECOND, LIVE_SECONDS = 50, 10
CONNECTIONS = 16
RETRY_SECONDS_MAX = 1_200
# The dead are of Stack, and their bodies about their own users: a retry applies them.
USABLE = """
WITH dead AS (UPDATE consumer.failures SET source = 'stack' RETURNING seq)
UPDATE consumer.outbox AS o
SET source = 'stack', team_id = NULL,
    body = convert_to(replace(convert_from(o.body, 'UTF8'), %s, o.user_id::text), 'UTF8')
FROM dead WHERE dead.seq = o.seq
"""
OVER = (
    "SELECT affected FROM consumer.actions JOIN consumer.background USING (id) WHERE id = '{}' AND finished_at <= now()"
)
APPLIED = "SELECT WHERE NOT EXISTS (SELECT FROM consumer.pending) AND NOT EXISTS (SELECT FROM consumer.failures)"
P99 = """
SELECT count(*), 1000 * percentile_cont(0.99) WITHIN GROUP (ORDER BY extract(EPOCH FROM d.at - o.received_at))
FROM consumer.outbox AS o JOIN consumer.outcomes AS d USING (seq) WHERE o.message_id BETWEEN %s AND %s
"""


class LiveCost(NamedTuple):
    """What a frame for live viewers costs: transactions at the database, and microseconds of processor time."""

    transactions: float
    console_cpu: float | None
    postgres_cpu: float | None


def live_cost(url: str, operator: Operator, viewers: int) -> LiveCost:
    """Return what so many viewers cost who look while nothing else happens."""
    progress(f"{viewers} live")
    count = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()"
    with Viewers(operator, viewers) as looking, psycopg.connect(url, autocommit=True) as conn:
        looking.wait(1)
        before = conn.execute(count.encode()).fetchall()[0][0]
        own_before, postgres_before = cpu_seconds(operator.process), postgres_cpu_seconds(url)
        looking.wait(FRAMES)
        own_after, postgres_after = cpu_seconds(operator.process), postgres_cpu_seconds(url)
        after = conn.execute(count.encode()).fetchall()[0][0]
        looking.require_looking()
    return LiveCost(
        transactions=float(after - before) / FRAMES,
        console_cpu=microseconds(own_before, own_after, FRAMES),
        postgres_cpu=microseconds(postgres_before, postgres_after, FRAMES),
    )


def work_speeds(url: str, key: bytes, requests: int, first: int) -> dict[str, float]:
    """Store and then drain so many events; return both rates."""
    before = rows(url, "SELECT count(*) FROM consumer.outbox")[0][0]
    with running(url, "ours", key) as (port, _):
        stored = uvloop.run(at_full_load(port, signed_requests(requests, first, key), CONNECTIONS))
    after = rows(url, "SELECT count(*) FROM consumer.outbox")[0][0]
    require_stored("ingest", sent=stored.sent, answered=stored.answered, stored=after - before)
    seconds, _ = timed(url, Measure("one worker"), requests)
    return {"ingest": requests / stored.seconds, "drain": requests / seconds}


def beside_viewers(url: str, operator: Operator, key: bytes, requests: int, rounds: int) -> dict[str, object]:
    """Return by how much work is slower while VIEWERS look."""
    ratios: dict[str, list[float]] = {"ingest": [], "drain": []}
    # Always newer events: older ones would be stale, and drained faster.
    first = itertools.count(10_000_000, requests)
    for number in range(rounds):
        speeds = {}
        for is_watched in (False, True) if number % 2 == 0 else (True, False):
            progress(f"work {'beside viewers' if is_watched else 'alone'}, pair {number + 1} of {rounds}")
            with Viewers(operator, VIEWERS) if is_watched else nullcontext() as looking:
                speeds[is_watched] = work_speeds(url, key, requests, next(first))
                if looking:
                    looking.require_looking()
        for name, found in ratios.items():
            found.append(speeds[True][name] / speeds[False][name])
    return {f"{name}, {VIEWERS} viewers / none": statistics.median(found) for name, found in ratios.items()} | {
        f"{name}, each pair": " ".join(f"{ratio:.2f}" for ratio in found) for name, found in ratios.items()
    }


def retry_all(url: str, operator: Operator, key: bytes) -> Mapping[str, object]:
    """Retry all dead beside live deliveries."""
    progress("a retry of all dead")
    dead = rows(url, "SELECT count(*) FROM consumer.failures WHERE state = 'dead'")[0][0]
    port = free_port(commands.HOST)
    with commands.running("serve", url, key, port=port), commands.running("work", url, key):
        before = _live_p99(url, port, key, 20_000_000)
        seconds, action_id = order(operator, "/dead/retry")
        meanwhile = _live_p99(url, port, key, 30_000_000)
        is_over = partial(rows, url, OVER.format(action_id))
        was_over = bool(is_over())
        require_soon("the retry over", is_over, RETRY_SECONDS_MAX, poll=0.2)
        [(affected,)] = is_over()
        if affected != dead:
            raise FalseFigure(f"No figure: of {dead:,} dead deliveries {affected:,} were put back.")
        require_soon("everything applied", partial(rows, url, APPLIED), RETRY_SECONDS_MAX, poll=0.2)
    return {
        "dead": dead,
        "the click on Retry answered in ms": 1000 * seconds,
        "live p99 ms, before": before,
        "live p99 ms, meanwhile": meanwhile,
        "live p99, meanwhile / before": meanwhile / before,
        "the retry outlasted the live deliveries": not was_over,
    }


def _live_p99(url: str, port: int, key: bytes, first: int) -> float:
    count = LIVE_PER_SECOND * LIVE_SECONDS
    sent = uvloop.run(at_rate(port, signed_requests(count, first, key), CONNECTIONS, LIVE_PER_SECOND))
    require_stored("live deliveries", sent=sent.sent, answered=sent.answered, stored=None)
    ends = [f"msg_{number:027}" for number in (first, first + count - 1)]

    def applied() -> list[tuple[int, float]]:
        with psycopg.connect(url) as conn:
            return [(n, p99) for n, p99 in conn.execute(P99.encode(), ends).fetchall() if n == count]

    require_soon("every live delivery applied", applied, 60, poll=0.1)
    return float(applied()[0][1])


async def _fill(url: str, events: int) -> None:
    access = operator_access("consumer")
    async with await connect(url, access) as conn:
        await recorded_settings.record(conn, access, ShapingSettings(), worker_role="consumer_worker", is_forced=False)
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(lookups.FILL, {"events": events, "body": user_event(lookups.USER, 1)})
        admin.execute(lookups.BESIDE)
        admin.execute(USABLE.encode(), [str(lookups.USER)])
        admin.execute("VACUUM ANALYZE")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--requests", type=int, default=REQUESTS)
    parser.add_argument("--work", type=int, default=20_000, help="events that are stored and drained beside viewers")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="pairs of work beside viewers and alone")
    parser.add_argument("--database-url", help="a server to use instead of an embedded one")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    key = secrets.token_bytes(24)
    with server(options.database_url) as server_url, database(server_url, "console") as url:
        migrations.apply(url, "consumer")
        progress(f"storing {options.events:,}")
        uvloop.run(_fill(url, options.events))
        with console(url) as operator:
            listed = [address for page in addresses(url).values() for address in page]
            pages = [page_row(url, operator, address, options.requests) for address in listed]
            facts: dict[str, object] = {"stored": options.events, "event bytes": EVENT_BYTES}
            facts["first visit, bytes"] = first_visit(operator)
            one, many = (live_cost(url, operator, count) for count in (1, VIEWERS))
            facts |= {
                "transactions a frame": one.transactions,
                f"transactions a frame, {VIEWERS} viewers / one": many.transactions / one.transactions,
                f"console CPU us a frame, {VIEWERS} viewers": many.console_cpu,
                f"PostgreSQL CPU us a frame, {VIEWERS} viewers": many.postgres_cpu,
            }
            facts |= beside_viewers(url, operator, key, options.work, options.rounds)
            facts |= retry_all(url, operator, key)
    show("The console", pages, facts, as_json=options.json)


if __name__ == "__main__":
    main()
