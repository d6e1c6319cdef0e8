"""Procrastinate: twenty jobs at once, done ones deleted, one upsert a job on a pool beside it."""

import asyncio
import contextlib
import logging
import sys
from collections.abc import Mapping

import orjson
import procrastinate
import psycopg
import psycopg_pool
from procrastinate.exceptions import ConnectorException

from bench.peers.workers.shared import LEASE_SECONDS, await_shot, batches, parameters, report_drained, sql

CONCURRENCY = 20
CONNECTIONS = 10


async def fill(file: str) -> None:
    app = _app()
    task = app.task(name="apply", queue="events")(_forget)
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        for bodies in batches(file):
            await task.batch_defer_async(*({"event": orjson.loads(body)} for body in bodies))


async def work(effect: str) -> None:
    app = _app()
    statement = sql(f"{effect}_one")
    pool = psycopg_pool.AsyncConnectionPool(
        "",
        kwargs={"autocommit": True, "cursor_factory": psycopg.AsyncRawCursor},
        min_size=CONNECTIONS,
        max_size=CONNECTIONS,
        open=False,
    )

    async def apply(event: Mapping[str, Mapping[str, object]]) -> None:
        async with pool.connection() as conn:
            await conn.execute(statement, parameters(effect, event))

    app.task(name="apply", queue="events")(apply)
    async with app.open_async(), pool:
        await pool.wait()
        await asyncio.to_thread(await_shot)
        await _retry_stalled(app)
        await app.run_worker_async(
            queues=["events"],
            concurrency=CONCURRENCY,
            # Stop when the queue is empty.
            wait=False,
            listen_notify=False,
            delete_jobs="always",
            install_signal_handlers=False,
            update_heartbeat_interval=LEASE_SECONDS / 3,
            stalled_worker_timeout=LEASE_SECONDS,
        )
        report_drained()


async def _retry_stalled(app: procrastinate.App) -> None:
    """Do what its guide has a periodic task do: give back the jobs of workers that died."""
    for job in await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=LEASE_SECONDS):
        # The other process may have been first.
        with contextlib.suppress(ConnectorException):
            await app.job_manager.retry_job(job)


def _app() -> procrastinate.App:
    connector = procrastinate.PsycopgConnector(conninfo="", min_size=1, max_size=CONCURRENCY)
    return procrastinate.App(connector=connector)


async def _forget(event: object) -> None:
    """Be known by name while filling."""


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    asyncio.run({"fill": fill, "work": work}[sys.argv[1]](sys.argv[2]))
