"""The command line as an operator calls it, and a queue in the state that a test wants."""

import asyncio
import logging
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import chdir, contextmanager
from tempfile import TemporaryDirectory
from typing import Any

import orjson
import psycopg
from click.testing import CliRunner, Result

from consumer.cli.main import consumer
from consumer.events.registry import EVENT_TYPES
from consumer.metrics import Metrics
from consumer.outbox import storage
from consumer.outbox.storage import Delivery
from consumer.postgres.connections import connect, receiver_access, transaction, worker_access
from consumer.worker.batch import BatchRunner, drain
from tests.support.databases import put, rows

SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
# Whatever the shell of the person who tests has set.
UNSET = dict.fromkeys(("RECEIVER_DATABASE_URL", "WORKER_DATABASE_URL", "MIGRATE_DATABASE_URL", "DATABASE_URL"))


def call(database_url: str | None, *arguments: str, **environment: str | None) -> Result:
    """Run `consumer` with these arguments in an empty folder; whatever it does to the log is undone."""
    runner = CliRunner(env={**UNSET, "DATABASE_URL": database_url, "STACK_WEBHOOK_SECRETS": SECRET, **environment})
    with TemporaryDirectory() as folder, chdir(folder), logging_as_before():
        return runner.invoke(consumer, list(arguments), prog_name="consumer")


def facts(database_url: str, *arguments: str, **environment: str | None) -> Any:
    """Return the JSON document that a command prints, and nothing else, when it is done."""
    result = call(database_url, *arguments, "--json", **environment)
    assert result.exit_code == 0, result.output
    return orjson.loads(result.stdout)


@contextmanager
def logging_as_before() -> Iterator[None]:
    """Undo what a command does to logging, which belongs to the process that the tests share."""
    root = logging.getLogger()
    handlers, level, hooks = root.handlers, root.level, (sys.excepthook, threading.excepthook)
    switches = {
        name: getattr(logging, name) for name in ("logThreads", "logProcesses", "logMultiprocessing", "_srcfile")
    }
    try:
        yield
    finally:
        root.handlers, root.level = handlers, level
        sys.excepthook, threading.excepthook = hooks
        for name, value in switches.items():
            setattr(logging, name, value)
        logging.getLogger("consumer").setLevel(logging.NOTSET)
        logging.getLogger("uvicorn.access").disabled = False
        logging.captureWarnings(capture=False)


def arrive(database_url: str, *deliveries: Delivery) -> None:
    """Store deliveries as the receiver does, those with an error code dead."""

    async def store() -> None:
        async with await connect(database_url, receiver_access("consumer")) as conn:
            await put(conn, [delivery for delivery in deliveries if not delivery.error_code])
            async with transaction(conn, receiver_access("consumer")):
                for delivery in deliveries:
                    if delivery.error_code:
                        await storage.put_dead(conn, delivery)

    asyncio.run(store())


def work(database_url: str) -> int:
    """Apply what is due, as a worker does."""

    async def applied() -> int:
        access = worker_access("consumer")
        async with await connect(database_url, access) as conn:
            return await drain(conn, BatchRunner(access, Metrics(EVENT_TYPES), attempts_max=12))

    return asyncio.run(applied())


def set_aside(database_url: str, deliveries: Sequence[Delivery], state: str = "dead", code: str = "23514") -> None:
    """Move pending deliveries to where a worker puts those it could not apply."""
    with psycopg.connect(database_url) as conn:
        conn.execute(
            "WITH taken AS (DELETE FROM consumer.pending WHERE seq IN "
            "(SELECT seq FROM consumer.outbox WHERE message_id = ANY(%s)) RETURNING seq) "
            "INSERT INTO consumer.failures (seq, state, attempts, next_attempt_at, error_code, error) "
            "SELECT seq, %s, 3, CASE WHEN %s = 'retrying' THEN now() + interval '1 hour' END, %s, 'CheckViolation' "
            "FROM taken ORDER BY seq",
            ([delivery.message_id for delivery in deliveries], state, state, code),
        )


def states(database_url: str) -> dict[str, str]:
    """Return each delivery's state by its message id."""
    found = rows(database_url, "SELECT message_id, state FROM consumer.deliveries ORDER BY seq")
    return {row["message_id"]: row["state"] for row in found}
