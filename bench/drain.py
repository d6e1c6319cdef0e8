"""Drain speed: events a second of one and two workers against the same projection without a queue.

`python -m bench.drain` prints one table; `--json` one document. Every measure starts from an empty database with the
same events of 1.3 kB: each user is created, then each is updated, in an order shuffled with a fixed seed
(bench/events.py). `ceiling` is our own projection (the mirror and the profile statement, audit included) over slices of
the same size, one transaction each: no claim, no outcomes, no savepoint, no limits, no log. `everything` is the mix of
bench/events.py, which has all effects; its ceiling is these effects over slices, with as little around them. Processor
time is that of the workers' processes and that of all PostgreSQL's processes. Nothing is printed unless each event was
finished and the profiles are what the events say.
"""

import argparse
import asyncio
import multiprocessing
import time
from contextlib import ExitStack
from dataclasses import dataclass
from queue import Empty

import psycopg

from bench.checks import FalseFigure, require_finished, require_shown
from bench.cpu import microseconds, postgres_cpu_seconds
from bench.drainers import Done, project, project_mix, work
from bench.events import everything, fill, updates
from bench.support import EVENT_BYTES, database, progress, server, show
from consumer.postgres import migrations
from consumer.worker.batch import BATCH_SIZE

# The slowest measure takes a tenth.
DRAIN_SECONDS_MAX = 600


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
    deliveries = everything(events) if measure.is_mix else updates(events)
    with database(server_url, "drain") as url, ExitStack() as held:
        migrations.apply(url, "consumer")
        asyncio.run(fill(url, deliveries, measure.history))
        if measure.is_xmin_held:
            foreign = held.enter_context(psycopg.connect(url))
            foreign.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            foreign.execute("SELECT count(*) FROM consumer.pending")
        before, postgres_before = _counters(url), postgres_cpu_seconds(url)
        seconds, done = timed(url, measure, len(deliveries))
        after, postgres_after = _counters(url), postgres_cpu_seconds(url)
        if not measure.is_ceiling:
            require_finished(measure.name, url, len(deliveries), history=measure.history)
        require_shown(measure.name, url, deliveries)
    wal_bytes, dead_rows, updated, hot = (after[n] - before[n] for n in range(len(before)))
    return {
        "measure": measure.name,
        "events/s": len(deliveries) / seconds,
        "worker CPU us/event": 1e6 * sum(each.cpu_seconds for each in done) / len(deliveries),
        "PostgreSQL CPU us/event": microseconds(postgres_before, postgres_after, len(deliveries)),
        "WAL bytes/event": wal_bytes / len(deliveries),
        "dead rows/event": dead_rows / len(deliveries),
        "HOT % of updates": 100 * hot / max(1, updated),
        "worker RSS growth MB": max(each.growth_bytes for each in done) / 2**20,
    }


def timed(url: str, measure: Measure, events: int) -> tuple[float, list[Done]]:
    """Drain in processes of their own, all from one starting shot; return seconds and what each did."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(measure.workers + 1)
    results = context.Queue()
    target = work
    if measure.is_ceiling:
        target = project_mix if measure.is_mix else project
    arguments = (url, measure.batch_size, barrier, results)
    processes = [context.Process(target=target, args=arguments, daemon=True) for _ in range(measure.workers)]
    for process in processes:
        process.start()
    barrier.wait(timeout=60)
    started = time.perf_counter()
    try:
        done: list[Done] = [results.get(timeout=DRAIN_SECONDS_MAX) for _ in processes]
    except Empty as error:
        raise FalseFigure(f"No figure for {measure.name}: no end after {DRAIN_SECONDS_MAX} s.") from error
    seconds = time.perf_counter() - started
    for process in processes:
        process.join(timeout=15)
    if (told := sum(each.events for each in done)) != events:
        raise FalseFigure(f"No figure for {measure.name}: {events:,} events were put and {told:,} were drained.")
    return seconds, done


def _counters(url: str) -> tuple[int, ...]:
    """Return the bytes of WAL written, and the row versions killed, updated and updated in place (HOT) so far."""
    with psycopg.connect(url) as conn:
        conn.execute("SELECT pg_stat_force_next_flush()")
        [row] = conn.execute(
            "SELECT (pg_current_wal_lsn() - '0/0')::bigint, sum(n_tup_upd + n_tup_del)::bigint,"
            " sum(n_tup_upd)::bigint, sum(n_tup_hot_upd)::bigint FROM pg_stat_user_tables"
        ).fetchall()
    return tuple(map(int, row))


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
