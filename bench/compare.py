"""This tree against another one, in turns: `python -m bench.compare FOLDER drain` or `… ingest`.

FOLDER is another checkout, made for example by `git worktree add FOLDER COMMIT`; it runs under the Python of its .venv
where it has one. Both trees are run by their command lines alone, on one server. To drain: `consumer migrate`, then
`consumer work --drain` over the same stored events; the time of an empty drain, which is the start, is taken off.
To ingest: `consumer migrate`, then `consumer serve` before the same client. The tree that begins changes from pair to
pair. A ratio above 1 says that ours is more: faster by rate, dearer by processor time. Nothing is printed unless all
events of each run were stored, and when drained finished and shown in the profiles.
"""

import argparse
import secrets
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from typing import NamedTuple

import psycopg
import uvloop

from bench.checks import require_finished, require_shown, require_stored, stored_rows
from bench.client import at_full_load, signed_requests
from bench.commands import HOST, TREE, python_of, run, running
from bench.cpu import cpu_seconds, postgres_cpu_seconds
from bench.events import everything, updates
from bench.load import CLIENTS, cheapest_client, full_load
from bench.support import EVENT_BYTES, database, progress, server, show
from consumer.cli.addresses import free_port
from consumer.outbox.storage import Delivery

CONNECTIONS = 64
WARM_UP = 2_000
STARTS = 3
COLUMNS = ("source", "message_id", "event_type", "user_id", "team_id", "occurred_at", "verified_by", "body")


class Cost(NamedTuple):
    """What one run took: wall time, and processor time of the product's process and of PostgreSQL."""

    seconds: float
    own_cpu: float
    postgres_cpu: float | None

    def without(self, other: "Cost") -> "Cost":
        own = Cost(self.seconds - other.seconds, self.own_cpu - other.own_cpu, None)
        if self.postgres_cpu is None or other.postgres_cpu is None:
            return own
        return own._replace(postgres_cpu=self.postgres_cpu - other.postgres_cpu)


Measure = Callable[[str, Path], Cost]


def drained(url: str, tree: Path, deliveries: Sequence[Delivery]) -> Cost:
    """Return what a tree's worker takes for the deliveries."""
    run(url, "migrate", tree=tree)
    # The shortest: the first may write the tree's bytecode, and each may meet another program's work.
    start = min(_drain(url, tree) for _ in range(STARTS))
    _store(url, deliveries)
    cost = _drain(url, tree)
    require_finished(f"drain of {tree}", url, len(deliveries))
    require_shown(f"drain of {tree}", url, deliveries)
    return cost.without(start)


def _drain(url: str, tree: Path) -> Cost:
    before = _children_cost(url)
    run(url, "work", "--drain", tree=tree)
    return _children_cost(url).without(before)


def _children_cost(url: str) -> Cost:
    """Read the clock, what our children that have ended have used, and PostgreSQL's processor time."""
    used, postgres_cpu = getrusage(RUSAGE_CHILDREN), postgres_cpu_seconds(url)
    return Cost(time.perf_counter(), used.ru_utime + used.ru_stime, postgres_cpu)


def _store(url: str, deliveries: Sequence[Delivery]) -> None:
    """Store and queue deliveries by the tables alone, which both trees have."""
    with psycopg.connect(url, autocommit=True) as conn:
        # In one transaction, as a receiver does.
        with conn.transaction():
            with conn.cursor().copy(f"COPY consumer.outbox ({', '.join(COLUMNS)}) FROM STDIN".encode()) as copy:
                for delivery in deliveries:
                    copy.write_row([getattr(delivery, column) for column in COLUMNS])
            conn.execute("INSERT INTO consumer.pending (seq) SELECT seq FROM consumer.outbox ORDER BY seq")
        conn.execute("VACUUM ANALYZE")
        conn.execute("CHECKPOINT")


def ingested(url: str, tree: Path, requests: int, client: str) -> Cost:
    """Return what a tree's receiver takes for the requests, after a warm-up."""
    key, port = secrets.token_bytes(24), free_port(HOST)
    run(url, "migrate", tree=tree)
    with running("serve", url, key, port=port, tree=tree) as process:
        warm_up = uvloop.run(at_full_load(port, signed_requests(WARM_UP, 0, key), CONNECTIONS))
        cpu_before, postgres_before = cpu_seconds(process), postgres_cpu_seconds(url)
        outcome = full_load(port, signed_requests(requests, WARM_UP, key), CONNECTIONS, client)
        after = Cost(outcome.seconds, cpu_seconds(process), postgres_cpu_seconds(url))
    answered = warm_up.answered + outcome.answered
    require_stored(f"ingest of {tree}", sent=warm_up.sent + outcome.sent, answered=answered, stored=stored_rows(url))
    return after.without(Cost(0, cpu_before, postgres_before))


def pairs(server_url: str, base: Path, count: int, measure: Measure) -> list[tuple[Cost, Cost]]:
    """Return what the base and this tree cost, pair by pair; the base begins the first, this tree the second."""
    found = []
    for number in range(count):
        costs = {}
        for tree in (base, TREE) if number % 2 == 0 else (TREE, base):
            progress(f"pair {number + 1} of {count}: {tree}")
            with database(server_url, "compare") as url:
                costs[tree] = measure(url, tree)
        found.append((costs[base], costs[TREE]))
    return found


def row(pair: int | str, base: Cost, ours: Cost, events: int) -> dict[str, object]:
    """Return one pair, an event."""
    shown: dict[str, object] = {"pair": pair}
    readings = {
        "events/s": (events / base.seconds, events / ours.seconds),
        "own CPU us": (1e6 * base.own_cpu / events, 1e6 * ours.own_cpu / events),
    }
    if base.postgres_cpu is not None and ours.postgres_cpu is not None:
        readings["PostgreSQL CPU us"] = (1e6 * base.postgres_cpu / events, 1e6 * ours.postgres_cpu / events)
    for name, (theirs, own) in readings.items():
        shown |= {f"{name}, base": theirs, f"{name}, ours": own, f"{name}, ratio": own / theirs}
    return shown


def medians(rows: Sequence[dict[str, object]]) -> dict[str, object]:
    """Return the median of each column, of the ratios themselves too."""
    names = [name for name in rows[0] if name != "pair"]
    return {"pair": "median"} | {name: statistics.median(float(str(each[name])) for each in rows) for name in names}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", type=Path, metavar="FOLDER", help="the other checkout")
    parser.add_argument("what", choices=("drain", "ingest"))
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--events", type=int, help="in each run; 60,000 to drain, 40,000 to ingest")
    parser.add_argument("--mix", action="store_true", help="drain the mix of all effects instead of updates")
    parser.add_argument("--client", choices=CLIENTS, default=cheapest_client(), help="what drives the receivers")
    parser.add_argument("--database-url", help="a server to use instead of an embedded one")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    base: Path = options.base.resolve()
    # Without an __init__.py the package of that name that is installed here would run instead.
    if base == TREE or not (base / "consumer" / "__init__.py").exists():
        parser.error(f"{base} is no other checkout: it has no consumer/__init__.py, or is this one")
    events: int = options.events or (60_000 if options.what == "drain" else 40_000)
    deliveries = (everything if options.mix else updates)(events) if options.what == "drain" else []

    def measure(url: str, tree: Path) -> Cost:
        return drained(url, tree, deliveries) if deliveries else ingested(url, tree, events, options.client)

    with server(options.database_url) as server_url:
        found = pairs(server_url, base, options.pairs, measure)
    rows = [row(number, *pair, len(deliveries) or events) for number, pair in enumerate(found, 1)]
    facts: dict[str, object] = {
        "base": str(base),
        "ours": str(TREE),
        "Python of the base": python_of(base),
        "event bytes": EVENT_BYTES,
    }
    if not deliveries:
        facts["client"] = options.client
    show(f"Compare, {options.what}", [*rows, medians(rows)], facts, as_json=options.json)


if __name__ == "__main__":
    main()
