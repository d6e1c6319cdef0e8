"""What the console costs: `python -m bench.console` with --events stored deliveries of 1.3 kB, every tenth dead.

Each page with several filters: p95 of --requests at the server, rows read from tables and indexes a page, bytes on the
wire. What the first visit loads. Transactions at the database for each frame, of one live viewer and of VIEWERS. Ingest
and drain beside VIEWERS against none, in turns, the best of ROUNDS. How long the click takes that retries all dead, and
the p99 of live deliveries from receipt to profile meanwhile against before. No figure is printed unless every page was
a page, each event was stored and applied, all viewers still looked, and the retry ended with all dead put back.
"""

import argparse
import secrets
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

import psycopg
import uvloop

from bench import commands, lookups
from bench.checks import FalseFigure, require_soon, require_stored
from bench.client import at_full_load, at_rate, signed_requests
from bench.console_people import Operator, Viewers, console, order
from bench.drain import Measure, timed
from bench.servers import running
from bench.support import EVENT_BYTES, database, progress, server, show, user_event
from consumer.cli.addresses import free_port
from consumer.console import static
from consumer.effects import recorded_settings
from consumer.postgres import migrations
from consumer.postgres.connections import connect, operator_access
from consumer.settings.settings import ShapingSettings

EVENTS, REQUESTS, VIEWERS, FRAMES, ROUNDS = 20_000, 50, 50, 10, 2
LIVE_PER_SECOND, LIVE_SECONDS = 50, 10
CONNECTIONS = 16
RETRY_SECONDS_MAX = 1_200
# A server's process tells its statistics at a transaction's end, at most once in this time; the console has fewer
# connections than the requests that follow.
STATISTICS_SECONDS, STATISTICS_REQUESTS = 1.1, 8
# The dead are of Stack, and their bodies about their own users: a retry applies them.
USABLE = """
WITH dead AS (UPDATE consumer.failures SET source = 'stack' RETURNING seq)
UPDATE consumer.outbox AS o
SET source = 'stack', team_id = NULL,
    body = convert_to(replace(convert_from(o.body, 'UTF8'), %s, o.user_id::text), 'UTF8')
FROM dead WHERE dead.seq = o.seq
"""
READ = """
SELECT (SELECT sum(seq_tup_read) FROM pg_stat_all_tables) + (SELECT sum(idx_tup_read) FROM pg_stat_all_indexes)
"""
OVER = (
    "SELECT affected FROM consumer.actions JOIN consumer.background USING (id) WHERE id = '{}' AND finished_at <= now()"
)
APPLIED = "SELECT WHERE NOT EXISTS (SELECT FROM consumer.pending) AND NOT EXISTS (SELECT FROM consumer.failures)"
P99 = """
SELECT count(*), 1000 * percentile_cont(0.99) WITHIN GROUP (ORDER BY extract(EPOCH FROM d.at - o.received_at))
FROM consumer.outbox AS o JOIN consumer.outcomes AS d USING (seq) WHERE o.message_id BETWEEN %s AND %s
"""


def addresses(url: str) -> dict[str, list[str]]:
    """Return the addresses of each page, with several filters where it takes any."""
    [(dead, user_id)] = _rows(url, "SELECT seq, user_id FROM consumer.outbox WHERE seq % 10 = 0 ORDER BY seq LIMIT 1")
    [(done,)] = _rows(url, "SELECT max(seq) FROM consumer.outcomes")
    filters = (
        *("", "?state=dead", "?state=pending", "?type=user.*", "?type=team.*", "?outcome=stale", "?source=operator"),
        *("?since=15m", "?error=231", f"?user={user_id}", "?outcome=applied&source=app&since=7d"),
    )
    return {
        "/": ["/", "/?range=3h"],
        "/deliveries": [f"/deliveries{each}" for each in filters],
        "/deliveries/SEQ": [f"/deliveries/{dead}", f"/deliveries/{done}"],
        "/users": ["/users"],
        "/users/ID": [f"/users/{user_id}"],
        "/companies": ["/companies"],
        "/dead": ["/dead", "/dead?by=event", "/dead?by=each", "/dead?error=231"],
        "/dead/retry": ["/dead/retry", "/dead/retry?error=231"],
        "/recovery": ["/recovery"],
        "/actions": ["/actions"],
        "/system": ["/system"],
    }


def page_row(url: str, operator: Operator, address: str, requests: int) -> dict[str, object]:
    """Ask for a page again and again."""
    progress(address)
    size, before, took = len(operator.page(address)), _read(url, operator, address), []
    for _ in range(requests):
        began = time.perf_counter()
        operator.page(address)
        took.append(1000 * (time.perf_counter() - began))
    read = _read(url, operator, address) - before
    return {
        "page": address,
        "p95 ms": sorted(took)[int(0.95 * (len(took) - 1))],
        "rows read": round(read / (requests + STATISTICS_REQUESTS)),
        "bytes on the wire": size,
    }


def _read(url: str, operator: Operator, address: str) -> int:
    time.sleep(STATISTICS_SECONDS)
    for _ in range(STATISTICS_REQUESTS):
        operator.page(address)
    return int(_rows(url, READ)[0][0])


def first_visit(operator: Operator) -> int:
    """Return the bytes that a browser without a cache loads, as they come."""
    names = [path.name for path in static.FOLDER.iterdir() if path.suffix in static.SERVED]
    return len(operator.page("/")) + sum(len(operator.page(f"/static/{static.VERSION}/{name}")) for name in names)


def transactions_a_frame(url: str, operator: Operator, viewers: int) -> float:
    """Return how many transactions the database ends for each frame."""
    progress(f"{viewers} live")
    count = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()"
    with Viewers(operator, viewers) as looking, psycopg.connect(url, autocommit=True) as conn:
        looking.wait(1)
        before = conn.execute(count.encode()).fetchall()[0][0]
        looking.wait(FRAMES)
        after = conn.execute(count.encode()).fetchall()[0][0]
        looking.require_looking()
    return float(after - before) / FRAMES


def work_speeds(url: str, key: bytes, requests: int, first: int) -> dict[str, float]:
    """Store and then drain so many events; return both rates."""
    before = _rows(url, "SELECT count(*) FROM consumer.outbox")[0][0]
    with running(url, "ours", key) as (port, _):
        stored = uvloop.run(at_full_load(port, signed_requests(requests, first, key), CONNECTIONS))
    after = _rows(url, "SELECT count(*) FROM consumer.outbox")[0][0]
    require_stored("ingest", sent=stored.sent, answered=stored.answered, stored=after - before)
    seconds, _ = timed(url, Measure("one worker"), requests)
    return {"ingest": requests / stored.seconds, "drain": requests / seconds}


def beside_viewers(url: str, operator: Operator, key: bytes, requests: int) -> dict[str, object]:
    """Return by how much work is slower while VIEWERS look."""
    best: dict[tuple[str, bool], float] = {}
    for number in range(2 * ROUNDS):
        is_watched = bool(number % 2)
        progress(f"work {'beside viewers' if is_watched else 'alone'}")
        act = partial(work_speeds, url, key, requests, 10_000_000 + number * requests)
        if is_watched:
            with Viewers(operator, VIEWERS) as looking:
                speeds = act()
                looking.require_looking()
        else:
            speeds = act()
        best |= {(name, is_watched): max(speed, best.get((name, is_watched), 0)) for name, speed in speeds.items()}
    return {f"{name}, {VIEWERS} viewers / none": best[name, True] / best[name, False] for name in ("ingest", "drain")}


def retry_all(url: str, operator: Operator, key: bytes) -> Mapping[str, object]:
    """Retry all dead beside live deliveries."""
    progress("a retry of all dead")
    dead = _rows(url, "SELECT count(*) FROM consumer.failures WHERE state = 'dead'")[0][0]
    port = free_port(commands.HOST)
    with commands.running("serve", url, key, port=port), commands.running("work", url, key):
        before = _live_p99(url, port, key, 20_000_000)
        seconds, action_id = order(operator, "/dead/retry")
        meanwhile = _live_p99(url, port, key, 30_000_000)
        is_over = partial(_rows, url, OVER.format(action_id))
        was_over = bool(is_over())
        require_soon("the retry over", is_over, RETRY_SECONDS_MAX, poll=0.2)
        [(affected,)] = is_over()
        if affected != dead:
            raise FalseFigure(f"No figure: of {dead:,} dead deliveries {affected:,} were put back.")
        require_soon("everything applied", partial(_rows, url, APPLIED), RETRY_SECONDS_MAX, poll=0.2)
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


def _rows(url: str, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as conn:
        return conn.execute(statement.encode()).fetchall()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--requests", type=int, default=REQUESTS)
    parser.add_argument("--work", type=int, default=20_000, help="events that are stored and drained beside viewers")
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
            rows = [page_row(url, operator, address, options.requests) for address in listed]
            facts: dict[str, object] = {"stored": options.events, "event bytes": EVENT_BYTES}
            facts["first visit, bytes"] = first_visit(operator)
            one, many = (transactions_a_frame(url, operator, count) for count in (1, VIEWERS))
            facts |= {"transactions a frame": one, f"transactions a frame, {VIEWERS} viewers / one": many / one}
            facts |= beside_viewers(url, operator, key, options.work)
            facts |= retry_all(url, operator, key)
    show("The console", rows, facts, as_json=options.json)


if __name__ == "__main__":
    main()
