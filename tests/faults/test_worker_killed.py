"""The worker killed before each of its statements: whatever had happened, the next one ends in the model's state."""

import signal
import subprocess
import sys
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from consumer.events.registry import EVENT_TYPES
from consumer.metrics import Metrics
from consumer.outbox.storage import Delivery
from consumer.postgres.connections import connect, worker_access
from consumer.settings.settings import ShapingSettings
from consumer.worker.batch import BatchRunner, drain
from tests.support import model
from tests.support.databases import record, rows, sessions
from tests.support.factories import (
    delivery,
    membership,
    permission,
    snapshot,
    team,
    team_event,
    user_deleted,
    user_updated,
)
from tests.support.outbox import put
from tests.support.processes import until

ROOT = Path(__file__).parent.parent.parent
SESSIONS = sessions("worker")
# Kills itself in front of the n-th statement of its work, the COMMIT included.
KILLED = """
import asyncio, os, signal, sys
import psycopg
from consumer.postgres.connections import connect, worker_access
from consumer.events.registry import EVENT_TYPES
from consumer.metrics import Metrics
from consumer.worker.batch import BatchRunner, drain

left = int(sys.argv[2])
fetch = psycopg.AsyncConnection.wait

async def counted(self, *args, **kwargs):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return await fetch(self, *args, **kwargs)

async def work():
    access = worker_access("consumer")
    async with await connect(sys.argv[1], access) as conn:
        psycopg.AsyncConnection.wait = counted
        await drain(conn, BatchRunner(access, Metrics(EVENT_TYPES), attempts_max=12, batch_size=6))

asyncio.run(work())
"""


def history(user_id: UUID) -> list[Delivery]:
    team_id = uuid4()
    app_event = delivery("user.signed_in", user_id, "app", **snapshot(display_name="From the application"))
    return [
        user_updated(user_id, display_name="Ada", last_active_at_millis=1_795_330_800_123),
        app_event,
        user_updated(user_id, display_name="Grace"),
        delivery("user.signed_out", user_id, "app"),
        user_deleted(user_id),
        user_updated(user_id, display_name="Late"),
        user_updated(display_name="Somebody else", selected_team=team(team_id)),
        membership("created", team_id, user_id),
        permission("created", team_id, user_id, "read"),
        team_event("deleted", team_id),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["soft", "hard"])
async def test_a_worker_killed_before_any_statement_leaves_no_half_state(emptied: str, policy: str) -> None:
    deliveries = history(uuid4())
    settings = ShapingSettings(delete_policy=policy)  # type: ignore[arg-type]  # one of the literals
    survived_at = None
    for statement in range(100):
        await arrive(emptied, deliveries, settings)
        killed = subprocess.run([sys.executable, "-c", KILLED, emptied, str(statement)], cwd=ROOT, check=False)
        # A killed worker's rows are locked until the server has noticed.
        until(lambda: not rows(emptied, SESSIONS))
        await finish(emptied)

        assert model.state(emptied) == model.fold(deliveries, settings)
        assert states(emptied) == [("done", len(deliveries))]
        if killed.returncode == 0:
            survived_at = statement
            break
        assert killed.returncode == -signal.SIGKILL

    assert survived_at is not None
    assert survived_at > 15, "fewer statements than a batch has: the kill did not fire where it should"


async def arrive(url: str, deliveries: list[Delivery], settings: ShapingSettings) -> None:
    await record(url, settings)
    async with await connect(url, worker_access("consumer")) as conn:
        await conn.execute(
            "TRUNCATE consumer.outbox, consumer.outcomes, consumer.pending, consumer.memberships, "
            "consumer.team_permissions, consumer.rehome, identity.profiles, identity.stack_user_profiles, "
            "identity.company_members, identity.companies, identity.profile_audit"
        )
        await put(conn, deliveries)


async def finish(url: str) -> None:
    access = worker_access("consumer")
    async with await connect(url, access) as conn:
        await drain(conn, BatchRunner(access, Metrics(EVENT_TYPES), attempts_max=12))


def states(url: str) -> list[tuple[str, int]]:
    return [
        (row["state"], row["count"])
        for row in rows(url, "SELECT state, count(*) FROM consumer.deliveries GROUP BY state")
    ]
