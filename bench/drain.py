"""Drain speed: events a second of one and two workers against the same projection without a queue.

`python -m bench.drain` prints one table; `--json` one document. Every measure starts from an empty database with the
same events: each user is created and then updated, 1.3 kB an event. `ceiling` is our own projection (the mirror and the
profile statement, audit included) over slices of the same size, one transaction each: no claim, no outcomes, no
savepoint, no limits, no log. `everything` is the mix of bench/events.py, which has all effects; its ceiling is these
effects over slices, with as little around them.
"""

import argparse
import asyncio
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from unittest.mock import patch

import psutil
import psycopg

from bench.events import everything, fill, updates
from bench.support import EVENT_BYTES, database, progress, server, show
from consumer import logs
from consumer.effects import users
from consumer.effects.apply import apply
from consumer.events.registry import EVENT_TYPES
from consumer.metrics import Metrics
from consumer.outbox import queue as outbox_queue
from consumer.outbox.queue import Claimed
from consumer.postgres import migrations
from consumer.postgres.connections import Connection, connect, enter, worker_access
from consumer.worker import rehome
from consumer.worker.batch import BATCH_SIZE, BatchRunner, drain, retry_delay

ACCESS = worker_access("consumer")


@dataclass(frozen=True, slots=True)
class Measure:
    """One way to drain the same events."""

    name: str
    is_ceiling: bool = False
    workers: int = 1
    batch_size: int = BATCH_SIZE
    history: int = 0
    is_xmin_held: bool = False
    is_mix: bool = False


def measures(batch_sizes: list[int], history: int) -> list[Measure]:
    by_size = [
        measure
        for size in batch_sizes
        for measure in (
            Measure(f"ceiling, batch {size}", is_ceiling=True, batch_size=size),
            Measure(f"one worker, batch {size}", batch_size=size),
        )
    ]
    return [
        *by_size,
        Measure("ceiling", is_ceiling=True),
        Measure("one worker"),
        Measure("two workers", workers=2),
        Measure("one worker, 10k behind", history=10_000),
        Measure(f"one worker, {history // 1000}k behind", history=history),
        Measure("one worker, xmin held", is_xmin_held=True),
        Measure("everything: ceiling", is_ceiling=True, is_mix=True),
        Measure("everything: one worker", is_mix=True),
    ]


def run(server_url: str, measure: Measure, events: int) -> dict[str, object]:
    progress(measure.name)
    with database(server_url, "drain") as url, ExitStack() as held:
        migrations.apply(url, "consumer")
        asyncio.run(fill(url, everything(events) if measure.is_mix else updates(events), measure.history))
        if measure.is_xmin_held:
            foreign = held.enter_context(psycopg.connect(url))
            foreign.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            foreign.execute("SELECT count(*) FROM consumer.pending")
        before = _counters(url)
        seconds, growth = _timed(url, measure, events)
        after = _counters(url)
    return {
        "measure": measure.name,
        "events/s": events / seconds,
        "WAL bytes/event": (after[0] - before[0]) / events,
        "dead rows/event": (after[1] - before[1]) / events,
        "worker RSS growth MB": growth / 2**20,
    }


def _timed(url: str, measure: Measure, events: int) -> tuple[float, int]:
    """Drain in processes of their own, all from one starting shot; return seconds and the largest growth of one."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(measure.workers + 1)
    results = context.SimpleQueue()
    target: Callable[..., None] = _work
    if measure.is_ceiling:
        target = _project_mix if measure.is_mix else _project
    arguments = (url, measure.batch_size, events, barrier, results)
    processes = [context.Process(target=target, args=arguments) for _ in range(measure.workers)]
    for process in processes:
        process.start()
    barrier.wait(timeout=60)
    started = time.perf_counter()
    growths = [results.get() for _ in processes]
    seconds = time.perf_counter() - started
    for process in processes:
        process.join()
    return seconds, max(growths)


def _work(
    url: str, batch_size: int, _events: int, barrier: Barrier, results: "multiprocessing.SimpleQueue[int]"
) -> None:
    """Be a worker with its usual log, written to a file that nobody reads."""
    sys.stderr = open(os.devnull, "w")  # noqa: PTH123, SIM115
    logs.configure("json", "info")

    async def work() -> int:
        worker = BatchRunner(ACCESS, Metrics(EVENT_TYPES), attempts_max=12, batch_size=batch_size)
        async with await connect(url, ACCESS) as conn:
            await enter(conn, ACCESS)
            barrier.wait(timeout=60)
            before = int(psutil.Process().memory_info().rss)
            await drain(conn, worker)
            return int(psutil.Process().memory_info().rss) - before

    results.put(asyncio.run(work()))


def _project(
    url: str, batch_size: int, events: int, barrier: Barrier, results: "multiprocessing.SimpleQueue[int]"
) -> None:
    """Be the ceiling: the projection over slices of the outbox."""

    async def project() -> None:
        async with await connect(url, ACCESS) as conn:
            [(first,)] = await (await conn.execute("SELECT min(seq) FROM consumer.pending")).fetchall()
            barrier.wait(timeout=60)
            for seq in range(first, first + events, batch_size):
                seqs = list(range(seq, min(seq + batch_size, first + events)))
                async with conn.transaction():
                    mirrored = await users.mirror(conn, seqs)
                    await users.put(conn, seqs, mirrored.written, changed=mirrored.changed, applied=())

    asyncio.run(project())
    results.put(0)


def _project_mix(
    url: str, batch_size: int, _events: int, barrier: Barrier, results: "multiprocessing.SimpleQueue[int]"
) -> None:
    """Be the ceiling of everything: all effects over slices of the outbox, their outcomes thrown away."""

    async def finish(_: Connection, outcomes: Mapping[int, str]) -> None:
        pass

    async def finish_users(_: Connection, seqs: Sequence[int], **__: object) -> dict[int, str]:
        return dict.fromkeys(seqs, "applied")

    async def project() -> None:
        async with await connect(url, ACCESS) as conn:
            columns = "seq, source, message_id, event_type, user_id"
            stored = await (await conn.execute(f"SELECT {columns} FROM consumer.outbox ORDER BY seq")).fetchall()
            claimed = [Claimed(*row) for row in stored]
            barrier.wait(timeout=60)
            for first in range(0, len(claimed), batch_size):
                async with conn.transaction():
                    await apply(conn, claimed[first : first + batch_size])
            is_rehoming = True
            while is_rehoming:
                async with conn.transaction():
                    is_rehoming = await rehome.run_page(conn, retry_delay) is not None

    with patch.multiple(outbox_queue, finish=finish, finish_users=finish_users):
        asyncio.run(project())
    results.put(0)


def _counters(url: str) -> tuple[int, int]:
    """Return the WAL written and the row versions killed so far."""
    with psycopg.connect(url) as conn:
        conn.execute("SELECT pg_stat_force_next_flush()")
        [row] = conn.execute(
            "SELECT (pg_current_wal_lsn() - '0/0')::bigint, sum(n_tup_upd + n_tup_del)::bigint FROM pg_stat_user_tables"
        ).fetchall()
    return int(row[0]), int(row[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=40_000)
    parser.add_argument(
        "--batch-sizes", type=lambda text: [int(n) for n in text.split(",") if n], default=[250, 500, 2000, 4000]
    )
    parser.add_argument("--history", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=1, help="the best of so many runs of each measure")
    parser.add_argument("--only", type=lambda text: text.split(","), help="the measures of these names only")
    parser.add_argument("--database-url", help="a server to use instead of an embedded one")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with server(options.database_url) as url:
        rows = [
            max(
                (run(url, measure, options.events) for _ in range(options.repeats)),
                key=lambda row: float(str(row["events/s"])),
            )
            for measure in measures(options.batch_sizes, options.history)
            if not options.only or measure.name in options.only
        ]
    speeds = {str(row["measure"]): float(str(row["events/s"])) for row in rows}
    compared = {
        "one worker / ceiling": ("one worker", "ceiling"),
        "two workers / one": ("two workers", "one worker"),
        "long history / short": (f"one worker, {options.history // 1000}k behind", "one worker, 10k behind"),
        "everything: one worker / ceiling": ("everything: one worker", "everything: ceiling"),
        "xmin held / free": ("one worker, xmin held", "one worker"),
    }
    ratios = {name: speeds[a] / speeds[b] for name, (a, b) in compared.items() if {a, b} <= speeds.keys()}
    facts: dict[str, object] = {"event bytes": EVENT_BYTES, **ratios}
    show("Drain", rows, facts, as_json=options.json)


if __name__ == "__main__":
    main()
