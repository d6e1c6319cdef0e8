"""The processes that the drain benchmark measures: a worker, and the ceilings that do its effects without a queue."""

import asyncio
import os
import sys
import time
from collections.abc import Mapping, Sequence
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from typing import NamedTuple, TypeAlias
from unittest.mock import patch

import psutil

from consumer import logs
from consumer.effects import users
from consumer.effects.apply import apply
from consumer.events.registry import EVENT_TYPES
from consumer.metrics import Metrics
from consumer.outbox import queue as outbox_queue
from consumer.outbox.queue import Claimed
from consumer.postgres.connections import Connection, connect, enter, worker_access
from consumer.worker import rehome
from consumer.worker.batch import BatchRunner, drain, retry_delay

ACCESS = worker_access("consumer")


class Done(NamedTuple):
    """What one process did."""

    events: int
    cpu_seconds: float
    growth_bytes: int


Results: TypeAlias = "Queue[Done]"


def work(url: str, batch_size: int, barrier: Barrier, results: Results) -> None:
    """Be a worker with its usual log, which is thrown away."""
    sys.stderr = open(os.devnull, "w")  # noqa: PTH123, SIM115
    logs.configure("json", "info")

    async def drained() -> Done:
        worker = BatchRunner(ACCESS, Metrics(EVENT_TYPES), attempts_max=12, batch_size=batch_size)
        async with await connect(url, ACCESS) as conn:
            await enter(conn, ACCESS)
            barrier.wait(timeout=60)
            before, cpu_before = int(psutil.Process().memory_info().rss), time.process_time()
            events = await drain(conn, worker)
            cpu_seconds = time.process_time() - cpu_before
            return Done(events, cpu_seconds, int(psutil.Process().memory_info().rss) - before)

    results.put(asyncio.run(drained()))


def project(url: str, batch_size: int, barrier: Barrier, results: Results) -> None:
    """Be the ceiling: the projection over slices of the outbox."""

    async def projected() -> Done:
        async with await connect(url, ACCESS) as conn:
            stored = await (await conn.execute("SELECT seq FROM consumer.pending ORDER BY seq")).fetchall()
            claimed = [seq for (seq,) in stored]
            barrier.wait(timeout=60)
            cpu_before = time.process_time()
            for first in range(0, len(claimed), batch_size):
                seqs = claimed[first : first + batch_size]
                async with conn.transaction():
                    mirrored = await users.mirror(conn, seqs)
                    await users.put(conn, mirrored.written, users.Causes(seqs, mirrored.changed))
            return Done(len(claimed), time.process_time() - cpu_before, 0)

    results.put(asyncio.run(projected()))


def project_mix(url: str, batch_size: int, barrier: Barrier, results: Results) -> None:
    """Be the ceiling of everything: all effects over slices of the outbox, their outcomes thrown away."""

    async def finish(_: Connection, outcomes: Mapping[int, str]) -> None:
        pass

    async def finish_users(_: Connection, seqs: Sequence[int], **__: object) -> dict[int, str]:
        return dict.fromkeys(seqs, "applied")

    async def projected() -> Done:
        async with await connect(url, ACCESS) as conn:
            columns = "seq, source, message_id, event_type, user_id, team_id"
            stored = await (await conn.execute(f"SELECT {columns} FROM consumer.outbox ORDER BY seq")).fetchall()
            claimed = [Claimed(*row) for row in stored]
            barrier.wait(timeout=60)
            cpu_before = time.process_time()
            for first in range(0, len(claimed), batch_size):
                async with conn.transaction():
                    await apply(conn, claimed[first : first + batch_size])
            is_rehoming = True
            while is_rehoming:
                async with conn.transaction():
                    is_rehoming = await rehome.run_page(conn, retry_delay) is not None
            return Done(len(claimed), time.process_time() - cpu_before, 0)

    with patch.multiple(outbox_queue, finish=finish, finish_users=finish_users):
        results.put(asyncio.run(projected()))
