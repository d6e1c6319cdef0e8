"""Ingest speed: durable requests a second against the same server that answers at once.

`python -m bench.ingest` prints one table; `--json` one document. All kinds run in turn, in one run, on the same server
code, with the same signed requests over 64 keep-alive connections: `bare` is an ASGI function that answers 204 at once;
`ceiling` is a Starlette application that does; `verify` verifies and checks but stores nothing; `one insert` gives each
request an insert and a commit of its own; `ours` is the receiver. PostgreSQL, the server and the client share the
machine. At full load the client is wrk where it is installed (Debian's package wrk), else bench/client.py; half of that
load, at fixed moments, always comes from bench/client.py. Nothing is printed unless each request was answered 204 and,
by the kinds that store, stored once.
"""

import argparse
import asyncio
import secrets
import statistics
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path

import uvloop
from psycopg.conninfo import conninfo_to_dict

from bench.checks import require_stored, stored_rows
from bench.client import Outcome, at_full_load, at_rate, signed_requests
from bench.cpu import cpu_seconds, microseconds, postgres_cpu_seconds
from bench.load import CLIENTS, cheapest_client, full_load
from bench.pooler import PROGRAM, pgbouncer
from bench.servers import KINDS, STORING, forget_attempt, running
from bench.support import EVENT_BYTES, database, progress, server, show
from consumer.effects import recorded_settings
from consumer.events.registry import EVENT_TYPES
from consumer.metrics import Metrics
from consumer.postgres import migrations
from consumer.postgres.connections import Connection, connect, operator_access, worker_access
from consumer.settings.settings import ShapingSettings
from consumer.worker.batch import BatchRunner
from consumer.worker.loop import Worker

CONNECTIONS = 64
WARM_UP = 2_000
WORKER_ACCESS = worker_access("consumer")
LONE_EVENTS = 20
LONE_SECONDS_MAX = 10


def measure(kind: str, key: bytes, requests: int, client: str, url: str) -> dict[str, object]:
    """Measure one kind of server at full load and at half of it."""
    progress(kind)
    count = requests // 3 if kind == "one insert" else requests
    with running(url, kind, key) as (port, process):
        warm_up = uvloop.run(at_full_load(port, signed_requests(WARM_UP, 0, key), CONNECTIONS))
        memory_before = process.memory_info().rss
        cpu_before, postgres_before = cpu_seconds(process), postgres_cpu_seconds(url)
        full = full_load(port, signed_requests(count, WARM_UP, key), CONNECTIONS, client)
        cpu_after, postgres_after = cpu_seconds(process), postgres_cpu_seconds(url)
        half_requests = signed_requests(count // 4, WARM_UP + count, key)
        half = uvloop.run(at_rate(port, half_requests, CONNECTIONS, full.sent / full.seconds / 2))
        memory_after = process.memory_info().rss
    outcomes = (warm_up, full, half)
    require_stored(
        kind,
        sent=sum(outcome.sent for outcome in outcomes),
        answered=sum(outcome.answered for outcome in outcomes),
        stored=stored_rows(url) if kind in STORING else None,
    )
    return {
        "kind": kind,
        "requests/s": full.sent / full.seconds,
        "server CPU us": microseconds(cpu_before, cpu_after, full.sent),
        "PostgreSQL CPU us": microseconds(postgres_before, postgres_after, full.sent),
        "client CPU us": 1e6 * full.cpu_seconds / full.sent,
        **_latencies("full", full),
        **_latencies("half", half),
        "RSS MB before": memory_before / 2**20,
        "RSS MB after": memory_after / 2**20,
    }


def _latencies(load: str, outcome: Outcome) -> dict[str, float]:
    return {f"{load} p{share:g} ms": milliseconds for share, milliseconds in outcome.percentiles_ms.items()}


def lone_event(key: bytes, url: str) -> dict[str, object]:
    """Return the median time from an idle receiver's 204 to the profile, with an idle worker beside it.

    None for a worker behind PgBouncer where it is not installed, or where the server is not an embedded one.
    """
    socket = Path(str(conninfo_to_dict(url).get("host", "")))
    found: dict[str, object] = {"direct": _lone_event(key, url, url), "pooled": None}
    if PROGRAM and (socket.parent / "cluster").exists():
        with pgbouncer(url, socket.parent) as pooled:
            found["pooled"] = _lone_event(key, url, pooled)
    return found


def _lone_event(key: bytes, url: str, worker_url: str) -> float:
    progress("a lone event" if url == worker_url else "a lone event, the worker behind PgBouncer")

    # Each event is of a user of its own.
    first = 50_000_000 + LONE_EVENTS * (url != worker_url)

    async def measured(port: int) -> list[float]:
        worker = BatchRunner(WORKER_ACCESS, Metrics(EVENT_TYPES), attempts_max=12)
        loop = Worker(worker_url, worker, forget_attempt, poll_max=timedelta(seconds=1))
        working = asyncio.create_task(loop.run())
        async with await connect(url, operator_access("consumer")) as conn:
            times = [await _lone(conn, port, request) for request in signed_requests(LONE_EVENTS, first, key)]
        loop.stop()
        await working
        return times

    with running(url, "ours", key) as (port, _):
        return 1000 * statistics.median(uvloop.run(measured(port)))


async def _lone(conn: Connection, port: int, request: bytes) -> float:
    for table in ("profiles", "stack_user_profiles"):
        await conn.execute(f"DELETE FROM identity.{table}")
    # Long enough for the worker to have backed off as far as it ever does, and never in step with its polls.
    await asyncio.sleep(1.5 + secrets.randbelow(1000) / 1000)
    outcome = await at_full_load(port, [request], 1)
    answered = time.perf_counter()
    require_stored("a lone event", sent=1, answered=outcome.answered, stored=None)
    async with asyncio.timeout(LONE_SECONDS_MAX):
        while not await (await conn.execute("SELECT FROM identity.profiles LIMIT 1")).fetchall():  # noqa: ASYNC110
            # Another process makes the row: there is no event to wait for.
            await asyncio.sleep(0.002)
    return time.perf_counter() - answered


async def _prepare(url: str) -> None:
    access = operator_access("consumer")
    async with await connect(url, access) as conn:
        await recorded_settings.record(conn, access, ShapingSettings(), worker_role="consumer_worker", is_forced=False)


def _in_new_database(server_url: str, act: Callable[[str], dict[str, object]]) -> dict[str, object]:
    with database(server_url, "ingest") as url:
        migrations.apply(url, "consumer")
        asyncio.run(_prepare(url))
        return act(url)


def _speed(row: dict[str, object]) -> float:
    return float(str(row["requests/s"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=60_000, help="at full load; a third for `one insert`")
    parser.add_argument(
        "--kinds", type=lambda text: text.split(","), default=list(KINDS), help="some of the kinds only"
    )
    parser.add_argument("--client", choices=CLIENTS, default=cheapest_client(), help="what drives full load")
    parser.add_argument("--rounds", type=int, default=1, help="the best of so many rounds of all kinds")
    parser.add_argument("--database-url", help="a server to use instead of an embedded one")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    key = secrets.token_bytes(24)
    with server(options.database_url) as server_url:
        # Round by round, so that a slow minute of the machine slows all kinds alike.
        rounds = [
            {
                kind: _in_new_database(server_url, partial(measure, kind, key, options.requests, options.client))
                for kind in options.kinds
            }
            for _ in range(options.rounds)
        ]
        lone = _in_new_database(server_url, partial(lone_event, key))
    rows = [max((each[kind] for each in rounds), key=_speed) for kind in options.kinds]
    speeds = {str(row["kind"]): _speed(row) for row in rows}
    facts: dict[str, object] = {
        "event bytes": EVENT_BYTES,
        "connections": CONNECTIONS,
        "client at full load": options.client,
        **{f"ours / {kind}": speeds["ours"] / speeds[kind] for kind in KINDS[:-1] if {kind, "ours"} <= speeds.keys()},
        "a lone event, 204 to profile, median ms": lone["direct"],
        "the same 1.5 to 2.5 s after the one before, worker behind PgBouncer, median ms": lone["pooled"],
    }
    show("Ingest", rows, facts, as_json=options.json)


if __name__ == "__main__":
    main()
