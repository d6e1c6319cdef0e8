"""A database that refuses users by their names, and batches as plain values."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

import psycopg

from consumer.outbox.storage import Delivery
from consumer.postgres.connections import connect
from consumer.worker.batch import Batch, BatchRunner
from tests.support.databases import rows, schema_change
from tests.support.factories import user_updated
from tests.support.worker import stored

# Far above the time that one batch takes, so that a hanging test fails instead of hanging.
PATIENCE_SECONDS = 20.0
# A user with one of these names fails so. CONSTRAINT:a is a violation of the constraint "a".
POISON, CONSTRAINT, LOCKED, BROKEN = "22012", "23505", "55P03", "42703"


@contextmanager
def picky(url: str) -> Iterator[None]:
    """Let each profile whose name begins with an SQLSTATE fail with it; after a colon comes a constraint's name."""
    change = """
        CREATE FUNCTION public.pick() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE parts text[] := string_to_array(NEW.full_name, ':');
        BEGIN
            IF parts[1] ~ '^[0-9A-Z]{5}$' THEN
                RAISE EXCEPTION USING ERRCODE = parts[1], CONSTRAINT = coalesce(parts[2], '');
            END IF;
            RETURN NEW;
        END $$;
        CREATE TRIGGER pick BEFORE INSERT OR UPDATE ON identity.profiles
        FOR EACH ROW EXECUTE FUNCTION public.pick();
    """
    with schema_change(url, change, "DROP FUNCTION public.pick CASCADE"):
        yield


def named(*names: str) -> list[Delivery]:
    """Return an update of one user for each name, the users in the order of their ids."""
    return [user_updated(UUID(int=number, version=4), display_name=name) for number, name in enumerate(names, 1)]


async def failed_before(url: str, deliveries: Sequence[Delivery], attempts: int) -> None:
    """Store deliveries that have failed so often and are due again."""
    await stored(url, deliveries)
    with psycopg.connect(url) as conn:
        conn.execute(
            """
            WITH failed AS (
                DELETE FROM consumer.pending AS p USING consumer.outbox AS o
                WHERE p.seq = o.seq AND o.message_id = ANY(%s) RETURNING p.seq
            )
            INSERT INTO consumer.failures (seq, state, attempts, next_attempt_at, error_code, error)
            SELECT seq, 'retrying', %s, now(), '23505', 'UniqueViolation' FROM failed
            """,
            [[delivery.message_id for delivery in deliveries], attempts],
        )


async def replayed(url: str, deliveries: Sequence[Delivery]) -> None:
    """Store deliveries that have failed and were put back to pending."""
    await stored(url, deliveries)
    with psycopg.connect(url) as conn:
        conn.execute(
            "UPDATE consumer.pending AS p SET has_failed = TRUE FROM consumer.outbox AS o "
            "WHERE p.seq = o.seq AND o.message_id = ANY(%s)",
            [[delivery.message_id for delivery in deliveries]],
        )


def states(url: str) -> list[tuple[str, int]]:
    """Return the state and the attempts of each delivery, the oldest first."""
    found = rows(url, "SELECT state, attempts FROM consumer.deliveries ORDER BY seq")
    return [(row["state"], row["attempts"]) for row in found]


def seqs(url: str) -> list[int]:
    return [row["seq"] for row in rows(url, "SELECT seq FROM consumer.outbox ORDER BY seq")]


def value(subject: BatchRunner, name: str, **labels: str) -> float | None:
    """Return a metric of the runner."""
    return subject.metrics.registry.get_sample_value(f"consumer_{name}", labels)


async def run_bounded(url: str, subject: BatchRunner) -> Batch:
    """Run one batch, which must end in time."""
    async with await connect(url, subject.access) as conn, asyncio.timeout(PATIENCE_SECONDS):
        return await subject.run_once(conn)
