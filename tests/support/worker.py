"""A worker of a test's own, turn by turn."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import psycopg
import pytest

from consumer.events.registry import EVENT_TYPES
from consumer.metrics import Metrics
from consumer.outbox.storage import Delivery
from consumer.postgres.connections import Access, connect, worker_access
from consumer.worker.batch import Batch, BatchRunner, drain
from tests.support.databases import rows, schema_change
from tests.support.kept import kept
from tests.support.outbox import put

PATIENT = worker_access("consumer")
ACCESS = replace(PATIENT, lock_timeout=timedelta(milliseconds=100))


def worker(batch_size: int = 500, attempts_max: int = 12, access: Access = ACCESS) -> BatchRunner:
    return BatchRunner(access, Metrics(EVENT_TYPES), attempts_max=attempts_max, batch_size=batch_size)


async def stored(url: str, deliveries: Sequence[Delivery]) -> None:
    async with kept(url, ACCESS) as conn:
        await put(conn, deliveries)


async def run_once(url: str, subject: BatchRunner) -> Batch:
    async with await connect(url, ACCESS) as conn:
        return await subject.run_once(conn)


async def drain_all(url: str, subject: BatchRunner) -> int:
    async with kept(url, ACCESS) as conn:
        return await drain(conn, subject)


def deliveries(url: str, columns: str = "state, outcome, attempts, error_code") -> list[tuple[object, ...]]:
    return [tuple(row.values()) for row in rows(url, f"SELECT {columns} FROM consumer.deliveries ORDER BY seq")]


LOCK = "SELECT FROM identity.stack_user_profiles WHERE stack_user_id = ANY(%s) FOR UPDATE"


@pytest.fixture
def poison(emptied: str) -> Iterator[str]:
    """A database that refuses one name for good."""
    check = "ALTER TABLE identity.profiles ADD CONSTRAINT poison CHECK (full_name <> 'Mallory')"
    with schema_change(emptied, check, "ALTER TABLE identity.profiles DROP CONSTRAINT poison"):
        yield emptied


@pytest.fixture
def foreign_trigger(emptied: str) -> Iterator[str]:
    """A database whose application refuses one name by a trigger of its own."""
    change = """
        CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN IF NEW.full_name = 'Mallory' THEN RAISE EXCEPTION 'no %', NEW.email; END IF; RETURN NEW; END $$;
        CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON identity.profiles
        FOR EACH ROW EXECUTE FUNCTION public.refuse();
    """
    with schema_change(emptied, change, "DROP FUNCTION public.refuse CASCADE"):
        yield emptied


def lock(holder: "psycopg.Connection[tuple[object, ...]]", users: Sequence[UUID]) -> None:
    holder.execute(LOCK, [list(users)])


def make_due(url: str) -> None:
    with psycopg.connect(url) as conn:
        conn.execute("UPDATE consumer.failures SET next_attempt_at = now() WHERE state = 'retrying'")
        conn.execute("DELETE FROM identity.profiles WHERE role_type = 'x'")
