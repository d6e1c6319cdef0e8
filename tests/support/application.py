"""An application with tables of its own beside ours, and a statement that lets them follow."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import psycopg

from consumer.events.registry import EVENT_TYPES
from consumer.metrics import Metrics
from consumer.postgres.connections import connect, worker_access
from consumer.worker.batch import Batch, BatchRunner, drain
from tests.support.databases import change, rows

# What follows: a row per living profile, whom the statement was called for, and a name that is refused.
SCHEMA = """
    CREATE TABLE public.people (
        id uuid PRIMARY KEY,
        name text NOT NULL CONSTRAINT no_mallory CHECK (name <> 'Mallory'),
        email text CONSTRAINT one_address UNIQUE,
        company_id uuid
    );
    CREATE TABLE public.calls (number bigint GENERATED ALWAYS AS IDENTITY, user_ids uuid[] NOT NULL);
    GRANT SELECT, INSERT, UPDATE, DELETE ON public.people TO consumer_worker;
    GRANT INSERT ON public.calls TO consumer_worker;
"""
STATEMENT = b"""
    WITH changed AS (SELECT unnest(%(user_ids)b::uuid[]) AS user_id),
    called AS (INSERT INTO public.calls (user_ids) SELECT array_agg(user_id) FROM changed HAVING count(*) > 0),
    gone AS (
        DELETE FROM public.people AS t USING changed
        WHERE t.id = changed.user_id AND NOT EXISTS (SELECT FROM identity.profiles AS p WHERE p.user_id = t.id)
    )
    INSERT INTO public.people (id, name, email, company_id)
    SELECT p.user_id, p.full_name, p.email, p.company_id
    FROM changed JOIN identity.profiles AS p USING (user_id)
    ON CONFLICT (id) DO UPDATE SET name = excluded.name, email = excluded.email, company_id = excluded.company_id
"""
DROP = "DROP TABLE IF EXISTS public.people, public.calls, public.removed CASCADE"
ACCESS = replace(worker_access("consumer"), lock_timeout=timedelta(milliseconds=100))


@contextmanager
def tables(url: str, create: str, drop: str) -> Iterator[str]:
    """Make an application's tables for the duration."""
    with psycopg.connect(url, autocommit=True) as conn:
        try:
            conn.execute(create)
            yield url
        finally:
            conn.execute(drop)


@contextmanager
def referred_to(url: str, user_id: UUID, constraint: str) -> Iterator[None]:
    """Let an application's table refer to a profile."""
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(f"CREATE TABLE public.notes (user_id uuid REFERENCES identity.profiles {constraint})")
        conn.execute("INSERT INTO public.notes VALUES (%s)", [user_id])
        try:
            yield
        finally:
            conn.execute("DROP TABLE public.notes")


def failures(url: str) -> list[tuple[object, ...]]:
    found = rows(url, "SELECT state, attempts, error_code, error FROM consumer.failures ORDER BY seq")
    return [tuple(row.values()) for row in found]


def make_due(url: str) -> None:
    change(url, "UPDATE consumer.failures SET next_attempt_at = now() WHERE state = 'retrying'")


def worker(statement: bytes | None = STATEMENT, attempts_max: int = 12) -> BatchRunner:
    return BatchRunner(ACCESS, Metrics(EVENT_TYPES), attempts_max=attempts_max, projection_sql=statement)


async def work(url: str, subject: BatchRunner | None = None) -> int:
    async with await connect(url, ACCESS) as conn:
        return await drain(conn, subject or worker())


async def run_once(url: str, subject: BatchRunner | None = None) -> Batch:
    async with await connect(url, ACCESS) as conn:
        return await (subject or worker()).run_once(conn)


def people(url: str) -> dict[UUID, str]:
    return {row["id"]: row["name"] for row in rows(url, "SELECT id, name FROM public.people")}


def profiles(url: str) -> dict[UUID, str]:
    return {row["user_id"]: row["full_name"] for row in rows(url, "SELECT user_id, full_name FROM identity.profiles")}


def calls(url: str) -> list[list[UUID]]:
    return [row["user_ids"] for row in rows(url, "SELECT user_ids FROM public.calls ORDER BY number")]
