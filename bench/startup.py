"""Start-up: `python -m bench.startup` starts receiver and worker five times each: seconds to ready, and memory."""

import argparse
import asyncio
import os
import secrets
import statistics
import subprocess
import sys
import time
from base64 import b64encode
from http.client import HTTPConnection

import psutil

from bench.events import fill
from bench.support import database, progress, server, show
from consumer.cli.addresses import free_port
from consumer.postgres import migrations

STARTS = 5
HOST = "127.0.0.1"
ASK_SECONDS = 0.005


def started(command: str, url: str) -> tuple[float, float]:
    """Return the seconds from the start of a process to its readiness, and its memory in MB then."""
    port = free_port(HOST)
    settings = {
        "DATABASE_URL": url,
        "STACK_WEBHOOK_SECRETS": f"whsec_{b64encode(secrets.token_bytes(24)).decode()}",
        "PORT": str(free_port(HOST)),
        "OPS_PORT": str(port),
        "LOG_LEVEL": "error",
    }
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "consumer", command], env={**os.environ, **settings})
    try:
        while not is_ready(port):
            time.sleep(ASK_SECONDS)
        return time.perf_counter() - began, psutil.Process(process.pid).memory_info().rss / 2**20
    finally:
        process.terminate()
        process.wait(timeout=15)


def is_ready(port: int) -> bool:
    connection = HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


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
            seconds, megabytes = zip(*(started(command, url) for _ in range(STARTS)), strict=True)
            rows.append(
                {
                    "process": f"consumer {command}",
                    "median s to ready": statistics.median(seconds),
                    "worst s": max(seconds),
                    "RSS MB": max(megabytes),
                }
            )
    show("Start-up", rows, {"starts": STARTS}, as_json=options.json)


if __name__ == "__main__":
    main()
