"""Memory over a million events: `python -m bench.soak` drives one `consumer serve` and one `consumer work`.

Both run as they do in production and share the cores with the client; a slice of events is followed by a look at their
memory. Exits with 1 when either grew between the first tenth, which warms everything up, and the end by more than
GROWTH_MB_MAX. Nothing is printed unless every event was answered 204, stored and applied.
"""

import argparse
import asyncio
import secrets
import sys
import time
from contextlib import ExitStack

import psutil
import psycopg
import uvloop

from bench.checks import require_finished, require_soon, require_stored
from bench.client import at_full_load, signed_requests
from bench.commands import HOST, running
from bench.cpu import cpu_seconds, microseconds, postgres_cpu_seconds
from bench.events import fill
from bench.support import EVENT_BYTES, database, progress, server, show
from consumer.cli.addresses import free_port
from consumer.postgres import migrations

SLICE = 10_000
CONNECTIONS = 64
# How often memory is looked at, whatever the number of events.
LOOKS = 10
# What allocators and caches may still take once all code has run; a leak of 10 bytes an event would take as much.
GROWTH_MB_MAX = 10.0
# The worker keeps up with the receiver: this is for what the last moments left.
BACKLOG_SECONDS_MAX = 600


def soak(url: str, events: int) -> tuple[list[dict[str, object]], dict[str, object]]:
    """Send all events and wait until they are applied; return what was seen on the way, and the processor time."""
    key, port = secrets.token_bytes(24), free_port(HOST)
    looks: list[dict[str, object]] = []
    answered, client_cpu, began = 0, 0.0, time.perf_counter()
    with ExitStack() as last:
        processes = {
            name: last.enter_context(running(command, url, key, port=port))
            for name, command in (("receiver", "serve"), ("worker", "work"))
        }
        before = {name: cpu_seconds(process) for name, process in processes.items()}
        postgres_before = postgres_cpu_seconds(url)
        for first in range(0, events, SLICE):
            sent = min(first + SLICE, events)
            outcome = uvloop.run(at_full_load(port, signed_requests(sent - first, first, key), CONNECTIONS))
            answered, client_cpu = answered + outcome.answered, client_cpu + outcome.cpu_seconds
            if sent * LOOKS // events > first * LOOKS // events:
                progress(f"{sent:,} events")
                looks.append({"events": sent} | _memory(processes, began))
        require_stored("memory", sent=events, answered=answered, stored=None)
        require_soon("an empty queue", lambda: not backlog(url), BACKLOG_SECONDS_MAX, poll=1)
        looks.append({"events": events} | _memory(processes, began))
        cpu: dict[str, object] = {
            f"{name} CPU us/event": microseconds(before[name], cpu_seconds(process), events)
            for name, process in processes.items()
        }
        cpu["PostgreSQL CPU us/event"] = microseconds(postgres_before, postgres_cpu_seconds(url), events)
        return looks, cpu | {"client CPU us/event": 1e6 * client_cpu / events}


def backlog(url: str) -> int:
    with psycopg.connect(url) as conn:
        row = conn.execute("SELECT pending + retrying FROM consumer.queue_stats").fetchone()
    return int(row[0]) if row else 0


def _memory(processes: dict[str, psutil.Process], began: float) -> dict[str, object]:
    memory = {f"{name} MB": process.memory_info().rss / 2**20 for name, process in processes.items()}
    files = {f"{name} files": process.num_fds() for name, process in processes.items()}
    return {"s": time.perf_counter() - began, **memory, **files}


def _growth_mb(looks: list[dict[str, object]], name: str) -> float:
    return float(str(looks[-1][f"{name} MB"])) - float(str(looks[0][f"{name} MB"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--database-url", help="a server to use instead of an embedded one")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with server(options.database_url) as server_url, database(server_url, "soak") as url:
        migrations.apply(url, "consumer")
        asyncio.run(fill(url, [], 0))
        looks, cpu = soak(url, options.events)
        require_finished("memory", url, options.events)
    growth = {f"{name} grew MB": _growth_mb(looks, name) for name in ("receiver", "worker")}
    show("Memory", looks, {"event bytes": EVENT_BYTES, **growth, **cpu}, as_json=options.json)
    if max(growth.values()) > GROWTH_MB_MAX:
        sys.exit(1)


if __name__ == "__main__":
    main()
