"""A worker's loop with its pauses written down instead of waited for."""

import asyncio
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta

import psycopg
import pytest

from consumer.events.registry import EVENT_TYPES
from consumer.metrics import Metrics
from consumer.postgres.connections import Connection, worker_access
from consumer.postgres.error_classes import ErrorClass
from consumer.worker import loop as loop_module
from consumer.worker.batch import BatchRunner
from consumer.worker.loop import Worker
from tests.support.databases import rows, schema_change

# The server's own limits are out of the way: a test moves the loop's clock and no other.
PATIENT = replace(worker_access("consumer"), lock_timeout=timedelta(minutes=1), statement_timeout=timedelta(minutes=1))
# Far above the time that any of these tests takes, so that a hanging test fails instead of hanging.
PATIENCE_SECONDS = 20.0


def runner(batch_size: int = 500) -> BatchRunner:
    return BatchRunner(PATIENT, Metrics(EVENT_TYPES), attempts_max=12, batch_size=batch_size)


@dataclass
class Diary:
    """What a loop did: its idle waits and its pauses after errors, in seconds, and the reported attempts to connect."""

    waits: list[float] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    attempted: list[Exception | None] = field(default_factory=list)


@dataclass
class Life:
    """A loop under test. Scripts act in place of its waits and pauses; the loop ends when one returns None."""

    monkeypatch: pytest.MonkeyPatch
    diary: Diary = field(default_factory=Diary)
    worker: Worker = field(init=False)

    async def run(
        self,
        url: str,
        *,
        on_wait: Callable[[int], bool | None] = lambda _: None,
        on_pause: Callable[[int], bool | None] = lambda _: None,
        poll_max: float = 0.5,
        subject: BatchRunner | None = None,
    ) -> Worker:
        """Run a loop; *on_wait* and *on_pause* get the number of the wait or pause, from 1.

        *on_wait* returns whether a wake-up came.
        """
        worker = self.worker = Worker(
            url, subject or runner(), self.diary.attempted.append, poll_max=timedelta(seconds=poll_max)
        )

        async def hear(_: Connection, seconds: float) -> bool:
            self.diary.waits.append(seconds)
            return told(await asyncio.to_thread(on_wait, len(self.diary.waits)))

        async def sleep(_: Worker, seconds: float) -> None:
            self.diary.pauses.append(seconds)
            told(await asyncio.to_thread(on_pause, len(self.diary.pauses)))

        def told(answer: bool | None) -> bool:
            if answer is None:
                worker.stop()
            return bool(answer)

        self.monkeypatch.setattr(loop_module, "_hear", hear)
        self.monkeypatch.setattr(Worker, "_sleep", sleep)
        # The longest pause that the jitter may choose.
        self.monkeypatch.setattr(random, "uniform", lambda _, longest: longest)
        async with asyncio.timeout(PATIENCE_SECONDS):
            await worker.run()
        return worker


@contextmanager
def mood(url: str) -> Iterator[Callable[[str | None], None]]:
    """Let each batch with a user fail with the SQLSTATE that the yielded function sets; None lets it succeed."""
    change = """
        CREATE TABLE public.mood (sqlstate text);
        INSERT INTO public.mood VALUES (NULL);
        GRANT SELECT ON public.mood TO consumer_worker;
        CREATE FUNCTION public.sulk() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE state text := (SELECT sqlstate FROM public.mood);
        BEGIN IF state IS NOT NULL THEN RAISE EXCEPTION USING ERRCODE = state; END IF; RETURN NULL; END $$;
        CREATE TRIGGER sulk BEFORE INSERT ON identity.stack_user_profiles
        FOR EACH STATEMENT EXECUTE FUNCTION public.sulk();
    """

    def choose(sqlstate: str | None) -> None:
        with psycopg.connect(url) as conn:
            conn.execute("UPDATE public.mood SET sqlstate = %s", [sqlstate])

    with schema_change(url, change, "DROP FUNCTION public.sulk CASCADE; DROP TABLE public.mood"):
        yield choose


def pending(url: str) -> int:
    return len(rows(url, "SELECT FROM consumer.pending"))


def failures(subject: BatchRunner) -> dict[str, float]:
    """Return the counted batches that were rolled back, by error class."""
    registry = subject.metrics.registry
    counts = {
        kind: registry.get_sample_value("consumer_batch_failures_total", {"error_class": kind}) or 0
        for kind in (*(kind.value for kind in ErrorClass), "other")
    }
    return {kind: count for kind, count in counts.items() if count}
