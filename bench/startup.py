"""Start-up: `python -m bench.startup` starts receiver and worker five times each: seconds to ready, and memory."""

import argparse
import asyncio
import secrets
import statistics
import time

from bench.commands import running
from bench.cpu import cpu_seconds
from bench.events import fill
from bench.support import database, progress, server, show
from consumer.postgres import migrations

STARTS = 5


def started(command: str, url: str) -> tuple[float, float, float]:
    """Return the seconds from the start of a process to its readiness, its processor time and its memory in MB then."""
    began = time.perf_counter()
    with running(command, url, secrets.token_bytes(24)) as process:
        return time.perf_counter() - began, cpu_seconds(process), process.memory_info().rss / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database-url", help="a server to use instead of an embedded one")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = []
    with server(options.database_url) as server_url, database(server_url, "startup") as url:
        migrations.apply(url, "consumer")
        asyncio.run(fill(url, [], 0))
        for command in ("serve", "work"):
            progress(command)
            seconds, cpu, megabytes = zip(*(started(command, url) for _ in range(STARTS)), strict=True)
            rows.append(
                {
                    "process": f"consumer {command}",
                    "median s to ready": statistics.median(seconds),
                    "worst s": max(seconds),
                    "median CPU s": statistics.median(cpu),
                    "RSS MB": max(megabytes),
                }
            )
    show("Start-up", rows, {"starts": STARTS}, as_json=options.json)


if __name__ == "__main__":
    main()
