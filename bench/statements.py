"""Where a worker's batch goes: `python -m bench.statements` runs each statement of one under EXPLAIN, by history.

Milliseconds, pages and WAL of one batch of 1,000 deliveries, the best of five batches, with 10 k and 1 M stored
deliveries behind, and the processor time of all five on PostgreSQL's side. Pages are what must not grow with history.
"""

import argparse
import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg

from bench.cpu import backend, cpu_seconds, microseconds
from bench.events import fill, updates
from bench.support import EVENT_BYTES, database, progress, server, show
from consumer.postgres import migrations
from consumer.postgres.queries import query

BATCHES = 5
BATCH_SIZE = 1000
HISTORIES = (10_000, 1_000_000)
# Nothing but updates changes a profile.
NOBODY_ELSE: Mapping[str, object] = {"applied": [], "operation": None, "rehomed": [], "rehomed_by": None}


def explained(conn: "psycopg.Connection[Any]", name: str, values: Mapping[str, object]) -> dict[str, float]:
    """Run a query and return what it took."""
    explain = b"EXPLAIN (ANALYZE, BUFFERS, WAL, TIMING OFF, FORMAT JSON) "
    [(found,)] = conn.execute(explain + query(name), values).fetchall()
    plan = found[0]["Plan"]
    return {
        "ms": found[0]["Execution Time"] + found[0]["Planning Time"],
        "pages": plan["Shared Hit Blocks"] + plan["Shared Read Blocks"],
        "WAL kB": plan["WAL Bytes"] / 1000,
    }


def batch(conn: "psycopg.Connection[Any]") -> dict[str, dict[str, float]]:
    """Run the statements of one batch of users, and commit it."""
    seqs = _column(conn, "SELECT seq FROM consumer.pending ORDER BY seq LIMIT %s", BATCH_SIZE)
    users = _column(conn, "SELECT DISTINCT user_id FROM consumer.outbox WHERE seq = ANY(%s)", seqs)
    statements: Sequence[tuple[str, Mapping[str, object]]] = [
        ("queue/claim_retries", {"batch_size": BATCH_SIZE // 2, "known_types": None}),
        ("queue/claim", {"after_seq": seqs[0] - 1, "batch_size": BATCH_SIZE}),
        ("users/mirror", {"seqs": seqs}),
        ("users/put_profiles", {"seqs": seqs, "written": users, "changed": users, **NOBODY_ELSE}),
        ("users/put_sign_ins", {"seqs": seqs}),
        ("queue/finish_users", {"seqs": seqs, "changed": users, "applied": []}),
    ]
    with conn.transaction():
        conn.execute("SET LOCAL ROLE consumer_worker")
        return {name: explained(conn, name, values) for name, values in statements}


def _column(conn: "psycopg.Connection[Any]", statement: str, value: object) -> list[Any]:
    return [row[0] for row in conn.execute(statement.encode(), [value])]


def measure(server_url: str, history: int) -> tuple[list[dict[str, object]], float | None]:
    """Return what the best batch took by statement, and the microseconds of processor time that an event took."""
    progress(f"{history:,} behind")
    with database(server_url, "statements") as url:
        migrations.apply(url, "consumer")
        asyncio.run(fill(url, updates(BATCHES * BATCH_SIZE), history))
        with psycopg.connect(url, autocommit=True) as conn:
            process = backend(conn)
            before = process and cpu_seconds(process)
            batches = [batch(conn) for _ in range(BATCHES)]
            cpu = microseconds(before, process and cpu_seconds(process), BATCHES * BATCH_SIZE)
    best = {name: min((each[name] for each in batches), key=_milliseconds) for name in batches[0]}
    return [{"behind": history, "statement": name, **took} for name, took in best.items()], cpu


def _milliseconds(took: Mapping[str, float]) -> float:
    return took["ms"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database-url", help="a server to use instead of an embedded one")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with server(options.database_url) as url:
        measured = {history: measure(url, history) for history in HISTORIES}
    rows = [row for found, _ in measured.values() for row in found]
    totals: dict[str, object] = {
        f"{history:,} behind, all statements, ms": sum(
            float(str(row["ms"])) for row in rows if row["behind"] == history
        )
        for history in HISTORIES
    }
    totals |= {f"{history:,} behind, PostgreSQL CPU us/event": cpu for history, (_, cpu) in measured.items()}
    show("A batch, statement by statement", rows, {"event bytes": EVENT_BYTES, **totals}, as_json=options.json)


if __name__ == "__main__":
    main()
