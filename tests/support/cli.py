"""The command line as an operator calls it, and a queue in the state that a test wants."""

import asyncio
from contextlib import chdir
from tempfile import TemporaryDirectory
from typing import Any

import orjson
from click.testing import CliRunner, Result

from consumer.cli.main import consumer
from consumer.outbox.storage import Delivery
from tests.support import outbox
from tests.support.logs import logging_as_before

SECRET = "whsec_TBLusB12Fygrrm8tfpKzVtU3qV40Nelq"
# Whatever the shell of the person who tests has set.
UNSET = dict.fromkeys(("RECEIVER_DATABASE_URL", "WORKER_DATABASE_URL", "MIGRATE_DATABASE_URL", "DATABASE_URL"))


def call(database_url: str | None, *arguments: str, typed: str | None = None, **environment: str | None) -> Result:
    """Run `consumer` with these arguments in an empty folder; whatever it does to the log is undone."""
    runner = CliRunner(env={**UNSET, "DATABASE_URL": database_url, "STACK_WEBHOOK_SECRETS": SECRET, **environment})
    with TemporaryDirectory() as folder, chdir(folder), logging_as_before():
        return runner.invoke(consumer, list(arguments), prog_name="consumer", input=typed)


def facts(database_url: str, *arguments: str, **environment: str | None) -> Any:
    """Return the JSON document that a command prints, and nothing else, when it is done."""
    result = call(database_url, *arguments, "--json", **environment)
    assert result.exit_code == 0, result.output
    return orjson.loads(result.stdout)


def examined(url: str | None, **environment: str | None) -> tuple[int, dict[str, Any]]:
    """Return the exit code and each check by its name."""
    result = call(url, "doctor", "--json", **environment)
    document = orjson.loads(result.stdout)
    assert document["ok"] == (result.exit_code == 0)
    return result.exit_code, {check["name"]: check for check in document["checks"]}


def arrive(database_url: str, *deliveries: Delivery) -> None:
    """Store deliveries as the receiver does; a test of a command is not async, because a command runs its own loop."""
    asyncio.run(outbox.arrive(database_url, *deliveries))


def work(database_url: str) -> int:
    """Apply what is due, as a worker does."""
    return asyncio.run(outbox.work(database_url))
