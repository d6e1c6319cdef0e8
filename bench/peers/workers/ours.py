"""Our worker as it ships: `whole` with its own effect, else with the peers' effect in the place of ours."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import redirect_stderr
from datetime import UTC, datetime, timedelta
from unittest.mock import patch
from uuid import UUID

from bench.peers.workers.shared import await_shot, batches, decoded, report_drained, sql
from consumer import logs
from consumer.effects import recorded_settings
from consumer.effects.apply import apply
from consumer.events.registry import EVENT_TYPES
from consumer.metrics import Metrics
from consumer.outbox import queue, storage
from consumer.outbox.queue import Claimed
from consumer.outbox.storage import Delivery
from consumer.postgres import migrations, session
from consumer.postgres.connections import Connection, connect, operator_access, worker_access
from consumer.settings.settings import ShapingSettings
from consumer.worker.batch import BatchRunner, drain

URL = os.environ["PEERS_URL"]
ACCESS = worker_access("consumer")
START = datetime(2026, 11, 22, tzinfo=UTC)
Apply = Callable[[Connection, Sequence[Claimed], bytes | None], Awaitable[dict[int, str]]]


async def fill(file: str) -> None:
    migrations.apply(URL, "consumer")
    access = operator_access("consumer")
    async with await connect(URL, access) as conn:
        await conn.execute("GRANT USAGE ON SCHEMA bench TO consumer_worker")
        await conn.execute("GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA bench TO consumer_worker")
        await recorded_settings.record(conn, access, ShapingSettings(), worker_role="consumer_worker", is_forced=False)
        first = 0
        for bodies in batches(file):
            await storage.put(conn, [_delivery(body, number) for number, body in enumerate(bodies, first)])
            first += len(bodies)


async def work(effect: str) -> None:
    logs.configure("json", "info")
    worker = BatchRunner(ACCESS, Metrics(EVENT_TYPES), attempts_max=12)
    with patch("consumer.worker.claimed.apply", _applying(effect)):
        async with await connect(URL, ACCESS) as conn:
            await asyncio.to_thread(await_shot)
            await drain(conn, worker)
            report_drained()


def _applying(effect: str) -> Apply:
    """Return what stands in for our effects: the transaction, claim, savepoint, outcomes and log around it are ours."""
    statement = sql(f"{effect.removeprefix('whole_')}_outbox").encode() if effect != "whole" else b""

    async def stand_in(conn: Connection, claimed: Sequence[Claimed], projection_sql: bytes | None) -> dict[int, str]:
        seqs = [delivery.seq for delivery in claimed]
        if statement:
            await conn.execute(statement, {"seqs": seqs})
        if effect.startswith("whole"):
            return await apply(conn, claimed, projection_sql)
        outcomes = dict.fromkeys(seqs, "applied")
        await queue.finish(conn, outcomes)
        await session.check_constraints(conn)
        return outcomes

    return stand_in


def _delivery(body: str, number: int) -> Delivery:
    user_id = UUID(str(decoded(body.encode())["data"]["id"]))
    return Delivery(
        source="stack",
        message_id=f"msg_{number:027}",
        event_type="user.updated",
        user_id=user_id,
        team_id=None,
        occurred_at=START + timedelta(milliseconds=4 * number),
        verified_by="0123abcd",
        body=body.encode(),
    )


if __name__ == "__main__":
    # The usual log, thrown away; what ends the program is not.
    with open(os.devnull, "w") as nowhere, redirect_stderr(nowhere):  # noqa: PTH123
        asyncio.run({"fill": fill, "work": work}[sys.argv[1]](sys.argv[2]))
