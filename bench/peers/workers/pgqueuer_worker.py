"""PgQueuer: asyncpg, batches of 100 claimed at once, one upsert a job on a pool beside it."""

import asyncio
import logging
import sys
from datetime import timedelta

import asyncpg
import psycopg
import uvloop
from pgqueuer import PgQueuer, types
from pgqueuer.adapters.persistence.qb import DBSettings, QueryBuilderEnvironment
from pgqueuer.db import AsyncpgDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries

from bench.peers.workers.shared import (
    LEASE_SECONDS,
    await_shot,
    batches,
    decoded,
    parameters,
    report_drained,
    sql,
)

# Its guide: larger batches for short jobs, and twice as many tasks as a batch.
BATCH = 100
CONNECTIONS = 10


async def fill(file: str) -> None:
    setup = QueryBuilderEnvironment(DBSettings())
    with psycopg.connect("", autocommit=True) as conn:
        conn.execute(setup.build_install_query())
        conn.execute(setup.build_optimize_autovacuum_query())
    queries = Queries(AsyncpgDriver(await asyncpg.connect()))
    for bodies in batches(file):
        await queries.enqueue(["apply"] * len(bodies), [body.encode() for body in bodies], [0] * len(bodies))


async def work(effect: str) -> None:
    statement = sql(f"{effect}_one")
    queue = PgQueuer(AsyncpgDriver(await asyncpg.connect()))
    async with asyncpg.create_pool(min_size=CONNECTIONS, max_size=CONNECTIONS, reset=_keep) as pool:

        async def apply(job: Job) -> None:
            await pool.execute(statement, *parameters(effect, decoded(job.payload)))

        queue.entrypoint("apply")(apply)
        await asyncio.to_thread(await_shot)
        await queue.run(
            batch_size=BATCH,
            max_concurrent_tasks=2 * BATCH,
            mode=types.QueueExecutionMode.drain,
            dequeue_timeout=timedelta(seconds=1),
            heartbeat_timeout=timedelta(seconds=LEASE_SECONDS),
        )
        report_drained()


async def _keep(_: object) -> None:
    """Spare the round trip by which asyncpg resets a connection after each use: nothing here changes its state."""


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    uvloop.run({"fill": fill, "work": work}[sys.argv[1]](sys.argv[2]))
