"""Memory over a million events: `python -m bench.soak` drives one `consumer serve` and one `consumer work`.

Both run as they do in production and share the cores with the client; a slice of events is followed by a look at their
memory. Exits with 1 when either grew between the first tenth, which warms everything up, and the end by more than
GROWTH_MB_MAX, or when not every event was answered 204 and applied.
"""

import argparse
import asyncio
import os
import secrets
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psutil
import psycopg
import uvloop

from bench.client import at_full_load, signed_requests
from bench.events import fill
from bench.startup import ASK_SECONDS, HOST, is_ready
from bench.support import EVENT_BYTES, database, progress, server, show
from consumer.cli.addresses import free_port
from consumer.postgres import migrations

SLICE = 10_000
CONNECTIONS = 64
# How often memory is looked at, whatever the number of events.
LOOKS = 10
# What allocators and caches may still take once all code has run; a leak of 10 bytes an event would take as much.
GROWTH_MB_MAX = 10.0


@contextmanager
def running(command: str, url: str, key: bytes, port: int) -> Iterator[psutil.Process]:
    """Run one process of ours until the block ends; what it logs is written, and read by nobody."""
    ops_port = free_port(HOST)
    settings = {
        "DATABASE_URL": url,
        "STACK_WEBHOOK_SECRETS": f"whsec_{b64encode(key).decode()}",
        "PORT": str(port),
        "OPS_PORT": str(ops_port),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "consumer", command], env={**os.environ, **settings}, stderr=subprocess.DEVNULL
    )
    try:
        while not is_ready(ops_port):
            time.sleep(ASK_SECONDS)
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(timeout=15)


def soak(url: str, events: int) -> tuple[list[dict[str, object]], int]:
    """Send all events and wait until they are applied; return what was seen on the way, and how many were refused."""
    key, port = secrets.token_bytes(24), free_port(HOST)
    looks: list[dict[str, object]] = []
    refused, began = 0, time.perf_counter()
    with ExitStack() as last:
        processes = {
            name: last.enter_context(running(command, url, key, port))
            for name, command in (("receiver", "serve"), ("worker", "work"))
        }
        for first in range(0, events, SLICE):
            requests = signed_requests(min(SLICE, events - first), first, key)
            refused += uvloop.run(at_full_load(port, requests, CONNECTIONS)).refused
            sent = first + len(requests)
            if sent * LOOKS // events > first * LOOKS // events:
                progress(f"{sent:,} events")
                looks.append({"events": sent} | _memory(processes, began))
        while backlog(url):
            time.sleep(1)
        looks.append({"events": events} | _memory(processes, began))
    return looks, refused


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
        looks, refused = soak(url, options.events)
        with psycopg.connect(url) as conn:
            [(done,)] = conn.execute("SELECT count(*) FROM consumer.outcomes").fetchall()
    growth = {f"{name} grew MB": _growth_mb(looks, name) for name in ("receiver", "worker")}
    facts = {"event bytes": EVENT_BYTES, "refused": refused, "applied": done, **growth}
    show("Memory", looks, facts, as_json=options.json)
    sys.exit(refused > 0 or done != options.events or max(growth.values()) > GROWTH_MB_MAX)


if __name__ == "__main__":
    main()
