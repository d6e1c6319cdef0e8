"""PgQ, the original: read a batch, apply it and move the cursor in one transaction; ticks are cut while filling."""

import sys

import psycopg

from bench.peers.workers.shared import await_shot, batches, report_drained, sql

# Events a tick, hence a batch: the best of 500 (the default of ticker_max_count), 1,000, 2,000 and 4,000 here.
TICK = 2000


def fill(file: str) -> None:
    with psycopg.connect("", autocommit=True, cursor_factory=psycopg.RawCursor) as conn:
        conn.execute("CREATE EXTENSION pgq")
        conn.execute("SELECT pgq.create_queue('events')")
        conn.execute("SELECT pgq.register_consumer('events', 'worker')")
        conn.execute("SELECT pgq.ticker('events')")
        for bodies in batches(file, TICK):
            conn.execute(sql("fill_pgq"), [bodies])
            conn.execute("SELECT pgq.force_tick('events')")
            conn.execute("SELECT pgq.ticker('events')")


def work(effect: str) -> None:
    statement = sql(f"{effect}_pgq")
    with psycopg.connect("", autocommit=True, cursor_factory=psycopg.RawCursor) as conn:
        await_shot()
        while _apply_batch(conn, statement):
            pass
        report_drained()


def _apply_batch(conn: "psycopg.Connection[tuple[int | None]]", statement: str) -> bool:
    with conn.transaction():
        [(batch,)] = conn.execute("SELECT pgq.next_batch('events', 'worker')").fetchall()
        if batch is None:
            return False
        conn.execute(statement, [batch])
        conn.execute("SELECT pgq.finish_batch($1)", [batch])
    return True


if __name__ == "__main__":
    {"fill": fill, "work": work}[sys.argv[1]](sys.argv[2])
