"""Full load from the cheapest client there is: wrk where it is installed, else the client in Python."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO

import psutil
import uvloop

from bench.checks import FalseFigure
from bench.client import PERCENTILES, Outcome, at_full_load
from bench.cpu import cpu_seconds

CLIENTS = ("wrk", "python")
SCRIPT = Path(__file__).parent / "wrk.lua"
# A million requests take two minutes; after this long wrk gives up by itself.
SECONDS_MAX = 600
# An answer that takes longer counts as none.
ANSWER_SECONDS_MAX = 10


def cheapest_client() -> str:
    """Return "wrk" where it is installed (Debian's package wrk), else "python"."""
    return "wrk" if shutil.which("wrk") else "python"


def full_load(port: int, requests: Iterable[bytes], connections: int, client: str) -> Outcome:
    """Send each request once, as fast as the answers come; the requests are made before the first is sent."""
    if client == "python":
        return uvloop.run(at_full_load(port, list(requests), connections))
    with NamedTemporaryFile() as file:
        count, size = _write(file, requests)
        return _wrk(port, file.name, count, size, connections)


def _write(file: IO[bytes], requests: Iterable[bytes]) -> tuple[int, int]:
    """Write the requests one after the other; return their number and the length that they share."""
    sizes = [file.write(request) for request in requests]
    file.flush()
    assert len(set(sizes)) == 1, "wrk.lua reads the same number of bytes for each"
    return len(sizes), sizes[0]


def _wrk(port: int, path: str, count: int, size: int, connections: int) -> Outcome:
    variables = {"BENCH_REQUESTS": path, "BENCH_REQUEST_BYTES": str(size), "BENCH_CONNECTIONS": str(connections)}
    options = {
        "--threads": "1",
        "--connections": str(connections),
        "--duration": f"{SECONDS_MAX}s",
        "--timeout": f"{ANSWER_SECONDS_MAX}s",
        "--script": str(SCRIPT),
    }
    called = ["wrk", *(part for option in options.items() for part in option), f"http://127.0.0.1:{port}"]
    started = cpu_before = seconds = cpu = 0.0
    report: dict[str, int] = {}
    with subprocess.Popen(called, env={**os.environ, **variables}, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout, "it is a pipe"
        for line in process.stdout:
            if line == "started\n":
                started, cpu_before = time.perf_counter(), cpu_seconds(psutil.Process(process.pid))
            elif line == "answered\n":
                seconds = time.perf_counter() - started
                cpu = cpu_seconds(psutil.Process(process.pid)) - cpu_before
                # wrk sleeps for the whole duration unless it is interrupted; then it calls wrk.lua's done().
                process.send_signal(signal.SIGINT)
            elif line.startswith("{"):
                report = json.loads(line)
    if not seconds or not report:
        raise FalseFigure(f"No figure: wrk ended before every one of {count:,} requests was answered.")
    return Outcome(
        sent=count,
        answered=report["answers"] - report["refused"],
        seconds=seconds,
        cpu_seconds=cpu,
        percentiles_ms={share: report[f"p{share:g}"] / 1000 for share in PERCENTILES},
    )
