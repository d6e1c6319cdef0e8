"""Processor time: of one process, and of a whole PostgreSQL server. It hardly depends on who else uses the machine."""

from typing import Any

import psutil
import psycopg

# The server's processes come and go with the connections, but not a thousand times on end.
READINGS_MAX = 1000


def cpu_seconds(process: psutil.Process) -> float:
    """Return the processor time that a process has used."""
    times = process.cpu_times()
    return float(times.user + times.system)


def postgres_cpu_seconds(url: str) -> float | None:
    """Return what the server's processes have used, ended ones too; None when the server runs on another machine."""
    with psycopg.connect(url) as conn:
        process = backend(conn)
        postmaster = process and process.parent()
    return _family_seconds(postmaster) if postmaster else None


def backend(conn: psycopg.Connection[Any]) -> psutil.Process | None:
    """Return the server's process behind a connection; None when it runs on another machine."""
    if not conn.info.host.startswith("/") and conn.info.hostaddr not in {"127.0.0.1", "::1"}:
        return None
    try:
        process = psutil.Process(conn.info.backend_pid)
        # In a container the server has another process id than here: then the process of that id is another, too.
        return process if process.name() == "postgres" else None
    except psutil.Error:
        return None


def _family_seconds(postmaster: psutil.Process) -> float | None:
    """Add up the postmaster, its children, and the children that it has reaped; None when they never keep still."""
    for _ in range(READINGS_MAX):
        children = postmaster.children()
        try:
            living = sum(map(cpu_seconds, children))
        except psutil.NoSuchProcess:
            continue
        times = postmaster.cpu_times()
        # A child that ended in between would count twice or not at all.
        if postmaster.children() == children:
            return living + float(times.user + times.system + times.children_user + times.children_system)
    return None


def microseconds(before: float | None, after: float | None, count: int) -> float | None:
    """Return the microseconds that each of *count* took; None when a reading is missing."""
    return None if before is None or after is None else 1e6 * (after - before) / count
