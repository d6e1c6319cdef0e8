"""Faults of processes: ours and PostgreSQL's own die, stand still or are told to go. Each tells how often it struck."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from tests.faults.contention import locked
from tests.faults.storm import NO_ANSWER
from tests.faults.world import WORKERS, World
from tests.support.databases import rows
from tests.support.processes import EXIT_SECONDS, HOST

BACKENDS = (
    "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'consumer%' AND backend_type = 'client backend'"
)
TERMINATE = BACKENDS.replace("SELECT pid", "SELECT pg_terminate_backend(pid)")
# In the processes that it is attached to, the first fdatasync fails, and is not done.
STRACE = shutil.which("strace")
FAILING = ("--quiet=all", "--trace=fdatasync", "--inject=fdatasync:error=EIO:when=1", "--output=/dev/null")
# Less than the second in which PostgreSQL's own writer would have flushed what nobody waited for.
UNFLUSHED_SECONDS = 0.7
SLOW_HEAD = b"POST /webhooks/stack HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nslow"
TOO_SLOW = b"HTTP/1.1 408"
PAUSED_SECONDS = 1.5
# Longer than a worker's idle_in_transaction_session_timeout: the server has ended its transaction.
FORGOTTEN_SECONDS = 11.0


def receiver_killed(world: World) -> int:
    """F01: SIGKILL with requests in flight."""
    member = world.chance.choice(world.receivers)
    began = time.monotonic()
    with locked(world, "consumer.outbox"):
        struck = world.sees(lambda: world.waiting("receiver"))
        member.kill()
    world.sees(lambda: world.weather.since(began, NO_ANSWER))
    member.start()
    return int(struck and bool(world.weather.since(began, NO_ANSWER)))


def receiver_told_to_go(world: World) -> int:
    """F05: SIGTERM with requests in flight; they are still answered, and the process ends well."""
    member = world.chance.choice(world.receivers)
    with locked(world, "consumer.outbox"):
        struck = world.sees(lambda: world.waiting("receiver"))
        member.signal(signal.SIGTERM)
    member.stop()
    member.start()
    return int(struck)


def receiver_told_to_go_beside_a_slow_sender(world: World) -> int:
    """F05: SIGTERM while somebody's body does not come; he is cut off, and the process ends well."""
    member = world.chance.choice(world.receivers)
    assert member.port is not None
    with socket.create_connection((HOST, member.port), timeout=EXIT_SECONDS) as slow:
        slow.sendall(SLOW_HEAD)
        member.signal(signal.SIGTERM)
        answer = slow.recv(len(TOO_SLOW))
    member.stop()
    member.start()
    return int(answer == TOO_SLOW)


def worker_killed(world: World) -> int:
    """F02: SIGKILL in the middle of a batch."""
    with _mid_batch(world) as struck:
        member = world.chance.choice(world.workers)
        member.kill()
    member.start()
    return struck


def worker_told_to_go(world: World) -> int:
    """F03: SIGTERM in the middle of a batch, which is finished or rolled back."""
    with _mid_batch(world) as struck:
        member = world.chance.choice(world.workers)
        member.signal(signal.SIGTERM)
    member.stop()
    member.start()
    return struck


def worker_paused(world: World) -> int:
    """F04: SIGSTOP in the middle of a batch, for a moment."""
    return _paused(world, PAUSED_SECONDS)


def worker_forgotten(world: World) -> int:
    """F04: SIGSTOP in the middle of a batch, until the server has given it up; the other worker goes on."""
    before = world.outcomes()
    struck = _paused(world, FORGOTTEN_SECONDS)
    assert world.outcomes() > before, "the other worker did not go on"
    return struck


def backend_killed(world: World) -> int:
    """F06: SIGKILL of one backend, upon which PostgreSQL ends all of them and recovers."""
    with psycopg.connect(world.url) as witness:
        pid = world.chance.choice(rows(world.url, BACKENDS))["pid"]
        os.kill(pid, signal.SIGKILL)
        struck = world.sees(lambda: _is_lost(witness))
    world.is_back()
    return int(struck)


def sync_failed(world: World) -> int:
    """F42: one fdatasync of the log fails, upon which PostgreSQL panics and recovers from what is on the disk."""
    before = _panics(world)
    processes = [f"--attach={row['pid']}" for row in rows(world.url, BACKENDS)]
    with subprocess.Popen([STRACE or "strace", *FAILING, *processes], stderr=subprocess.DEVNULL) as tracer:
        struck = world.sees(lambda: _panics(world) > before)
        tracer.terminate()
    world.is_back()
    return int(struck)


def can_trace() -> bool:
    """Tell whether a failing system call can be put into a process that runs already."""
    return STRACE is not None and os.geteuid() == 0


def backends_terminated(world: World) -> int:
    """F07: five times all backends of ours are terminated."""
    struck = 0
    for _ in range(5):
        struck += len(rows(world.url, TERMINATE))
        world.weather.more(5)
    return struck


def server_stopped(world: World) -> int:
    """F08: an immediate stop; the keeper starts the server again."""
    return int(world.crash(signal.SIGQUIT) > 0)


def postmaster_killed(world: World) -> int:
    """F09: SIGKILL of the postmaster."""
    return int(world.crash(signal.SIGKILL) > 0)


def server_restarted(world: World) -> int:
    """F12: a fast shutdown, which ends all sessions first."""
    return int(world.crash(signal.SIGINT) > 0)


def server_stopped_without_workers(world: World) -> int:
    """F10: an immediate stop while no commit of a worker flushes what the receivers committed."""
    for member in world.workers:
        member.signal(signal.SIGSTOP)
    before = world.weather.count
    time.sleep(UNFLUSHED_SECONDS)
    struck = world.weather.count > before
    world.crash(signal.SIGQUIT)
    for member in world.workers:
        member.signal(signal.SIGCONT)
    return int(struck)


def _paused(world: World, seconds: float) -> int:
    member = world.chance.choice(world.workers)
    with _mid_batch(world) as struck:
        member.signal(signal.SIGSTOP)
    time.sleep(seconds)
    member.signal(signal.SIGCONT)
    return struck


@contextmanager
def _mid_batch(world: World) -> Iterator[int]:
    """Hold every worker in a batch, with the mirror rows of its users locked and its profiles not yet written."""
    with locked(world, "identity.profiles"):
        yield int(world.sees(lambda: world.waiting("worker") >= WORKERS))


def _panics(world: World) -> int:
    """Count the log's failures that PostgreSQL would not go on after."""
    return (world.data_dir / "postgres.log").read_text(errors="replace").count("PANIC:  could not fdatasync")


def _is_lost(witness: psycopg.Connection) -> bool:
    try:
        witness.execute("SELECT 1")
    except psycopg.OperationalError:
        return True
    return False
